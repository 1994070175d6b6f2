import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { defaultVersions } from "../../config/versions.ts";
import { writtenHosts } from "../../hosts/writtenHosts.ts";

/** The folder of the project: the clone. */
export const projectDir: string = join(import.meta.dirname, "../..");

/** Ignored by git: state, keys and files of clients, what the virtual board is reached by. */
export const localDir: string = join(projectDir, ".buildhosts");

export function stackFile(stack: string): string {
  return join(projectDir, `Pulumi.${stack}.yaml`);
}

/** A virtual machine that a stack asks for: a board, or a board with Docker on it. */
export interface VirtualMachineRequest {
  kind: "board" | "docker-host";
  /** As the stack file has it; where it says nothing, what this machine runs best. */
  platform?: "linux/riscv64" | "linux/arm64" | "linux/amd64";
  /** Whether its builder needs RootlessKit. */
  rootless: boolean;
}

/**
 * The virtual machines that a stack asks for; none for every stack that names its hosts.
 *
 * @throws one line, when the stack has no file.
 */
export async function virtualMachines(stack: string): Promise<VirtualMachineRequest[]> {
  const config = await stackConfig(stack);
  return Object.entries(writtenHosts).flatMap(([key, { machine }]) =>
    virtualIn(config[`buildhosts:${key}`], machine),
  );
}

/** Whether a stack has repositories or secrets on GitHub. */
export async function hasGithub(stack: string): Promise<boolean> {
  return ((await stackConfig(stack))["buildhosts:github"] ?? undefined) !== undefined;
}

/** The owner of a stack's repositories on the proving ground's GitHub; nothing for a stack that wants none. */
export async function virtualGithubOwner(stack: string): Promise<string | undefined> {
  const github = (await stackConfig(stack))["buildhosts:github"] as
    | { virtual?: unknown; owner?: unknown }
    | undefined;
  return github?.virtual === true ? String(github.owner) : undefined;
}

function virtualIn(hosts: unknown, kind: VirtualMachineRequest["kind"]): VirtualMachineRequest[] {
  if (!Array.isArray(hosts)) return [];
  return hosts
    .filter((host) => host?.virtual === true)
    .map(({ platform, rootless }) => ({
      kind,
      rootless: rootless === true,
      ...(platform !== undefined && { platform: `linux/${architecture(platform)}` as const }),
    }));
}

/** The program refuses what is none of these. */
function architecture(platform: unknown): "riscv64" | "arm64" | "amd64" {
  const [found] = /(?:amd64|arm64)$/.exec(String(platform)) ?? [];
  return (found as "amd64" | "arm64" | undefined) ?? "riscv64";
}

/** The versions that a stack pins, and the defaults for the others; the program checks them. */
export async function releasesOf(stack: string): Promise<typeof defaultVersions> {
  const pinned = (await stackConfig(stack))["buildhosts:releases"] as Record<string, unknown>;
  const versions = { ...defaultVersions };
  for (const component of Object.keys(versions) as (keyof typeof versions)[]) {
    const version = pinned?.[component];
    if (typeof version === "string") versions[component] = `v${version.replace(/^v/, "")}`;
  }
  return versions;
}

/**
 * Whether `stack` is one of those whose committed file names virtual machines alone. For them everything that a user
 * would choose is chosen, the passphrase too: it protects keys to machines on loopback, gone with them.
 */
export function isProvingGround(stack: string): boolean {
  return ["dev", "docker", "github", "native"].includes(stack);
}

/** @throws one line, when the stack has no file, or one of the proving ground's names what is not virtual. */
export async function requireStackFile(stack: string): Promise<void> {
  await stackConfig(stack);
}

/** The hosts of such a stack that are not virtual, as `boards[1] ('lab')`: commands change such a stack without asking. */
function notVirtual(config: Record<string, unknown>): string[] {
  const found: string[] = [];
  for (const key of [...Object.keys(writtenHosts), "github"]) {
    const value = config[`buildhosts:${key}`];
    if (value === undefined || value === null) continue;
    // The program takes JSON in a string as well.
    const hosts: unknown = typeof value === "string" ? parse(value) : value;
    const isList = Array.isArray(hosts);
    for (const [index, host] of (isList ? hosts : [hosts]).entries()) {
      if (host?.virtual === true) continue;
      found.push(`${key}${isList ? `[${index}]` : ""}${host?.name ? ` ('${host.name}')` : ""}`);
    }
  }
  return found;
}

async function stackConfig(stack: string): Promise<Record<string, unknown>> {
  try {
    await access(stackFile(stack));
  } catch {
    throw new Error(
      `stack '${stack}': there is no Pulumi.${stack}.yaml; make one after Pulumi.example.yaml, or name another stack with --stack`,
    );
  }
  const config = parse(await readFile(stackFile(stack), "utf8"))?.config ?? {};
  const [first] = isProvingGround(stack) ? notVirtual(config) : [];
  if (first) {
    throw new Error(
      `stack '${stack}': ${first} is not virtual; the stacks dev, docker, github and native are changed without asking, with a passphrase that buildhosts chose: put hosts of your own into a stack of your own (README, 'A board of your own')`,
    );
  }
  return config;
}

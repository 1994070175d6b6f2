import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve, sep } from "node:path";
import { execa } from "execa";
import { exitCodes, Failure } from "./failure.ts";
import type { KnownBuilder } from "./knownStack.ts";

/** Long enough for buildx to give up on a node that is dead. */
const BOUND_MS = 90_000;

/** A builder of buildx as its own file has it. */
export interface BuildxBuilder {
  name: string;
  driver: string;
  nodes: { name: string; endpoint: string; driverOpts: Record<string, string> }[];
}

/** Why there is no `docker buildx` here; undefined where there is one. */
export async function buildxMissing(): Promise<string | undefined> {
  const { exitCode, code } = await execa("docker", ["buildx", "version"], {
    reject: false,
    timeout: BOUND_MS,
  });
  if (code === "ENOENT") return "there is no docker on PATH";
  return exitCode === 0
    ? undefined
    : "docker has no buildx here (https://github.com/docker/buildx#installing)";
}

/** Where buildx keeps the builder of that name. */
export function buildxFile(name: string, env: NodeJS.ProcessEnv = process.env): string {
  const docker = env.DOCKER_CONFIG || join(homedir(), ".docker");
  return join(env.BUILDX_CONFIG || join(docker, "buildx"), "instances", name);
}

/**
 * The builder as buildx has it. Its file is read because `buildx inspect` asks each node first, for 20 s where one is dead.
 *
 * @throws Failure where the file is damaged: buildx itself can neither use nor remove such a builder.
 */
export async function readBuildx(name: string): Promise<BuildxBuilder | undefined> {
  const file = buildxFile(name);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { Driver, Nodes } = JSON.parse(text);
    return {
      name,
      driver: Driver ?? "",
      nodes: ((Nodes ?? []) as Record<string, unknown>[]).map((node) => ({
        name: String(node.Name),
        endpoint: String(node.Endpoint),
        driverOpts: (node.DriverOpts ?? {}) as Record<string, string>,
      })),
    };
  } catch (error) {
    throw new Failure(
      exitCodes.failed,
      `buildx builder '${name}': its file ${file} is damaged (${(error as Error).message}); delete that file and run this again`,
    );
  }
}

/** @throws Failure where somebody else's builder has the name: one with a node that has no client of this stack. */
export function requireOurs({ name, driver, nodes }: BuildxBuilder, folder: string): void {
  const strange = nodes.find(
    ({ driverOpts }) => !`${resolve(String(driverOpts.cacert))}`.startsWith(`${folder}${sep}`),
  );
  if (driver === "remote" && !strange) return;
  const why = strange
    ? `its node '${strange.name}' (${strange.endpoint}) has no client of this stack`
    : `its driver is '${driver}', and not 'remote'`;
  throw new Failure(
    exitCodes.failed,
    `buildx builder '${name}': it is not this stack's: ${why}; choose another name with --name, or remove it: docker buildx rm ${name}`,
  );
}

/** What is done to make `existing` have exactly `live` as its nodes, each with the files of `folder`. */
export async function writeBuildx(
  name: string,
  existing: BuildxBuilder | undefined,
  live: KnownBuilder[],
  folder: string,
): Promise<string[]> {
  const done: string[] = [];
  let append = existing !== undefined && existing.nodes.length > 0;
  for (const builder of live) {
    const had = existing?.nodes.some((node) => node.name === builder.name);
    await buildx([
      "create",
      ...["--name", name, "--node", builder.name, "--driver", "remote"],
      ...(append ? ["--append"] : []),
      ...["--platform", builder.platforms.join(",")],
      ...["--driver-opt", driverOpts(builder, folder)],
      builder.endpoint,
    ]);
    append = true;
    done.push(`${had ? "wrote" : "added"} node ${builder.name} (${builder.platforms.join(", ")})`);
  }
  for (const node of existing?.nodes ?? []) {
    if (live.some((builder) => builder.name === node.name)) continue;
    await buildx(["create", "--name", name, "--leave", "--node", node.name]);
    done.push(`took node ${node.name} out`);
  }
  return done;
}

/** A comma in a path would begin another option: buildx reads them as CSV. */
function driverOpts({ serverName }: KnownBuilder, folder: string): string {
  return Object.entries({
    cacert: join(folder, "ca.pem"),
    cert: join(folder, "cert.pem"),
    key: join(folder, "key.pem"),
    servername: serverName,
  })
    .map(([key, value]) => `"${key}=${value.replaceAll('"', '""')}"`)
    .join(",");
}

export async function removeBuildx(name: string): Promise<void> {
  await buildx(["rm", name]);
}

/**
 * Builds an image of one line for each platform through the whole builder, which shows that buildx itself finds and opens
 * every file. @returns milliseconds.
 */
export async function buildThrough(name: string, platforms: string[]): Promise<number> {
  const started = performance.now();
  await buildx(
    [
      ...["build", "--builder", name, "--platform", platforms.join(",")],
      ...["--progress", "plain", "--no-cache", "--provenance=false"],
      ...["--output", "type=cacheonly", "-"],
    ],
    "FROM scratch\nLABEL made-by=buildhosts\n",
  );
  return performance.now() - started;
}

async function buildx(args: string[], input?: string): Promise<string> {
  const { exitCode, stdout, stderr, timedOut } = await execa("docker", ["buildx", ...args], {
    reject: false,
    timeout: BOUND_MS,
    ...(input === undefined ? { stdin: "ignore" as const } : { input }),
  });
  if (exitCode === 0) return String(stdout);
  const said = String(stderr)
    .trim()
    .split("\n")
    .at(-1)
    ?.replace(/^ERROR: /, "");
  throw new Failure(
    exitCodes.failed,
    `docker buildx ${args[0]}: ${timedOut ? `no end after ${BOUND_MS / 1000} s` : said}`,
  );
}

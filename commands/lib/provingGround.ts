import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { architectures, type Platform } from "../../proving-ground/board/architectures.ts";
import { ensureHostPackages } from "../../proving-ground/board/hostPackages.ts";
import { unable } from "../../proving-ground/board/native/host.ts";
import {
  findVirtualBoard,
  instanceOf,
  startVirtualBoard,
  type VirtualBoard,
} from "../../proving-ground/board/virtualBoard.ts";
import {
  dockerInstance,
  startVirtualDockerHost,
} from "../../proving-ground/docker/virtualDockerHost.ts";
import {
  startVirtualGithub,
  type VirtualGithub,
} from "../../proving-ground/github/virtualGithub.ts";
import { ensureReleaseAssets } from "../../proving-ground/mirror/assets.ts";
import { type Mirror, startMirror } from "../../proving-ground/mirror/mirror.ts";
import { freePort } from "../../runtime/freePort.ts";
import type { Progress } from "../../runtime/progress.ts";
import { type EngineSession, engineSession } from "./engineSession.ts";
import {
  localDir,
  projectDir,
  releasesOf,
  type VirtualMachineRequest,
  virtualGithubOwner,
  virtualMachines,
} from "./stackFile.ts";

/** The virtual machines of a stack, up, its GitHub, and the mirror that boards install from. */
export interface ProvingGround {
  machines: VirtualBoard[];
  github: VirtualGithub | undefined;
  /** Ends the mirror; the machines and GitHub go on. */
  close(): Promise<void>;
}

/** The proving ground of a stack, if it asks for one, and the engine. */
export interface Session {
  ground: ProvingGround | undefined;
  session: EngineSession;
}

/** Makes both ready at the same time. Throws the first failure at once; the other one ends with the tool. */
export async function startSession(stack: string, log: Progress): Promise<Session> {
  // Without these nothing else is of use; they are looked at before anything is downloaded or built.
  for (const { platform } of await machinesOf(stack, log)) {
    await ensureHostPackages(architectures[platform], log);
  }
  const [ground, session] = await Promise.all([
    startProvingGround(stack, log),
    engineSession(stack, log),
  ]);
  return { ground, session };
}

/** A virtual machine of which is known what it is. */
type KnownMachine = VirtualMachineRequest & { platform: Platform };

/** The stack's virtual machines, each what the stack names, or else what this machine runs best. */
async function machinesOf(stack: string, log?: Progress): Promise<KnownMachine[]> {
  const requests = await virtualMachines(stack);
  const reason = requests.some(({ platform }) => !platform) ? unable() : undefined;
  if (reason) log?.note(`no native machine here, an emulated riscv64 one instead: ${reason}`);
  return requests.map((request) => ({
    ...request,
    platform: request.platform ?? (reason ? "linux/riscv64" : "linux/amd64"),
  }));
}

/** Brings up what the stack asks for, or does nothing for a stack that names its hosts. */
async function startProvingGround(
  stack: string,
  log: Progress,
): Promise<ProvingGround | undefined> {
  const requests = await machinesOf(stack);
  const github = await startGithubOf(stack, log);
  if (requests.length === 0 && !github) return undefined;
  const instance = instanceOf(projectDir);
  // Two compilers at a time would slow each other down; a machine's image is mostly waiting.
  const [mirror, ...machines] = await Promise.all([
    startMirrorOf(stack, requests, log),
    ...requests.map(({ kind, platform }) =>
      kind === "board"
        ? startVirtualBoard({ platform, instance, projectDir, log })
        : startVirtualDockerHost({ platform, instance, projectDir, log }),
    ),
  ]);
  const close = async () => {
    for (const machine of machines) machine.disconnect();
    await mirror.close();
  };
  return { machines, github, close };
}

/** A mirror of the releases that the boards of the stack install. */
async function startMirrorOf(
  stack: string,
  requests: KnownMachine[],
  log: Progress,
): Promise<Mirror> {
  const directories: string[] = [];
  const { rootlesskit, ...always } = await releasesOf(stack);
  for (const { kind, platform, rootless } of requests) {
    if (kind !== "board") continue;
    const set = rootless ? { ...always, rootlesskit } : always;
    directories.push(await ensureReleaseAssets(platform, set, log));
  }
  return startMirror({ directories, port: await mirrorPort() });
}

/** The stack's GitHub on loopback, running, if it wants one. */
export async function startGithubOf(
  stack: string,
  log: Progress,
): Promise<VirtualGithub | undefined> {
  const owner = await virtualGithubOwner(stack);
  if (owner === undefined) return undefined;
  const github = await startVirtualGithub(projectDir, [owner]);
  log.note(`GitHub is ${github.url}, with the token ${github.token}`);
  return github;
}

/** Those of the stack's virtual machines that there are, running or not. */
export async function findProvingGround(stack: string): Promise<VirtualBoard[]> {
  const instance = instanceOf(projectDir);
  const machines = await Promise.all(
    (await machinesOf(stack)).map(({ kind, platform }) =>
      findVirtualBoard(kind === "board" ? instance : dockerInstance(instance), platform),
    ),
  );
  return machines.filter((machine) => machine !== undefined);
}

/** A port of loopback that stays the same, because the boards' commands name it. */
export async function mirrorPort(): Promise<number> {
  const file = join(localDir, "mirror.port");
  try {
    return Number(await readFile(file, "utf8"));
  } catch {
    const port = await freePort();
    await mkdir(localDir, { recursive: true });
    await writeFile(file, String(port));
    return port;
  }
}

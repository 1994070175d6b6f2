import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  findVirtualBoard,
  instanceOf,
  startVirtualBoard,
  type VirtualBoard,
} from "../proving-ground/board/virtualBoard.ts";
import {
  dockerInstance,
  startVirtualDockerHost,
} from "../proving-ground/docker/virtualDockerHost.ts";
import { freePort } from "../proving-ground/freePort.ts";
import { startVirtualGithub, type VirtualGithub } from "../proving-ground/github/virtualGithub.ts";
import { ensureReleaseAssets } from "../proving-ground/mirror/assets.ts";
import { startMirror } from "../proving-ground/mirror/mirror.ts";
import type { Progress } from "../proving-ground/progress.ts";
import {
  localDir,
  projectDir,
  releasesOf,
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

/** Brings up what the stack asks for, or does nothing for a stack that names its hosts. */
export async function startProvingGround(
  stack: string,
  log: Progress,
): Promise<ProvingGround | undefined> {
  const requests = await virtualMachines(stack);
  const github = await startGithubOf(stack, log);
  if (requests.length === 0 && !github) return undefined;
  const instance = instanceOf(projectDir);
  // Two compilers at a time would slow each other down; a machine's image is mostly waiting.
  const starting: Promise<VirtualBoard[]> = Promise.all(
    requests.map(({ kind, platform }) =>
      kind === "board"
        ? startVirtualBoard({ platform, instance, projectDir, log })
        : startVirtualDockerHost({ platform, instance, projectDir, log }),
    ),
  );
  // Awaited below; a failure of the assets must not leave this one unheard.
  starting.catch(() => {});
  const directories: string[] = [];
  for (const { kind, platform } of requests)
    if (kind === "board")
      directories.push(await ensureReleaseAssets(platform, await releasesOf(stack), log));
  const mirror = await startMirror({ directories, port: await mirrorPort() });
  return {
    machines: await starting,
    github,
    async close() {
      for (const machine of await starting) machine.disconnect();
      await mirror.close();
    },
  };
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
    (await virtualMachines(stack)).map(({ kind, platform }) =>
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

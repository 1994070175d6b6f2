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
import { ensureReleaseAssets } from "../proving-ground/mirror/assets.ts";
import { startMirror } from "../proving-ground/mirror/mirror.ts";
import type { Progress } from "../proving-ground/progress.ts";
import { localDir, projectDir, releasesOf, virtualMachines } from "./stackFile.ts";

/** The virtual machines of a stack, up, and the mirror that boards install from. */
export interface ProvingGround {
  machines: VirtualBoard[];
  /** Ends the mirror; the machines go on. */
  close(): Promise<void>;
}

/** Brings up what the stack asks for, or does nothing for a stack that names its hosts. */
export async function startProvingGround(
  stack: string,
  log: Progress,
): Promise<ProvingGround | undefined> {
  const requests = await virtualMachines(stack);
  if (requests.length === 0) return undefined;
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
    async close() {
      for (const machine of await starting) machine.disconnect();
      await mirror.close();
    },
  };
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

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  instanceOf,
  startVirtualBoard,
  type VirtualBoard,
} from "../proving-ground/board/virtualBoard.ts";
import { freePort } from "../proving-ground/freePort.ts";
import { ensureReleaseAssets } from "../proving-ground/mirror/assets.ts";
import { startMirror } from "../proving-ground/mirror/mirror.ts";
import type { Progress } from "../proving-ground/progress.ts";
import { localDir, projectDir, releasesOf, virtualBoards } from "./stackFile.ts";

/** The virtual boards of a stack, up, and the mirror that they install from. */
export interface ProvingGround {
  boards: VirtualBoard[];
  /** Ends the mirror; the boards go on. */
  close(): Promise<void>;
}

/** Brings up what the stack asks for, or does nothing for a stack that names its hosts. */
export async function startProvingGround(
  stack: string,
  log: Progress,
): Promise<ProvingGround | undefined> {
  const requests = await virtualBoards(stack);
  if (requests.length === 0) return undefined;
  // Two compilers at a time would slow each other down; the board's image is mostly waiting.
  const boards = Promise.all(
    requests.map(({ platform }) =>
      startVirtualBoard({ platform, instance: instanceOf(projectDir), projectDir, log }),
    ),
  );
  // Awaited below; a failure of the assets must not leave this one unheard.
  boards.catch(() => {});
  const directories: string[] = [];
  for (const { platform } of requests) {
    directories.push(await ensureReleaseAssets(platform, await releasesOf(stack), log));
  }
  const mirror = await startMirror({ directories, port: await mirrorPort() });
  return {
    boards: await boards,
    async close() {
      for (const board of await boards) board.disconnect();
      await mirror.close();
    },
  };
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

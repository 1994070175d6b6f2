import { createHash } from "node:crypto";
import { access, mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { withLock } from "./lock.ts";
import type { Progress } from "./progress.ts";

/**
 * Makes `folder` exist with what `make` writes into the empty folder that it is given, and does nothing
 * when it is there already: a folder appears whole or not at all, whoever is killed when. What an
 * earlier, killed run left behind is removed.
 */
export async function makeOnce(
  folder: string,
  make: (temporary: string) => Promise<void>,
  log: Progress,
): Promise<void> {
  if (await exists(folder)) return;
  await withLock(
    `${folder}.lock`,
    async () => {
      if (await exists(folder)) return;
      const parent = dirname(folder);
      const prefix = `${basename(folder)}.tmp-`;
      for (const name of await readdir(parent))
        if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true });
      const temporary = join(parent, `${prefix}${process.pid}`);
      await mkdir(temporary);
      try {
        await make(temporary);
        await rename(temporary, folder);
      } finally {
        await rm(temporary, { recursive: true, force: true });
      }
    },
    { onWait: () => log.note(`waiting for another run that makes ${basename(folder)}`) },
  );
}

/** A short name for everything that determines some content: equal parts, equal key. */
export function contentKey(...parts: (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  // Lengths keep ["ab", "c"] and ["a", "bc"] apart.
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("hex").slice(0, 12);
}

/** Whether something is at `path`. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

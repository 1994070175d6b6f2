import { rmSync } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive } from "./processes.ts";

/** The signals by which a tool is ended from outside. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** How long a folder that names no process may stay: one of another version's that is at work. */
const UNKNOWN_MS = 24 * 60 * 60 * 1000;

/**
 * Runs `work` in a temporary folder that only this user can read, and removes the folder afterwards. If a signal ends
 * this process, it waits for `windDown` first. The next run removes the folder of a killed one.
 */
export async function inPrivateFolder<T>(
  name: string,
  work: (folder: string) => Promise<T>,
  windDown: (signal: NodeJS.Signals) => Promise<void> = async () => {},
): Promise<T> {
  await sweep(name);
  const folder = await mkdtemp(join(tmpdir(), `buildhosts-${name}-${process.pid}-`));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  let signalled = false;
  const end = async (signal: NodeJS.Signals) => {
    signalled = true;
    await windDown(signal).catch(() => {});
    remove();
    for (const one of SIGNALS) process.removeListener(one, end);
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    return await work(folder);
  } finally {
    // Whoever waits for a signal's end gets no result: the process ends by the signal.
    if (signalled) await new Promise(() => {});
    remove();
    for (const signal of SIGNALS) process.removeListener(signal, end);
  }
}

/** Removes the folders of that name whose process is gone. */
async function sweep(name: string): Promise<void> {
  for (const entry of await readdir(tmpdir())) {
    const [, pid] = new RegExp(`^buildhosts-${name}-(?:(\\d+)-)?\\w{6}$`).exec(entry) ?? ["", null];
    if (pid === null) continue;
    const folder = join(tmpdir(), entry);
    const stale = pid ? !isAlive(Number(pid)) : Date.now() - (await modified(folder)) > UNKNOWN_MS;
    // Another user's cannot be removed.
    if (stale) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

async function modified(path: string): Promise<number> {
  return stat(path).then(({ mtimeMs }) => mtimeMs, Date.now);
}

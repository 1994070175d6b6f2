import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";

/** How `withLock` waits. */
export interface LockOptions {
  /** How long to wait for the other owner before giving up. Default: 60 minutes, a cold build of everything. */
  waitMinutes?: number;
  /** Called once, if the lock is not free at once. */
  onWait?: () => void;
}

/**
 * Runs `work` while no other process of this machine, and no other caller in this one, holds `path`.
 *
 * The lock is SQLite's on an empty database file: the kernel holds it, so it ends with its owner, even
 * one killed by SIGKILL or by a power cut, and there is no stale lock to be told from a live one. The
 * file itself stays. `path` must be on a local file system.
 *
 * @throws when the lock was not to be had in time, naming `path`.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  { waitMinutes = 60, onWait }: LockOptions = {},
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const deadline = Date.now() + waitMinutes * 60_000;
  let waited = false;
  for (;;) {
    const lock = tryLock(path);
    if (lock) {
      try {
        return await work();
      } finally {
        lock.close();
      }
    }
    if (!waited) onWait?.();
    waited = true;
    if (Date.now() >= deadline)
      throw new Error(
        `${path}: another process has held this lock for ${waitMinutes} minutes. ` +
          "Wait for it or end it (`fuser` names it), then run this again.",
      );
    await pause(100);
  }
}

function tryLock(path: string): DatabaseSync | undefined {
  // No timeout: waiting inside SQLite would block the event loop.
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is ever written, so there is nothing to keep a journal file for.
    database.exec("PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw new Error(`${path}: cannot lock this file: ${(error as Error).message}`);
  }
}

const SQLITE_BUSY = 5;

// Functions that watch and end machines of both kinds.

import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";

/** The process whose id stands in the file `path`, if it is one that has `path` or `mark` among its arguments. */
export function processIn(path: string, mark = path): number | undefined {
  const pid = Number.parseInt(textOf(path), 10);
  if (Number.isNaN(pid)) return undefined;
  // The id may long be another process's.
  return textOf(`/proc/${pid}/cmdline`).split("\0").includes(mark) ? pid : undefined;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/**
 * Has `end` called when this process ends, by itself or by a signal that it can hear, until what is returned is called.
 * `end` cannot wait for anything.
 */
export function atOurEnd(end: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const bySignal = (signal: NodeJS.Signals) => {
    end();
    forget();
    process.kill(process.pid, signal);
  };
  const forget = () => {
    process.removeListener("exit", end);
    for (const signal of signals) process.removeListener(signal, bySignal);
  };
  process.on("exit", end);
  for (const signal of signals) process.on(signal, bySignal);
  return forget;
}

/** Ends a process, or with a negative id its group, at once. Returns when the process has let go of its files. */
export async function kill(pid: number): Promise<void> {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return;
    throw error;
  }
  await until(30, `process ${Math.abs(pid)} to end`, () => isGone(Math.abs(pid)));
}

/** Whether a process holds no more files. */
export async function isGone(pid: number): Promise<boolean> {
  // Where nobody waits for it, it stays in the process table as a zombie; and its other threads may
  // hold the disk for a moment longer than that.
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  return stat === "" || (/\) [ZX] /.test(stat) && threads.length <= 1);
}

/** How `sshBanner` waits. */
export interface BannerOptions {
  /** How long one try may be without an answer. Default: 10 s. */
  silentMs?: number;
  /** Called before each try; throws when there is nothing left to wait for. */
  check?(): Promise<void>;
}

/** Returns when an SSH server answers at a port of loopback; the port itself is the machine's and open from the first moment. */
export async function sshBanner(
  port: number,
  seconds: number,
  { silentMs = 10_000, check }: BannerOptions = {},
): Promise<void> {
  await until(seconds, "the board's SSH server", async () => {
    await check?.();
    return new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1");
      const end = (answers: boolean) => {
        socket.destroy();
        resolve(answers);
      };
      socket.setTimeout(silentMs, () => end(false));
      socket.once("error", () => end(false)).once("close", () => end(false));
      socket.once("data", (data) => end(data.toString().startsWith("SSH-")));
    });
  });
}

/** Returns when `holds`, which is asked every `pauseMs`; @throws that it waited for `what` in vain. */
export async function until(
  seconds: number,
  what: string,
  holds: () => Promise<boolean>,
  pauseMs = 50,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s for ${what}`);
    await pause(pauseMs);
  }
}

/** The last lines of a file. */
export async function tail(path: string, lines = 15): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

/** Copies a file, or all that is in a folder into one that is there, with its holes; shared with the source where the file system can. */
export async function copySparse(from: string, to: string): Promise<void> {
  await execa("cp", [
    "--recursive",
    "--no-target-directory",
    "--sparse=always",
    "--reflink=auto",
    from,
    to,
  ]);
}

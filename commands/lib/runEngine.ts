import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa, type Options, type ResultPromise } from "execa";
import { inPrivateFolder } from "./privateFolder.ts";

/** How pulumi ended. */
export interface EngineRun {
  code: number;
  /** The engine's event log: one JSON object on each line. */
  events: string;
}

export interface EngineCommand extends Pick<Options, "cwd" | "env"> {
  /** The program. */
  pulumi: string;
  args: string[];
  /** The words before the log's path; absent for a command that writes no log. */
  logFlags: string[];
  /** The signals after the first interrupt, each with its delay in milliseconds. */
  furtherSignals?: readonly (readonly [number, NodeJS.Signals])[];
}

/** The signals that pulumi gets after the first interrupt, each with its delay in milliseconds. */
const FURTHER_SIGNALS = [
  [30_000, "SIGINT"],
  [10_000, "SIGKILL"],
] as const;

/**
 * Runs pulumi, shows its output, and reads its event log. This process passes a signal on as an interrupt, after which
 * pulumi finishes what it began. Then it removes the log and ends by the same signal.
 */
export async function runEngine({
  pulumi,
  args,
  logFlags,
  furtherSignals = FURTHER_SIGNALS,
  ...options
}: EngineCommand): Promise<EngineRun> {
  let child: ResultPromise | undefined;
  // The log's debug lines hold every secret in the clear: for this user alone, and for no longer than it
  // takes to read what failed.
  return inPrivateFolder(
    "events",
    async (folder) => {
      const events = join(folder, "events.jsonl");
      await writeFile(events, "", { mode: 0o600 });
      const log = logFlags.length > 0 ? [...logFlags, events] : [];
      const started = execa(pulumi, [...args, ...log], {
        ...options,
        reject: false,
        stdio: "inherit",
      });
      child = started;
      const { exitCode } = await started;
      return { code: exitCode ?? 1, events: await readFile(events, "utf8") };
    },
    async (signal) => {
      if (!child) return;
      // The terminal has sent it to pulumi too, and whoever sits there decides how long to wait.
      if (signal !== "SIGINT" || !process.stdin.isTTY) await windDown(child, furtherSignals);
      await child;
    },
  );
}

async function windDown(
  child: ResultPromise,
  furtherSignals: readonly (readonly [number, NodeJS.Signals])[],
): Promise<void> {
  child.kill("SIGINT");
  for (const [milliseconds, signal] of furtherSignals) {
    const waiting = new AbortController();
    const late = pause(milliseconds, true, { signal: waiting.signal }).catch(() => false);
    const isLate = await Promise.race([late, child.then(() => false)]);
    waiting.abort();
    if (!isLate) return;
    child.kill(signal);
  }
}

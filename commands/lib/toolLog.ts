import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inBoth, linesTo, type Progress, toStderr } from "../../runtime/progress.ts";
import { localDir } from "./stackFile.ts";

/** Where a tool reports to: standard error, and with more to read a file. */
export interface ToolLog extends Progress {
  /** The file's path; undefined where none can be written. */
  file: string | undefined;
  detail(text: string): void;
  /** The file alone, for what goes on while standard error is another's. */
  quiet: Progress;
  /** Leaves standard error to others. */
  close(): void;
}

/** The log of the tool `name`, in the place of that of its last run. It is written without delay: a tool may be killed. */
export function toolLog(name: string, folder: string = join(localDir, "logs")): ToolLog {
  const path = join(folder, `${name}.log`);
  let file: string | undefined = path;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(path, "", { mode: 0o600 });
  } catch {
    // A log is no reason to fail: the folder may be on a disk that is full, or somebody else's.
    file = undefined;
  }
  const write = (line: string) => {
    if (file) appendFileSync(file, `${new Date().toISOString()} ${line}\n`);
  };
  const detail = (text: string) => {
    if (text.trim() !== "") write(text.trimEnd());
  };
  const quiet = { ...linesTo(write), detail };
  return {
    ...inBoth(toStderr, quiet),
    detail,
    quiet,
    file,
    close: () => toStderr.close(),
  };
}

import type { Log } from "../provider/plugin.ts";

export type Logging = "stdout" | "stderr" | "stdoutAndStderr" | "none";

/** A command's output, each stream without its last line end. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Takes what a running command prints; shows it line by line as `logging` says. */
export interface Capture {
  stdout(chunk: Buffer): void;
  stderr(chunk: Buffer): void;
  /** Everything printed; also shows lines that had no end. */
  finish(): Output;
  /** Stdout and stderr as they came, for an error. */
  both(): string;
}

export function capture(logging: Logging | undefined, log: Log): Capture {
  const showsAll = logging === undefined || logging === "stdoutAndStderr";
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const mixed: Buffer[] = [];
  const outLines = lines(showsAll || logging === "stdout" ? log.status : ignore);
  const errLines = lines(showsAll || logging === "stderr" ? log.status : ignore);
  return {
    stdout(chunk) {
      out.push(chunk);
      mixed.push(chunk);
      outLines.add(chunk);
    },
    stderr(chunk) {
      err.push(chunk);
      mixed.push(chunk);
      errLines.add(chunk);
    },
    finish() {
      outLines.finish();
      errLines.finish();
      return { stdout: withoutLineEnd(out), stderr: withoutLineEnd(err) };
    },
    both: () => Buffer.concat(mixed).toString(),
  };
}

/** Why a command failed, in the official plugin's form: what users and tools look for. */
export function failure(reason: string, command: string, captured: Capture): Error {
  captured.finish();
  return new Error(`${reason}: running ${quoted(command)}:\n${captured.both()}`);
}

/** `text` in double quotes as Go's %q writes it. */
export function quoted(text: string): string {
  const escapes: { readonly [character: string]: string } = {
    "\u0007": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
  };
  const escaped = (character: string) => {
    const known = escapes[character];
    if (known !== undefined) return known;
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
    const digits = code.toString(16);
    return code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
  };
  return `"${text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, escaped)}"`;
}

function ignore(): void {}

/** Splits bytes into lines; a character that arrives in two chunks stays whole. */
function lines(show: (line: string) => void): { add(chunk: Buffer): void; finish(): void } {
  let rest: Buffer[] = [];
  const flush = () => {
    show(Buffer.concat(rest).toString().replace(/\r$/, ""));
    rest = [];
  };
  return {
    add(chunk) {
      let from = 0;
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
        rest.push(chunk.subarray(from, end));
        flush();
        from = end + 1;
      }
      if (from < chunk.length) rest.push(chunk.subarray(from));
    },
    finish() {
      if (rest.length > 0) flush();
    },
  };
}

function withoutLineEnd(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString().replace(/\n$/, "");
}

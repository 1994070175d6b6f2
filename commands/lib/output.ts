import { styleText } from "node:util";
import Table from "cli-table3";
import { type Display, type Progress, toStderr } from "../../runtime/progress.ts";

/** Progress that goes nowhere. */
export const quiet: Progress = { note() {}, step: (_, work) => work(), detail() {} };

/** Progress of a command that only looks: on a terminal it says what it waits for, elsewhere there is nothing to say. */
export const looking: Display = process.stderr.isTTY ? toStderr : { ...quiet, close() {} };

/** Progress of a command that takes long or changes something. */
export const working: Display = toStderr;

type Colour = "green" | "yellow" | "red" | "dim" | "bold";

/** Coloured where standard output is a terminal and NO_COLOR does not say otherwise. */
export function colour(name: Colour, text: string): string {
  return styleText(name, text, { stream: process.stdout, validateStream: true });
}

/** Columns under their heads, as docker prints them. */
export function table(head: string[], rows: string[][]): string {
  const none = "";
  const lines = new Table({
    head: head.map((title) => colour("bold", title)),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 3 },
    chars: {
      ...{ top: none, "top-mid": none, "top-left": none, "top-right": none },
      ...{ bottom: none, "bottom-mid": none, "bottom-left": none, "bottom-right": none },
      ...{ left: none, "left-mid": none, mid: none, "mid-mid": none },
      ...{ right: none, "right-mid": none, middle: none },
    },
  });
  lines.push(...rows);
  return `${lines
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
}

export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** A line that says what is wrong or what needs attention, before the last one. */
export function warn(line: string): void {
  process.stderr.write(`! ${line}\n`);
}

/** `1.2 GB`; the units of disks, as docker and buildctl have them. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit > 0 && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** `850 ms`, `12.3 s`, `4 min 10 s`, `3 h 20 min`, `12 d`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 100_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 48 * 3600)
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** One line of at most `length` characters. */
export function short(text: string, length = 60): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

/** `1 record`, `2 records`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

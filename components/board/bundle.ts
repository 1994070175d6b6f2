import { shortHash } from "../shortHash.ts";

/** Files by name, as boardctl's `stage` takes them from standard input. */
export type Files = Record<string, string>;

/**
 * Several text files as one text: `==> NAME <==` before each, in the order of their names, and
 * `==> end <==` last, by which the board knows that nothing was cut off.
 */
export function bundle(files: Files): string {
  const sections = Object.entries(files)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => `==> ${name} <==\n${text.endsWith("\n") ? text : `${text}\n`}`);
  return `${sections.join("")}==> end <==\n`;
}

/** The files of a bundle. */
export function unbundle(text: string): Files {
  const parts = text.split(/^==> (.+) <==\n/m).slice(1);
  const files: Files = {};
  for (let index = 0; index + 1 < parts.length; index += 2)
    files[parts[index] ?? ""] = parts[index + 1] ?? "";
  delete files.end;
  return files;
}

/** By which one bundle is told from another on the board: 12 hex digits of its sha256. */
export function bundleId(text: string): string {
  return shortHash(text);
}

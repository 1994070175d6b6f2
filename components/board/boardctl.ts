import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, strToU8 } from "fflate";
import { shortHash } from "../shortHash.ts";

const PARTS = ["common", "preflight", "install", "stage", "step", "activate", "remove", "main"];

/** One of the files of `boardctl/`. */
export function boardctlPart(part: string): string {
  return readFileSync(join(import.meta.dirname, "boardctl", `${part}.sh`), "utf8");
}

/** The files of `boardctl/`, one after the other. */
export const boardctlSource: string = PARTS.map(boardctlPart).join("\n");

/**
 * The script that does the work on a board: its source without the lines that are comments. They are a
 * quarter of what would travel, and with them a better word in one of them would change every board.
 */
export const boardctl: string = withoutComments(boardctlSource);

/** A script without the lines that are comments. */
export function withoutComments(script: string): string {
  return script.replace(/^\s*#(?!!).*\n/gm, "");
}

/** By which a changed script is seen in a diff: 12 hex digits of its sha256. */
export const boardctlId: string = shortHash(boardctl);

/** Where `preflight` puts it. */
export const BOARDCTL = "/usr/local/lib/buildhosts/boardctl";

/** The script as it travels. */
export const boardctlPacked: string = packed(boardctl);

/**
 * A script as it travels: gzip in base64, a third of its size, because the engine copies and logs every
 * input several times. By fflate, as Node's zlib gives other bytes on other processors, and a diff.
 */
export function packed(script: string): string {
  return Buffer.from(gzipSync(strToU8(script), { level: 9, mtime: 0 })).toString("base64");
}

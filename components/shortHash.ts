import { createHash } from "node:crypto";

/** Tells one text from another, short enough for a name: 12 hex digits of its sha256. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

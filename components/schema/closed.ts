import * as z from "zod";
import { mismatch } from "./expected.ts";

/**
 * A zod object that refuses every other key. zod reports all unknown keys of an object in one issue
 * with one message: it holds a line for each key, in the order of the keys.
 */
export function closed<Shape extends z.ZodRawShape>(
  shape: Shape,
  refused: RefusedKeys = {},
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => unknownKey(key, known, refused)).join("\n")
        : mismatch(issue.input, `an object with some of: ${known.join(", ")}`),
  });
}

/** Hints for keys that exist elsewhere, or existed once. */
export type RefusedKeys = Readonly<Record<string, string>>;

/** One message for one unknown key: why it is refused, what it may have been meant to be, or what exists. */
export function unknownKey(
  key: string,
  known: readonly string[],
  refused: RefusedKeys = {},
): string {
  const reason = Object.hasOwn(refused, key) ? refused[key] : undefined;
  if (reason !== undefined) return `not a key here: ${reason}.`;
  const near = nearest(key, known);
  return near === undefined
    ? `unknown key; known here: ${[...known].sort().join(", ")}.`
    : `unknown key; did you mean ${JSON.stringify(near)}?`;
}

/** The known word that a slip of the hand may have turned into `word`. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({
      candidate,
      distance: editDistance(word.toLowerCase(), candidate.toLowerCase()),
    }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(1, Math.floor(word.length / 3))
    ? best.candidate
    : undefined;
}

/** Insertions, deletions, substitutions, and letters that have changed places. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0;
  for (let row = 1; row <= a.length; row++) {
    rows.push([row]);
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      rows[row]?.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (same ? 0 : 1),
          row > 1 && column > 1 && swapped ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
  }
  return at(a.length, b.length);
}

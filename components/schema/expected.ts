import type * as z from "zod";

const longestShown = 80;

/**
 * A value as an error may show it: short, on one line, and never a secret. Private keys and passwords
 * in URLs end up in the wrong field by a slip of the hand, and an error travels into CI logs.
 */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  if (/PRIVATE KEY/.test(text)) return "a private key (not shown)";
  const safe = text.replaceAll(/:\/\/[^/@\s"]*@/g, "://(hidden)@");
  return safe.length > longestShown ? `${safe.slice(0, longestShown)}…` : safe;
}

/** The message of a value that is missing or not as `allowed` says. */
export function mismatch(value: unknown, allowed: string): string {
  return value === undefined
    ? `missing; expected ${allowed}.`
    : `received ${shown(value)}; expected ${allowed}.`;
}

/** A zod error for one leaf: whichever check fails, the same sentence says what is allowed. */
export function expected(allowed: string): { error: (issue: z.core.$ZodRawIssue) => string } {
  return { error: (issue) => mismatch(issue.input, allowed) };
}

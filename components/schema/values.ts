import { isIPv4, isIPv6 } from "node:net";
import * as z from "zod";
import { expected, mismatch } from "./expected.ts";

/** Small schemas that several keys share. Each says in one sentence what it allows. */

export const flag = z.boolean(expected("true or false"));

export function whole(allowed: string, minimum: number, maximum = Number.MAX_SAFE_INTEGER) {
  const error = expected(allowed);
  return z.int(error).min(minimum, error).max(maximum, error);
}

export function text(allowed: string, pattern: RegExp) {
  return z.string(expected(allowed)).regex(pattern, expected(allowed));
}

export function checkedText(allowed: string, allows: (value: string) => boolean) {
  return z.string(expected(allowed)).refine(allows, expected(allowed));
}

/** A text that `parse` makes something of. */
export function parsedText<Parsed>(allowed: string, parse: (value: string) => Parsed | undefined) {
  return z.string(expected(allowed)).transform((value, context) => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: "custom", message: mismatch(value, allowed) });
    return z.NEVER;
  });
}

export function oneOf<const Word extends string>(...words: Word[]) {
  return z.enum(words, expected(`one of ${words.join(", ")}`));
}

export function listOf<Item extends z.ZodType>(item: Item, allowed: string) {
  return z.array(item, expected(allowed));
}

export function mapOf<Key extends z.core.$ZodRecordKey, Value extends z.ZodType>(
  key: Key,
  value: Value,
  allowed: string,
) {
  return z.record(key, value, {
    error: (issue) =>
      issue.code === "invalid_key" ? issue.issues[0]?.message : mismatch(issue.input, allowed),
  });
}

export const port = whole("a port, a whole number from 1 to 65535", 1, 65535);

/** Free of quotes and blanks: these paths end up in units and scripts. */
export const absolutePath = checkedText(
  "an absolute path in letters, digits and ._@+- (no ..)",
  (value) => /^(\/[\w.@+-]+)+$/.test(value) && !value.split("/").includes(".."),
);

const dnsLabel = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i;

export function isDnsName(value: string): boolean {
  const labels = value.split(".");
  // A last label of digits alone is an IPv4 address gone wrong.
  return (
    value.length <= 253 &&
    labels.every((label) => dnsLabel.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? "")
  );
}

/** Without a zone, which means something on one machine only. */
export function isIp(value: string): boolean {
  return isIPv4(value) || (isIPv6(value) && !value.includes("%"));
}

/** A machine's name or address; IPv6 without brackets. */
export const host = checkedText(
  "a host name or an IP address alone, without user, scheme, port or brackets",
  (value) => isDnsName(value) || isIp(value),
);

/** An http(s) address as proxies and mirrors take it. */
export function isPlainUrl(value: string, schemes: readonly string[]): boolean {
  const url = URL.parse(value);
  return (
    url !== null &&
    schemes.includes(url.protocol.slice(0, -1)) &&
    url.username === "" &&
    url.password === "" &&
    url.search === "" &&
    url.hash === "" &&
    !/[\s"'\\%]/.test(value)
  );
}

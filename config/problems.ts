import { RunError } from "@pulumi/pulumi";
import * as z from "zod";

/** Where a value stands: keys and list positions below `buildhosts:`. */
export type Path = readonly (string | number)[];

/** One thing that is wrong with the configuration, or worth knowing about it. */
export interface Problem {
  path: Path;
  /** What was received, what is allowed, and the fix; without the path. */
  message: string;
}

/**
 * Everything that is wrong with a stack's configuration, one line per problem. The engine prints the
 * message of a RunError and no stack trace: the fault is in the stack file, not in the program.
 */
export class ConfigError extends RunError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const lines = problems.map(problemLine);
    super(
      lines.length === 1
        ? (lines[0] ?? "")
        : `${lines.length} problems in the stack's configuration:\n${lines.map((line) => `- ${line}`).join("\n")}`,
    );
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** What checks find, below one path of the configuration. */
export class Findings {
  readonly problems: Problem[];
  readonly warnings: Problem[];
  readonly #base: Path;

  constructor(base: Path = [], problems: Problem[] = [], warnings: Problem[] = []) {
    this.#base = base;
    this.problems = problems;
    this.warnings = warnings;
  }

  /** The same findings, for checks of what stands below `path`. */
  at(...path: Path): Findings {
    return new Findings([...this.#base, ...path], this.problems, this.warnings);
  }

  refuse(path: Path, message: string): void {
    this.problems.push({ path: [...this.#base, ...path], message });
  }

  warn(path: Path, message: string): void {
    this.warnings.push({ path: [...this.#base, ...path], message });
  }
}

/** `buildhosts:boards[0].registry["docker.io"].mirrors: …` */
export function problemLine({ path, message }: Problem): string {
  return `${pathText(path)}: ${message}`;
}

/** The path as `pulumi config set --path` takes it. */
export function pathText(path: Path): string {
  const [first = "", ...rest] = path;
  return `buildhosts:${first}${rest.map(segmentText).join("")}`;
}

function segmentText(segment: string | number): string {
  if (typeof segment === "number") return `[${segment}]`;
  return /^[\w-]+$/.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
}

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

/** What to say of keys that exist elsewhere, or existed once. */
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

/**
 * What a schema makes of a value, its problems among the findings. A value whose only fault are
 * unknown keys is read without them, so that one run tells everything that is wrong.
 */
export function read<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  findings: Findings,
): z.output<Schema> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  for (const { path, message } of issues.flatMap(issueProblems)) findings.refuse(path, message);
  if (issues.some(({ code }) => code !== "unrecognized_keys")) return undefined;
  return schema.safeParse(withoutUnknownKeys(value, issues)).data;
}

/** An issue as problems: an object with several unknown keys has one for each. */
function issueProblems(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
  const messages = issue.message.split("\n");
  return issue.keys.map((key, index) => ({
    path: [...path, key],
    message: messages[index] ?? issue.message,
  }));
}

function withoutUnknownKeys(value: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy: unknown = structuredClone(value);
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys") continue;
    let object = copy as Record<PropertyKey, unknown>;
    for (const part of issue.path) object = object[part] as Record<PropertyKey, unknown>;
    for (const key of issue.keys) delete object[key];
  }
  return copy;
}

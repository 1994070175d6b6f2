import { RunError } from "@pulumi/pulumi";
import type * as z from "zod";

/** Where a value stands: keys and list positions below `buildhosts:`. */
export type Path = readonly (string | number)[];

/** One error in the configuration, or one warning about it. */
export interface Problem {
  path: Path;
  /** The value received, the allowed values, and the fix; without the path. */
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

/** Collects errors and warnings below one path of the configuration. */
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

/**
 * Parses a value by a schema, and adds its problems to the findings. If unknown keys are the only problem, it
 * parses the value without them, so that one run finds all errors.
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

/** The entries of a list by their position in the stack file, with gaps where one cannot be read. */
export function readEach<Written>(
  { schema, entry }: { schema: z.ZodType; entry: z.ZodType<Written> },
  value: unknown,
  findings: Findings,
): (Written | undefined)[] {
  // One by one, because zod checks nothing across entries while one of them is wrong.
  if (Array.isArray(value)) {
    return value.map((one, index) => read(entry, one, findings.at(index)));
  }
  // Not a list: this says so, or there is none.
  read(schema, value, findings);
  return [];
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

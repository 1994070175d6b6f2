import {
  type BuildRecord,
  Control,
  dateOf,
  type StatusResponse,
  type Timestamp,
} from "./lib/control.ts";
import { type ExitCode, exitCodes, Failure } from "./lib/failure.ts";
import { buildersOf, clientOf, knownStack } from "./lib/knownStack.ts";
import { onEach, told } from "./lib/onEach.ts";
import { colour, duration, looking, print, printJson, short, table } from "./lib/output.ts";
import { shortError } from "./lib/reach.ts";

const BOUND_MS = 10_000;

export interface BuildsOptions {
  stack: string;
  client?: string;
  json?: boolean;
  builder?: string;
  /** Only what runs now. */
  running?: boolean;
  limit: number;
}

/** A build as `--json` has it. */
export interface Build {
  builder: string;
  ref: string;
  state: "running" | "done" | "failed" | "canceled";
  started: string | null;
  durationMs: number | null;
  steps: { cached: number; completed: number; total: number };
  /** The target of the build, if the client sent one. */
  what: string;
  error: string | null;
}

export async function builds(options: BuildsOptions): Promise<ExitCode> {
  const { stack, client, json, builder, running = false, limit } = options;
  const known = await knownStack(stack);
  const { files } = clientOf(known, client);
  const asked = buildersOf(known, builder);
  const { found, silent } = await onEach(asked, files, (control, { name }) =>
    control
      .builds({ activeOnly: running }, BOUND_MS)
      .then(({ records }) => records.map((record) => buildOf(record, name))),
  );
  looking.close();
  const list = found
    .flat()
    .sort((a, b) => (b.started ?? "").localeCompare(a.started ?? ""))
    .slice(0, limit);
  if (json) printJson({ stack, builds: list, silent });
  else if (list.length > 0) print(buildsTable(list));
  else if (silent.length < asked.length)
    print(running ? "No build runs." : "No build is remembered.");
  return told(silent);
}

/** gRPC's number for what its client gave up. */
const CANCELED = 1;

export function buildOf(record: BuildRecord, builder: string, now = Date.now()): Build {
  const [started, completed] = [dateOf(record.CreatedAt), dateOf(record.CompletedAt)];
  const state = !completed
    ? "running"
    : !record.error
      ? "done"
      : record.error.code === CANCELED
        ? "canceled"
        : "failed";
  return {
    builder,
    ref: record.Ref,
    state,
    started: started?.toISOString() ?? null,
    durationMs: started ? (completed?.getTime() ?? now) - started.getTime() : null,
    steps: {
      cached: record.numCachedSteps,
      completed: record.numCompletedSteps,
      total: record.numTotalSteps,
    },
    what: whatOf(record),
    error: record.error?.message ?? null,
  };
}

function whatOf({ Frontend, FrontendAttrs }: BuildRecord): string {
  const attrs = FrontendAttrs;
  const said = [
    attrs["vcs:source"] ?? attrs.context,
    attrs.filename === "Dockerfile" ? undefined : attrs.filename,
    attrs.target && `target ${attrs.target}`,
    attrs.platform,
  ].filter(Boolean);
  return said.join(", ") || attrs.filename || Frontend || "LLB";
}

function buildsTable(list: Build[]): string {
  const colours = { running: "bold", done: "green", failed: "red", canceled: "yellow" } as const;
  return table(
    ["BUILDER", "REF", "STATE", "STARTED", "DURATION", "CACHED", "WHAT", "ERROR"],
    list.map((build) => [
      build.builder,
      build.ref,
      colour(colours[build.state], build.state),
      build.started ? `${build.started.slice(0, 19)}Z` : "",
      build.durationMs === null ? "" : duration(build.durationMs),
      `${build.steps.cached}/${build.steps.total}`,
      short(build.what, 40),
      short(build.error ?? ""),
    ]),
  );
}

export interface LogsOptions {
  stack: string;
  client?: string;
  json?: boolean;
}

/** Writes what a build said; one that runs is followed to its end. */
export async function buildLogs(
  ref: string,
  { stack, client, json }: LogsOptions,
): Promise<ExitCode> {
  const known = await knownStack(stack);
  const { files } = clientOf(known, client);
  const { found, silent } = await onEach(known.builders, files, (control, builder) =>
    control
      .builds({}, BOUND_MS)
      .then(({ records }) =>
        records.filter(({ Ref }) => Ref.startsWith(ref)).map((record) => ({ record, builder })),
      ),
  );
  looking.close();
  const all = found.flat();
  const candidates = all.filter(({ record }) => record.Ref === ref);
  const [hit, ...others] = candidates.length > 0 ? candidates : all;
  if (!hit) {
    const unknown = told(silent) === exitCodes.well ? "" : " among the builders that answered";
    throw new Failure(
      exitCodes.usage,
      `build '${ref}': no builder of stack '${stack}' remembers it${unknown}; see: buildhosts builds`,
    );
  }
  if (others.length > 0) {
    const refs = [hit, ...others].map(({ record }) => record.Ref).join(", ");
    throw new Failure(
      exitCodes.usage,
      `build '${ref}': that may be any of ${refs}; write more of it`,
    );
  }
  const control = new Control(hit.builder, files);
  try {
    const write = json
      ? (part: StatusResponse) => print(JSON.stringify(readablePart(part)))
      : logWriter(print);
    // Finished builds are sorted; running ones appear as they come.
    const parts: StatusResponse[] = [];
    const on = hit.record.CompletedAt ? (part: StatusResponse) => parts.push(part) : write;
    try {
      await control.follow(hit.record.Ref, on, Number.POSITIVE_INFINITY);
    } finally {
      for (const part of inSteps(parts)) write(part);
    }
  } catch (error) {
    // buildkitd ends the log of a failed build with its error, which is the build's and not ours.
    if (!hit.record.error)
      throw new Failure(exitCodes.failed, `build '${hit.record.Ref}': ${shortError(error)}`);
  } finally {
    control.close();
  }
  const failed = hit.record.error?.message;
  if (failed && !json) print(`ERROR: ${failed}`);
  return exitCodes.well;
}

/** A whole log with what belongs to a step together, in the order in which steps began. */
export function inSteps(parts: StatusResponse[]): StatusResponse[] {
  const vertexes = new Map<string, StatusResponse["vertexes"][number]>();
  for (const vertex of parts.flatMap((part) => part.vertexes)) vertexes.set(vertex.digest, vertex);
  const began = ({ started }: { started: Timestamp | null }) =>
    started ? started.seconds + started.nanos / 1e9 : Number.POSITIVE_INFINITY;
  return [...vertexes.values()]
    .sort((a, b) => began(a) - began(b) || 0)
    .flatMap((vertex): StatusResponse[] => [
      {
        vertexes: [{ ...vertex, completed: null }],
        logs: parts.flatMap(({ logs }) => logs).filter((log) => log.vertex === vertex.digest),
        warnings: parts
          .flatMap(({ warnings }) => warnings)
          .filter((one) => one.vertex === vertex.digest),
      },
      { vertexes: [vertex], logs: [], warnings: [] },
    ]);
}

function readablePart({ vertexes, logs, warnings }: StatusResponse) {
  return {
    vertexes: vertexes.map((vertex) => ({
      ...vertex,
      started: dateOf(vertex.started) ?? null,
      completed: dateOf(vertex.completed) ?? null,
    })),
    logs: logs.map(({ vertex, msg }) => ({ vertex, msg: msg.toString("utf8") })),
    warnings: warnings.map((one) => ({ vertex: one.vertex, short: one.short.toString("utf8") })),
  };
}

/** Writes the parts of a build's log as `buildctl --progress plain` does, each step with its number. */
export function logWriter(write: (line: string) => void): (part: StatusResponse) => void {
  const numbers = new Map<string, number>();
  const ended = new Set<string>();
  const open = new Map<string, string>();
  const numberOf = (digest: string) => {
    const number = numbers.get(digest) ?? numbers.size + 1;
    numbers.set(digest, number);
    return number;
  };
  return ({ vertexes, logs, warnings }) => {
    for (const { digest, name, started } of vertexes) {
      if (!started || numbers.has(digest)) continue;
      write(`#${numberOf(digest)} ${name}`);
    }
    for (const { vertex, msg } of logs) {
      const lines = `${open.get(vertex) ?? ""}${msg.toString("utf8")}`.split(/\r?\n/);
      open.set(vertex, lines.pop() ?? "");
      for (const line of lines) write(`#${numberOf(vertex)} ${line}`);
    }
    for (const { vertex, short: text } of warnings)
      write(`#${numberOf(vertex)} WARN: ${text.toString("utf8")}`);
    for (const { digest, name, cached, started, completed, error } of vertexes) {
      if (!completed || ended.has(digest)) continue;
      if (!numbers.has(digest)) write(`#${numberOf(digest)} ${name}`);
      ended.add(digest);
      const rest = open.get(digest);
      if (rest) write(`#${numberOf(digest)} ${rest}`);
      const ms = (dateOf(completed)?.getTime() ?? 0) - (dateOf(started)?.getTime() ?? 0);
      const end = error ? `ERROR: ${error}` : cached ? "CACHED" : `DONE ${(ms / 1000).toFixed(1)}s`;
      write(`#${numberOf(digest)} ${end}`);
    }
  };
}

import { createInterface } from "node:readline/promises";
import { dateOf, type PruneRequest, type UsageRecord } from "./lib/control.ts";
import { type ExitCode, exitCodes, Failure } from "./lib/failure.ts";
import { buildersOf, clientOf, knownStack } from "./lib/knownStack.ts";
import { onEach, told } from "./lib/onEach.ts";
import { bytes, counted, duration, looking, print, printJson, working } from "./lib/output.ts";
import { bytesOf, ownBytesOf } from "./lib/usage.ts";

const COUNT_MS = 60_000;
const PRUNE_MS = 600_000;

export interface PruneOptions {
  stack: string;
  client?: string;
  json?: boolean;
  /** Bytes that stay. */
  keepStorage?: number;
  /** Milliseconds without use. */
  olderThan?: number;
  filter?: string[];
  /** Also what BuildKit keeps for itself. */
  all?: boolean;
  yes?: boolean;
}

export async function prune(builder: string | undefined, options: PruneOptions): Promise<ExitCode> {
  const { stack, client, json, yes } = options;
  if (!yes && !process.stdin.isTTY) {
    throw new Failure(
      exitCodes.usage,
      "prune asks before it deletes, and standard input is no terminal; add --yes",
    );
  }
  const known = await knownStack(stack);
  const { files } = clientOf(known, client);
  const asked = buildersOf(known, builder);
  const request: PruneRequest = {
    filter: options.filter ?? [],
    all: options.all ?? false,
    keepDuration: (options.olderThan ?? 0) * 1e6,
    reservedSpace: options.keepStorage ?? 0,
  };
  const caches = await looking.step("count the caches", () =>
    onEach(asked, files, async (control, one) => ({
      one,
      records: await control.diskUsage([], COUNT_MS),
    })),
  );
  looking.close();
  if (!yes) {
    for (const { one, records } of caches.found) {
      const may = candidates(records, request);
      process.stderr.write(
        `${one.name}: at most ${bytes(bytesOf(may))} in ${counted(may.length, "record")}\n`,
      );
    }
    if (!(await agreed())) {
      process.stderr.write("Nothing was deleted.\n");
      return exitCodes.well;
    }
  }
  const before = new Map(caches.found.map(({ one, records }) => [one.name, records]));
  const pruned = await working.step(`prune ${counted(before.size, "builder")}`, () =>
    onEach(
      caches.found.map(({ one }) => one),
      files,
      async (control, { name }) => {
        const freed: UsageRecord[] = [];
        await control.prune(request, (record) => freed.push(record), PRUNE_MS);
        const why = freed.length > 0 ? [] : whyNothing(before.get(name) ?? [], request);
        return { builder: name, freedBytes: bytesOf(freed), records: freed.length, why };
      },
    ),
  );
  working.close();
  const silent = [...caches.silent, ...pruned.silent];
  if (json) {
    printJson({ stack, builders: pruned.found, silent });
  } else {
    for (const { builder: name, freedBytes, records, why } of pruned.found) {
      print(
        records > 0
          ? `${name}: freed ${bytes(freedBytes)} in ${counted(records, "record")}`
          : `${name}: freed nothing: ${why.join("; ")}`,
      );
    }
  }
  return told(silent);
}

async function agreed(): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // An end of the input is no answer, and would be waited for.
    const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
    const answer = await Promise.race([lines.question("Delete that? (y/N) "), ended]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

/** Which records BuildKit may take, by its own rules; filters are the builder's to apply, so they are not looked at. */
export function candidates(
  records: UsageRecord[],
  request: PruneRequest,
  now = Date.now(),
): UsageRecord[] {
  return records.filter((record) => obstacle(record, request, now) === undefined);
}

type Obstacle = "in use" | "shared" | "kept" | "young";

function obstacle(
  { InUse, Shared, RecordType, LastUsedAt }: UsageRecord,
  { all, keepDuration }: PruneRequest,
  now: number,
): Obstacle | undefined {
  if (InUse) return "in use";
  if (!all && Shared) return "shared";
  if (!all && (RecordType === "internal" || RecordType === "frontend")) return "kept";
  const used = dateOf(LastUsedAt);
  if (keepDuration > 0 && used && used.getTime() > now - keepDuration / 1e6) return "young";
  return undefined;
}

/** Why a prune took nothing, a reason for each kind of record that stayed. */
export function whyNothing(
  records: UsageRecord[],
  request: PruneRequest,
  now = Date.now(),
): string[] {
  if (records.length === 0) return ["the cache is empty"];
  const total = ownBytesOf(records);
  if (request.reservedSpace > 0 && total < request.reservedSpace) {
    return [
      `the cache has ${bytes(total)}, which is less than --keep-storage ${bytes(request.reservedSpace)}`,
    ];
  }
  const words: Record<Obstacle, string> = {
    "in use": "used by a build, or by another record",
    shared: "shared with an image of containerd, which --all takes",
    kept: "BuildKit's own (internal, frontend), which --all takes",
    young: `used in the last ${duration(request.keepDuration / 1e6)} (--older-than)`,
  };
  const stayed = new Map<Obstacle, UsageRecord[]>();
  let free = 0;
  for (const record of records) {
    const why = obstacle(record, request, now);
    if (why) stayed.set(why, [...(stayed.get(why) ?? []), record]);
    else free++;
  }
  const reasons = [...stayed].map(
    ([why, those]) =>
      `${counted(those.length, "record")} (${bytes(bytesOf(those))}): ${words[why]}`,
  );
  if (free > 0) {
    reasons.push(
      request.filter.length > 0
        ? `--filter ${request.filter.join(" --filter ")} fits none of ${counted(free, "record")}`
        : `${counted(free, "record")}: below others that stay`,
    );
  }
  return reasons;
}

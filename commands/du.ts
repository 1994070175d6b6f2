import { dateOf, type UsageRecord } from "./lib/control.ts";
import type { ExitCode } from "./lib/failure.ts";
import { buildersOf, clientOf, knownStack } from "./lib/knownStack.ts";
import { onEach, told } from "./lib/onEach.ts";
import { bytes, colour, duration, looking, print, printJson, short, table } from "./lib/output.ts";
import { bytesOf, ownBytesOf } from "./lib/usage.ts";

/** A large cache takes long to count. */
const BOUND_MS = 60_000;

export interface DuOptions {
  stack: string;
  client?: string;
  json?: boolean;
  filter?: string[];
  verbose?: boolean;
}

export async function du(
  builder: string | undefined,
  { stack, client, json, filter = [], verbose }: DuOptions,
): Promise<ExitCode> {
  const known = await knownStack(stack);
  const { files } = clientOf(known, client);
  const asked = buildersOf(known, builder);
  const { found, silent } = await looking.step("count the caches", () =>
    onEach(asked, files, async (control, { name }) => ({
      builder: name,
      records: await control.diskUsage(filter, BOUND_MS),
    })),
  );
  looking.close();
  if (json) {
    printJson({
      stack,
      builders: found.map(({ builder: name, records }) => ({
        builder: name,
        ...sumsOf(records),
        kinds: kindsOf(records),
        ...(verbose && { records: records.map(readable) }),
      })),
      silent,
    });
  } else if (verbose) {
    for (const { builder: name, records } of found) print(recordsTable(name, records));
  } else if (found.length > 0) {
    print(kindsTable(found));
  }
  return told(silent);
}

export interface Sums {
  records: number;
  bytes: number;
  /** The space that `prune --all` frees on an idle builder. */
  reclaimableBytes: number;
  /** Data that another record has as well, which is counted there. */
  sharedBytes: number;
}

export function sumsOf(records: UsageRecord[]): Sums {
  return {
    records: records.length,
    bytes: ownBytesOf(records),
    reclaimableBytes: ownBytesOf(records.filter(({ InUse }) => !InUse)),
    sharedBytes: bytesOf(records.filter(({ Shared }) => Shared)),
  };
}

/** By BuildKit's own words: regular, source.local, exec.cachemount, internal, frontend, source.git.checkout. */
export function kindsOf(records: UsageRecord[]): Record<string, Sums> {
  const kinds = new Map<string, UsageRecord[]>();
  for (const record of records) {
    const kind = record.RecordType || "regular";
    kinds.set(kind, [...(kinds.get(kind) ?? []), record]);
  }
  const sums = [...kinds].map(([kind, those]): [string, Sums] => [kind, sumsOf(those)]);
  return Object.fromEntries(sums.sort(([, a], [, b]) => b.bytes - a.bytes));
}

function kindsTable(found: { builder: string; records: UsageRecord[] }[]): string {
  const row = (builder: string, kind: string, sums: Sums) => [
    builder,
    kind,
    String(sums.records),
    bytes(sums.bytes),
    bytes(sums.reclaimableBytes),
  ];
  return table(
    ["BUILDER", "KIND", "RECORDS", "SIZE", "RECLAIMABLE"],
    found.flatMap(({ builder, records }) => [
      ...Object.entries(kindsOf(records)).map(([kind, sums]) => row(builder, kind, sums)),
      row(builder, colour("bold", "total"), sumsOf(records)),
    ]),
  );
}

function recordsTable(builder: string, records: UsageRecord[]): string {
  return table(
    ["BUILDER", "ID", "KIND", "SIZE", "IN USE", "LAST USED", "USES", "DESCRIPTION"],
    [...records]
      .sort((a, b) => b.Size - a.Size)
      .map((record) => [
        builder,
        record.ID,
        record.RecordType || "regular",
        bytes(record.Size),
        record.InUse ? "yes" : "",
        ago(record),
        String(record.UsageCount),
        short(record.Description, 50),
      ]),
  );
}

function ago({ LastUsedAt }: UsageRecord): string {
  const used = dateOf(LastUsedAt);
  return used ? `${duration(Math.max(0, Date.now() - used.getTime()))} ago` : "never";
}

function readable(record: UsageRecord) {
  return {
    id: record.ID,
    kind: record.RecordType || "regular",
    bytes: record.Size,
    inUse: record.InUse,
    mutable: record.Mutable,
    shared: record.Shared,
    createdAt: dateOf(record.CreatedAt) ?? null,
    lastUsedAt: dateOf(record.LastUsedAt) ?? null,
    uses: record.UsageCount,
    description: record.Description,
  };
}

import type { DiskSpace, Duration, GcPolicy, WorkerSettings } from "./schema.ts";

/** Powers of 1024, whichever way the unit is written: github.com/docker/go-units, RAMInBytes. */
const UNITS = "bkmgtp";

/**
 * The bytes of an absolute amount; 0 for none, and for a percentage, which no disk is too small for.
 */
export function byteLimit(space: DiskSpace | undefined): number {
  if (space === undefined) return 0;
  if (typeof space === "number") return space;
  const match = /^(\d+(?:\.\d+)?) ?([bkmgtp]?)i?b?$/i.exec(space);
  if (!match) return 0;
  const power = UNITS.indexOf((match[2] || "b").toLowerCase());
  return Math.floor(Number(match[1]) * 1024 ** power);
}

/** Whether a span of time is one: a keepDuration of 0 keeps nothing. */
export function isSpan(time: Duration | undefined): boolean {
  return time !== undefined && /[1-9]/.test(String(time));
}

/** Whether a policy bounds only a part of the cache: records of some age, or records that its filters match. */
export function isPartial({ keepDuration, filters = [] }: GcPolicy): boolean {
  return isSpan(keepDuration) || filters.length > 0;
}

type Amounts = Pick<GcPolicy, "reservedSpace" | "maxUsedSpace">;

/** Garbage collection goes down to maxUsedSpace, and never below reservedSpace (`calculateKeepBytes` of BuildKit). */
const amountLimit = ({ reservedSpace, maxUsedSpace }: Amounts) =>
  Math.max(byteLimit(maxUsedSpace), byteLimit(reservedSpace));

/**
 * The bytes that the settings allow the cache; 0 where they name none, or a share of the disk bounds it. Each
 * policy that is about the whole cache bounds it, so that the tightest one counts; without `all` it leaves internal
 * records alone, and counts where no other one does. Where nothing bounds the cache, the largest amount is the
 * least that must fit.
 */
export function cacheLimit(worker: WorkerSettings): number {
  const { gcpolicy } = worker;
  if (!gcpolicy) return amountLimit(worker);
  const whole = gcpolicy.filter((policy) => !isPartial(policy));
  const everything = whole.filter(({ all }) => all);
  const bounds = (everything.length > 0 ? everything : whole).map(amountLimit);
  return bounds.length > 0 ? Math.min(...bounds) : Math.max(0, ...gcpolicy.map(amountLimit));
}

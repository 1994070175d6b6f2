import type { DiskSpace, WorkerSettings } from "./settings.ts";

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

/** The most bytes that a setting allows the cache, in the policies too; 0 where none is absolute. */
export function cacheLimit({ maxUsedSpace, gcpolicy = [] }: WorkerSettings): number {
  return Math.max(
    byteLimit(maxUsedSpace),
    ...gcpolicy.map((policy) => byteLimit(policy.maxUsedSpace)),
  );
}

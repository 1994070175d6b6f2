import { chosenFor } from "../../components/pool/consistentHash.ts";
import { inNoPool } from "../../components/pool/inNoPool.ts";
import { exitCodes, Failure } from "./failure.ts";
import type { KnownBuilder, KnownPool, KnownStack } from "./knownStack.ts";

/**
 * A project as a label of a DNS name, which it is for a pool: `Owner/Repo.js` is `owner-repo-js`.
 *
 * @throws Failure where nothing is left of it, or too much.
 */
export function projectLabel(project: string): string {
  const label = project
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  if (label !== "" && label.length <= 63) return label;
  throw new Failure(
    exitCodes.usage,
    `project '${project}': expected a name with 1 to 63 letters, digits and hyphens, such as a repository's`,
  );
}

/** A pool as a client of that project sees it: one builder. */
export function poolFor(
  { name, endpoint, host, port, platforms, domain }: KnownPool,
  label: string,
): KnownBuilder {
  const serverName = `${label}.${domain}`;
  // Each of its builders may be of another version for a while.
  return { name, endpoint, host, port, platforms, serverName, wanted: undefined };
}

/** What a client builds on: each pool, and the builders that are in none. */
export function targetsOf({ builders, pools }: KnownStack, label: string): KnownBuilder[] {
  return [...pools.map((pool) => poolFor(pool, label)), ...inNoPool(builders, pools)];
}

/**
 * For each platform the one of `live` that the project is built on, as a pool would choose: so the project keeps its cache, without
 * a pool, until somebody connects again. A pool has chosen already.
 */
export function chosenOnes(
  live: readonly KnownBuilder[],
  pools: readonly KnownPool[],
  label: string,
): KnownBuilder[] {
  const isPool = ({ name }: KnownBuilder) => pools.some((pool) => pool.name === name);
  const alone = live.filter((builder) => !isPool(builder));
  const chosen = new Map<KnownBuilder, string[]>();
  for (const platform of new Set(alone.flatMap(({ platforms }) => platforms))) {
    const offering = alone.filter(({ platforms }) => platforms.includes(platform));
    // A builder of that platform before one that emulates it.
    const native = offering.filter(({ platforms }) => platforms[0] === platform);
    const candidates = native.length > 0 ? native : offering;
    const name = chosenFor(
      label,
      candidates.map((one) => one.name),
    );
    const builder = candidates.find((one) => one.name === name);
    if (builder) chosen.set(builder, [...(chosen.get(builder) ?? []), platform]);
  }
  return [
    ...live.filter(isPool),
    ...[...chosen].map(([builder, platforms]) => ({ ...builder, platforms })),
  ];
}

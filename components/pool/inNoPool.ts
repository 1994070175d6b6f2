/** The builders that no pool has: clients reach those of a pool through it alone. */
export function inNoPool<Builder extends { name: string }>(
  builders: readonly Builder[],
  pools: readonly { builders: readonly string[] }[],
): Builder[] {
  const inPools = new Set(pools.flatMap((pool) => pool.builders));
  return builders.filter(({ name }) => !inPools.has(name));
}

// By which builder a project is built, in HAProxy's own arithmetic: `hash-type consistent sdbm avalanche`, as 2.6, 2.8, and 3.3
// have it (src/lb_chash.c, src/backend.c). From 3.0 to 3.2 the places of builders are others (03e9a5a1e mends that), so
// that a pool may choose another one than is chosen here. Each on its own always chooses the same.

/** Each builder stands at 16 times so many places of the circle: with few of them, one builder would have most projects. */
export const WEIGHT = 100;

/** How far apart HAProxy keeps the first places of two servers (SRV_EWGHT_RANGE). */
const SPAN = 4096;

/**
 * The numbers by which HAProxy places builders on the circle: made of the name, so that a builder that comes or goes moves
 * no project between the others.
 */
export function serverIds(names: readonly string[]): Map<string, number> {
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of [...names].sort()) {
    // More bits than these have no effect: the product with SPAN has 32.
    let id = (avalanche(sdbm(name)) % (2 ** 20 - 1)) + 1;
    while (taken.has(id)) id = (id % (2 ** 20 - 1)) + 1;
    taken.add(id);
    ids.set(name, id);
  }
  return ids;
}

/**
 * The one of `names` that is chosen for `key`: always the same one, and another only where that one is missing.
 *
 * @throws where there is none to choose from.
 */
export function chosenFor(key: string, names: readonly string[]): string {
  const hash = avalanche(sdbm(key));
  let nearest: { name: string; distance: number; isBefore: boolean } | undefined;
  for (const [name, id] of serverIds(names)) {
    for (let place = 0; place < 16 * WEIGHT; place++) {
      const at = avalanche(id * SPAN + place);
      const [before, after] = [(hash - at) >>> 0, (at - hash) >>> 0];
      const distance = Math.min(before, after);
      const isBefore = before <= after;
      // Between two that are as far, HAProxy takes the one before.
      if (
        !nearest ||
        distance < nearest.distance ||
        (distance === nearest.distance && isBefore && !nearest.isBefore)
      ) {
        nearest = { name, distance, isBefore };
      }
    }
  }
  if (!nearest) throw new Error(`${key}: there is no builder to choose from`);
  return nearest.name;
}

function sdbm(text: string): number {
  let hash = 0;
  for (const byte of Buffer.from(text)) hash = (byte + (hash << 6) + (hash << 16) - hash) >>> 0;
  return hash;
}

/** Bob Jenkins' integer hash, and a prime, as `full_hash` of HAProxy has them. */
function avalanche(value: number): number {
  let a = value >>> 0;
  a = (a + 0x7ed55d16 + (a << 12)) >>> 0;
  a = (a ^ 0xc761c23c ^ (a >>> 19)) >>> 0;
  a = (a + 0x165667b1 + (a << 5)) >>> 0;
  a = ((a + 0xd3a2646c) ^ (a << 9)) >>> 0;
  a = (a + 0xfd7046c5 + (a << 3)) >>> 0;
  a = (a ^ 0xb55a4f09 ^ (a >>> 16)) >>> 0;
  return Math.imul(a, 3221225473) >>> 0;
}

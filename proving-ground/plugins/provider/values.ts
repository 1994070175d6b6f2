// The engine's property values, as plain TypeScript values plus two things that JSON lacks: a value
// that is not known yet (in a preview) and a value that is secret. Assets, archives and resource
// references stay the marked objects that they are on the wire.

/** Stands for a value that only an update will produce. */
export const UNKNOWN = Symbol("unknown");

/** A value that must not be shown; secrets may hold secrets. */
export class Secret {
  readonly value: Value;

  constructor(value: Value) {
    this.value = value;
  }
}

export type Value =
  | null
  | boolean
  | number
  | string
  | typeof UNKNOWN
  | Secret
  | readonly Value[]
  | PropertyMap;

export interface PropertyMap {
  readonly [name: string]: Value;
}

/** The key that marks an object as something else than an object; its value says what. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const ASSET = "c44067f5952c0a294b673a41bacd8c17";
const ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7";

const UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** The engine has a marker for each type of unknown value; it understands the string's in all places. */
const UNKNOWNS: ReadonlySet<unknown> = new Set([
  UNKNOWN_STRING,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", // boolean
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421", // number
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2", // array
  "030794c1-ac77-496b-92df-f27374a8bd58", // asset
  "e48ece36-62e2-4504-bad9-02848725956a", // archive
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff", // object
]);

export function isMap(value: Value | undefined): value is PropertyMap {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Secret)
  );
}

export function isAsset(value: Value | undefined): value is PropertyMap {
  return isMap(value) && value[SIGNATURE] === ASSET;
}

export function isArchive(value: Value | undefined): value is PropertyMap {
  return isMap(value) && value[SIGNATURE] === ARCHIVE;
}

/** Reads what came over the wire. A null in an object means that the property is not set. */
export function decodeMap(wire: { [name: string]: unknown }): PropertyMap {
  const map: { [name: string]: Value } = {};
  for (const [name, value] of Object.entries(wire)) {
    if (value !== null && value !== undefined) map[name] = decode(value);
  }
  return map;
}

function decode(wire: unknown): Value {
  if (UNKNOWNS.has(wire)) return UNKNOWN;
  if (Array.isArray(wire)) return wire.map(decode);
  if (typeof wire !== "object" || wire === null) return wire as boolean | number | string | null;
  const marked = wire as { [name: string]: unknown };
  switch (marked[SIGNATURE]) {
    case SECRET:
      return new Secret(decode(marked.value ?? null));
    case OUTPUT: {
      const value = marked.value === undefined ? UNKNOWN : decode(marked.value);
      return marked.secret === true ? new Secret(value) : value;
    }
    default:
      return decodeMap(marked);
  }
}

/** The form of `map` on the wire. */
export function encodeMap(map: PropertyMap): { [name: string]: unknown } {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, encode(value)]));
}

function encode(value: Value): unknown {
  if (value === UNKNOWN) return UNKNOWN_STRING;
  if (value instanceof Secret) return { [SIGNATURE]: SECRET, value: encode(value.value) };
  if (Array.isArray(value)) return value.map(encode);
  return isMap(value) ? encodeMap(value) : value;
}

/** `value` without its secrets' covers. Only for use, never for state. */
export function reveal(value: Value): Value {
  if (value instanceof Secret) return reveal(value.value);
  if (Array.isArray(value)) return value.map(reveal);
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, reveal(inner)]));
}

/** `value` as a secret, which it may be already. */
export function secret(value: Value): Secret {
  return value instanceof Secret ? value : new Secret(value);
}

/** Whether `value` is unknown, or anything in it is. */
export function hasUnknowns(value: Value): boolean {
  if (value === UNKNOWN) return true;
  if (value instanceof Secret) return hasUnknowns(value.value);
  if (Array.isArray(value)) return value.some(hasUnknowns);
  return isMap(value) && Object.values(value).some(hasUnknowns);
}

/**
 * Equality as the engine has it: a secret equals only a secret, an asset or archive one of the same
 * hash, an unknown value an unknown one.
 */
export function equal(a: Value | undefined, b: Value | undefined): boolean {
  if (a instanceof Secret || b instanceof Secret) {
    return a instanceof Secret && b instanceof Secret && equal(a.value, b.value);
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((element, index) => equal(element, b[index]))
    );
  }
  if (isMap(a) && isMap(b)) {
    if (isAsset(a) || isAsset(b) || isArchive(a) || isArchive(b)) {
      return a[SIGNATURE] === b[SIGNATURE] && a.hash === b.hash;
    }
    const names = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...names].every((name) => equal(a[name], b[name]));
  }
  return a === b;
}

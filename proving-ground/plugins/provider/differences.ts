import { equal, isArchive, isAsset, isMap, type PropertyMap, type Value } from "./values.ts";

/** The change of one property: its value is new, gone, or another one. */
export type Difference = "add" | "delete" | "update";

/**
 * Every difference between two versions of a resource's inputs, keyed by property path
 * (`environment.PATH`, `triggers[0]`). Inside secrets, assets and archives no difference is told
 * apart: they differ as a whole. What begins with two underscores is the engine's or an SDK's own.
 */
export function differences(olds: PropertyMap, news: PropertyMap): Map<string, Difference> {
  const found = new Map<string, Difference>();
  compareMaps("", olds, news, found);
  for (const path of found.keys()) if (path.startsWith("__")) found.delete(path);
  return found;
}

/** The name of the property that the path `path` begins with. */
export function topLevel(path: string): string {
  return /^[^.[]+/.exec(path)?.[0] ?? path;
}

function compareMaps(
  prefix: string,
  olds: PropertyMap,
  news: PropertyMap,
  found: Map<string, Difference>,
): void {
  for (const name of new Set([...Object.keys(olds), ...Object.keys(news)])) {
    compare(member(prefix, name), olds[name], news[name], found);
  }
}

function compare(
  path: string,
  old: Value | undefined,
  now: Value | undefined,
  found: Map<string, Difference>,
): void {
  if (Array.isArray(old) && Array.isArray(now)) {
    for (let index = 0; index < Math.max(old.length, now.length); index++) {
      compare(`${path}[${index}]`, old[index], now[index], found);
    }
  } else if (isPlainMap(old) && isPlainMap(now)) {
    compareMaps(path, old, now, found);
  } else if (!equal(old ?? null, now ?? null)) {
    found.set(path, isSet(old) ? (isSet(now) ? "update" : "delete") : "add");
  }
}

function isPlainMap(value: Value | undefined): value is PropertyMap {
  return isMap(value) && !isAsset(value) && !isArchive(value);
}

function isSet(value: Value | undefined): boolean {
  return value !== undefined && value !== null;
}

function member(prefix: string, name: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${prefix}[${JSON.stringify(name)}]`;
  return prefix === "" ? name : `${prefix}.${name}`;
}

import { parse } from "smol-toml";
import { difference } from "./planned.ts";

/** How many keys are named at most; the diff has all of them. */
const NAMED = 6;

/** The values of a buildkitd.toml by their path: `registry."docker.io".mirrors`. */
export type TomlValues = Map<string, unknown>;

export function tomlValues(text: string): TomlValues {
  return flat(parse(text));
}

/** The same, of settings under upstream's names. */
export function settingValues(settings: unknown): TomlValues {
  return typeof settings === "object" && settings !== null ? flat(settings) : new Map();
}

/**
 * The keys in which two texts of buildkitd.toml differ, each with what it becomes: `log.level = debug`,
 * `registry."docker.io".mirrors + mirror.lan:5000`.
 *
 * @param told the keys that another clause tells.
 */
export function tomlChanges(old: TomlValues, then: TomlValues, told = /^$/): string[] {
  const keys = [...new Set([...old.keys(), ...then.keys()])].sort();
  const changes = keys
    .filter((key) => !told.test(key))
    .filter((key) => JSON.stringify(old.get(key)) !== JSON.stringify(then.get(key)))
    .map((key) => changeOf(key, old.get(key), then.get(key)));
  if (changes.length <= NAMED) return changes;
  return [...changes.slice(0, NAMED - 1), `${changes.length - NAMED + 1} more keys`];
}

function flat(table: object, prefix = "", found: TomlValues = new Map()): TomlValues {
  for (const [key, value] of Object.entries(table)) {
    const path = `${prefix}${/^[\w-]+$/.test(key) ? key : JSON.stringify(key)}`;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      flat(value, `${path}.`, found);
    } else found.set(path, value);
  }
  return found;
}

function changeOf(key: string, before: unknown, after: unknown): string {
  if (after === undefined) return `without ${key}`;
  if (isTexts(before ?? []) && isTexts(after)) {
    const { added, gone } = difference((before ?? []) as string[], after);
    const both = [
      ...added.map((one) => ` + ${shown(one)}`),
      ...gone.map((one) => ` - ${shown(one)}`),
    ];
    return `${key}${both.length > 0 ? both.join("") : " in another order"}`;
  }
  return Array.isArray(after) ? key : `${key} = ${shown(after)}`;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

/** A value on one line, without a password that stands in an address. */
function shown(value: unknown): string {
  const text = String(value)
    .replace(/\/\/[^/@\s]*@/g, "//…@")
    .replace(/\s+/g, " ");
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

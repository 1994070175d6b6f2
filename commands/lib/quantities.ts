import { InvalidArgumentError } from "commander";

const sizes: Record<string, number> = {
  ...{ "": 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 },
  ...{ kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 },
};

/** `20GB`, `512MB`, `1.5TB`, `10GiB`: bytes. */
export function sizeOf(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const factor = sizes[unit.toLowerCase()];
  if (number === undefined || factor === undefined)
    throw new InvalidArgumentError("Expected a size such as 20GB, 512MB or 10GiB.");
  return Math.round(Number(number) * factor);
}

const times: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `48h`, `7d`, `90m`: milliseconds. */
export function timeOf(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  const factor = times[unit];
  if (number === undefined || factor === undefined)
    throw new InvalidArgumentError("Expected a time such as 90m, 48h or 7d.");
  return Number(number) * factor * 1000;
}

/** A whole number above 0. */
export function countOf(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new InvalidArgumentError("Expected a whole number above 0.");
  return Number(text);
}

import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The folder outside the clone that keeps what is expensive to make: engine, plugins, board images,
 * release assets. `BUILDHOSTS_CACHE` names another one; it may be deleted at any time, at the price
 * of making its content again.
 */
export function cacheDir(...parts: string[]): string {
  const base =
    process.env.BUILDHOSTS_CACHE ||
    join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "buildhosts");
  return join(base, ...parts);
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packed, withoutComments } from "../board/boardctl.ts";
import { posix } from "../board/commands.ts";
import { commandLine, commandLines } from "../shell.ts";
import { shortHash } from "../shortHash.ts";

const file = (name: string) => readFileSync(join(import.meta.dirname, name), "utf8");

/** The script that does the work on a pool's machine, without its comments: a better word in one changes no machine. */
const poolctl: string = withoutComments(file("poolctl.sh"));

/** The unit of systemd; its instance is the pool's name. */
export const poolUnit: string = file("buildhosts-pool@.service");

/** The folder of all pools of a machine. */
const POOLS = "/usr/local/lib/buildhosts-pools";
const POOLCTL = `${POOLS}/poolctl`;

/** By which one haproxy.cfg is told from another on the machine. */
export const cfgId = shortHash;

/** Standard input of `stageCommand`: the script, packed as one line, and haproxy.cfg, which a diff shows. */
export function stageInput(cfg: string): string {
  return `${packed(poolctl)}\n${cfg}`;
}

/** Which pool of which stack, `project/stack/pool`. */
export interface OwnedPool {
  pool: string;
  owner: string;
}

/** `at` is for the reader of a diff: the connection itself is secret. */
export function stageCommand({ pool, owner }: OwnedPool, at: string, id: string): string {
  // `read` takes no more than the line, and leaves haproxy.cfg to the script.
  const script = `IFS= read -r packed; f=$(mktemp) && printf %s "$packed" | base64 -d | gzip -d >"$f" && sh "$f" stage "$@"; s=$?; rm -f "$f"; exit $s`;
  return commandLines(posix(script), [
    [pool, owner, id],
    ["--at", at, "--script", shortHash(poolctl)],
  ]);
}

/** `metrics` is the address of the metrics page, `host:port`. */
export function activateCommand({ pool, owner }: OwnedPool, id: string, metrics: string): string {
  // In the words by which `npm run up` knows that it has to run every step again.
  const script =
    'if [ -e "$1" ]; then exec sh "$@"; fi; echo "$3: $1 is not on the machine any more, though the stack says so (was it reset?): make its steps run again with pulumi up --replace **:remote:*::$3-*" >&2; exit 1';
  return `${posix(script)} ${commandLine(POOLCTL, "activate", pool, owner, id, metrics)}`;
}

/** Of a machine without poolctl nothing is removed. */
export function removeCommand({ pool, owner }: OwnedPool): string {
  return `${posix('if [ -e "$1" ]; then sh "$@"; fi')} ${commandLine(POOLCTL, "remove", pool, owner)}`;
}

import { commandLine } from "../shell.ts";
import { boardctlPart, withoutComments } from "./boardctl.ts";
import { posix } from "./commands.ts";
import type { SshClients, SshTarget } from "./ssh.ts";

/** The steps of a board that a look may find undone. */
export const BOARD_STEPS = ["preflight", "install", "config", "service"] as const;
export type BoardStep = (typeof BOARD_STEPS)[number];

/** What somebody changed on a board, by the step that mends it; one line each, such as `/etc/buildkit/buildkitd.toml was changed by hand at …`. */
export type BoardChanges = { [step in BoardStep]?: string[] };

/** Which board, and what is to be there. */
export interface BoardPlace {
  /** `project/stack/name` */
  owner: string;
  /** What it was called before; `project/stack/name` where it was another stack's. */
  formerName: string | undefined;
  /** Ports of its daemon. */
  ports: number[];
  /** Where its cache is, if the free room there is asked for. */
  cacheRoot?: string | undefined;
}

/** What is free on a file system; `inodes` is undefined where it makes them as it needs them. */
export interface FreeRoom {
  bytes: number;
  inodes: number | undefined;
}

/** What a look at a board found. */
export type BoardLook =
  /** `script` is the first 12 digits of the sha256 of its boardctl. */
  | { is: "ours"; script: string | undefined; changes: BoardChanges; free?: FreeRoom }
  /** Nothing of buildhosts is there; `since` says since when, as far as the machine knows. */
  | { is: "empty"; since: string }
  /** It belongs to another board or stack. */
  | { is: "others"; owner: string }
  | { is: "unknown"; reason: string };

/** The script that looks: functions of boardctl, and what calls them. */
export const lookScript: string = `${withoutComments(
  ["common", "preflight", "activate", "look"].map(boardctlPart).join("\n"),
)}\nlook "$@"\n`;

/** A first look after a boot reads each release once, which takes seconds on a slow board. */
const BOUND_SECONDS = 30;

/** Looks at a board in one SSH session, as root, and changes nothing there. It throws nothing. */
export async function lookAtBoard(
  clients: SshClients,
  target: SshTarget,
  place: BoardPlace,
  boundSeconds: number = BOUND_SECONDS,
): Promise<BoardLook> {
  const script =
    'if [ "$(id -u)" = 0 ]; then exec sh -s -- "$@"; else exec sudo -n sh -s -- "$@"; fi';
  const words = [
    place.owner,
    place.formerName ?? "",
    place.cacheRoot ?? "",
    ...place.ports.map(String),
  ];
  const command = `${posix(script)} ${commandLine(...words)}`;
  try {
    return readLook(await clients.run(target, command, lookScript, boundSeconds * 1000));
  } catch (error) {
    return { is: "unknown", reason: (error as Error).message };
  }
}

/** Exported for the tests. */
export function readLook({
  code,
  stdout,
  stderr,
}: {
  code: number | undefined;
  stdout: string;
  stderr: string;
}): BoardLook {
  const unknown = (reason: string): BoardLook => ({ is: "unknown", reason });
  if (code !== 0) {
    const said = stderr.trim().split("\n").at(-1)?.slice(0, 200);
    return unknown(said || `the look ended with status ${code ?? "unknown"}`);
  }
  const changes: BoardChanges = {};
  let script: string | undefined;
  let free: FreeRoom | undefined;
  for (const line of stdout.split("\n").filter((text) => text !== "")) {
    const [kind, ...rest] = line.split("|");
    const words = rest.slice(1).join("|");
    const [first = ""] = rest;
    if (kind === "busy") return unknown("another boardctl is at work there");
    if (kind === "of") return { is: "others", owner: first };
    if (kind === "absent") {
      return {
        is: "empty",
        since: `it runs since ${first}, and the folder above changed at ${words}`,
      };
    }
    if (kind === "script") script = first;
    else if (kind === "disk") free = freeRoom(first, words);
    else if (kind === "changed" && isStep(first)) {
      changes[first] = [...(changes[first] ?? []), words];
    } else return unknown(`the look said '${line.slice(0, 200)}'`);
  }
  return { is: "ours", script, changes, ...(free && { free }) };
}

/** As `df` prints them. */
export function freeRoom(kib: string, inodes: string): FreeRoom {
  return { bytes: Number(kib) * 1024, inodes: /^\d+$/.test(inodes) ? Number(inodes) : undefined };
}

const isStep = (text: string): text is BoardStep =>
  (BOARD_STEPS as readonly string[]).includes(text);

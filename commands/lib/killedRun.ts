import { readdir, readFile, rm } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import type { Progress } from "../../runtime/progress.ts";
import { isAlive } from "./processes.ts";

// The leftovers of a killed run of Pulumi, and how the next run handles them.

/** Of a stack's session, what its locks are found by. */
export interface Locked {
  stack: string;
  /** The project's name. */
  project: string;
  /** The URL of the backend; undefined where it is not known. */
  backend: string | undefined;
}

/** Of a stack's session, what its state is changed by. */
export interface Stated {
  stack: string;
  /** The state as `pulumi stack export` has it, secrets encrypted. */
  exported(): Promise<{ deployment?: Deployment | null }>;
  /** Puts it in the place of what there is. */
  imported(state: object): Promise<void>;
}

interface Deployment {
  pending_operations?: PendingOperation[];
}

interface PendingOperation {
  type: string;
  resource: { urn: string; type: string };
}

/** Asks, and says whether the answer was yes. */
export type Ask = (question: string) => Promise<boolean>;

/**
 * Takes away the lock that a killed run has left.
 *
 * @param isAgreed where nothing is to be asked.
 * @returns why the stack is locked still, in one line.
 */
export async function takeLockAway(
  session: Locked,
  isAgreed: boolean,
  log: Progress,
  ask: Ask = askUser,
): Promise<string | undefined> {
  const { stack } = session;
  const cancel = `npm run pulumi -- --stack ${stack} -- cancel`;
  const locks = await locksOf(session);
  const held = locks.find(({ isLeft }) => !isLeft);
  if (held) {
    return `stack '${stack}': it is locked by ${held.owner}; wait for its end, or, if that does not run any more: ${cancel}`;
  }
  for (const { file, owner } of locks) {
    const what = `stack '${stack}': it is locked by ${owner}, which was killed`;
    if (!isAgreed && !(await ask(`${what}. Remove its lock and go on?`))) {
      return `${what}; to remove its lock: ${cancel}`;
    }
    // This file and no other: somebody else may have begun a run by now, which `pulumi cancel` would not spare.
    await rm(file, { force: true });
    log.note(`${what}; its lock is removed`);
  }
  return undefined;
}

/**
 * Operations that an update may repeat, whatever the killed run achieved. Every command on a board is a step of boardctl,
 * which repeats no finished work, finishes what it began, and runs once at a time (CONTRIBUTING, "boardctl"). An update writes a
 * pushed file again. Keys and certificates exist only in the state. Objects on a Docker host or on GitHub are not among them: one
 * that the state does not have would come twice, or be in the way.
 */
const REPEATABLE = /^(command:remote:|tls:)/;

/**
 * Before an update, removes from the state the unfinished operations that the update repeats anyway: the engine would mention
 * them for ever. A destroy keeps them, because only they tell what may be on a host.
 */
export async function forgetRepeatable(session: Stated, log: Progress): Promise<void> {
  // Where the state cannot be read, whoever runs pulumi next says so.
  const state = await session.exported().catch(() => undefined);
  const pending = state?.deployment?.pending_operations ?? [];
  if (!state?.deployment || pending.length === 0) return;
  const others = pending.filter(({ resource }) => !REPEATABLE.test(resource.type));
  if (others.length < pending.length) {
    const names = pending.filter((one) => !others.includes(one)).map(nameOf);
    await session.imported({
      ...state,
      deployment: { ...state.deployment, pending_operations: others },
    });
    log.note(
      `stack '${session.stack}': a run was killed at ${names.join(", ")}; this run repeats the unfinished ones that the stack still has`,
    );
  }
  if (others.length > 0) {
    log.note(
      `stack '${session.stack}': a run was killed at ${others.map(nameOf).join(", ")}; if they exist and are not in the stack, remove them. Then run: npm run pulumi -- --stack ${session.stack} -- refresh --clear-pending-creates`,
    );
  }
}

const nameOf = ({ resource: { urn } }: PendingOperation) => urn.split("::").at(-1) ?? urn;

interface Lock {
  file: string;
  owner: string;
  /** Its owner ran on this machine, and does not any more. */
  isLeft: boolean;
}

/** The locks of a stack in a folder; other backends keep theirs themselves. */
async function locksOf({ backend, project, stack }: Locked): Promise<Lock[]> {
  if (!backend?.startsWith("file://")) return [];
  const path = backend.replace(/^file:\/\//, "").replace(/\?.*$/, "");
  const root = resolve(path.replace(/^~(?=\/|$)/, homedir()));
  const folder = join(root, ".pulumi", "locks", "organization", project, stack);
  const names = await readdir(folder).catch(() => []);
  const locks: Lock[] = [];
  for (const name of names.filter((one) => one.endsWith(".json"))) {
    const file = join(folder, name);
    // A run that ends just now removes its own.
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text !== undefined) locks.push({ file, ...ownerOf(text) });
  }
  return locks;
}

function ownerOf(text: string): Omit<Lock, "file"> {
  try {
    const { pid, username, hostname: host, timestamp } = JSON.parse(text);
    return {
      owner: `process ${pid} of ${username}@${host} since ${timestamp}`,
      isLeft: host === hostname() && Number.isInteger(pid) && !isAlive(pid),
    };
  } catch {
    // It is being written.
    return { owner: "a process that is just starting", isLeft: false };
  }
}

/** Where nobody sits, nobody agrees. */
async function askUser(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`? ${question} (y/N) `)).trim());
  } finally {
    terminal.close();
  }
}

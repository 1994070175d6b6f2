import { setTimeout } from "node:timers/promises";
import type Docker from "dockerode";
import { inspect, isAnswer, unlessMissing } from "./daemon.ts";
import {
  InTheWay,
  isPrevious,
  look,
  nameOf,
  type Place,
  PREVIOUS,
  previousName,
  refuse,
  stackMate,
} from "./place.ts";

/**
 * Makes room for a new container: the builder's present one, whatever its name, is renamed and stopped, so
 * that it can come back. Nothing happens where there is none. An update that was cut short is taken up where
 * it stood. Other builders of the stack get some time to leave the name or the port that it needs.
 *
 * Should the host boot, what was put aside serves, until `yieldAtBoot`, unless its restart policy is `no`.
 *
 * @param seconds how long they get.
 * @returns the restart policy of what was put aside, for `putBack`.
 * @throws InTheWay, with what was before at work, if something else has the place or the cache.
 */
export async function makeRoom(
  docker: Docker,
  place: Place,
  seconds = STOP_SECONDS + 15,
): Promise<string | undefined> {
  const present = await look(docker, place);
  await refuse(docker, place, present);
  const { current, previous } = present;
  const healthy = await firstHealthy(docker, current);
  // An unhealthy container never took over: the previous one is still what comes back.
  const kept = healthy ?? previous ?? [...current].sort((a, b) => a.Created - b.Created)[0];
  for (const { Id } of [...current, ...(previous ? [previous] : [])]) {
    if (Id !== kept?.Id) await remove(docker, Id);
  }
  let restart: string | undefined;
  if (kept) {
    const found = await inspect(docker, kept.Id);
    // One that an update before this one put aside has had another.
    restart = isPrevious(kept) ? place.restart : found?.HostConfig.RestartPolicy?.Name;
    restart ??= "unless-stopped";
    if (restart !== "no") await setRestart(docker, kept.Id, "always");
    if (!isPrevious(kept)) {
      await docker.getContainer(kept.Id).rename({ name: previousName(nameOf(kept)) });
    }
    if (kept.State !== "created") await stop(docker, kept.Id, STOP_SECONDS);
  }
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const mate = stackMate(await look(docker, place), place);
    if (!mate) return restart;
    if (Date.now() >= end) {
      if (kept) await bringBack(docker, kept, restart);
      throw new InTheWay(mate);
    }
    await setTimeout(500);
  }
}

/**
 * Waits until the new container has started, and from then on the old one stays where it is when the host boots:
 * two would have one port and one cache.
 */
export async function yieldAtBoot(
  docker: Docker,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { current, previous } = await look(docker, place);
    if (!previous) return;
    if (current.some((one) => nameOf(one) === place.container && one.State === "running")) {
      await setRestart(docker, previous.Id, "no");
      return;
    }
    await setTimeout(YIELD_POLL_MS, undefined, { signal }).catch(() => {});
  }
}

const YIELD_POLL_MS = 250;

/** What `unless-stopped` makes of one that was stopped is to stay down. Podman cannot change it before 5.1. */
async function setRestart(docker: Docker, name: string, restart: string): Promise<void> {
  try {
    await docker.getContainer(name).update({ RestartPolicy: { Name: restart } });
  } catch (error) {
    if (!isAnswer(error, 400, 404, 405, 409, 500, 501)) throw error;
  }
}

async function firstHealthy(docker: Docker, all: Docker.ContainerInfo[]) {
  for (const one of all) {
    const found = await inspect(docker, one.Id);
    if (found && isHealthy(found)) return one;
  }
  return undefined;
}

/** How long builds get to end after SIGTERM, which ends them; then the daemon is killed. */
export const STOP_SECONDS = 30;

/** What came of a container that did not become healthy. */
export interface PutBack {
  /** The last lines of its log. */
  log: string[];
  /** Of the container: `running, unhealthy: <what the last check said>`, `exited with status 1`. */
  state: string;
  /** Whether it ever ran. */
  hasStarted: boolean;
  /** Whether there was a previous one, and if so whether it is healthy again. */
  previous: "none" | "healthy" | "unhealthy";
  /** The name under which the previous one is back. */
  container: string;
  /** Whether the new one is still there, stopped, for `takeAway`. */
  isKept: boolean;
}

/**
 * Puts the previous container back into its place, and removes the new one. Where the new one is not in
 * the place of a previous one, it stays, stopped, for `takeAway`.
 *
 * @param restart the restart policy that the previous one had, from `makeRoom`.
 */
export async function putBack(
  docker: Docker,
  place: Place,
  seconds: number,
  restart: string | undefined = place.restart,
): Promise<PutBack> {
  const { current, previous } = await look(docker, place);
  const made = current.find((one) => nameOf(one) === place.container);
  const failed = made && (await inspect(docker, made.Id));
  const log = failed ? await lastLines(docker, failed.Id) : [];
  const before = previous ? nameOf(previous).slice(0, -PREVIOUS.length) : place.container;
  const isKept = failed !== undefined && !(previous && before === place.container);
  const outcome = {
    log,
    state: failed ? stateOf(failed) : "not there",
    hasStarted: failed !== undefined && !failed.State.StartedAt.startsWith("0001-"),
    container: before,
    isKept,
  };
  if (failed && isKept) {
    await setRestart(docker, failed.Id, "no");
    await stop(docker, failed.Id, 1);
  }
  if (failed && !isKept) await remove(docker, failed.Id);
  if (!previous) return { ...outcome, previous: "none" };
  await bringBack(docker, previous, restart);
  const healthy = await becomesHealthy(docker, previous.Id, seconds);
  return { ...outcome, previous: healthy ? "healthy" : "unhealthy" };
}

/** Gives a container that was put aside its name again, and starts it; its health says whether that worked. */
async function bringBack(
  docker: Docker,
  aside: Docker.ContainerInfo,
  restart = "unless-stopped",
): Promise<void> {
  const back = docker.getContainer(aside.Id);
  const name = nameOf(aside).replace(new RegExp(`${PREVIOUS}$`), "");
  await setRestart(docker, aside.Id, restart);
  try {
    await back.rename({ name });
    await back.start();
  } catch (error) {
    // 304: it runs. What took its name or its port meanwhile keeps it from coming back healthy.
    if (!isAnswer(error, 304, 409, 500)) throw error;
  }
}

/** Takes the container of that name away; nothing happens where there is none. */
export async function takeAway(docker: Docker, place: Place): Promise<void> {
  const { current } = await look(docker, place);
  const made = current.find((one) => nameOf(one) === place.container);
  if (made) await remove(docker, made.Id);
}

/** Takes the one away that waited, once it is not needed any more. */
export async function takePreviousAway(docker: Docker, place: Place): Promise<void> {
  const { previous } = await look(docker, place);
  if (previous) await remove(docker, previous.Id);
}

/** Whether there is a container of that name and builder, in whatever state. */
export async function exists(docker: Docker, place: Place): Promise<boolean> {
  const { current } = await look(docker, place);
  return current.some((one) => nameOf(one) === place.container);
}

/** Waits until the container is healthy, at most so long. */
export function isHealthyWithin(
  docker: Docker,
  { container }: Place,
  seconds: number,
): Promise<boolean> {
  return becomesHealthy(docker, container, seconds);
}

async function remove(docker: Docker, name: string): Promise<void> {
  await unlessMissing(docker.getContainer(name).remove({ force: true, v: true }));
}

async function stop(docker: Docker, name: string, seconds: number): Promise<void> {
  try {
    await docker.getContainer(name).stop({ t: seconds });
  } catch (error) {
    // 304: it has stopped already.
    if (!isAnswer(error, 304, 404)) throw error;
  }
}

function isHealthy({ State }: Docker.ContainerInspectInfo): boolean {
  return State.Running && State.Health?.Status === "healthy";
}

function stateOf({ State }: Docker.ContainerInspectInfo): string {
  if (!State.Running) {
    const why = State.Error || `exited with status ${State.ExitCode}`;
    return State.Status === "created" ? `not started: ${State.Error}` : why;
  }
  if (!State.Health) return "running";
  const said = State.Health.Log?.at(-1)?.Output.trim().split("\n").at(-1);
  return `running, ${State.Health.Status}${said ? `: ${said.slice(0, SHOWN_CHARACTERS)}` : ""}`;
}

async function becomesHealthy(docker: Docker, name: string, seconds: number): Promise<boolean> {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const found = await inspect(docker, name);
    if (found && isHealthy(found)) return true;
    await setTimeout(1000);
  }
  return false;
}

const SHOWN_LINES = 10;
/** Enough for several starts, each with a stack trace. */
const READ_LINES = 200;
const SHOWN_CHARACTERS = 200;

async function lastLines(docker: Docker, name: string): Promise<string[]> {
  const options = { stdout: true, stderr: true, tail: READ_LINES, follow: false } as const;
  return tellingLines(plainText(await docker.getContainer(name).logs(options)));
}

/** The last lines of a log without stack traces, with which buildkitd follows up what is wrong. */
export function tellingLines(log: string): string[] {
  const lines = log
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  // Below each function's name stands where it is.
  const isPlace = (line: string | undefined) => /^\S+\.(go|s):\d+$/.test(line ?? "");
  return lines
    .filter((line, index) => !isPlace(line) && !isPlace(lines[index + 1]))
    .slice(-SHOWN_LINES);
}

/** The frames of Docker's log stream (a type, three zeros and a length before each) put together. */
export function plainText(stream: Buffer): string {
  const parts: Buffer[] = [];
  let position = 0;
  while (position + 8 <= stream.length) {
    const end = position + 8 + stream.readUInt32BE(position + 4);
    parts.push(stream.subarray(position + 8, end));
    position = end;
  }
  return Buffer.concat(parts).toString("utf8");
}

import { setTimeout } from "node:timers/promises";
import type Docker from "dockerode";

/** Marks the containers that are a builder's, with its name. */
export const BUILDER_LABEL = "buildhosts.builder";

/** The name under which a container waits, stopped, until the one after it is healthy. */
export const previousName = (name: string) => `${name}-previous`;

/** Which container of which builder. */
export interface Place {
  /** The container's name on its host. */
  container: string;
  /** The builder's, for the label and for messages. */
  builder: string;
}

/**
 * Makes room for a new container: the one of that name is renamed and stopped, so that it can come back.
 * Nothing happens where there is none. An update that was cut short is taken up where it stood.
 *
 * @throws if a container of that name is not the builder's.
 */
export async function makeRoom(docker: Docker, { container, builder }: Place): Promise<void> {
  const current = await inspect(docker, container);
  if (!current) return;
  if (current.Config.Labels?.[BUILDER_LABEL] !== builder) {
    throw new Error(
      `${builder}: the host has a container '${container}' that is none of this builder; remove it there (docker rm -f ${container}), or choose another containerName`,
    );
  }
  const previous = await inspect(docker, previousName(container));
  if (previous) {
    if (!isHealthy(current)) {
      // What it was made for had not come to pass: the previous one is still what comes back.
      await remove(docker, container);
      return;
    }
    await remove(docker, previousName(container));
  }
  const kept = docker.getContainer(current.Id);
  await kept.rename({ name: previousName(container) });
  if (current.HostConfig.RestartPolicy?.Name === "always") {
    // Or the daemon would start it again beside the new one, after a reboot in between.
    await kept.update({ RestartPolicy: { Name: "unless-stopped" } });
  }
  if (current.State.Running) await kept.stop({ t: STOP_SECONDS });
}

/** How long builds get to end after SIGTERM, which ends them; then the daemon is killed. */
export const STOP_SECONDS = 30;

/** What came of a container that did not become healthy. */
export interface PutBack {
  /** The last lines of its log. */
  log: string[];
  /** Of the container: `running, unhealthy: <what the last check said>`, `exited with status 1`. */
  state: string;
  /** Whether there was a previous one, and if so whether it is healthy again. */
  previous: "none" | "healthy" | "unhealthy";
}

/**
 * Puts the previous container back into its place, and takes the new one away. Where there was no
 * previous one, the new one stays, stopped, for `takeAway`.
 */
export async function putBack(
  docker: Docker,
  { container }: Place,
  seconds: number,
): Promise<PutBack> {
  const failed = await inspect(docker, container);
  const log = failed ? await lastLines(docker, container) : [];
  const state = failed ? stateOf(failed) : "not there";
  const previous = await inspect(docker, previousName(container));
  if (!previous) {
    if (failed?.State.Running) await docker.getContainer(container).stop({ t: 1 });
    return { log, state, previous: "none" };
  }
  await remove(docker, container);
  const back = docker.getContainer(previous.Id);
  if (failed?.HostConfig.RestartPolicy?.Name === "always") {
    await back.update({ RestartPolicy: { Name: "always" } });
  }
  await back.rename({ name: container });
  if (!previous.State.Running) await back.start();
  const healthy = await becomesHealthy(docker, container, seconds);
  return { log, state, previous: healthy ? "healthy" : "unhealthy" };
}

/** Takes the container away; nothing happens where there is none. */
export function takeAway(docker: Docker, { container }: Place): Promise<void> {
  return remove(docker, container);
}

/** Takes the one away that waited, once it is not needed any more. */
export function takePreviousAway(docker: Docker, { container }: Place): Promise<void> {
  return remove(docker, previousName(container));
}

/** Whether it runs now, so that an update would end its builds. */
export async function isRunning(docker: Docker, { container }: Place): Promise<boolean> {
  return (await inspect(docker, container))?.State.Running ?? false;
}

/** Whether there is a container of that name, in whatever state. */
export async function exists(docker: Docker, { container }: Place): Promise<boolean> {
  return (await inspect(docker, container)) !== undefined;
}

/** Waits until the container is healthy, at most so long. */
export function isHealthyWithin(
  docker: Docker,
  { container }: Place,
  seconds: number,
): Promise<boolean> {
  return becomesHealthy(docker, container, seconds);
}

async function inspect(
  docker: Docker,
  name: string,
): Promise<Docker.ContainerInspectInfo | undefined> {
  try {
    return await docker.getContainer(name).inspect();
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}

async function remove(docker: Docker, name: string): Promise<void> {
  try {
    await docker.getContainer(name).remove({ force: true, v: true });
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error;
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

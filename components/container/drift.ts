import { buffer } from "node:stream/consumers";
import type Docker from "dockerode";
import { type FreeRoom, freeRoom } from "../board/look.ts";
import { quote } from "../shell.ts";
import { inspect } from "./daemon.ts";
import { plainText } from "./handOver.ts";
import { labelsOf, STACK_LABEL } from "./place.ts";

/** On a container that took the place of one that somebody changed or removed: what was wrong. It stays there, as labels do. */
export const MENDED_LABEL = "buildhosts.mended";

/** What a container of a builder is to be, of that which can be changed while it is there. */
export interface WantedContainer {
  /** The container's name on its host. */
  container: string;
  builder: string;
  /** `project/stack` */
  stack: string;
  restart: string;
  memoryMb: number | undefined;
  cpus: number | undefined;
}

/** What a look at a container found: `mended` is its label, and `changes` has a line for each thing that somebody changed. */
export interface ContainerLook {
  mended: string | undefined;
  changes: string[];
  free?: FreeRoom;
}

/** What is free where a container that runs has its cache; nothing where it has no shell. */
export async function freeRoomOf(
  docker: Docker,
  container: string,
  root: string,
): Promise<FreeRoom | undefined> {
  const exec = await docker.getContainer(container).exec({
    Cmd: ["sh", "-c", `df -Pk ${quote(root)} | tail -n 1; df -Pi ${quote(root)} | tail -n 1`],
    AttachStdout: true,
  });
  const said = plainText(await buffer(await exec.start({})));
  const [room = "", inodes = ""] = said
    .split("\n")
    .map((line) => line.trim().split(/\s+/)[3] ?? "");
  return /^\d+$/.test(room) ? freeRoom(room, inodes) : undefined;
}

/** Looks at the builder's container as a refresh of the provider would, and changes nothing. */
export async function lookAtContainer(
  docker: Docker,
  wanted: WantedContainer,
): Promise<ContainerLook> {
  const { container: name } = wanted;
  const found = await inspect(docker, name);
  const labels = found?.Config.Labels ?? {};
  const own = labelsOf(wanted);
  const isOwn = Object.entries(own).every(
    // Those that were made before the stack's label have none.
    ([label, value]) => labels[label] === value || (label === STACK_LABEL && !labels[label]),
  );
  if (!found || !isOwn) {
    const what = found ? "is another one than the builder's" : "was removed";
    return {
      mended: undefined,
      changes: [`the container '${name}' ${what} at ${await goneSince(docker, name)}`],
    };
  }
  const { State: state, HostConfig: host } = found;
  const changes: string[] = [];
  if (state.Paused) changes.push(`the container '${name}' is paused`);
  // One that Docker starts again and again is the health check's to judge.
  else if (!state.Running && !state.Restarting) {
    changes.push(`the container '${name}' was stopped at ${utc(state.FinishedAt)}`);
  }
  const policy = host.RestartPolicy?.Name || "no";
  if (policy !== wanted.restart) {
    changes.push(
      `the restart policy of the container '${name}' is ${policy}, not ${wanted.restart}`,
    );
  }
  const limits = [
    ["memory", "MB", (host.Memory ?? 0) / 1024 / 1024, wanted.memoryMb ?? 0],
    ["processors", "", (host.NanoCpus ?? 0) / 1e9, wanted.cpus ?? 0],
  ] as const;
  for (const [what, unit, has, wants] of limits) {
    if (Math.abs(has - wants) < 0.01) continue;
    const shown = (limit: number) => (limit ? `${limit} ${unit}`.trim() : "no limit");
    changes.push(`the ${what} of the container '${name}': ${shown(has)}, not ${shown(wants)}`);
  }
  return { mended: labels[MENDED_LABEL], changes };
}

/** When the last container of that name was destroyed, as far as the daemon remembers; or now. */
async function goneSince(docker: Docker, name: string): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  try {
    const stream = await docker.getEvents({
      since: 1,
      until: now,
      filters: { type: ["container"], event: ["destroy"], container: [name] },
    });
    let text = "";
    for await (const chunk of stream) text += chunk;
    const last = text.trim().split("\n").at(-1);
    if (last) return utc(new Date(JSON.parse(last).time * 1000));
  } catch {
    // Podman and old daemons tell it in other ways; the time of the look is one that no earlier change had.
  }
  return utc(new Date(now * 1000));
}

function utc(time: string | Date): string {
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

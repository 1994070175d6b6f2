import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import type { Request, Resource } from "../provider/plugin.ts";
import { equal, type Value } from "../provider/values.ts";
import { createOptions, endpointOptions, updateOptions, uploadArchive } from "./containerCreate.ts";
import { CONTAINER, type ContainerInputs } from "./containerInputs.ts";
import { stateOf } from "./containerRead.ts";
import { type Daemon, isNotFound, reasonOf } from "./daemonOf.ts";
import { dockerResource, MadeButFailed } from "./dockerResource.ts";
import { findImage } from "./remoteImage.ts";

/** The inputs that a container that runs takes over. */
const UPDATABLE = [
  "restart",
  "maxRetryCount",
  "cpuShares",
  "memory",
  "memoryReservation",
  "cpuSet",
  "memorySwap",
] as const;

/** `docker:index/container:Container`. */
export function container(current: () => Daemon): Resource {
  return dockerResource<ContainerInputs>(current, {
    attributes: CONTAINER,
    outputs: ["bridge", "containerLogs", "exitCode", "networkDatas"],
    autoName: true,
    deleteBeforeReplace: true,
    knownOnceMade: ["command", "entrypoints", "networkDatas"],
    meta: { schemaVersion: "2", timeouts: true },

    async create(inputs, daemon, request) {
      await findImage(inputs.image, daemon, request);
      const made = await daemon.client.createContainer(createOptions(inputs));
      try {
        await prepare(made, inputs, daemon);
        if (inputs.start) await run(made, inputs, request);
      } catch (error) {
        // As with the official plugin, what failed stays there to be looked at, and in the state.
        throw new MadeButFailed(made.id, `container ${inputs.name}: ${reasonOf(error)}`);
      }
      return made.id;
    },

    async read(id, known, { client }) {
      const made = client.getContainer(id);
      try {
        const state = stateOf(await made.inspect(), known);
        return { ...state, ...(await logsOnce(made, known)) };
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },

    async update(id, old, now, { client }) {
      const made = client.getContainer(id);
      if (now.mustRun && old.mustRun === false && now.start) await made.start();
      if (UPDATABLE.some((name) => differs(old[name], now[name]))) {
        await made.update(updateOptions(now));
      }
    },

    async remove(id, state, { client }) {
      const made = client.getContainer(id);
      if (!state.attach) {
        await made.stop({ t: state.destroyGraceSeconds ?? 0 }).catch(unlessStopped);
      }
      await made.remove({ v: state.removeVolumes, force: true }).catch((error) => {
        if (!/is already in progress/.test(reasonOf(error))) throw error;
      });
    },
  });
}

function differs(a: Value | undefined, b: Value | undefined): boolean {
  return !equal(a || null, b || null);
}

/** That a container has stopped already is no error. */
function unlessStopped(error: { statusCode?: number }): void {
  if (error.statusCode !== 304) throw error;
}

/** Connects its networks, and brings its files there, before it starts. */
async function prepare(
  made: Docker.Container,
  { networksAdvanced, uploads }: ContainerInputs,
  { client }: Daemon,
): Promise<void> {
  if (networksAdvanced?.length) {
    const bridge = client.getNetwork("bridge");
    await bridge.disconnect({ Container: made.id }).catch((error) => {
      if (
        !/is not connected to (the )?network bridge|network bridge not found/.test(reasonOf(error))
      ) {
        throw error;
      }
    });
    for (const network of networksAdvanced) {
      await client
        .getNetwork(network.name)
        .connect({ Container: made.id, EndpointConfig: endpointOptions(network) });
    }
  }
  for (const upload of uploads ?? []) {
    await made.putArchive(await uploadArchive(upload), { path: "/" });
  }
}

/** Starts it, and waits for what the inputs say. */
async function run(
  made: Docker.Container,
  { wait, waitTimeout, attach }: ContainerInputs,
  { log, signal }: Request,
): Promise<void> {
  await made.start();
  if (wait) await untilHealthy(made, waitTimeout, log, signal);
  if (attach) await made.wait({ abortSignal: signal });
}

async function untilHealthy(
  made: Docker.Container,
  seconds: number,
  log: Request["log"],
  signal: AbortSignal,
): Promise<void> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const { State } = await made.inspect();
    if (State.Health === undefined)
      throw new Error("`wait` needs a healthcheck, and there is none");
    if (State.Health.Status === "healthy") {
      log.status("healthy");
      return;
    }
    if (Date.now() >= end) {
      const last = State.Health.Log?.at(-1)?.Output?.trim();
      const stopped = State.Running ? "" : `; it ended with exit code ${State.ExitCode}`;
      throw new Error(
        `not healthy within ${seconds} s${stopped}${last ? `; the last check said: ${last}` : ""}`,
      );
    }
    log.status(`waiting until it is healthy: ${State.Health.Status}`);
    await sleep(1000, undefined, { signal });
  }
}

/** What a container that was waited for has printed, where that is wanted and not known yet. */
async function logsOnce(made: Docker.Container, known: ContainerInputs) {
  const { attach, logs, tty, containerLogs } = known as ContainerInputs & {
    readonly containerLogs?: string;
  };
  if (!attach || !logs || containerLogs !== undefined) return undefined;
  const bytes = await made.logs({ stdout: true, stderr: true, follow: false });
  return { containerLogs: (tty ? bytes : withoutFrames(bytes)).toString() };
}

/** Docker sends the two outputs in one stream: eight bytes before each piece, the last four its length. */
function withoutFrames(bytes: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at + 4);
    pieces.push(bytes.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(pieces);
}

import * as pulumi from "@pulumi/pulumi";
import type Docker from "dockerode";
import { withDocker } from "./client.ts";
import type { DockerConnection } from "./connection.ts";
import {
  exists,
  isHealthyWithin,
  makeRoom,
  type PutBack,
  putBack,
  takeAway,
  takePreviousAway,
  yieldAtBoot,
} from "./handOver.ts";
import { checkPlace, InTheWay, type Place, refuseCache, refuseMissingInit } from "./place.ts";
import { isForgottenAtBoot, podmanVersion } from "./podman.ts";
import { stepRefusal } from "./step.ts";

export interface ContainerHooksInputs {
  connection: DockerConnection;
  place: Place;
  rootless: boolean;
  /** How long a container may take until it is healthy. */
  startSeconds: number;
  /** Its restart policy. */
  restart: string;
  /** Whether it needs `systempaths=unconfined`. */
  unmasked: boolean;
  /** Whether it needs the host's docker-init. */
  init: boolean;
  /** Of its daemon, in the container. */
  socket: string;
}

/** Looks, while previewing too, whether the volume of the cache is the builder's to take. */
export function cacheHooks(
  name: string,
  { connection, place }: Pick<ContainerHooksInputs, "connection" | "place">,
): pulumi.ResourceHookBinding {
  const beforeCreate = new pulumi.ResourceHook(
    `${name}-check-cache`,
    async () => {
      const check = (docker: Docker) => refuseCache(docker, place);
      await (pulumi.runtime.isDryRun()
        ? whilePreviewing(connection, check)
        : withDocker(connection, check));
    },
    { onDryRun: true },
  );
  return { beforeCreate: [beforeCreate] };
}

/**
 * What the program does around the provider's work on a builder's container, so that a failed
 * replacement leaves the old one at work, and the state saying so.
 *
 * A replacement creates first and deletes last. Before, the old container is renamed and stopped; when
 * the new one is healthy, it is deleted. When it is not, the old one is put back. The engine would still
 * record the new one as made but faulty, and delete the old one at the next update: so the create is
 * repeated, which fails as a whole, because the name is taken: by the old one, or, where that has another
 * name, by the new one, which is removed then. Nothing is recorded.
 */
export function containerHooks(
  name: string,
  {
    connection,
    place,
    rootless,
    startSeconds,
    restart,
    unmasked,
    init,
    socket,
  }: ContainerHooksInputs,
): pulumi.ResourceHookBinding {
  let failure: { line: string; isKept: boolean } | undefined;
  /** Of what was put aside. */
  let restartBefore: string | undefined;
  const isOver = new AbortController();
  let yielding = Promise.resolve();
  /** Lets go of the one that was put aside, before anything else is done with it. */
  const letGo = () => {
    isOver.abort();
    return yielding;
  };

  const judge = (podman: string | undefined) => {
    if (podman === undefined) return;
    if (unmasked) {
      throw new Error(
        `${place.builder}: Podman ${podman} answers at ${connection.url.href}, and its Docker-compatible socket does not support systempaths=unconfined, which a rootless buildkitd needs for build steps; set buildkitd.worker.noProcessSandbox: true, or rootless: false`,
      );
    }
    if (isForgottenAtBoot(podman, restart)) {
      void pulumi.log.warn(
        `${place.builder}: Podman ${podman} starts no container with restart: ${restart} after a boot of its host; set restart: always, and enable podman-restart.service there.`,
      );
    }
  };
  const beforeCreate = new pulumi.ResourceHook(
    `${name}-make-room`,
    async () => {
      if (!pulumi.runtime.isDryRun()) {
        await withDocker(connection, async (docker) => {
          judge(await podmanVersion(docker));
          if (init) await refuseMissingInit(docker, place.builder);
          restartBefore = await makeRoom(docker, place);
        });
        if (restartBefore === undefined) return;
        // The provider creates and starts in one go: the moment between the two is found by looking.
        yielding = withDocker(connection, (docker) =>
          yieldAtBoot(docker, place, isOver.signal),
        ).catch(() => {});
        return;
      }
      const found = await whilePreviewing(connection, async (docker) => {
        if (init) await refuseMissingInit(docker, place.builder);
        return {
          podman: await podmanVersion(docker),
          running: await checkPlace(docker, place),
        };
      });
      judge(found?.podman);
      if (found?.running === undefined) return;
      void pulumi.log.warn(
        `${place.builder}: the update replaces the container '${found.running}', and ends the builds that run there.`,
      );
    },
    { onDryRun: true },
  );
  const afterCreate = new pulumi.ResourceHook(`${name}-clear-up`, async () => {
    await letGo();
    await withDocker(connection, (docker) => takePreviousAway(docker, place));
    // What cannot be tried is no fault of the builder's.
    const refusal = await withDocker(connection, (docker) =>
      stepRefusal(docker, place, socket),
    ).catch(() => undefined);
    if (refusal === undefined) return;
    throw new Error(
      `${place.builder}: buildkitd is healthy, but a step of a build does not run: ${refusal}; the container '${place.container}' stays as it is: correct the builder or its host, and run the update again`,
    );
  });
  const afterUpdate = new pulumi.ResourceHook(`${name}-check`, () =>
    withDocker(connection, async (docker) => {
      if (await isHealthyWithin(docker, place, startSeconds)) return;
      throw new Error(
        `${place.builder}: the container '${place.container}' is not healthy; look at its log (docker logs ${place.container}), and let Pulumi look at the host: up --refresh`,
      );
    }),
  );
  const onError = new pulumi.ErrorHook(`${name}-put-back`, ({ failedOperation, errors }) =>
    withDocker(connection, async (docker) => {
      if (failedOperation !== "create") return false;
      await letGo();
      if (failure) {
        // The repeated create has failed, as it should.
        if (failure.isKept) await takeAway(docker, place);
        throw new Error(failure.line);
      }
      const wasMade = await exists(docker, place);
      const seconds = Math.max(startSeconds, PUT_BACK_SECONDS);
      const outcome = await putBack(docker, place, seconds, restartBefore);
      failure = {
        line: failureLine(place.builder, errors[0] ?? "", outcome, { rootless, startSeconds }),
        isKept: outcome.isKept,
      };
      if (!wasMade) throw new Error(failure.line);
      return true;
    }),
  );
  return {
    beforeCreate: [beforeCreate],
    afterCreate: [afterCreate],
    afterUpdate: [afterUpdate],
    onError: [onError],
  };
}

/** How long what ran before gets at least, whatever the new one was given. */
const PUT_BACK_SECONDS = 60;

/** A preview of many hosts shall not wait long for one. */
const PREVIEW_SECONDS = 20;

/** What a preview learns; nothing where the host does not answer, and the preview is made without it. */
async function whilePreviewing<T>(
  connection: DockerConnection,
  use: (docker: Docker) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await withDocker(connection, use, PREVIEW_SECONDS);
  } catch (error) {
    if (error instanceof InTheWay) throw error;
    return undefined;
  }
}

/** The end of the failed container's log, and in the last line what is wrong and what runs now. */
export function failureLine(
  builder: string,
  error: string,
  outcome: Omit<PutBack, "isKept">,
  { rootless, startSeconds }: Pick<ContainerHooksInputs, "rootless" | "startSeconds">,
): string {
  const { log, state, hasStarted, previous, container } = outcome;
  const now = {
    healthy: "what ran before runs again and is healthy",
    unhealthy: `what ran before was put back and is not healthy either: docker logs ${container}`,
    none: "nothing ran before, so the update removed it again",
  };
  // What a container that ran has printed may speak of ports and permissions, too, but of others.
  const what = hasStarted
    ? `was not healthy after ${startSeconds} s (${state})`
    : `could not be started: ${reason(error, rootless)}`;
  const line = `${builder}: the new container ${what}; ${now[previous]}`;
  return [...log.map((text) => `  ${text}`), line].join("\n");
}

const REASONS: { pattern: RegExp; what: string; isOfPrivileged?: boolean }[] = [
  {
    pattern: /port is already allocated|address already in use/i,
    what: "the port is taken on the host; stop what has it, or choose another publish.port",
  },
  {
    pattern: /cannot assign requested address/i,
    what: "the host does not have the address; correct publish.address",
  },
  {
    pattern: /docker-init/,
    what: "the host's Docker has no docker-init, which init: true asks for, of the builder or of the daemon (daemon.json); install it there (tini, as docker-init in the daemon's PATH), or ask for none",
  },
  {
    pattern: /operation not permitted|permission denied|privileged/i,
    what: "the host's daemon may not run privileged containers; give it that right, or set rootless with a rootless image",
    isOfPrivileged: true,
  },
  {
    pattern: /network .* not found/i,
    what: "the host has no network of that name; make it there, or correct networks",
  },
  {
    pattern: /exec format error/i,
    what: "its image is of another platform than the host",
  },
];

/** Why a container did not start; what is not known, in the daemon's own words. */
function reason(error: string, rootless: boolean): string {
  const known = REASONS.find(
    ({ pattern, isOfPrivileged }) => pattern.test(error) && !(isOfPrivileged && rootless),
  );
  return known?.what ?? error.trim().replace(/\s+/g, " ").slice(0, SHOWN_CHARACTERS);
}

const SHOWN_CHARACTERS = 300;

import type Docker from "dockerode";
import { withDocker } from "../../components/container/client.ts";
import { dockerConnection } from "../../components/container/connection.ts";
import { freeRoomOf, lookAtContainer, MENDED_LABEL } from "../../components/container/drift.ts";
import { containerLayout } from "../../components/container/files.ts";
import type { BuilderLook, LookOptions, Stated } from "../hostLook.ts";
import type { ContainerConfig, DockerHostConfig } from "./resolveDockerHost.ts";

/** A preview of many hosts shall not wait long for one. */
const SECONDS = 20;

/** Looks at the containers of all Docker hosts at once. It throws nothing. */
export async function lookAtContainers(
  hosts: readonly DockerHostConfig[],
  options: LookOptions,
): Promise<BuilderLook<string>[]> {
  const looks = hosts.map(async (host) => {
    const { name, connection, builders } = host;
    try {
      return await withDocker(
        dockerConnection(name, connection),
        (docker) => Promise.all(builders.map((one) => lookAt(docker, name, one, options))),
        options.seconds ?? SECONDS,
      );
    } catch (error) {
      const { message: reason } = error as Error;
      return unseenContainers([host]).map((look) => ({ ...look, reason }));
    }
  });
  return (await Promise.all(looks)).flat();
}

/** Containers that nobody looks at: their labels stay as the state has them. */
export function unseenContainers(hosts: readonly DockerHostConfig[]): BuilderLook<string>[] {
  return hosts.flatMap(({ name: host, builders }) =>
    builders.map(({ name: builder }) => ({
      builder,
      host,
      changes: undefined,
      against: (stated: Stated) => ({
        lines: [],
        mend: mendedIn(stated.get(`${builder}-container`)),
      }),
    })),
  );
}

async function lookAt(
  docker: Docker,
  host: string,
  builder: ContainerConfig,
  { stack, freeRoom }: LookOptions,
): Promise<BuilderLook<string>> {
  const { name, containerName = name, restart, memoryMb, cpus, rootless } = builder;
  const { changes, mended } = await lookAtContainer(docker, {
    container: containerName,
    builder: name,
    stack,
    restart: restart ?? "unless-stopped",
    memoryMb,
    cpus,
  });
  const { root } = containerLayout(rootless ?? false);
  const free = freeRoom
    ? await freeRoomOf(docker, containerName, root).catch(() => undefined)
    : undefined;
  return {
    ...{ builder: name, host, changes, mend: mended },
    ...(free && { free }),
    ...(changes.length > 0 && {
      // A container that is not in the state has not been there yet.
      against: (stated: Stated) =>
        stated.has(`${name}-container`)
          ? {
              lines: changes.map((change) => `${change}; the update mends it`),
              mend: changes.join("; "),
            }
          : { lines: [], mend: mended },
    }),
  };
}

function mendedIn(outputs: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const labels = outputs?.labels as { label: string; value: string }[] | undefined;
  return labels?.find(({ label }) => label === MENDED_LABEL)?.value;
}

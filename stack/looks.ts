import type Docker from "dockerode";
import { type BoardLook, lookAtBoard } from "../components/board/look.ts";
import { SshClients, type SshHost } from "../components/board/ssh.ts";
import type { BoardConnectionArgs } from "../components/builderBoard.ts";
import { defaultRoot, defaultRootlessRoot } from "../components/buildkitd/toml.ts";
import { withDocker } from "../components/container/client.ts";
import { dockerConnection } from "../components/container/connection.ts";
import { type ContainerLook, freeRoomOf, lookAtContainer } from "../components/container/drift.ts";
import { containerLayout } from "../components/container/files.ts";
import { resolved } from "../components/reached.ts";
import type {
  BoardConfig,
  ContainerConfig,
  DockerHostConfig,
  StackConfig,
} from "../config/stackConfig.ts";

/** What was found on the hosts of a stack, by builder; of a Docker host that does not answer, the reason. */
export interface HostLooks {
  boards: ReadonlyMap<string, BoardLook>;
  containers: ReadonlyMap<string, ContainerLook>;
  silentDockerHosts: ReadonlyMap<string, string>;
}

export interface LookOptions {
  /** `project/stack` */
  stack: string;
  /** Whether the free room of caches is asked for, too. */
  freeRoom?: boolean;
  /** How long one host may take. Default: 30 for a board, 20 for a Docker host. */
  seconds?: number;
}

/** Looks at all hosts at once, and changes nothing there. It throws nothing. */
export async function lookAtHosts(
  { boards, dockerHosts }: Pick<StackConfig, "boards" | "dockerHosts">,
  options: LookOptions,
): Promise<HostLooks> {
  const clients = new SshClients();
  const silentDockerHosts = new Map<string, string>();
  const [boardLooks, containerLooks] = await Promise.all([
    Promise.all(
      boards.map(async (board) => [board.name, await lookAt(clients, board, options)] as const),
    ),
    Promise.all(
      dockerHosts.map(async (host) => {
        try {
          return await lookAtContainersOf(host, options);
        } catch (error) {
          silentDockerHosts.set(host.name, (error as Error).message);
          return [];
        }
      }),
    ),
  ]);
  clients.close();
  return {
    boards: new Map(boardLooks),
    containers: new Map(containerLooks.flat()),
    silentDockerHosts,
  };
}

async function lookAt(
  clients: SshClients,
  board: BoardConfig,
  { stack, freeRoom, seconds }: LookOptions,
): Promise<BoardLook> {
  const { connection, name, formerName, listen, metricsAddress, rootless, buildkitd } = board;
  const { proxy, ...host } = connection;
  const metricsPort = metricsAddress?.split(":").at(-1);
  return lookAtBoard(
    clients,
    { ...(await hostOf(host)), proxy: proxy && (await hostOf(proxy)) },
    {
      owner: `${stack}/${name}`,
      formerName,
      ports: [listen?.port ?? 1234, ...(metricsPort ? [Number(metricsPort)] : [])],
      cacheRoot: freeRoom
        ? (buildkitd?.root ?? (rootless ? defaultRootlessRoot : defaultRoot))
        : undefined,
    },
    seconds,
  );
}

async function hostOf(host: Omit<BoardConnectionArgs, "proxy">): Promise<SshHost> {
  const known = await resolved<{
    host: string;
    hostKey: string;
    port: number | undefined;
    user: string | undefined;
    privateKey: string | undefined;
  }>({
    host: host.host,
    hostKey: host.hostKey,
    port: host.port,
    user: host.user,
    privateKey: host.privateKey,
  });
  return { ...known, port: known.port ?? 22, user: known.user ?? "root" };
}

function lookAtContainersOf(
  { name, connection, builders }: DockerHostConfig,
  { stack, freeRoom, seconds = DOCKER_SECONDS }: LookOptions,
): Promise<(readonly [string, ContainerLook])[]> {
  const lookAtOne = async (docker: Docker, builder: ContainerConfig) => {
    const { containerName = builder.name, restart, memoryMb, cpus, rootless } = builder;
    const found = await lookAtContainer(docker, {
      container: containerName,
      builder: builder.name,
      stack,
      restart: restart ?? "unless-stopped",
      memoryMb,
      cpus,
    });
    const free = freeRoom
      ? await freeRoomOf(docker, containerName, containerLayout(rootless ?? false).root).catch(
          () => undefined,
        )
      : undefined;
    return [builder.name, { ...found, ...(free && { free }) }] as const;
  };
  return withDocker(
    dockerConnection(name, connection),
    (docker) => Promise.all(builders.map((builder) => lookAtOne(docker, builder))),
    seconds,
  );
}

/** A preview of many hosts shall not wait long for one. */
const DOCKER_SECONDS = 20;

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { defaultVersions } from "../../config/versions.ts";
import { contentKey } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import type { Platform } from "../board/architectures.ts";
import type { BoardImage } from "../board/image.ts";
import { type BoardPackages, installPackages, packagesKey, run } from "../board/preparation.ts";
import {
  type BoardConnection,
  type BoardKind,
  startBoard,
  type VirtualBoard,
} from "../board/virtualBoard.ts";
import { ensureBuildkitImage } from "./buildkitImage.ts";
import { ensureDebianImage } from "./debianImage.ts";
import { type Registry, startRegistry } from "./registry.ts";

/** How a virtual Docker host is reached: over SSH as any board, and its daemon over TLS too. */
export interface DockerHostConnection extends BoardConnection {
  /** Port on `host` at which dockerd serves TLS; it wants a client certificate. */
  dockerPort: number;
  /** Files of a client, in PEM, absolute paths. */
  docker: { caFile: string; certFile: string; keyFile: string };
  /** Ports on `host` by the host's own ports 1234, 1235 and 1236, for builders to be published at. */
  builderPorts: Record<string, number>;
}

/** A virtual board with dockerd on it. */
export type VirtualDockerHost = VirtualBoard<DockerHostConnection>;

/** The versions of BuildKit whose images are on a virtual Docker host from the beginning. */
export const preloadedVersions: readonly string[] = [defaultVersions.buildkit, "v0.34.1"];

const here = import.meta.dirname;
const packages: BoardPackages = {
  names: ["containerd", "docker-cli", "docker.io", "runc", "tini"],
  files: join(here, "host"),
  script: join(here, "prepare-host.sh"),
};
const builderPorts = [1234, 1235, 1236];

/** The kind of board that a virtual Docker host is. */
export const dockerHostKind: BoardKind<DockerHostConnection> = {
  name: "virtual-docker-host",
  ports: [2376, ...builderPorts.slice(1)],
  preparation: { key: preparationKey, run: prepare },
  connection: (base, ports, folder) => ({
    ...base,
    dockerPort: ports.get(2376) as number,
    docker: {
      caFile: join(folder, "tls/ca.pem"),
      certFile: join(folder, "tls/client-cert.pem"),
      keyFile: join(folder, "tls/client-key.pem"),
    },
    builderPorts: Object.fromEntries(builderPorts.map((port) => [port, ports.get(port) as number])),
  }),
};

/** The volume of a Docker host `withDebian` that is the cache of a builder which has unpacked that image. */
export const debianCache = "debian-cache";

/** A Docker host that has the image of `ensureDebianImage` as debian:trixie-slim, and the volume `debianCache`. */
export const dockerHostWithDebian: BoardKind<DockerHostConnection> = {
  ...dockerHostKind,
  name: "virtual-docker-host-with-debian",
  preparation: { on: dockerHostKind, key: debianKey, run: addDebian },
};

/** Which Docker host to start. */
export interface VirtualDockerHostOptions {
  platform: Platform;
  /** Default: `dockerHostKind`. */
  kind?: BoardKind<DockerHostConnection>;
  /** Hosts of different names share nothing, and neither do hosts and boards of one name. */
  instance: string;
  /** If given, the connection is written to `connectionFile(projectDir, platform, dockerHostKind)`. */
  projectDir?: string;
  log: Progress;
}

/** The name of a Docker host among the boards' instances. */
export function dockerInstance(instance: string): string {
  return `${instance}-docker`;
}

/**
 * A running Docker host: the one of that instance if there is one, else a clean one with the images of
 * `preloadedVersions`. Its snapshot `booted` has dockerd up, so that `restore` gives a clean host in seconds.
 */
export async function startVirtualDockerHost(
  options: VirtualDockerHostOptions,
): Promise<VirtualDockerHost> {
  return startBoard({
    kind: dockerHostKind,
    ...options,
    instance: dockerInstance(options.instance),
  });
}

/**
 * Has the host's dockerd ask the registry at `port` of this machine's loopback for images of Docker Hub, so that
 * `moby/buildkit` comes from there; or nobody but Docker Hub again. It lasts until another snapshot is restored.
 */
export async function mirrorDockerHub(host: VirtualBoard, port: number | undefined): Promise<void> {
  const settings = JSON.parse(await readFile(join(here, "host/etc/docker/daemon.json"), "utf8"));
  const mirrors = port === undefined ? [] : [`http://${host.connection.gateway}:${port}/`];
  await run(
    host,
    "cat >/etc/docker/daemon.json && systemctl reload docker.service",
    JSON.stringify({ ...settings, "registry-mirrors": mirrors }, null, 2),
  );
  // The daemon takes the signal, and then its time.
  const deadline = Date.now() + 30_000;
  const seen = () => run(host, "docker info --format '{{json .RegistryConfig.Mirrors}}'");
  while (JSON.stringify(JSON.parse(await seen()) ?? []) !== JSON.stringify(mirrors)) {
    if (Date.now() > deadline) throw new Error("dockerd does not take another registry mirror");
    await pause(100);
  }
}

async function preparationKey(
  image: BoardImage,
  platform: Platform,
  log: Progress,
): Promise<string> {
  const digests: string[] = [];
  for (const tag of preloadedVersions)
    digests.push((await ensureBuildkitImage(tag, platform, image.busybox, log)).digest);
  return contentKey(...(await packagesKey(packages)), ...digests);
}

async function prepare(board: VirtualBoard, folder: string, log: Progress): Promise<void> {
  await log.step("install Docker on it", () => installPackages(board, packages, log));
  await mkdir(join(folder, "tls"), { mode: 0o700 });
  for (const name of ["ca.pem", "client-cert.pem", "client-key.pem"]) {
    const text = await run(board, `cat /etc/docker/tls/${name}`);
    await writeFile(join(folder, "tls", name), text, { mode: 0o600 });
  }
  await run(board, "rm /etc/docker/tls/client-*.pem");
  await log.step("pull the images of BuildKit", () => pullImages(board, log));
}

async function pullImages(board: VirtualBoard, log: Progress): Promise<void> {
  const { platform } = board.connection;
  await withDockerHub(board, log, async (registry) => {
    for (const tag of preloadedVersions) {
      const image = await ensureBuildkitImage(tag, platform, board.busybox, log);
      await registry.push(image, "moby/buildkit", tag);
      await run(board, `docker pull --quiet moby/buildkit:${tag}`);
    }
  });
}

/** Calls `use` with a registry that stands in for Docker Hub to the host's dockerd meanwhile. */
async function withDockerHub(
  board: VirtualBoard,
  log: Progress,
  use: (registry: Registry) => Promise<void>,
): Promise<void> {
  const storage = await mkdtemp(join(tmpdir(), "buildhosts-registry-"));
  const registry = await startRegistry(storage, log);
  try {
    await mirrorDockerHub(board, registry.port);
    await use(registry);
    await mirrorDockerHub(board, undefined);
  } finally {
    await registry.close();
    await rm(storage, { recursive: true, force: true });
  }
}

const debianName = "library/debian";
const debianTag = "trixie-slim";

async function debianKey(_: BoardImage, platform: Platform, log: Progress): Promise<string> {
  const script = await readFile(join(here, "seed-cache.sh"));
  return contentKey(debianCache, script, (await ensureDebianImage(platform, log)).digest);
}

async function addDebian(
  board: VirtualBoard<DockerHostConnection>,
  folder: string,
  log: Progress,
): Promise<void> {
  const { platform, gateway, docker } = board.connection;
  await cp(dirname(docker.caFile), join(folder, "tls"), { recursive: true });
  const image = await ensureDebianImage(platform, log);
  await withDockerHub(board, log, async (registry) => {
    await registry.push(image, debianName, debianTag);
    await log.step("pull Debian", () => run(board, `docker pull --quiet debian:${debianTag}`));
    const address = `${gateway}:${registry.port}`;
    const base = `${address}/${debianName}:${debianTag}@${image.digest}`;
    const buildkit = `moby/buildkit:${defaultVersions.buildkit}`;
    const script = await readFile(join(here, "seed-cache.sh"), "utf8");
    await log.step("have a builder unpack Debian", () =>
      run(board, `sh -s -- ${debianCache} ${buildkit} ${address} ${base}`, script),
    );
  });
}

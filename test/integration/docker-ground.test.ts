// What the tests of Docker hosts stand on: the virtual Docker host, the daemon on this machine, the registry.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { ensureBuildkitImage } from "../../proving-ground/docker/buildkitImage.ts";
import { startDockerDaemon } from "../../proving-ground/docker/daemon.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import {
  preloadedVersions,
  startVirtualDockerHost,
  type VirtualDockerHost,
} from "../../proving-ground/docker/virtualDockerHost.ts";
import { exists } from "../../runtime/makeOnce.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { boardPlatform } from "./boardPlatform.ts";
import { on } from "./onBoard.ts";

const platform = boardPlatform;
let folder: string;
let host: VirtualDockerHost;
let registry: Registry;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bh-ground-"));
  const instance = `${inject("ground").instance}-${process.env.VITEST_POOL_ID}`;
  host = await startVirtualDockerHost({ platform, instance, log });
  registry = await startRegistry(join(folder, "registry"), log);
});

afterAll(async () => {
  host?.disconnect();
  await registry?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Asks the virtual host's daemon over TLS; its answer, or why there is none. */
function overTls(credentials: { ca: string; cert?: string; key?: string }): Promise<string> {
  const { host: address, dockerPort } = host.connection;
  return new Promise((resolve) => {
    const ask = request(
      { host: address, port: dockerPort, path: "/_ping", agent: false, ...credentials },
      (response) => response.setEncoding("utf8").once("data", resolve),
    );
    ask.setTimeout(60_000, () => ask.destroy(new Error("no answer")));
    ask.once("error", (error) => resolve(error.message));
    ask.end();
  });
}

test("a restored Docker host is clean but for BuildKit's images, which have their digests", async () => {
  await on(host, "docker create --name left moby/buildkit:v0.34.1 && docker volume create left");
  await host.restore("booted");
  expect(await on(host, "docker ps --all --quiet; docker volume ls --quiet")).toBe("");
  const expected = [];
  for (const tag of preloadedVersions) {
    const { digest } = await ensureBuildkitImage(tag, platform, host.busybox, log);
    expected.push(`moby/buildkit:${tag}@${digest}`);
  }
  const format = "{{.Repository}}:{{.Tag}}@{{.Digest}}";
  const images = await on(host, `docker images --digests --format '${format}'`);
  expect(images.trim().split("\n").sort()).toEqual(expected.sort());
});

test("its daemon is reached over TLS with its client's certificate alone, and over SSH by its users alone", async () => {
  const { caFile, certFile, keyFile } = host.connection.docker;
  const [ca, cert, key] = await Promise.all(
    [caFile, certFile, keyFile].map((f) => readFile(f, "utf8")),
  );
  expect(await overTls({ ca: ca ?? "", cert, key })).toBe("OK");
  expect(await overTls({ ca: ca ?? "" })).toMatch(/certificate required/);
  const version = "docker version --format '{{.Server.Version}}'";
  expect(await on(host, `su builder -c "${version}"`)).toMatch(/^\d+\./);
  expect(await on(host, `! su nosudo -c "${version}" 2>&1`)).toContain("permission denied");
});

test("it pulls from the registry on this machine, by tag and by digest", async () => {
  const [tag = ""] = preloadedVersions;
  const image = await ensureBuildkitImage(tag, platform, host.busybox, log);
  await registry.push(image, "some/buildkit", "mine");
  expect(await registry.digestOf("some/buildkit", "mine")).toBe(image.digest);
  expect(await registry.digestOf("some/buildkit", "other")).toBeUndefined();
  const name = `${host.connection.gateway}:${registry.port}/some/buildkit`;
  // Its layers are there already.
  await on(host, `docker pull --quiet ${name}:mine && docker pull --quiet ${name}@${image.digest}`);
  await on(host, `docker rmi ${name}:mine`);
});

test("a daemon on this machine has a network and a cgroup of its own, and leaves nothing behind when it stops", async () => {
  const data = join(folder, "daemon");
  const daemon = await startDockerDaemon(data, log);
  const made: string[] = [];
  try {
    await expect(startDockerDaemon(data, log)).rejects.toThrow(
      `${data}: a Docker daemon runs in there already`,
    );
    const docker = new Docker({ socketPath: daemon.socket });
    await docker.createVolume({ Name: "left" });
    const { id } = await docker.createNetwork({ Name: "left" });
    const bridge = await docker.getNetwork("bridge").inspect();
    const name = bridge.Options?.["com.docker.network.bridge.name"] ?? "";
    expect(name).toMatch(/^bh/);
    made.push(name, `br-${id.slice(0, 12)}`);
    expect(await leftOf(data, made)).toEqual(expect.arrayContaining([data, ...made]));
  } finally {
    await daemon.stop();
  }
  expect(await leftOf(data, made)).toEqual([]);
});

/** What there is of a daemon on this machine: its folder and mounts, network interfaces, cgroups. */
async function leftOf(data: string, bridges: string[]): Promise<string[]> {
  const { stdout } = await execa("ip", ["-json", "link"]);
  const links: { ifname: string }[] = JSON.parse(stdout);
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n");
  const { stdout: cgroups } = await execa("find", ["/sys/fs/cgroup", "-maxdepth", "2"]);
  return [
    ...((await exists(data)) ? [data] : []),
    ...mounts.filter((mount) => mount.includes(data)),
    ...links.map(({ ifname }) => ifname).filter((name) => bridges.includes(name)),
    ...cgroups.split("\n").filter((path) => bridges.includes(basename(path))),
  ];
}

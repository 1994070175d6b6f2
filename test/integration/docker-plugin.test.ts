// The stand-in for the plugin `docker` at work on a real dockerd: what unit tests show of its plans and
// mappings, these show of the daemon's part in them.

import { chmod, copyFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { type DockerDaemon, startDockerDaemon } from "../../proving-ground/docker/daemon.ts";
import { packLayer, writeImage } from "../../proving-ground/docker/ociImage.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import { docker } from "../../proving-ground/plugins/docker/plugin.ts";
import {
  type Existing,
  NotReady,
  type Resource,
} from "../../proving-ground/plugins/provider/plugin.ts";
import type { PropertyMap } from "../../proving-ground/plugins/provider/values.ts";
import { freePort } from "../../runtime/freePort.ts";
import { thisMachine } from "../../runtime/golang.ts";
import type { Progress } from "../../runtime/progress.ts";

const quiet: Progress = { note() {}, step: (_title, work) => work() };

/** Does nothing until it is told to end. */
const IDLE = ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 1 & wait; done"];

let folder: string;
let daemon: DockerDaemon;
let registry: Registry;
let client: Docker;
let image: string;
let byDigest: string;
const plugin = docker();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bh-docker-"));
  daemon = await startDockerDaemon(join(folder, "d"), quiet);
  registry = await startRegistry(join(folder, "registry"), quiet);
  client = new Docker({ socketPath: daemon.socket });
  const layer = await busyboxLayer();
  const config = { Cmd: IDLE, Env: ["PATH=/bin", "FROM_IMAGE=1"], Labels: { from: "image" } };
  const platform = `linux/${thisMachine.goarch}`;
  const built = await writeImage(join(folder, "image"), platform, [layer], config);
  await registry.push(built, "test/busybox", "1");
  image = `${registry.address}/test/busybox:1`;
  byDigest = `${registry.address}/test/busybox@${built.digest}`;
  await plugin.configuration?.configure({ host: `unix://${daemon.socket}` });
});

afterEach(async () => {
  for (const { Id } of await client.listContainers({ all: true })) {
    await client.getContainer(Id).remove({ force: true, v: true });
  }
});

afterAll(async () => {
  await registry?.close();
  await daemon?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function busyboxLayer(): Promise<string> {
  const names = ["busybox-static"];
  const packages = { suite: "bookworm", architecture: thisMachine.goarch, names };
  const root = join(folder, "root");
  await mkdir(join(root, "bin"), { recursive: true });
  await copyFile(
    join(await ensureUnpacked(packages, quiet), "bin/busybox"),
    join(root, "bin/busybox"),
  );
  await chmod(join(root, "bin/busybox"), 0o755);
  for (const name of ["sh", "sleep", "cat", "stat", "test", "touch", "true", "false"]) {
    await symlink("busybox", join(root, "bin", name));
  }
  const layer = join(folder, "layer.tar");
  await packLayer(layer, root);
  return layer;
}

function resource(type: string): Resource {
  const found = plugin.resources[`docker:index/${type}`];
  if (found === undefined) throw new Error(`no resource ${type}`);
  return found;
}

const container = resource("container:Container");
const volume = resource("volume:Volume");
const remoteImage = resource("remoteImage:RemoteImage");

function request() {
  const log = { status() {}, warning() {}, error() {} };
  return { name: "thing", preview: false, log, signal: new AbortController().signal };
}

async function make(of: Resource, given: PropertyMap): Promise<Existing> {
  const { inputs, failures } = of.check(given, { name: "thing", olds: {} });
  expect(failures).toEqual([]);
  const { id, state } = await of.create(inputs, request());
  return { id, inputs, state };
}

/** The one error that making it ends with. */
async function failure(of: Resource, given: PropertyMap): Promise<Error> {
  const outcome = await make(of, given).catch((error: Error) => error);
  if (!(outcome instanceof Error)) throw new Error("it was made");
  expect(outcome.message).not.toContain("\n");
  return outcome;
}

const busybox = (name: string, more: PropertyMap = {}): PropertyMap => ({
  name,
  image,
  networkMode: "none",
  ...more,
});

/** What `command` prints in the container. */
async function printed(id: string, ...command: string[]): Promise<string> {
  const exec = await client
    .getContainer(id)
    .exec({ Cmd: command, AttachStdout: true, AttachStderr: true, Tty: true });
  const stream = await exec.start({ Tty: true });
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text.replaceAll("\r\n", "\n");
}

/** What a refresh finds, and what the same program would then change. */
async function refreshed(of: Resource, { id, inputs, state }: Existing) {
  const found = await of.read({ id, inputs, state });
  if (found === undefined) return undefined;
  const program = of.check(inputs, { name: "thing", olds: found.inputs }).inputs;
  return { ...found, program, diff: of.diff({ id, ...found }, program) };
}

describe("an image", () => {
  test("is pulled by its digest, found again, kept on request, and else removed", async () => {
    const kept = await make(remoteImage, { name: byDigest, keepLocally: true });
    expect(kept.state.imageId).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(kept.state.repoDigest).toBe(byDigest);
    expect(kept.id).toBe(`${String(kept.state.imageId)}${byDigest}`);
    expect((await refreshed(remoteImage, kept))?.diff.changes.size).toBe(0);
    await remoteImage.delete(kept, request());
    expect((await client.getImage(byDigest).inspect()).Id).toBe(kept.state.imageId);

    const removed = await make(remoteImage, { name: byDigest });
    await remoteImage.delete(removed, request());
    expect(await refreshed(remoteImage, removed)).toBeUndefined();
  });

  test("that no registry has is one error with its name", async () => {
    const name = `${registry.address}/test/none:1`;
    const { message } = await failure(remoteImage, { name });
    expect(message).toContain(`image ${name}: is not on the host and cannot be pulled: `);
    expect(message).toMatch(/not found|unknown/);
  });
});

describe("a container", () => {
  test("is made with all that is asked for, and nothing is to be changed then", async () => {
    const cache = await make(volume, { name: "cache", labels: [{ label: "a", value: "b" }] });
    const port = await freePort();
    const made = await make(container, {
      name: "full",
      image,
      restart: "unless-stopped",
      envs: ["B=2", "A=1"],
      labels: [{ label: "owner", value: "me" }],
      uploads: [
        { file: "/etc/daemon/config.toml", content: "debug = true\n", permissions: "0600" },
        { file: "/etc/daemon/run", contentBase64: "AAEC", executable: true },
      ],
      volumes: [{ volumeName: "cache", containerPath: "/cache" }],
      tmpfs: { "/scratch": "size=1m" },
      ports: [{ internal: 1234, external: port, ip: "127.0.0.1" }],
      healthcheck: { tests: ["CMD", "test", "-f", "/etc/daemon/config.toml"], interval: "1s" },
      wait: true,
      hostname: "full",
      init: true,
      securityOpts: ["seccomp=unconfined"],
      logOpts: { "max-size": "1m" },
      destroyGraceSeconds: 5,
    });
    expect(made.state).toMatchObject({
      mustRun: true,
      entrypoints: [],
      command: IDLE,
      ports: [{ internal: 1234, external: port, ip: "127.0.0.1", protocol: "tcp" }],
      // The image's own are not the program's.
      envs: ["B=2", "A=1"],
      labels: [{ label: "owner", value: "me" }],
    });
    expect(await printed(made.id, "stat", "-c", "%a %s", "/etc/daemon/config.toml")).toBe(
      "600 13\n",
    );
    expect(await printed(made.id, "stat", "-c", "%a %s", "/etc/daemon/run")).toBe("744 3\n");
    const { Config, HostConfig, State } = await client.getContainer(made.id).inspect();
    expect(State.Health?.Status).toBe("healthy");
    expect(Config.Env).toEqual(expect.arrayContaining(["A=1", "B=2", "FROM_IMAGE=1"]));
    expect(Config.Labels).toMatchObject({ owner: "me", from: "image" });
    expect(HostConfig.RestartPolicy?.Name).toBe("unless-stopped");
    // Of the daemon's own: no machine needs to have one.
    const first = await printed(made.id, "cat", "/proc/1/cmdline");
    expect(first.split("\0").slice(0, 2)).toEqual(["/sbin/docker-init", "--"]);

    const again = await refreshed(container, made);
    expect(again?.state).toEqual(made.state);
    expect(again?.diff).toMatchObject({ changes: new Map(), replaces: new Set() });

    await printed(made.id, "touch", "/cache/kept");
    await container.delete(made, request());
    expect(await refreshed(container, made)).toBeUndefined();
    const next = await make(
      container,
      busybox("next", { volumes: [{ volumeName: "cache", containerPath: "/cache" }] }),
    );
    expect(await printed(next.id, "stat", "-c", "%n", "/cache/kept")).toBe("/cache/kept\n");
    await container.delete(next, request());
    await volume.delete(cache, request());
    expect(await refreshed(volume, cache)).toBeUndefined();
  });

  test("keeps a set as it was asked for until a refresh finds what the daemon made of it", async () => {
    const made = await make(
      container,
      busybox("set", { capabilities: { adds: ["NET_BIND_SERVICE"], drops: ["CAP_MKNOD"] } }),
    );
    expect(container.diff(made, made.inputs).changes.size).toBe(0);
    const found = await refreshed(container, made);
    expect(found?.state.capabilities).toEqual({
      adds: ["CAP_NET_BIND_SERVICE"],
      drops: ["CAP_MKNOD"],
    });
    expect([...(found?.diff.replaces ?? [])].map((path) => path.split(".")[0])).toEqual([
      "capabilities",
    ]);
  });

  test("that was stopped by hand is seen, and the next update starts it", async () => {
    const made = await make(container, busybox("stopped"));
    await client.getContainer(made.id).kill();
    const found = await refreshed(container, made);
    expect(found?.state).toMatchObject({ mustRun: false, exitCode: 137 });
    expect([...(found?.diff.changes.keys() ?? [])]).toEqual(["mustRun"]);
    expect(found?.diff.replaces.size).toBe(0);
    if (found === undefined) throw new Error("it is gone");
    const state = await container.update({ id: made.id, ...found }, found.program, request());
    expect(state.mustRun).toBe(true);
    expect((await client.getContainer(made.id).inspect()).State.Running).toBe(true);
  });

  test("that was removed by hand is gone, and its removal is no error", async () => {
    const made = await make(container, busybox("removed"));
    await client.getContainer(made.id).remove({ force: true });
    expect(await refreshed(container, made)).toBeUndefined();
    await container.delete(made, request());
  });

  test("takes over limits and the restart policy while it runs", async () => {
    const made = await make(container, busybox("limits", { memory: 64, memorySwap: 128 }));
    const program = busybox("limits", { memory: 32, memorySwap: 64, restart: "always" });
    const { inputs } = container.check(program, { name: "thing", olds: made.inputs });
    expect(container.diff(made, inputs).replaces.size).toBe(0);
    const state = await container.update(made, inputs, request());
    const { HostConfig, State } = await client.getContainer(made.id).inspect();
    expect(State.Running).toBe(true);
    expect(HostConfig.Memory).toBe(32 * 1024 * 1024);
    expect(HostConfig.RestartPolicy?.Name).toBe("always");
    expect((await refreshed(container, { id: made.id, inputs, state }))?.diff.changes.size).toBe(0);
  });

  test("that does not get healthy is one error, stays, and is made anew by the next update", async () => {
    const healthcheck = { tests: ["CMD", "false"], interval: "1s" };
    const program = busybox("sick", { healthcheck, wait: true, waitTimeout: 2 });
    const error = await failure(container, program);
    expect(error.message).toMatch(/^container sick: not healthy within 2 s/);
    if (!(error instanceof NotReady)) throw new Error("it was not kept in the state");
    expect((await client.getContainer("sick").inspect()).Id).toBe(error.id);
    const { inputs } = container.check(program, { name: "thing", olds: {} });
    const diff = container.diff({ id: error.id, inputs, state: error.state }, inputs);
    expect(diff.replaces.size).toBeGreaterThan(0);
    expect(diff.deleteBeforeReplace).toBe(true);
  });

  test("that ends says with what, and what it printed", async () => {
    const command = ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"];
    const made = await make(
      container,
      busybox("job", { command, attach: true, logs: true, mustRun: false }),
    );
    expect(made.state).toMatchObject({ exitCode: 3, mustRun: false });
    // The order of the two outputs is the daemon's.
    expect(String(made.state.containerLogs).split("\n").sort()).toEqual(["", "err", "out"]);
    expect((await refreshed(container, made))?.diff.changes.size).toBe(0);
  });

  test("is attached to networks by their names", async () => {
    const net = await client.createNetwork({ Name: "builders" });
    const made = await make(container, {
      name: "attached",
      image,
      networksAdvanced: [{ name: "builders", aliases: ["buildkitd"] }],
    });
    expect(made.state.networkDatas).toMatchObject([{ networkName: "builders" }]);
    expect((await refreshed(container, made))?.diff.changes.size).toBe(0);
    await container.delete(made, request());
    await net.remove();
  });

  test("whose port is taken is one error that says which", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    try {
      const error = await failure(container, {
        name: "port",
        image,
        ports: [{ internal: 1234, external: port, ip: "127.0.0.1" }],
      });
      expect(error.message).toMatch(/^container port: /);
      expect(error.message).toContain(`127.0.0.1:${port}`);
    } finally {
      taken.close();
    }
  });

  test.each([
    ["image", { image: "127.0.0.1:1/none:1" }, "image 127.0.0.1:1/none:1: is not on the host"],
    ["command", { command: ["/nope"] }, "container wrong: "],
    ["wait without a health check", { wait: true }, "container wrong: `wait` needs a healthcheck"],
    ["upload", { uploads: [{ file: "/f" }] }, "container wrong: upload of /f: one of content"],
    ["network", { networksAdvanced: [{ name: "gone" }] }, "container wrong: "],
  ] as [string, PropertyMap, string][])(
    "with a wrong %s is one error",
    async (_, more, message) => {
      expect((await failure(container, busybox("wrong", more))).message).toContain(message);
    },
  );
});

// The container of a builder is replaced, fails, and comes back, on a real daemon of this machine. What
// runs in it is scripted; docker-host.test.ts has the real buildkitd.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { explain } from "../../commands/lib/explain.ts";
import { makeRoom, putBack, yieldAtBoot } from "../../components/container/handOver.ts";
import type { Place } from "../../components/container/place.ts";
import { type DockerDaemon, startDockerDaemon } from "../../proving-ground/docker/daemon.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import { freePort } from "../../runtime/freePort.ts";
import { thisMachine } from "../../runtime/golang.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { type Run, TestStack } from "./ground.ts";
import { startUp } from "./killedUp.ts";
import { eventually } from "./onBoard.ts";
import { pushScriptedImage } from "./scriptedImage.ts";

let folder: string;
let daemon: DockerDaemon;
let registry: Registry;
let docker: Docker;
let stack: TestStack;
let port: number;
const images: Record<string, string> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bh-hand-over-"));
  daemon = await startDockerDaemon(join(folder, "d"), log);
  registry = await startRegistry(join(folder, "registry"), log);
  docker = new Docker({ socketPath: daemon.socket });
  for (const tag of ["v1", "v2", "v3"]) {
    images[tag] = await pushScriptedImage(registry, folder, tag, "healthy");
  }
  images.sick = await pushScriptedImage(registry, folder, "sick", "sick");
  port = await freePort();
  stack = await TestStack.makeAlone(inject("ground"));
});

afterAll(async () => {
  await registry?.close();
  await daemon?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** A builder of one of the images. */
const builderOf = (tag: string, builder: object = {}) => ({
  name: "builder",
  image: images[tag],
  // This daemon gives no privileges.
  rootless: true,
  publish: { port },
  startSeconds: 20,
  ...builder,
});

/** The stack's one builder. */
async function configure(
  tag: string,
  builder: object = {},
  host: object = {},
  of: TestStack = stack,
): Promise<void> {
  await of.configureAlone({
    "buildhosts:dockerHosts": [
      {
        name: "here",
        docker: `unix://${daemon.socket}`,
        platform: thisMachine.goarch,
        builders: [builderOf(tag, builder)],
        ...host,
      },
    ],
  });
}

async function containers(): Promise<Record<string, string>> {
  const all = await docker.listContainers({ all: true });
  return Object.fromEntries(
    all.map(({ Names, State, Status }) => [
      Names[0]?.slice(1),
      `${State}${Status.includes("(healthy)") ? ", healthy" : ""}`,
    ]),
  );
}

async function idOf(name: string): Promise<string> {
  return (await docker.getContainer(name).inspect()).Id;
}

const volumes = async () => (await docker.listVolumes()).Volumes.map(({ Name }) => Name).sort();

async function urnOf(name: string): Promise<string> {
  const { output } = await stack.pulumi(["stack", "export"]);
  const urns = JSON.parse(output).deployment.resources.map(({ urn }: { urn: string }) => urn);
  return urns.find((urn: string) => urn.endsWith(`::${name}`));
}

/** What a preview says is interrupted. */
const interrupted = (name: string) =>
  `builder: the update replaces the container '${name}', and ends the builds that run there.`;

const ok = (run: Run) => expect(run.code, run.output).toBe(0);

/** The line that npm run up would show beside the engine's words. */
const reasons = (run: Run) => explain(run.events).map(({ line }) => line);

/** The first health check falls on the end of those seconds. */
const sick = "\\(running, starting(: no worker answers)?\\)";

describe("a builder's container", () => {
  const restart = { restart: "always" };

  test("is brought up as configured, and left alone by a second update and by a refresh", async () => {
    await configure("v1", {
      ...restart,
      containerName: "buildkitd",
      memoryMb: 128,
      cpus: 1.5,
      labels: { team: "lab" },
      openTelemetry: { endpoint: "http://127.0.0.1:4317", serviceName: "lab" },
    });
    const up = await stack.up();
    ok(up);
    expect(up.changes.create?.filter((name) => /^(builder|here)/.test(name))).toEqual([
      "builder",
      "builder-cache",
      "builder-container",
      "builder-image",
      "builder-server",
      "builder-server-certificate",
      "builder-server-key",
      "builder-server-request",
      "here-docker",
    ]);
    expect(await containers()).toEqual({ buildkitd: "running, healthy" });
    const { Id: id, Config, HostConfig } = await docker.getContainer("buildkitd").inspect();
    expect(HostConfig).toMatchObject({
      Memory: 128 * 1024 * 1024,
      NanoCpus: 1.5e9,
      RestartPolicy: { Name: "always" },
    });
    const marks = { "buildhosts.builder": "builder", "buildhosts.stack": "buildhosts/test" };
    expect(Config.Labels).toEqual({ ...marks, team: "lab" });
    expect((await docker.getVolume("builder-cache").inspect()).Labels).toEqual(marks);
    expect(Config.Env).toEqual(
      expect.arrayContaining([
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317",
        "OTEL_SERVICE_NAME=lab",
      ]),
    );
    const again = await stack.up();
    expect(Object.keys(again.changes), again.output).toEqual(["same"]);
    const refreshed = await stack.up("--refresh");
    expect(Object.keys(refreshed.changes).sort(), refreshed.output).toEqual(["refresh", "same"]);
    expect(await idOf("buildkitd")).toBe(id);
  });

  test("is left alone where it was made with another rhythm of health checks, and has the new one once replaced", async () => {
    const exported = join(folder, "state.json");
    const { output } = await stack.pulumi(["stack", "export"]);
    const state = JSON.parse(output);
    const { inputs, outputs } = state.deployment.resources.find(({ urn }: { urn: string }) =>
      urn.endsWith("::builder-container"),
    );
    // As a release before this one would have left it.
    for (const one of [inputs, outputs]) {
      Object.assign(one.healthcheck, { interval: "7s", startPeriod: "5s" });
    }
    await writeFile(exported, JSON.stringify(state));
    expect((await stack.pulumi(["stack", "import", "--file", exported])).code).toBe(0);
    const again = await stack.up();
    expect(Object.keys(again.changes), again.output).toEqual(["same"]);
    await configure("v1", { ...restart, containerName: "buildkitd" });
    ok(await stack.up());
    expect((await docker.getContainer("buildkitd").inspect()).Config.Healthcheck).toMatchObject({
      Interval: 5e9,
      StartPeriod: 20e9,
    });
  });

  test("keeps its keys for root alone, and shows them nowhere", async () => {
    const { Config, HostConfig } = await docker.getContainer("buildkitd").inspect();
    expect(JSON.stringify([Config, HostConfig])).not.toMatch(/PRIVATE KEY|CERTIFICATE/);
    const state = await stack.pulumi(["stack", "export"]);
    expect(state.output).toContain("::builder-container");
    expect(state.output).not.toMatch(/PRIVATE KEY/);
    expect(state.output).not.toContain(folder.concat("/id"));
  });

  test("is replaced by an upgrade, under another name too, which the preview announces; the cache stays", async () => {
    const volume = await docker.getVolume("builder-cache").inspect();
    await configure("v2", restart);
    const preview = await stack.preview();
    ok(preview);
    expect(preview.output).toContain(interrupted("buildkitd"));
    expect(await containers()).toEqual({ buildkitd: "running, healthy" });
    const up = await stack.up();
    ok(up);
    expect(await containers()).toEqual({ builder: "running, healthy" });
    expect(await docker.getVolume("builder-cache").inspect()).toEqual(volume);
    expect(await volumes()).toEqual(["builder-cache"]);
  });

  test("is replaced with its certificate, which the preview announces; the cache stays", async () => {
    const volume = await docker.getVolume("builder-cache").inspect();
    const renewal = ["--replace", await urnOf("builder-server-certificate")];
    const preview = await stack.preview(...renewal);
    ok(preview);
    expect(preview.output).toContain(interrupted("builder"));
    const before = await idOf("builder");
    ok(await stack.up(...renewal));
    expect(await containers()).toEqual({ builder: "running, healthy" });
    expect(await idOf("builder")).not.toBe(before);
    expect(await docker.getVolume("builder-cache").inspect()).toEqual(volume);
  });

  test("is not replaced by one that could not use its cache, or would lose it", async () => {
    await configure("v2", { ...restart, rootless: false });
    const withRoot = await stack.preview();
    expect(withRoot.code).not.toBe(0);
    expect(reasons(withRoot)).toEqual([
      "builder: the volume 'builder-cache' has the cache of the daemon without root, whose files one with root cannot use; name another cacheVolume beside the changed rootless",
    ]);
    await configure("v2", { ...restart, cacheVolume: "elsewhere", removeCacheOnDelete: true });
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      "builder: cacheVolume changes from 'builder-cache' to 'elsewhere', and removeCacheOnDelete would delete the old one with what is in it; set removeCacheOnDelete: false, run the update, and change cacheVolume then",
    ]);
    expect(await volumes()).toEqual(["builder-cache"]);
    expect(await containers()).toEqual({ builder: "running, healthy" });
  });

  test("is not given a volume that is somebody's, unless that is asked for", async () => {
    await docker.createVolume({ Name: "theirs" });
    const theirs = { ...restart, cacheVolume: "theirs" };
    await configure("v2", { ...theirs, removeCacheOnDelete: true });
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      "builder: the host has a volume 'theirs' that this stack did not make, and removeCacheOnDelete would delete it; choose another cacheVolume, or adopt it with adoptCache: true",
    ]);
    expect(await containers()).toEqual({ builder: "running, healthy" });
    await configure("v2", { ...theirs, adoptCache: true });
    ok(await stack.up());
    const { Mounts } = await docker.getContainer("builder").inspect();
    expect(Mounts.map(({ Name }) => Name)).toEqual(["theirs"]);
    await configure("v2", restart);
    ok(await stack.up());
    expect(await volumes()).toEqual(["builder-cache", "theirs"]);
    await docker.getVolume("theirs").remove();
  });

  test("is not another stack's to take, nor its cache or its port", async () => {
    const id = await idOf("builder");
    const other = await TestStack.makeAlone(inject("ground"), "other");
    await configure("v2", {}, {}, other);
    const up = await other.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      "builder: the host's volume 'builder-cache' has the cache of the stack buildhosts/test; choose another cacheVolume, or, if that stack does not exist any more, remove it there (docker volume rm builder-cache)",
    ]);
    const refused: [object, string][] = [
      [
        { cacheVolume: "other-cache" },
        "builder: the host has a container 'builder' of the stack buildhosts/test; choose another containerName, or, if that stack does not exist any more, remove it there (docker rm -f builder)",
      ],
      [
        { cacheVolume: "other-cache", containerName: "other" },
        `builder: port ${port} of the host is taken by the container 'builder'; stop that, or choose another publish.port`,
      ],
    ];
    for (const [settings, line] of refused) {
      await configure("v2", settings, {}, other);
      const preview = await other.preview();
      expect(preview.code).not.toBe(0);
      expect(reasons(preview)).toEqual([line]);
    }
    expect(await idOf("builder")).toBe(id);
    expect(await containers()).toEqual({ builder: "running, healthy" });
  });

  test("leaves its port to another builder of the stack in an update of its own only", async () => {
    const place: Place = {
      container: "next",
      builder: "next",
      stack: "buildhosts/test",
      publish: { address: "127.0.0.1", port },
      cache: { volume: "next-cache", path: "/var/lib/buildkit", isRemoved: false },
    };
    await expect(makeRoom(docker, place, 1)).rejects.toThrow(
      `next: the container 'builder' of this stack's builder builder keeps port ${port} in this update; free that by an update of its own first, or choose another`,
    );
    expect(await containers()).toEqual({ builder: "running, healthy" });
  });

  test("comes back when the one after it is not healthy, and the next update tries again", async () => {
    const id = await idOf("builder");
    for (const containerName of ["builder", "buildkitd"]) {
      await configure("sick", { ...restart, startSeconds: 10, containerName });
      const up = await stack.up();
      expect(up.code, containerName).not.toBe(0);
      expect(up.output).toContain("scripted buildkitd sick is sick");
      // buildkitd's stack trace is left out, or it would be all that is shown.
      expect(up.output).not.toContain("runtime");
      expect(reasons(up)).toEqual([
        expect.stringMatching(
          `^builder: the new container was not healthy after 10 s ${sick}; what ran before runs again and is healthy$`,
        ),
      ]);
      expect(await containers()).toEqual({ builder: "running, healthy" });
      const { Id, HostConfig } = await docker.getContainer("builder").inspect();
      expect(Id).toBe(id);
      expect(HostConfig.RestartPolicy?.Name).toBe("always");
    }
    await configure("v2", restart);
    const back = await stack.up();
    ok(back);
    expect(await idOf("builder")).toBe(id);
    // The image of the failed one was pulled, so it goes back; the container stays as it is.
    expect(back.changes["create-replacement"]).toEqual(["builder-image"]);
  });

  test("comes back when its host was switched off and on", async () => {
    const id = await idOf("builder");
    await daemon.reboot();
    await eventually("the builder to be healthy", 60, async () => {
      return (await containers()).builder === "running, healthy";
    });
    expect(await idOf("builder")).toBe(id);
  });

  test.each(["always", "unless-stopped"])(
    "or the one after it serves when its host is switched off in the middle of an update, with restart: %s",
    async (policy) => {
      const place: Place = {
        container: "builder",
        builder: "builder",
        stack: "buildhosts/test",
        publish: { address: "127.0.0.1", port },
        cache: {
          volume: "builder-cache",
          path: "/home/user/.local/share/buildkit",
          isRemoved: false,
        },
      };
      const servesAlone = (name: string) =>
        eventually(`${name} to serve alone`, 60, async () => {
          const all = await containers();
          const serving = Object.keys(all).filter((one) => all[one]?.startsWith("running"));
          return serving.join() === name && all[name] === "running, healthy";
        });
      const old = docker.getContainer(await idOf("builder"));
      await old.update({ RestartPolicy: { Name: policy } });
      const { Id, Config, HostConfig } = await old.inspect();
      const before = await makeRoom(docker, place);
      expect(before).toBe(policy);
      await daemon.reboot();
      await servesAlone("builder-previous");

      // The update is repeated, and as far as the start of the new container.
      await makeRoom(docker, place);
      const { Image, Cmd, Labels, Env, ExposedPorts, Healthcheck } = Config;
      const made = await docker.createContainer({
        ...{ name: "builder", Image, Cmd, Labels, Env, ExposedPorts, Healthcheck },
        HostConfig: { ...HostConfig, RestartPolicy: { Name: policy } },
      });
      await made.start();
      await yieldAtBoot(docker, place, new AbortController().signal);
      await daemon.reboot();
      await servesAlone("builder");

      expect(await putBack(docker, place, 60, "always")).toMatchObject({ previous: "healthy" });
      const back = await docker.getContainer("builder").inspect();
      expect(back.Id).toBe(Id);
      expect(back.HostConfig.RestartPolicy?.Name).toBe("always");
    },
  );

  test("is mended when it was stopped by hand, and made again when it was removed", async () => {
    await docker.getContainer("builder").stop({ t: 1 });
    ok(await stack.up("--refresh"));
    expect(await containers()).toEqual({ builder: "running, healthy" });
    await docker.getContainer("builder").remove({ force: true });
    ok(await stack.up("--refresh"));
    expect(await containers()).toEqual({ builder: "running, healthy" });
  });

  test("is finished by the next update when Pulumi was killed in the middle", async () => {
    await configure("v3");
    const up = startUp(stack);
    await eventually("the old container to be put aside", 60, async () => {
      const all = await containers();
      return "builder-previous" in all && "builder" in all;
    });
    await up.kill();
    await stack.pulumi(["cancel", "--yes"]);
    ok(await stack.up());
    expect(await containers()).toEqual({ builder: "running, healthy" });
    const { Config } = await docker.getContainer("builder").inspect();
    expect(Config.Image).toMatch(/^sha256:/);
  });

  test("is finished, too, when the old one was renamed and not yet stopped", async () => {
    await docker.getContainer("builder").rename({ name: "builder-previous" });
    await configure("v1", { protectCache: true });
    ok(await stack.up());
    expect(await containers()).toEqual({ builder: "running, healthy" });
  });

  test("is not started where the port is taken, and the one before runs on", async () => {
    const taken = createServer();
    const takenPort = await new Promise<number>((resolve) => {
      taken.listen(0, "127.0.0.1", () => resolve((taken.address() as { port: number }).port));
    });
    try {
      await configure("v3", { publish: { port: takenPort }, protectCache: true });
      const up = await stack.up();
      expect(up.code).not.toBe(0);
      expect(reasons(up)).toEqual([
        "builder: the new container could not be started: the port is taken on the host; stop what has it, or choose another publish.port; what ran before runs again and is healthy",
      ]);
      expect(await containers()).toEqual({ builder: "running, healthy" });
    } finally {
      taken.close();
    }
  });

  test("goes with the stack, and its cache stays; a protected one is refused", async () => {
    const refused = await stack.destroy();
    expect(refused.code).not.toBe(0);
    expect(refused.output).toMatch(/builder-cache" cannot be deleted\s+because it is protected/);
    await stack.pulumi(["state", "unprotect", "--all", "--yes"]);
    ok(await stack.destroy());
    expect(await containers()).toEqual({});
    expect(await volumes()).toEqual(["builder-cache"]);
  });
});

test("two builders of a host exchange their ports in one update", async () => {
  const ports = [await freePort(), await freePort()] as const;
  const published = (one: number, two: number) => ({
    builders: [
      builderOf("v1", { name: "one", publish: { port: one } }),
      builderOf("v1", { name: "two", publish: { port: two } }),
    ],
  });
  const publishedBy = async (name: string) =>
    (await docker.getContainer(name).inspect()).NetworkSettings.Ports["1234/tcp"]?.[0]?.HostPort;
  await configure("v1", {}, published(ports[0], ports[1]));
  ok(await stack.up());
  await configure("v1", {}, published(ports[1], ports[0]));
  ok(await stack.up());
  expect(await containers()).toEqual({ one: "running, healthy", two: "running, healthy" });
  expect(await publishedBy("one")).toBe(`${ports[1]}`);
  expect(await publishedBy("two")).toBe(`${ports[0]}`);
  ok(await stack.destroy());
});

describe("a first container", () => {
  test("is not to be had where the daemon may not give privileges", async () => {
    await configure("v1", { rootless: false });
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      "builder: the new container could not be started: the host's daemon may not run privileged containers; give it that right, or set rootless with a rootless image; nothing ran before, so the update removed it again",
    ]);
    expect(await containers()).toEqual({});
  });

  test("that is not healthy is taken away again", async () => {
    await configure("sick", { startSeconds: 10 });
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      expect.stringMatching(
        `^builder: the new container was not healthy after 10 s ${sick}; nothing ran before, so the update removed it again$`,
      ),
    ]);
    expect(await containers()).toEqual({});
  });

  test("of a private image has it by the host's login, and not without", async () => {
    const htpasswd = join(folder, "htpasswd");
    const passwordFile = join(folder, "password");
    // Of "let me in".
    await writeFile(
      htpasswd,
      "alice:$2b$05$buildhostsbuildhostsbufAiD.96wne1LCZSQjGNVuGD3FPrQMQq\n",
    );
    await writeFile(passwordFile, "let me in\n", { mode: 0o600 });
    const closed = await startRegistry(join(folder, "registry"), log, { htpasswd });
    try {
      const { address } = closed;
      const image = images.v1?.replace(registry.address, address);
      await configure("v1", { image });
      const without = await stack.up();
      expect(without.code).not.toBe(0);
      expect(reasons(without)).toEqual([
        `the image ${image} is not on the host and cannot be pulled. Check image in the stack, that the host reaches its registry, and for a private image the host's registryAuth`,
      ]);
      const registryAuth = [{ address, username: "alice", passwordFile }];
      await configure("v1", { image }, { registryAuth });
      const targets = ["**::builder", "**::builder-image"];
      ok(await stack.up(...targets.flatMap((target) => ["--target", target])));
      expect(await docker.getImage(`${image}`).inspect()).toMatchObject({
        RepoDigests: expect.arrayContaining([expect.stringContaining(`${address}/`)]),
      });
      expect((await stack.pulumi(["stack", "export"])).output).not.toContain("let me in");
    } finally {
      await closed.close();
    }
  });

  test("takes nobody else's place", async () => {
    const other = await docker.createContainer({ Image: String(images.v1), name: "builder" });
    await configure("v1");
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      "builder: the host has a container 'builder' that is none of this builder; remove it there (docker rm -f builder), or choose another containerName",
    ]);
    expect(await containers()).toEqual({ builder: "created" });
    await other.remove();
  });

  test("of an image that is not there, or on a host that is not, is one clear line", async () => {
    await configure("v1", { image: `${registry.address}/test/buildkit:none` });
    const missing = await stack.up();
    expect(missing.code).not.toBe(0);
    expect(reasons(missing)).toEqual([
      `the image ${registry.address}/test/buildkit:none is not on the host and cannot be pulled. Check image in the stack, that the host reaches its registry, and for a private image the host's registryAuth`,
    ]);
    await configure("v1", {}, { docker: `unix://${folder}/nowhere.sock` });
    const away = await stack.up();
    expect(away.code).not.toBe(0);
    // The official plugin does not name the host.
    expect(reasons(away)).toEqual([
      expect.stringMatching(
        /^the Docker daemon (at unix:\S+ cannot be reached: nothing listens there|cannot be reached)\. Check docker in the stack, and that the daemon runs$/,
      ),
    ]);
  });
});

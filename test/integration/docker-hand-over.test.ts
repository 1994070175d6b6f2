// The container of a builder is replaced, fails, and comes back, on a real daemon of this machine. What
// runs in it is scripted; docker-host.test.ts has the real buildkitd.

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type DockerDaemon, startDockerDaemon } from "../../proving-ground/docker/daemon.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import { freePort } from "../../proving-ground/freePort.ts";
import { thisMachine } from "../../proving-ground/golang.ts";
import { toStderr as log } from "../../proving-ground/progress.ts";
import { explain } from "../../tools/explain.ts";
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

/** The stack's one builder, of one of the images. */
async function configure(tag: string, builder: object = {}, host: object = {}): Promise<void> {
  await stack.configureAlone({
    "buildhosts:dockerHosts": [
      {
        name: "here",
        docker: `unix://${daemon.socket}`,
        platform: thisMachine.goarch,
        builders: [
          {
            name: "builder",
            image: images[tag],
            // This daemon gives no privileges.
            rootless: true,
            publish: { port },
            startSeconds: 30,
            ...builder,
          },
        ],
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

const ok = (run: Run) => expect(run.code, run.output).toBe(0);

/** The line that npm run up would show beside the engine's words. */
const reasons = (run: Run) => explain(run.events).map(({ line }) => line);

/** The first health check falls on the end of those seconds. */
const sick = "\\(running, starting(: no worker answers)?\\)";

describe("a builder's container", () => {
  test("is brought up, and left alone by a second update and by a refresh", async () => {
    await configure("v1");
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
    expect(await containers()).toEqual({ builder: "running, healthy" });
    const id = await idOf("builder");
    const again = await stack.up();
    expect(Object.keys(again.changes), again.output).toEqual(["same"]);
    const refreshed = await stack.up("--refresh");
    expect(Object.keys(refreshed.changes).sort(), refreshed.output).toEqual(["refresh", "same"]);
    expect(await idOf("builder")).toBe(id);
  });

  test("keeps its keys for root alone, and shows them nowhere", async () => {
    const { Config, HostConfig } = await docker.getContainer("builder").inspect();
    expect(JSON.stringify([Config, HostConfig])).not.toMatch(/PRIVATE KEY|CERTIFICATE/);
    const state = await stack.pulumi(["stack", "export"]);
    expect(state.output).toContain("::builder-container");
    expect(state.output).not.toMatch(/PRIVATE KEY/);
    expect(state.output).not.toContain(folder.concat("/id"));
  });

  test("is replaced by an upgrade, which the preview announces; the cache stays", async () => {
    const volume = await docker.getVolume("builder-cache").inspect();
    await configure("v2");
    const preview = await stack.preview();
    ok(preview);
    expect(preview.output).toContain(
      "builder: the update replaces the container 'builder', and ends the builds that run there then.",
    );
    expect(await containers()).toEqual({ builder: "running, healthy" });
    const before = await idOf("builder");
    const up = await stack.up();
    ok(up);
    expect(await containers()).toEqual({ builder: "running, healthy" });
    expect(await idOf("builder")).not.toBe(before);
    expect(await docker.getVolume("builder-cache").inspect()).toEqual(volume);
  });

  test("comes back when the one after it is not healthy, and the next update tries again", async () => {
    const id = await idOf("builder");
    await configure("sick", { startSeconds: 10 });
    for (const attempt of ["first", "second"]) {
      const up = await stack.up();
      expect(up.code, attempt).not.toBe(0);
      expect(up.output).toContain("scripted buildkitd sick is sick");
      // buildkitd's stack trace is left out, or it would be all that is shown.
      expect(up.output).not.toContain("runtime");
      expect(reasons(up)).toEqual([
        expect.stringMatching(
          `^builder: the new container was not healthy after 10 s ${sick}; what ran before runs again and is healthy$`,
        ),
      ]);
      expect(await containers()).toEqual({ builder: "running, healthy" });
      expect(await idOf("builder")).toBe(id);
    }
    await configure("v2");
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

  test("is not started where the port is taken, and the one before runs on", async () => {
    const taken = createServer();
    const takenPort = await new Promise<number>((resolve) => {
      taken.listen(0, "127.0.0.1", () => resolve((taken.address() as { port: number }).port));
    });
    try {
      await configure("v3", { publish: { port: takenPort } });
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

  test("goes with the stack, and its cache stays", async () => {
    await configure("v3");
    ok(await stack.destroy());
    expect(await containers()).toEqual({});
    await docker.getVolume("builder-cache").inspect();
  });
});

describe("a first container", () => {
  test("is not to be had where the daemon may not give privileges", async () => {
    await configure("v1", { rootless: false });
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      "builder: the new container could not be started: the host's daemon may not run privileged containers; give it that right, or set rootless with a rootless image; nothing ran before, so it was taken away again",
    ]);
    expect(await containers()).toEqual({});
  });

  test("that is not healthy is taken away again", async () => {
    await configure("sick", { startSeconds: 10 });
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      expect.stringMatching(
        `^builder: the new container was not healthy after 10 s ${sick}; nothing ran before, so it was taken away again$`,
      ),
    ]);
    expect(await containers()).toEqual({});
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
      `the image ${registry.address}/test/buildkit:none is not on the host and cannot be pulled. Check image in the stack, and that the host reaches its registry`,
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

// A builder on a host whose daemon is Podman: what its Docker-compatible socket does otherwise than Docker's must not
// show. What is the same is shown by docker-host.test.ts.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { explain } from "../../commands/lib/explain.ts";
import { defaultVersions } from "../../config/versions.ts";
import {
  findVirtualBoard,
  startBoard,
  type VirtualBoard,
} from "../../proving-ground/board/virtualBoard.ts";
import { ensureBuildkitImage } from "../../proving-ground/docker/buildkitImage.ts";
import {
  mirrorDockerHubForPodman,
  PODMAN_SOCKET,
  podmanHostKind,
} from "../../proving-ground/docker/podmanHost.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { boardArchitecture, boardMachine, boardPlatform } from "./boardPlatform.ts";
import { allSteps, type Client, cachedSteps, clientOf } from "./building.ts";
import { type Run, TestStack } from "./ground.ts";
import { eventually, on } from "./onBoard.ts";

const platform = boardPlatform;
const upstream = `moby/buildkit:${defaultVersions.buildkit}`;
let host: VirtualBoard;
let registry: Registry;
let stack: TestStack;
let closeSocket: () => void;
/** Podman's socket, as if it were this machine's. */
let socket: string;
let digest: string;
/** Has its files since the first update. */
let client: Client;

beforeAll(async () => {
  const instance = `${inject("ground").instance}-podman-${process.env.VITEST_POOL_ID}`;
  await (await findVirtualBoard(instance, platform))?.stop();
  host = await startBoard({ kind: podmanHostKind, platform, instance, log });
  const withHost = { ...inject("ground"), board: host };
  stack = await TestStack.makeAlone(withHost);
  registry = await startRegistry(join(stack.folder, "registry"), log);
  const image = await ensureBuildkitImage(defaultVersions.buildkit, platform, host.busybox, log);
  await registry.push(image, "moby/buildkit", defaultVersions.buildkit);
  digest = image.digest;
  await mirrorDockerHubForPodman(host, registry.port);
  socket = join(stack.folder, "podman.sock");
  closeSocket = await host.forward(socket, PODMAN_SOCKET);
});

afterAll(async () => {
  closeSocket?.();
  await registry?.close();
  host?.disconnect();
});

interface Settings {
  docker?: object;
  builder?: object;
}

/** The stack's one builder, `box` on the host `farm`. */
async function configure({ docker, builder }: Settings = {}): Promise<void> {
  const { host: address, buildkitPort } = host.connection;
  await stack.configureAlone({
    "buildhosts:dockerHosts": [
      {
        name: "farm",
        platform: boardArchitecture,
        ...(docker ?? { docker: `unix://${socket}` }),
        builders: [
          {
            name: "box",
            endpoint: `tcp://${address}:${buildkitPort}`,
            publish: { address: "0.0.0.0" },
            // By the name in the certificate alone it does not show how the host is reached.
            extraNames: ["localhost"],
            restart: "always",
            ...builder,
          },
        ],
      },
    ],
  });
}

const overSsh = () => {
  const { host: address, port, hostKey, identityFile } = host.connection;
  return {
    docker: `ssh://root@${address}:${port}`,
    hostKey,
    ssh: { privateKeyFile: identityFile },
  };
};

const ok = ({ code, output }: Run) => expect(code, output).toBe(0);
/** What an operation did, but for what it left alone. */
const changes = ({ changes: { same: _, ...others } }: Run) => others;
const reasons = ({ events }: Run) => explain(events).map(({ line }) => line);

const containers = () => on(host, "podman ps --all --format '{{.Names}} {{.Status}}'");
const inspect = (format: string) => on(host, `podman inspect --format '${format}' box`);
const isHealthy = async () => /^box Up .*\(healthy\)$/.test(await containers());

/** Each test begins where the one before it ended. */
describe("a builder on a Podman host", () => {
  test("is brought up through Podman's socket from nothing", async () => {
    await configure();
    ok(await stack.up());
    expect(await containers()).toMatch(/^box Up .*\(healthy\)$/);
    expect(await inspect("{{.ImageName}} {{.HostConfig.RestartPolicy.Name}}")).toBe(
      `docker.io/${upstream} always`,
    );
  });

  test("builds an image with a RUN step for a client over mutual TLS", async () => {
    client = await clientOf(stack);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
  });

  test("is left alone by a second update, by a refresh, by a digest, and when it is reached over ssh://", async () => {
    const id = await inspect("{{.Id}}");
    const again = await stack.up();
    ok(again);
    expect(changes(again)).toEqual({});
    const refreshed = await stack.up("--refresh");
    ok(refreshed);
    expect(refreshed.output).toMatch(/Resources:\n\s+\d+ unchanged\n/);
    await configure({ docker: overSsh(), builder: { image: `${upstream}@${digest}` } });
    const pinned = await stack.up();
    ok(pinned);
    const changed = new Set(Object.values(changes(pinned)).flat());
    expect([...changed].sort()).toEqual(["box-image", "farm-docker"]);
    expect(await inspect("{{.Id}}")).toBe(id);
  });

  test("is replaced with its cache: a rebuild runs no step", async () => {
    await on(host, "podman network create builders");
    await configure({ builder: { networks: ["builders"], memoryMb: 600 } });
    const preview = await stack.preview();
    ok(preview);
    expect(preview.output).toContain("ends the builds that run there");
    const up = await stack.up();
    ok(up);
    expect(await containers()).toMatch(/^box Up .*\(healthy\)$/);
    expect(await inspect("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}")).toBe(
      "builders",
    );
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(allSteps);
  });

  test("comes back when what replaces it cannot be started", async () => {
    await configure({ builder: { networks: ["nowhere"], memoryMb: 600 } });
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      "box: the new container could not be started: the host has no network of that name; make it there, or correct networks; what ran before runs again and is healthy",
    ]);
    expect(await containers()).toMatch(/^box Up .*\(healthy\)$/);
    expect(await inspect("{{.HostConfig.RestartPolicy.Name}}")).toBe("always");
  });

  test("survives Podman's service, and is started again by what does so at boot", async () => {
    const started = () => inspect("{{.State.StartedAt}}");
    const before = await started();
    await on(host, "systemctl restart podman.service");
    expect(await started()).toBe(before);
    // At a shutdown it stops them.
    await on(host, "systemctl restart podman-restart.service");
    await eventually("box to be healthy", 60, isHealthy);
    expect(await started()).not.toBe(before);
    const build = await client.build();
    expect(cachedSteps(build.output), build.output).toBe(allSteps);
  });

  test("is refused, or warned of, where Podman would do otherwise than is asked", async () => {
    await configure({ builder: { name: "other", rootless: true } });
    const rootless = await stack.preview();
    expect(rootless.code).not.toBe(0);
    expect(reasons(rootless)).toEqual([
      expect.stringMatching(
        /^other: Podman 5\.\d+\.\d+ answers at unix:\/\/\S+, and its Docker-compatible socket does not support systempaths=unconfined/,
      ),
    ]);
    await configure({ builder: { name: "other", restart: "unless-stopped" } });
    const preview = await stack.preview();
    ok(preview);
    expect(preview.output).toMatch(
      /other: Podman 5\.\d+\.\d+ starts no container with restart: unless-stopped after a boot of its host; set restart: always/,
    );
  });

  test("goes with the stack, and its cache stays", async () => {
    ok(await stack.destroy());
    expect(await containers()).toBe("");
    expect(await on(host, "podman volume ls --quiet")).toBe("box-cache");
  });
});

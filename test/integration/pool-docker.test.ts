// A pool in a container of a Docker host, before two builders there: that it serves, and that a change ends no build.

import { copyFile, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { writeClientFiles } from "../../commands/lib/clientFiles.ts";
import { unable } from "../../proving-ground/board/native/host.ts";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { withLayer, writeImage } from "../../proving-ground/docker/ociImage.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import type { VirtualDockerHost } from "../../proving-ground/docker/virtualDockerHost.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { dockerfile } from "./building.ts";
import { freshDockerHost } from "./freshDockerHost.ts";
import { TestStack } from "./ground.ts";
import { listen } from "./listener.ts";
import { eventually, on } from "./onBoard.ts";

const domain = "pool.buildhosts.internal";

/** HAProxy of Debian with all that it needs, and a user of its own. */
const packages = {
  suite: "trixie",
  architecture: "amd64",
  names: [
    ...["haproxy", "libc6", "libcrypt1", "libgcc-s1", "libjemalloc2", "liblua5.4-0"],
    ...["libopentracing-c-wrapper0t64", "libopentracing1", "libpcre2-8-0", "libssl3t64"],
    ...["libstdc++6", "libzstd1", "zlib1g"],
  ],
};

describe.skipIf(unable())("a pool on a Docker host", () => {
  let host: VirtualDockerHost;
  let registry: Registry;
  let stack: TestStack;
  let image: string;
  let files: string;
  let context: string;

  beforeAll(async () => {
    host = await freshDockerHost("-pool");
    const ground = inject("ground");
    stack = await TestStack.makeAlone({ ...ground, board: host } as never);
    registry = await startRegistry(join(stack.folder, "registry"), log);
    image = await pushHaproxy();
    context = await mkdtemp(join(stack.folder, "context-"));
    await copyFile(dockerfile("waiting"), join(context, "Dockerfile"));
    await copyFile(host.busybox, join(context, "busybox"));
    await configure();
  });
  afterAll(async () => {
    await host?.stop();
    await registry?.close();
  });

  async function pushHaproxy(): Promise<string> {
    const unpacked = await ensureUnpacked(packages, log);
    const made = await withLayer(
      async (root) => {
        await execa("cp", ["-a", `${unpacked}/.`, root]);
        // Where Debian's own root has links.
        for (const name of ["lib", "lib64", "sbin"])
          await execa("ln", ["-sfn", `usr/${name}`, join(root, name)]);
        await mkdir(join(root, "etc"), { recursive: true });
        await writeFile(join(root, "etc/passwd"), "haproxy:x:99:99::/:/usr/sbin/nologin\n");
        await writeFile(join(root, "etc/group"), "haproxy:x:99:\n");
        await mkdir(join(root, "usr/local/etc/haproxy"), { recursive: true });
      },
      (layer) =>
        writeImage(join(stack.folder, "haproxy-image"), "linux/amd64", [layer], {
          User: "99",
          Env: ["PATH=/usr/sbin:/usr/bin"],
        }),
    );
    await registry.push(made, "test/haproxy", "3.0");
    return `${host.connection.gateway}:${registry.port}/test/haproxy:3.0@${made.digest}`;
  }

  async function configure(keys: Record<string, unknown> = {}, pools = true): Promise<void> {
    const { host: address, port, hostKey, identityFile, builderPorts } = host.connection;
    const builder = (name: string, inner: number) => ({
      ...{ name, publish: { port: inner }, endpoint: `tcp://${address}:${builderPorts[inner]}` },
    });
    await stack.configureAlone({
      "buildhosts:dockerHosts": [
        {
          ...{ name: "farm", platform: "amd64", hostKey, ssh: { privateKeyFile: identityFile } },
          docker: `ssh://builder@${address}:${port}`,
          builders: [builder("box-1", 1234), builder("box-2", 1236)],
        },
      ],
      ...(pools && {
        "buildhosts:pools": [
          {
            ...{ name: "pool", on: "farm", image, builders: ["box-1", "box-2"], drainSeconds: 120 },
            endpoint: `tcp://${address}:${builderPorts[1235]}`,
            endpoints: { "box-1": "tcp://127.0.0.1:1234", "box-2": "tcp://127.0.0.1:1236" },
          },
        ],
      }),
      ...keys,
    });
  }

  async function build(until: string): Promise<{ code: number; output: string }> {
    const { exitCode, all } = await execa(
      stack.ground.buildctl,
      [
        ...["--addr", `tcp://127.0.0.1:${host.connection.builderPorts[1235]}`],
        ...["--tlsservername", `shop.${domain}`, "--tlsdir", files],
        ...["build", "--progress", "plain", "--no-cache", "--frontend", "dockerfile.v0"],
        ...["--local", `context=${context}`, "--local", `dockerfile=${context}`],
        ...["--opt", `build-arg:UNTIL=${until}`],
      ],
      { all: true, reject: false, timeout: 300_000 },
    );
    return { code: exitCode ?? 1, output: String(all ?? "") };
  }

  const pools = () =>
    on(host, "docker ps --all --filter label=buildhosts.pool=pool --format '{{.Names}}'");
  const upBuilders = () =>
    on(
      host,
      "curl -s 'http://127.0.0.1:8405/;csv' | awk -F , '$1 == \"builders\" && $18 == \"UP\"' | grep -c box",
    );

  test("comes up, finds its builders healthy, and is not root", async () => {
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    files = await mkdtemp(join(stack.folder, "client-"));
    await writeClientFiles(await stack.outputs(), "default", files);
    await eventually("both builders to be up", 30, async () => (await upBuilders()) === "2");
    const name = await pools();
    expect(name).toMatch(/^pool-[0-9a-f]{12}$/);
    expect(await on(host, `docker inspect --format '{{.Config.User}}' ${name}`)).toBe("99");
    expect(await on(host, "ss -Hltn 'sport = :8405' | awk '{ print $4 }'")).toBe("127.0.0.1:8405");
    expect(Object.keys((await stack.up()).changes)).toEqual(["same"]);
  });

  test("gets another certificate while a build runs, which ends well by the container before", async () => {
    const before = await pools();
    const end = await listen();
    const building = build(`${host.connection.gateway}:${end.port}`);
    await end.connected;
    await configure({ "buildhosts:certificates": { clientKeys: { "pool-pool": 2 } } });
    const up = stack.up();
    await eventually(
      "a second container",
      120,
      async () => (await pools()).split("\n").length === 2,
    );
    const after = (await pools()).split("\n").find((name) => name !== before);
    await eventually("both builders to be up", 30, async () => (await upBuilders()) === "2");
    end.close();
    const { code, output } = await building;
    expect(code, output).toBe(0);
    const run = await up;
    expect(run.code, run.output).toBe(0);
    expect(await pools()).toBe(after);
  });

  test("leaves no container behind", async () => {
    await configure({}, false);
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect(await pools()).toBe("");
  });
});

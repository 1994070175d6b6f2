import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { release } from "../../components/board/releases.ts";
import { defaultVersions } from "../../config/versions.ts";
import { boardMachine, boardPlatform } from "./boardPlatform.ts";
import { type Client, clientOf, dockerfile } from "./building.ts";
import { clean, provisioned, type Scene, seedVersions } from "./ground.ts";
import { buildkitVersion, filesOf, on, pidsOf } from "./onBoard.ts";

/** Each test begins where the one before it ended. */
describe("a default builder that becomes one of another kind", () => {
  let board: Scene["board"];
  let stack: Scene["stack"];
  let client: Client;

  beforeAll(async () => {
    ({ board, stack } = await provisioned());
    client = await clientOf(stack);
  });

  test("builds without root", async () => {
    await stack.configure({ rootless: true });
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    // The account is in its place, and so are rootlesskit and the port.
    expect(await on(board, "ps -o user= -p $(pidof buildkitd)")).toBe("buildkit");
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
  });

  test("is one with root again, and builds with containerd as its worker and with the stack's runc", async () => {
    await stack.configure({ worker: "containerd" });
    const before = await pidsOf(board);
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect(await on(board, "ps -o user= -p $(pidof buildkitd)")).toBe("root");
    expect((await pidsOf(board)).containerd).toBe(before.containerd);

    const workers = await client.buildctl("debug", "workers", "--verbose");
    expect(workers.output).toMatch(/org\.mobyproject\.buildkit\.worker\.executor:\s+containerd/);
    expect(workers.output.match(/^ID:/gm)).toHaveLength(1);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
    expect(await on(board, "grep BinaryName /etc/buildkit/buildkitd.toml")).toBe(
      'BinaryName = "/usr/local/lib/buildhosts/current/config/runc"',
    );
  });
});

/** Each test begins where the one before it ended. */
describe("a board with a hand-made BuildKit, reached as a plain user", () => {
  let board: Scene["board"];
  let stack: Scene["stack"];
  let filesBefore: string;

  beforeAll(async () => {
    ({ board, stack } = await clean({ user: "builder" }, {}));
    await on(
      board,
      `mkdir -p /etc/buildkit && echo '# by hand' >/etc/buildkit/buildkitd.toml
       printf '#!/bin/sh\\necho by hand\\n' >/usr/local/bin/buildkitd && chmod 750 /usr/local/bin/buildkitd`,
    );
    filesBefore = await filesOf(board);
  });

  test("gets the versions of the seeds, each with a warning that names the reason", async () => {
    await stack.configure(
      { user: "builder" },
      { "buildhosts:releases": { mirror: stack.mirrorUrl(), ...seedVersions } },
    );
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    for (const warning of [
      "known security holes are open below v0.31.2",
      "known security holes are open below v2.3.5, and the 2.1 line is past its end",
      "known security holes are open below v1.4.4, and in v1.5 below v1.5.2",
    ]) {
      expect(up.output).toContain(warning);
    }
    expect(up.output).toContain(
      "/usr/local/bin/buildkitd of an earlier installation was put aside; removal puts it back",
    );
    expect(await buildkitVersion(board)).toBe(seedVersions.buildkit);
    const client = await clientOf(stack);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
  });

  test("gets newer versions pushed through a jump host, and listens by socket activation", async () => {
    const { port, user, hostKey } = board.connection;
    const push = join(stack.folder, "assets");
    const checksums = await pushFolder(stack.ground.releases, push);
    await stack.configure(
      { ...throughItself, jump: { host: "127.0.0.1", port, user, hostKey } },
      { "buildhosts:releases": { push, checksums } },
    );
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect(up.output).toContain(
      `board: buildkit ${defaultVersions.buildkit} is installed (sha256 verified)`,
    );
    expect(await on(board, "systemctl is-enabled buildkitd.socket buildkitd.service || true")).toBe(
      "enabled\ndisabled",
    );
    // What came over SSH is in the store, and nowhere else.
    expect(await on(board, "ls -A /usr/local/lib/buildhosts/pushed")).toBe("");

    await on(board, "systemctl stop buildkitd.service");
    const client = await clientOf(stack);
    const workers = await client.buildctl("debug", "workers");
    expect(workers.code, workers.output).toBe(0);
    expect(await on(board, "systemctl is-active buildkitd.service")).toBe("active");
  });

  test("serves metrics on the board's loopback, and has its proxies and collector", async () => {
    expect(await on(board, "curl -sf http://127.0.0.1:6060/metrics")).toContain("go_goroutines ");
    const environment = await on(board, "tr '\\0' '\\n' </proc/$(pidof buildkitd)/environ | sort");
    expect(environment.split("\n").filter((line) => /^(OTEL|HTTPS?|NO)_/.test(line))).toEqual([
      "HTTP_PROXY=http://proxy.example.com:3128",
      "NO_PROXY=127.0.0.1,.example.com",
      "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317",
      "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
      "OTEL_IGNORE_ERROR=true",
      "OTEL_RESOURCE_ATTRIBUTES=place=a%20desk",
      "OTEL_SERVICE_NAME=board's daemon",
    ]);
  });

  test("gives RUN steps the board's network, where the stack says host", async () => {
    const client = await clientOf(stack);
    const build = await client.build({
      dockerfile: dockerfile("network"),
      buildArgs: { OUTSIDE: "127.0.0.1:22", DAEMON: "127.0.0.1:1234" },
    });
    expect(build.code, build.output).toBe(0);
    expect(await build.file("addresses")).toContain(" 10.0.2.15/");
    expect(await build.file("outside")).toBe("reached\n");
    // Only the client's certificate keeps a RUN step out there.
    expect(await build.file("daemon")).toBe("reached\n");
  });

  test("is as it was before the first update once it is removed, its cache gone too", async () => {
    const destroyed = await stack.destroy();
    expect(destroyed.code, destroyed.output).toBe(0);
    expect(destroyed.output).toContain(
      "/usr/local/bin/buildkitd of the earlier installation is back",
    );
    expect(await filesOf(board)).toBe(filesBefore);
    expect(await on(board, "buildkitd; cat /etc/buildkit/buildkitd.toml")).toBe(
      "by hand\n# by hand",
    );
    expect(await on(board, "ls -d /var/lib/buildkit /var/lib/containerd 2>/dev/null || true")).toBe(
      "",
    );
  });
});

/** Through the board's own SSH server to itself, as to a board behind it; and what else one can choose. */
const throughItself = {
  user: "builder",
  host: "127.0.0.1",
  port: 22,
  network: "host",
  socketActivation: true,
  metrics: {},
  proxies: { http: "http://proxy.example.com:3128", no: ["127.0.0.1", ".example.com"] },
  openTelemetry: {
    endpoint: "http://127.0.0.1:4317",
    serviceName: "board's daemon",
    resourceAttributes: { place: "a desk" },
    ignoreErrors: true,
  },
  removeCacheOnDelete: true,
};

/** The default releases in a folder by their bare names, as one that is pushed from, and their checksums. */
async function pushFolder(mirrored: string[], folder: string): Promise<Record<string, string>> {
  const checksums: Record<string, string> = {};
  await mkdir(folder);
  for (const component of ["containerd", "runc", "buildkit"] as const) {
    const { asset, path } = release(component, defaultVersions[component], boardPlatform);
    for (const root of mirrored) {
      const file = await readFile(join(root, path)).catch(() => undefined);
      if (!file) continue;
      await writeFile(join(folder, asset), file);
      checksums[asset] = createHash("sha256").update(file).digest("hex");
    }
  }
  return checksums;
}

import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { architectures } from "../../proving-ground/board/architectures.ts";
import { connectionFile, plainBoard } from "../../proving-ground/board/virtualBoard.ts";
import { startArchiveProxy } from "../../proving-ground/debian/archiveProxy.ts";
import {
  blobPath,
  manifestOf,
  packLayer,
  writeImage,
} from "../../proving-ground/docker/ociImage.ts";
import { dockerHostKind } from "../../proving-ground/docker/virtualDockerHost.ts";
import { sha256 } from "../../proving-ground/mirror/checksums.ts";
import { linesTo } from "../../runtime/progress.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "docker-ground-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("an image of our own making", () => {
  const layerOf = async (name: string) => {
    const root = join(folder, name);
    mkdirSync(join(root, "bin"), { recursive: true });
    writeFileSync(join(root, "bin/newuidmap"), "program", { mode: 0o755 });
    await execa("chmod", ["4755", join(root, "bin/newuidmap")]);
    await packLayer(`${root}.tar`, root);
    return `${root}.tar`;
  };

  test("has the same digest whenever it is made of the same", async () => {
    const digests = [];
    for (const name of ["a", "b"]) {
      const out = join(folder, `${name}-image`);
      const config = { Entrypoint: ["buildkitd"] };
      digests.push((await writeImage(out, "linux/riscv64", [await layerOf(name)], config)).digest);
    }
    expect(digests[0]).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(digests[0]).toBe(digests[1]);
  });

  test("is a folder of blobs that are what their names say, with each file's mode in its layer", async () => {
    const out = join(folder, "image");
    const layer = await layerOf("root");
    const written = await writeImage(out, "linux/riscv64", [layer], { User: "1000" });
    const { config, layers } = await manifestOf(written);
    for (const descriptor of [config, ...layers]) {
      const path = blobPath(written, descriptor.digest);
      expect(`sha256:${await sha256(path)}`).toBe(descriptor.digest);
      expect(statSync(path).size).toBe(descriptor.size);
    }
    const [first] = layers;
    const { stdout } = await execa("tar", ["-tvf", blobPath(written, first?.digest ?? "")]);
    expect(stdout).toContain("-rwsr-xr-x");
    const { stdout: text } = await execa("cat", [blobPath(written, config.digest)]);
    expect(JSON.parse(text)).toEqual({
      os: "linux",
      architecture: "riscv64",
      config: { User: "1000" },
      rootfs: { type: "layers", diff_ids: [first?.digest] },
    });
  });
});

test("a Docker host is found elsewhere than a board, with a port for its daemon and three for builders", () => {
  const platform = "linux/riscv64";
  expect(connectionFile("/p", platform, dockerHostKind)).toBe(
    "/p/.buildhosts/virtual-docker-host/riscv64.json",
  );
  expect(connectionFile("/p", platform)).toBe(connectionFile("/p", platform, plainBoard));
  const base = {
    platform: architectures[platform].platform,
    host: "127.0.0.1",
    port: 20022,
    user: "root",
    hostKey: "ssh-ed25519 AAAA",
    identityFile: "/i/id",
    buildkitPort: 21234,
    gateway: "10.0.2.2",
  } as const;
  const ports = new Map([22, 1234, ...dockerHostKind.ports].map((port) => [port, 20_000 + port]));
  expect(dockerHostKind.connection(base, ports, "/prepared")).toEqual({
    ...base,
    dockerPort: 22_376,
    docker: {
      caFile: "/prepared/tls/ca.pem",
      certFile: "/prepared/tls/client-cert.pem",
      keyFile: "/prepared/tls/client-key.pem",
    },
    builderPorts: { "1234": 21_234, "1235": 21_235, "1236": 21_236 },
  });
});

test.each([
  "http://debian.invalid/debian/../etc/passwd",
  "http://debian.invalid/other/dists/trixie/InRelease",
  "http://debian.invalid.example.com/debian/dists/trixie/InRelease",
  "http://127.0.0.1:22/debian/dists/trixie/InRelease",
  "/debian/dists/trixie/InRelease",
])("the proxy to Debian's archive refuses %s", async (path) => {
  const proxy = await startArchiveProxy(linesTo(() => {}));
  try {
    const status = await new Promise((resolve, reject) => {
      request({ host: "127.0.0.1", port: proxy.port, path }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .once("error", reject)
        .end();
    });
    expect(status).toBe(403);
  } finally {
    await proxy.close();
  }
});

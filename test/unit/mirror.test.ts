import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { get, request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dockerfileArg } from "../../proving-ground/mirror/build.ts";
import { formatChecksums, parseChecksums, sha256 } from "../../proving-ground/mirror/checksums.ts";
import { downloadRelease, OutOfReach } from "../../proving-ground/mirror/download.ts";
import { type Fault, type Mirror, startMirror } from "../../proving-ground/mirror/mirror.ts";
import { releaseAssets, releasesOf } from "../../proving-ground/mirror/releaseAssets.ts";
import { packTarball, unpackFromTarball } from "../../proving-ground/mirror/tarball.ts";
import { linesTo } from "../../runtime/progress.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "buildhosts-mirror-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("releaseAssets", () => {
  test.each([
    [
      "containerd",
      "v2.4.2",
      "linux/riscv64",
      "containerd/containerd/releases/download/v2.4.2",
      "containerd-2.4.2-linux-riscv64.tar.gz",
      "containerd-2.4.2-linux-riscv64.tar.gz.sha256sum",
    ],
    [
      "runc",
      "v1.5.2",
      "linux/arm64",
      "opencontainers/runc/releases/download/v1.5.2",
      "runc.arm64",
      "runc.sha256sum",
    ],
    [
      "buildkit",
      "v0.34.2",
      "linux/riscv64",
      "moby/buildkit/releases/download/v0.34.2",
      "buildkit-v0.34.2.linux-riscv64.tar.gz",
      "buildkit-v0.34.2.linux-riscv64.provenance.json",
    ],
    [
      "rootlesskit",
      "v2.3.6",
      "linux/arm64",
      "rootless-containers/rootlesskit/releases/download/v2.3.6",
      "rootlesskit-aarch64.tar.gz",
      "SHA256SUMS",
    ],
  ] as const)(
    "names the files of %s %s for %s as upstream does",
    (project, tag, platform, where, asset, checksums) => {
      expect(releaseAssets(project, tag, platform)).toEqual({ folder: where, asset, checksums });
    },
  );

  test("rootlesskit belongs to a set only where it is named", () => {
    const set = { containerd: "v2.4.2", runc: "v1.5.2", buildkit: "v0.34.2" };
    expect(releasesOf(set).map(([project]) => project)).toEqual(["runc", "containerd", "buildkit"]);
    expect(releasesOf({ ...set, rootlesskit: "v2.3.6" }).at(-1)).toEqual(["rootlesskit", "v2.3.6"]);
  });
});

const sumA = "a".repeat(64);
const sumB = "b".repeat(64);

describe("checksum files", () => {
  test("containerd's is what sha256sum prints", () => {
    expect(formatChecksums("containerd", { "containerd.tar.gz": sumA })).toBe(
      `${sumA}  containerd.tar.gz\n`,
    );
  });

  test("runc's stands in a clear-signed message, all architectures in order", () => {
    const text = formatChecksums("runc", { "runc.riscv64": sumA, "runc.arm64": sumB });
    expect(text).toMatch(
      new RegExp(
        "^-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" +
          `${sumB}  runc\\.arm64\n${sumA}  runc\\.riscv64\n` +
          "-----BEGIN PGP SIGNATURE-----\n[^]*-----END PGP SIGNATURE-----\n$",
      ),
    );
  });

  test("BuildKit's is the subject of an in-toto statement", () => {
    const text = formatChecksums("buildkit", { "buildkit.tar.gz": sumA });
    expect(JSON.parse(text)).toMatchObject({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: "buildkit.tar.gz", digest: { sha256: sumA } }],
    });
  });

  test.each(["containerd", "runc", "buildkit", "rootlesskit"] as const)(
    "%s's is read back as it was written",
    (project) => {
      const sums = { "one.tar.gz": sumA, "two.tar.gz": sumB };
      expect(parseChecksums(project, formatChecksums(project, sums))).toEqual(sums);
    },
  );

  test("other programs' spellings are read: binary mark, ./ and CRLF", () => {
    expect(parseChecksums("rootlesskit", `${sumA} *./one.tar.gz\r\n${sumB}  two\r\n`)).toEqual({
      "one.tar.gz": sumA,
      two: sumB,
    });
  });

  test("the sha256 of a file is the known one", async () => {
    writeFileSync(join(folder, "abc"), "abc");
    expect(await sha256(join(folder, "abc"))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });
});

test("BuildKit's Dockerfile names the versions that its archive holds", () => {
  const dockerfile = "# syntax=x\n\nARG RUNC_VERSION=v1.5.2\nARG CNI_VERSION=v1.9.1\n";
  expect(dockerfileArg(dockerfile, "CNI_VERSION")).toBe("v1.9.1");
  expect(() => dockerfileArg(dockerfile, "GO_VERSION")).toThrow("has no `ARG GO_VERSION=…`");
});

test("the same files make the same archive, and come out of it again", async () => {
  for (const name of ["one", "two"]) {
    mkdirSync(join(folder, name, "bin"), { recursive: true });
    writeFileSync(join(folder, name, "bin", "tool"), "tool", {
      mode: name === "one" ? 0o700 : 0o755,
    });
    await packTarball(join(folder, `${name}.tar.gz`), join(folder, name), ["bin"]);
  }
  expect(await sha256(join(folder, "one.tar.gz"))).toBe(await sha256(join(folder, "two.tar.gz")));
  await unpackFromTarball(join(folder, "one.tar.gz"), "bin/tool", folder);
  expect(await sha256(join(folder, "bin/tool"))).toBe(await sha256(join(folder, "one/bin/tool")));
});

describe("startMirror", () => {
  const path = "/moby/buildkit/releases/download/v1/asset.tar.gz";
  const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251));
  const faults: Fault[] = [];
  let mirror: Mirror;

  beforeEach(async () => {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    writeFileSync(join(dirname(file), ".asset.part"), "half");
    writeFileSync(join(dirname(folder), "outside"), "outside");
    faults.length = 0;
    mirror = await startMirror({ directories: [join(folder, "empty"), folder], faults });
  });
  afterEach(() => mirror.close());

  test("serves a file with its length from the first folder that has it", async () => {
    const response = await fetch(mirror.url + path);
    expect(response.headers.get("content-length")).toBe("100000");
    expect(Buffer.from(await response.arrayBuffer()).equals(content)).toBe(true);
    expect(mirror.requests).toEqual([{ path, status: 200 }]);
  });

  test("listens on loopback only", () => {
    expect(mirror.url).toBe(`http://127.0.0.1:${mirror.port}`);
  });

  test("answers HEAD without a body", async () => {
    const response = await fetch(mirror.url + path, { method: "HEAD" });
    expect(response.headers.get("content-length")).toBe("100000");
    expect(await response.text()).toBe("");
  });

  test.each([
    ["a file that is not there", "/moby/buildkit/none"],
    ["a folder", dirname(path)],
    ["a file that is being written", `${dirname(path)}/.asset.part`],
    ["a path that climbs out", "/%2e%2e/outside"],
    ["a path that climbs out, encoded twice over", "/moby/..%2f..%2foutside"],
  ])("answers 404 to %s", async (_, asked) => {
    expect(await statusOf(mirror.port, asked)).toBe(404);
    expect(mirror.requests).toHaveLength(1);
    expect(mirror.requests[0]?.status).toBe(404);
  });

  test("refuses to be written to", async () => {
    const response = await fetch(mirror.url + path, { method: "PUT", body: "x" });
    expect(response.status).toBe(405);
  });

  test("answers with the status of a fault, on matching paths only", async () => {
    faults.push({ match: /none$/, kind: "status", status: 500 });
    expect((await fetch(`${mirror.url}/none`)).status).toBe(500);
    expect((await fetch(mirror.url + path)).status).toBe(200);
  });

  test("corrupts one byte and keeps the length", async () => {
    faults.push({ match: /asset/, kind: "corrupt", afterBytes: 70_000 });
    const received = Buffer.from(await (await fetch(mirror.url + path)).arrayBuffer());
    const different = [...received.keys()].filter((index) => received[index] !== content[index]);
    expect(received).toHaveLength(content.length);
    expect(different).toEqual([70_000]);
  });

  test("truncates: announces everything, sends a part, closes", async () => {
    faults.push({ match: /asset/, kind: "truncate", afterBytes: 60_000 });
    expect(await download(mirror.url + path)).toEqual({ announced: 100_000, received: 60_000 });
  });

  test("stalls until the client gives up, and can be closed meanwhile", async () => {
    faults.push({ match: /asset/, kind: "stall", afterBytes: 10 });
    const response = await fetch(mirror.url + path);
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value).toHaveLength(10);
    const next = reader?.read().then(
      () => "more",
      () => "cut",
    );
    await mirror.close();
    expect(await next).toBe("cut");
  });

  test("says which port is taken", async () => {
    await expect(startMirror({ directories: [], port: mirror.port })).rejects.toThrow(
      `mirror: port ${mirror.port} on 127.0.0.1 is taken`,
    );
  });
});

describe("downloadRelease", () => {
  const platform = "linux/riscv64";
  const { folder: release, asset, checksums } = releaseAssets("runc", "v1.5.2", platform);
  const faults: Fault[] = [];
  let upstream: Mirror;
  let root: string;

  beforeEach(async () => {
    const published = join(folder, "published", release);
    mkdirSync(published, { recursive: true });
    writeFileSync(join(published, asset), "runc");
    const sums = { [asset]: await sha256(join(published, asset)) };
    writeFileSync(join(published, checksums), formatChecksums("runc", sums));
    faults.length = 0;
    upstream = await startMirror({ directories: [join(folder, "published")], faults });
    root = join(folder, "root");
  });
  afterEach(() => upstream.close());

  const download = (tag = "v1.5.2") =>
    downloadRelease(
      root,
      "runc",
      tag,
      platform,
      linesTo(() => {}),
      upstream.url,
    );

  test("leaves the asset and its checksum file, and nothing else", async () => {
    await download();
    expect(readdirSync(join(root, release)).sort()).toEqual([asset, checksums].sort());
  });

  test("refuses an asset with another sha256, and names both sums", async () => {
    faults.push({ match: /riscv64$/, kind: "corrupt" });
    await expect(download()).rejects.toThrow(
      /runc\.riscv64: its sha256 is [0-9a-f]{64}, but the release says [0-9a-f]{64}\./,
    );
    await expect(download()).rejects.not.toBeInstanceOf(OutOfReach);
    expect(readdirSync(join(root, release))).toEqual([]);
  });

  test.each<[string, Fault]>([
    ["404", { match: /sha256sum/, kind: "status", status: 404 }],
    ["500", { match: /riscv64$/, kind: "status", status: 500 }],
    ["broke off", { match: /riscv64$/, kind: "truncate", afterBytes: 2 }],
  ])("counts an upstream as out of reach that answers with %s", async (message, fault) => {
    faults.push(fault);
    const error = await download().catch((error) => error);
    expect(error).toBeInstanceOf(OutOfReach);
    expect(error.message).toContain(message);
  });

  test("counts an upstream as out of reach that is not there", async () => {
    await upstream.close();
    await expect(download()).rejects.toBeInstanceOf(OutOfReach);
  });

  test("refuses a release whose checksum file does not name the asset", async () => {
    writeFileSync(join(folder, "published", release, checksums), `${sumA}  runc.amd64\n`);
    await expect(download()).rejects.toThrow("runc.sha256sum: no sha256 of runc.riscv64 in it");
  });
});

/** The status of a request whose path is sent as it is; fetch would tidy it. */
function statusOf(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on("error", reject).end();
  });
}

/** What a download that is cut off was to be, and what came of it. */
function download(url: string): Promise<{ announced: number; received: number }> {
  return new Promise((resolve) => {
    get(url, (response) => {
      let received = 0;
      response.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      response.on("error", () => {});
      response.on("close", () =>
        resolve({ announced: Number(response.headers["content-length"]), received }),
      );
    });
  });
}

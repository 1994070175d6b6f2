// What shows that riscv64 works: an emulated board becomes a builder, builds, is upgraded and clean after its removal; and the
// workflow's own build of BuildKit runs on it; and a Docker host makes the image of ours and runs it. What does not depend on the architecture is shown on native boards.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { script } from "../../components/github/workflow.ts";
import { defaultVersions } from "../../config/versions.ts";
import { architectures } from "../../proving-ground/board/architectures.ts";
import { ensureHostPackages } from "../../proving-ground/board/hostPackages.ts";
import { startVirtualBoard, type VirtualBoard } from "../../proving-ground/board/virtualBoard.ts";
import { ensureReleaseAssets } from "../../proving-ground/mirror/assets.ts";
import { withBuildkitSource } from "../../proving-ground/mirror/build.ts";
import { type Mirror, startMirror } from "../../proving-ground/mirror/mirror.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { runScript } from "../unit/runScript.ts";
import { type Client, clientOf } from "./building.ts";
import { ground, otherBuildkit, TestStack } from "./ground.ts";
import { buildkitVersion, filesOf, on, pidsOf } from "./onBoard.ts";
import { type ImageGround, imageGround } from "./ownImages.ts";

const REPOSITORY = "builders/buildkit-riscv64";
const SHA = "0123456789abcdef0123456789abcdef01234567";

let folder: string;
let board: VirtualBoard;
let mirror: Mirror;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "buildhosts-riscv64-"));
  const directories: string[] = [];
  for (const buildkit of [defaultVersions.buildkit, otherBuildkit])
    directories.push(
      await ensureReleaseAssets("linux/riscv64", { ...defaultVersions, buildkit }, log),
    );
  mirror = await startMirror({ directories });
  const { instance } = await ground();
  board = await startVirtualBoard({ platform: "linux/riscv64", instance, log });
  await board.restore("booted");
});
afterAll(async () => {
  await mirror?.close();
  await board?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Each test begins where the one before it ended. */
describe("a riscv64 board", () => {
  let stack: TestStack;
  let client: Client;
  let filesBefore: string;

  beforeAll(async () => {
    stack = await TestStack.make({ ...(await ground()), board, mirror });
    filesBefore = await filesOf(board);
  });

  test("becomes a builder by one up", async () => {
    const up = await log.step("bring a riscv64 board up", () => stack.up());
    expect(up.code, up.output).toBe(0);
    expect((await stack.outputs()).builders).toEqual([
      expect.objectContaining({ name: "board", platforms: ["linux/riscv64"] }),
    ]);
    expect(await buildkitVersion(board)).toBe(defaultVersions.buildkit);
  });

  test("builds images over mutual TLS", async () => {
    client = await clientOf(stack);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(await build.file("built-on")).toBe("built on riscv64\n");
  });

  test("is left alone by a second up", async () => {
    const before = await pidsOf(board);
    const again = await stack.up();
    expect(again.code, again.output).toBe(0);
    expect(Object.keys(again.changes)).toEqual(["same"]);
    expect(await pidsOf(board)).toEqual(before);
  });

  test("gets another version of BuildKit and keeps its cache", async () => {
    await stack.configure(
      {},
      {
        "buildhosts:releases": { mirror: stack.mirrorUrl(mirror), buildkit: otherBuildkit },
      },
    );
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect(await buildkitVersion(board)).toBe(otherBuildkit);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(build.output).toContain("CACHED");
  });

  test("is clean after its removal", async () => {
    const down = await stack.destroy();
    expect(down.code, down.output).toBe(0);
    expect(await filesOf(board)).toBe(filesBefore);
  });
});

/** Each test begins where the one before it ended. */
describe("the build of BuildKit for riscv64", () => {
  const build = {
    SHA,
    BUILDKIT_REF: defaultVersions.buildkit,
    OFFICIAL: "true",
    IMAGE: `ghcr.io/${REPOSITORY}`,
    IMAGE_TAG: `${defaultVersions.buildkit}-riscv64`,
    RELEASE: `buildkit-${defaultVersions.buildkit}-riscv64`,
  };

  test("makes both programs of BuildKit's own source, and asks them who they are", async () => {
    // The programs are started here, by QEMU.
    await ensureHostPackages(architectures["linux/riscv64"], log);
    const { stdout } = await execa("go", ["env", "-json", "GOCACHE", "GOMODCACHE", "GOPROXY"]);
    const went = JSON.parse(stdout) as Record<string, string>;
    await withBuildkitSource(defaultVersions.buildkit, async (source, flags) => {
      const env = {
        ...went,
        GO_CACHE: went.GOCACHE ?? "",
        GO_MODULES: went.GOMODCACHE ?? "",
        ...build,
        SOURCE: source,
        // What a riscv64 runner has by itself.
        GOOS: "linux",
        GOARCH: "riscv64",
        GOFLAGS: flags.join(" "),
        GOWORK: "off",
      };
      const { code, log: said } = await log.step("build BuildKit by the workflow's script", () =>
        runScript("build-binaries.sh", env, folder, 540),
      );
      expect(code, said).toBe(0);
    });
    const described = JSON.parse(await readFile(join(folder, "dist", "BUILD.json"), "utf8"));
    expect(described).toMatchObject({
      release: build.RELEASE,
      commit: SHA,
      version: defaultVersions.buildkit,
      platform: "linux/riscv64",
    });
  });

  /** Phase 1 on the board, in the folder that has its dist/. */
  async function phase1(env: Record<string, string> = {}): Promise<{ code: number; said: string }> {
    const variables = Object.entries({ ...build, MACHINE: "riscv64", RUNNER_TEMP: "/tmp", ...env });
    const assignments = variables.map(([name, value]) => `${name}='${value}'`).join(" ");
    await on(board, "mkdir -p /srv/phase1");
    await board.ssh("cat >/srv/phase1/script.sh", script("test-binaries.sh"));
    const { code, stdout, stderr } = await board.ssh(
      `cd /srv/phase1 && env ${assignments} bash --noprofile --norc -e -o pipefail script.sh 2>&1`,
    );
    return { code, said: `${stdout}${stderr}` };
  }

  test("phase 1 on the board finds them as they should be", async () => {
    await execa("tar", ["-C", folder, "-cf", join(folder, "dist.tar"), "dist"]);
    const mirror = await startMirror({ directories: [folder] });
    try {
      const { gateway } = board.connection;
      await on(
        board,
        `mkdir -p /srv/phase1 && curl -fsS http://${gateway}:${mirror.port}/dist.tar | tar -C /srv/phase1 -xf -`,
      );
    } finally {
      await mirror.close();
    }
    const { code, said } = await phase1();
    expect(code, said).toBe(0);
    for (const program of ["buildkitd", "buildctl"])
      expect(said).toContain(
        `${program} github.com/moby/buildkit ${defaultVersions.buildkit} ${SHA}`,
      );
  });

  test.each([
    [
      "of another release",
      { BUILDKIT_REF: "v0.34.1" },
      "",
      "buildkitd says another version than v0.34.1",
    ],
    [
      "for another machine",
      {},
      "printf x | dd of=dist/buildctl bs=1 seek=18 conv=notrunc",
      "buildctl is for another machine",
    ],
    [
      "of the distribution, linked dynamically",
      {},
      "cp /bin/true dist/buildctl",
      "buildctl is linked dynamically",
    ],
    ["cut off", {}, "truncate -s 4M dist/buildctl", "buildctl does not start"],
  ])("phase 1 on the board refuses programs %s", async (_, env, damage, message) => {
    const whole = "cd /srv/phase1 && cp --reflink=auto dist/buildctl whole";
    await on(board, `${whole} && { ${damage || "true"}; } 2>&1`);
    const { code, said } = await phase1(env);
    await on(board, "cd /srv/phase1 && mv whole dist/buildctl");
    expect(said).toContain(`::error::${message}`);
    expect(code).not.toBe(0);
  });
});

/** Each test begins where the one before it ended. The board is off by then: two emulated machines fill this one. */
describe("the image of ours for riscv64", { timeout: 1_200_000 }, () => {
  let images: ImageGround;
  let image: string;

  beforeAll(async () => {
    await board.stop();
    images = await imageGround("linux/riscv64");
  });
  afterAll(() => images?.close());

  test("is built by a builder of a riscv64 Docker host and pushed", async () => {
    await images.configure([images.maker()]);
    const up = await images.stack.up();
    expect(up.code, up.output).toBe(0);
    image = await log.step("build our image for riscv64", () => images.build("buildkit"));
  });

  test("is a builder there, in the other's place", async () => {
    const owner = { name: "owner", port: 1235 as const, image, network: "bridge" };
    await images.configure([owner]);
    const up = await images.stack.up();
    expect(up.code, up.output).toBe(0);
    expect(await on(images.host, "docker ps --format '{{.Names}} {{.Status}}'")).toMatch(
      /^owner Up .* \(healthy\)$/,
    );
    const build = await (await clientOf(images.stack)).build();
    expect(build.code, build.output).toBe(0);
    expect(await build.file("built-on")).toBe("built on riscv64\n");
  });
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defaultVersions } from "../../config/versions.ts";
import { startVirtualBoard, type VirtualBoard } from "../../proving-ground/board/virtualBoard.ts";
import { ensureReleaseAssets } from "../../proving-ground/mirror/assets.ts";
import { type Mirror, startMirror } from "../../proving-ground/mirror/mirror.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { clientOf } from "./building.ts";
import { ground, TestStack } from "./ground.ts";
import { filesOf } from "./onBoard.ts";

/**
 * That nothing holds for riscv64 only. A second board and a second set of releases take minutes to make
 * and room in the cache: BUILDHOSTS_TEST_ARM64=1 asks for it.
 */
describe.skipIf(process.env.BUILDHOSTS_TEST_ARM64 !== "1")("an arm64 board", () => {
  let board: VirtualBoard;
  let mirror: Mirror;

  beforeAll(async () => {
    const { instance } = await ground();
    const { containerd, runc, buildkit } = defaultVersions;
    const set = { containerd, runc, buildkit };
    const releases = await ensureReleaseAssets("linux/arm64", set, log);
    mirror = await startMirror({ directories: [releases] });
    board = await startVirtualBoard({ platform: "linux/arm64", instance, log });
    await board.restore("booted");
  });
  afterAll(async () => {
    await mirror?.close();
    await board?.stop();
  });

  test("becomes a builder of arm64 images, and is clean after its removal", async () => {
    const filesBefore = await filesOf(board);
    const stack = await TestStack.make({ ...(await ground()), board, mirror });
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect((await stack.outputs()).builders).toEqual([
      expect.objectContaining({ name: "board", platforms: ["linux/arm64"] }),
    ]);
    const client = await clientOf(stack);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(await build.file("built-on")).toBe("built on aarch64\n");
    expect((await stack.destroy()).code).toBe(0);
    expect(await filesOf(board)).toBe(filesBefore);
  });
});

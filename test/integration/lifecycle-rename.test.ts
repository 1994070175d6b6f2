import { beforeAll, describe, expect, test } from "vitest";
import { clientOf } from "./building.ts";
import { provisioned, type Scene, TestStack } from "./ground.ts";
import { on, pidsOf } from "./onBoard.ts";

const owner = (board: Scene["board"]) => on(board, "cat /usr/local/lib/buildhosts/name");

/** Each test begins where the one before it ended. */
describe("a board with another name", () => {
  let board: Scene["board"];
  let stack: Scene["stack"];
  let pids: unknown;

  beforeAll(async () => {
    ({ board, stack } = await provisioned());
    pids = await pidsOf(board);
  });

  const untouched = async () => {
    expect(await pidsOf(board)).toEqual(pids);
    expect((await (await clientOf(stack)).buildctl("debug", "workers")).code).toBe(0);
  };

  test("is refused where nobody says that it is the same: nothing is installed and nothing removed", async () => {
    // In a state of its own: the component has the new name from then on, and its steps are others.
    const refused = await stack.copy();
    await refused.configure({ name: "lab" });
    const up = await refused.up();
    expect(up.code).not.toBe(0);
    expect(up.output).toContain(
      "1. this machine is the board 'board' of the same stack already, and what runs there would be taken over",
    );
    expect(up.output).toContain("set formerName: board; the board goes on as it is");
    expect(await owner(board)).toBe("buildhosts/test/board");
    await untouched();
  });

  test("goes on under it, with its certificate, its cache and the very processes", async () => {
    await stack.configure({ name: "lab", formerName: "board" });
    const preview = await stack.preview();
    expect(preview.changes.update, preview.output).toEqual(["lab-preflight", "lab.removal"]);
    const kept = ["create", "delete", "replace"].filter((op) => preview.changes[op] !== undefined);
    expect(kept).toEqual([]);
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect(await owner(board)).toBe("buildhosts/test/lab");
    await untouched();
    expect(Object.keys((await stack.up()).changes)).toEqual(["same"]);
  });

  test("is as it is when its steps are replaced: a repair takes nothing away", async () => {
    await stack.configure({ name: "lab", removeCacheOnDelete: true });
    expect((await stack.up()).code).toBe(0);
    const cache = "stat -c %i /var/lib/buildkit/buildkitd.lock /var/lib/buildkit/cache.db";
    const before = await on(board, cache);
    const store = await on(board, "ls -id /usr/local/lib/buildhosts/store/*");
    const up = await stack.up("--replace", "**:remote:*::lab-*");
    expect(up.code, up.output).toBe(0);
    expect(up.changes.replace).toEqual([
      "lab-config",
      "lab-install",
      "lab-preflight",
      "lab-service",
    ]);
    expect(await on(board, cache)).toBe(before);
    expect(await on(board, "ls -id /usr/local/lib/buildhosts/store/*")).toBe(store);
    await untouched();
  });

  test("is not another stack's, which may take it over and then alone removes it", async () => {
    const other = await TestStack.make(stack.ground, "other");
    await other.configure({ name: "lab" });
    const refused = await other.up();
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain(
      "1. this machine is the board 'lab' of the stack 'buildhosts/test', and what runs there would be taken over",
    );
    await untouched();

    await other.configure({ name: "lab", formerName: "buildhosts/test/lab" });
    const taken = await other.up();
    expect(taken.code, taken.output).toBe(0);
    expect(await owner(board)).toBe("buildhosts/other/lab");
    const after = await pidsOf(board);
    const removed = await stack.destroy();
    expect(removed.code, removed.output).toBe(0);
    expect(removed.output).toContain(
      "lab: this installation belongs to buildhosts/other/lab, not to buildhosts/test/lab, so it stays",
    );
    expect(await pidsOf(board)).toEqual(after);
    expect((await (await clientOf(other)).buildctl("debug", "workers")).code).toBe(0);
    const destroyed = await other.destroy();
    expect(destroyed.code, destroyed.output).toBe(0);
    expect(
      await on(board, "ls -d /usr/local/lib/buildhosts /run/buildhosts 2>/dev/null || echo none"),
    ).toBe("none");
  });
});

test("a board that was refused under its new name keeps its certificate and its processes once formerName says it", async () => {
  const { board, stack } = await provisioned();
  const pids = await pidsOf(board);
  const certificate = await on(board, "cat /etc/buildkit/cert.pem");
  await stack.configure({ name: "lab" });
  expect((await stack.up()).code).not.toBe(0);
  await stack.configure({ name: "lab", formerName: "board" });
  const up = await stack.up();
  expect(up.code, up.output).toBe(0);
  expect(await owner(board)).toBe("buildhosts/test/lab");
  expect(await pidsOf(board)).toEqual(pids);
  expect(await on(board, "cat /etc/buildkit/cert.pem")).toBe(certificate);
  expect(Object.keys((await stack.up()).changes)).toEqual(["same"]);
});

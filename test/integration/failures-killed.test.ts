import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { forgetRepeatable, takeLockAway } from "../../commands/lib/killedRun.ts";
import { linesTo } from "../../runtime/progress.ts";
import { defaultClient, handshake } from "./clients.ts";
import { clean, provisioned, type TestStack } from "./ground.ts";
import { hold } from "./heldStep.ts";
import { startUp } from "./killedUp.ts";
import { eventually, on, pidsOf } from "./onBoard.ts";
import { stateOf } from "./state.ts";

test("pulumi is killed while the board installs; without its lock, the next up waits its turn and converges", async () => {
  const { board, stack } = await provisioned();
  const client = defaultClient(await stateOf(stack));
  const pids = await pidsOf(board);

  // Another worker and another runc: a change of two steps that may run at the same time.
  await stack.configure(
    { buildkitd: { log: { level: "debug" } } },
    { "buildhosts:releases": { mirror: stack.mirrorUrl(), runc: "v1.3.0" } },
  );
  const step = await hold(board, "mv", "*store/runc-v1.3.0-*");
  const up = startUp(stack);
  await step.reached();
  await up.kill();
  expect(await pidsOf(board)).toEqual(pids);
  expect(await handshake({ board, stack }, client)).toBe("");

  const blocked = await stack.up();
  expect(blocked.code).not.toBe(0);
  expect(blocked.output).toContain("the stack is currently locked");
  const session = sessionOf(stack);
  const lines: string[] = [];
  const log = linesTo((line) => lines.push(line));
  expect(await takeLockAway(session, true, log)).toBeUndefined();
  expect(lines).toEqual([expect.stringMatching(/, which was killed; its lock is removed$/)]);

  // The script of the killed run is still at work on the board; those of this run wait for it.
  const again = stack.up();
  const waiting = "pgrep -xc flock || :";
  await eventually("another boardctl to wait for the lock", 90, async () =>
    on(board, waiting).then((count) => Number(count) >= 2),
  );
  // Whoever has the lock has a child that works.
  const working = "for lock in $(pgrep -x flock); do pgrep -P $lock; done | wc -l";
  expect(await on(board, working)).toBe("1");
  await step.release();
  const { code, output } = await again;
  expect(output).not.toContain("error:");
  expect(code).toBe(0);
  expect(await handshake({ board, stack }, client)).toBe("");
  expect(await on(board, "/usr/local/sbin/runc --version")).toContain("1.3.0");
  expect((await stack.up()).changes.update).toBeUndefined();
});

test("pulumi is killed at a first install; what it had begun is forgotten, and the next up makes all of it", async () => {
  const { board, stack } = await clean();
  const step = await hold(board, "mv", "*store/runc-*");
  const up = startUp(stack);
  await step.reached();
  await up.kill();
  await step.release();

  const session = sessionOf(stack);
  const lines: string[] = [];
  const log = linesTo((line) => lines.push(line));
  expect(await takeLockAway(session, true, log)).toBeUndefined();
  await forgetRepeatable(session, log);
  expect(lines[1]).toMatch(
    /^ {2}stack 'test': a run was killed at .*board-install.*; this run repeats the unfinished ones that the stack still has$/,
  );
  const { code, output } = await stack.up();
  expect(output).not.toMatch(/error:|pending operations|AWS/);
  expect(code).toBe(0);
  expect(await handshake({ board, stack }, defaultClient(await stateOf(stack)))).toBe("");
  expect(Object.keys((await stack.up()).changes)).toEqual(["same"]);
});

/** What the tools know of a stack of theirs. */
function sessionOf(stack: TestStack) {
  return {
    stack: stack.name,
    project: "buildhosts",
    backend: `file://${join(stack.folder, "state")}`,
    exported: async () => JSON.parse((await stack.pulumi(["stack", "export"])).output),
    imported: async (state: object) => {
      const file = join(stack.folder, "state.json");
      await writeFile(file, JSON.stringify(state));
      const { code, output } = await stack.pulumi(["stack", "import", "--file", file]);
      if (code !== 0) throw new Error(output);
    },
  };
}

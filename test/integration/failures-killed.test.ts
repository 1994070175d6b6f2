import { expect, test } from "vitest";
import { defaultClient, handshake } from "./clients.ts";
import { provisioned } from "./ground.ts";
import { hold } from "./heldStep.ts";
import { startUp } from "./killedUp.ts";
import { eventually, on, pidsOf } from "./onBoard.ts";
import { stateOf } from "./state.ts";

test("pulumi is killed while the board installs; after cancel, the next up waits its turn and converges", async () => {
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
  expect((await stack.pulumi(["cancel", "--yes"])).code).toBe(0);

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

// The board that the other tests stand on.

import { expect, test } from "vitest";
import { clean } from "./ground.ts";
import { on } from "./onBoard.ts";

test("a board's clocks go on from the snapshot, however long it ran before it was restored", async () => {
  const { board } = await clean();
  const first = await uptime();
  await on(board, "sleep 3");
  await board.restore("booted");
  const second = await uptime();
  expect(second.monotonic).toBeLessThan(first.monotonic + 3);
  // The scheduler's clock, by which the kernel dates its messages: where it runs backwards, nothing is preempted.
  for (const { monotonic, scheduler } of [first, second])
    expect(Math.abs(scheduler - monotonic)).toBeLessThan(3);

  async function uptime() {
    const said = await on(board, "echo now >/dev/kmsg; cat /proc/uptime; dmesg | tail -n 1");
    const [, monotonic, scheduler] = /^([\d.]+) .*\n\[ *([\d.]+)\] now/.exec(said) ?? [];
    return { monotonic: Number(monotonic), scheduler: Number(scheduler) };
  }
});

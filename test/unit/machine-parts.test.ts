import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isGone, until } from "../../proving-ground/board/machineParts.ts";

const parts = join(import.meta.dirname, "../../proving-ground/board/machineParts.ts");

/** A process that watches another one, whose id it says; `end` is how it ends by itself. */
function watcher(end: string) {
  const program = `
    import { spawn } from "node:child_process";
    import { atOurEnd } from ${JSON.stringify(parts)};
    const machine = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
    const forget = atOurEnd(() => process.kill(machine.pid, "SIGKILL"));
    console.log(machine.pid);
    ${end}
  `;
  return spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

const isThere = (pid: number) => existsSync(`/proc/${pid}`);

describe("a machine that nobody else would look for", () => {
  test.each([
    ["is interrupted", "SIGINT", "setInterval(() => {}, 1000);"],
    ["is ended", "SIGTERM", "setInterval(() => {}, 1000);"],
    ["exits", null, "process.exit(3);"],
  ] as const)("ends when its maker %s", async (_, signal, end) => {
    const maker = watcher(end);
    const ended = once(maker, "exit");
    const [said] = await once(maker.stdout, "data");
    const machine = Number(said);
    if (signal) maker.kill(signal);
    expect(await ended).toEqual(signal ? [null, signal] : [3, null]);
    await until(10, "the machine to end", () => isGone(machine));
  });

  test("goes on when its maker has let go of it", async () => {
    const maker = watcher("forget(); process.exit(0);");
    const ended = once(maker, "exit");
    const [said] = await once(maker.stdout, "data");
    await ended;
    const machine = Number(said);
    expect(isThere(machine)).toBe(true);
    process.kill(machine, "SIGKILL");
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { failedStep, inBoth, linesTo, liveOn } from "../../runtime/progress.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Work that ends when it is told to. */
const work = () => Promise.withResolvers<string>();

describe("progress in a log", () => {
  let lines: string[];
  let log: ReturnType<typeof linesTo>;
  beforeEach(() => {
    lines = [];
    log = linesTo((line) => lines.push(line));
  });

  test("tells of a step that fails, and throws what it threw", async () => {
    const error = new Error("no");
    const failing = work();
    const step = log.step("a", () => failing.promise);
    await vi.advanceTimersByTimeAsync(1200);
    failing.reject(error);
    await expect(step).rejects.toBe(error);
    expect(lines).toEqual(["… a", "✗ a (1.2 s)"]);
    expect(failedStep(error)).toBe("a");
  });

  test("has one line in 30 s for all steps that still run, and none for those that have ended", async () => {
    const [a, b] = [work(), work()];
    const first = log.step("a", () => a.promise);
    await vi.advanceTimersByTimeAsync(10_000);
    const second = log.step("b", () => b.promise);
    await vi.advanceTimersByTimeAsync(20_000);
    a.resolve("of a");
    expect(await first).toBe("of a");
    await vi.advanceTimersByTimeAsync(30_000);
    b.resolve("of b");
    expect(await second).toBe("of b");
    await vi.advanceTimersByTimeAsync(120_000);
    log.note("all is there");
    expect(lines).toEqual([
      "… a",
      "… b",
      "  … still running: a (30 s), b (20 s)",
      "✓ a (30.0 s)",
      "  … still running: b (50 s)",
      "✓ b (50.0 s)",
      "  all is there",
    ]);
  });
});

describe("progress on a terminal", () => {
  /** What is on the screen: a carriage return and "erase to the end" is all that is used. */
  function screen(columns: number) {
    const lines = [""];
    return {
      columns,
      lines,
      write(text: string) {
        for (const [index, written] of text.split("\r\u001b[K").entries()) {
          if (index > 0) lines[lines.length - 1] = "";
          const [first, ...more] = written.split("\n");
          lines[lines.length - 1] += first ?? "";
          lines.push(...more);
        }
        return true;
      },
    };
  }

  test("is one line with what is left, below what has ended", async () => {
    const terminal = screen(80);
    const log = liveOn(terminal);
    const [a, b] = [work(), work()];
    const first = log.step("a", () => a.promise);
    const second = log.step("b", () => b.promise);
    await vi.advanceTimersByTimeAsync(3000);
    expect(terminal.lines).toEqual(["… 2 steps left: a (3 s), b (3 s)"]);
    log.note("half is there");
    expect(terminal.lines).toEqual(["  half is there", "… 2 steps left: a (3 s), b (3 s)"]);
    a.resolve("");
    await first;
    expect(terminal.lines.slice(1)).toEqual(["✓ a (3.0 s)", "… 1 step left: b (3 s)"]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(terminal.lines.at(-1)).toBe("… 1 step left: b (5 s)");
    b.resolve("");
    await second;
    expect(terminal.lines).toEqual(["  half is there", "✓ a (3.0 s)", "✓ b (5.0 s)", ""]);
  });

  test("is never longer than the terminal is wide, where it could not be taken away", async () => {
    const terminal = screen(30);
    const log = liveOn(terminal);
    void log.step("make a Debian trixie for riscv64", () => work().promise);
    expect(terminal.lines).toEqual(["… 1 step left: make a Debian…".slice(0, 28).concat("…")]);
    expect(terminal.lines[0]).toHaveLength(29);
  });

  test("leaves the line to others when it is closed", () => {
    const terminal = screen(80);
    const log = liveOn(terminal);
    void log.step("a", () => work().promise);
    log.close();
    expect(terminal.lines).toEqual([""]);
  });
});

test("of steps within steps, the innermost is the one that failed, whatever was made of its error", async () => {
  const log = linesTo(() => {});
  const inner = log.step("inner", () => Promise.reject(new Error("cause")));
  const outer = log.step("outer", () =>
    inner.catch((cause) => Promise.reject(new Error("more about it", { cause }))),
  );
  const error = await outer.catch((caught: Error) => caught);
  expect(error).toMatchObject({ message: "more about it" });
  expect(failedStep(error)).toBe("inner");
  expect(failedStep(new Error("of no step"))).toBeUndefined();
  expect(failedStep("no error")).toBeUndefined();
});

test("details go where they are wanted, and nowhere else", async () => {
  const [short, long]: [string[], string[]] = [[], []];
  const log = inBoth(
    linesTo((line) => short.push(line)),
    { ...linesTo((line) => long.push(line)), detail: (text) => long.push(text) },
  );
  expect(
    await log.step("a", async () => {
      log.detail?.("much");
      log.note("little");
      return 1;
    }),
  ).toBe(1);
  expect(short).toEqual(["… a", "  little", "✓ a (0.0 s)"]);
  expect(long).toEqual(["… a", "much", "  little", "✓ a (0.0 s)"]);
});

import { expect, test } from "vitest";
import type { EngineRun } from "../../commands/lib/engineSession.ts";
import { runMending } from "../../commands/lib/mending.ts";
import { planOf } from "../../commands/lib/plan.ts";

/** A session in which runs end as they are told, one after the other. */
function session(...ends: Partial<EngineRun>[]) {
  const runs: string[][] = [];
  const run = async (args: string[]): Promise<EngineRun> => {
    runs.push(args);
    return { code: 0, explanations: [], plan: () => planOf(""), ...ends[runs.length - 1] };
  };
  const notes: string[] = [];
  return { stack: "home", run, runs, notes, note: (line: string) => notes.push(line) };
}

const gone = (board: string) => ({ resource: `${board}-service`, line: "…", resetBoard: board });
const other = { resource: "c-service", line: "the update failed" };

test("an update that meets boards that were reset is run again, with every step of theirs", async () => {
  const one = session({ code: 1, explanations: [gone("a"), other, gone("b"), gone("a")] });
  expect(await runMending(one, ["up", "--yes"], one)).toMatchObject({ code: 0 });
  expect(one.runs).toEqual([
    ["up", "--yes"],
    ["up", "--yes", "--replace", "**:remote:*::a-*", "--replace", "**:remote:*::b-*"],
  ]);
  expect(one.notes).toEqual([
    "stack 'home': what was installed on a, b is gone, as if reset; the update is run again, with every step there",
  ]);
});

test("but once, however that ends", async () => {
  const failing = { code: 1, explanations: [gone("a")] };
  const one = session(failing, failing);
  expect(await runMending(one, ["up"], one)).toMatchObject(failing);
  expect(one.runs).toHaveLength(2);
});

test.each<[string, Partial<EngineRun>]>([
  ["succeeds", {}],
  ["fails for another reason", { code: 1, explanations: [other] }],
])("one that %s is not", async (_, end) => {
  const one = session(end);
  await runMending(one, ["up"], one);
  expect(one.runs).toHaveLength(1);
  expect(one.notes).toEqual([]);
});

import { expect, test } from "vitest";
import { explain } from "../../commands/lib/explain.ts";
import { runMending } from "../../commands/lib/mending.ts";
import { planOf } from "../../commands/lib/plan.ts";
import { defaultClient, handshake } from "./clients.ts";
import { provisioned, type Run } from "./ground.ts";
import { stateOf } from "./state.ts";

// drift.test.ts has one that a look finds.
test("a board that was reset is a builder again after an update that meets it, where nothing looks before", async () => {
  const scene = await provisioned();
  const { board, stack } = scene;
  await board.restore("booted");
  const unseen = { "buildhosts:driftCheck": false };
  await stack.configure({ extraNames: ["another.example.com"] }, unseen);

  const runs: Run[] = [];
  const run = async (args: string[]) => {
    const one = await stack.operation(args);
    runs.push(one);
    return { code: one.code, explanations: explain(one.events), plan: () => planOf(one.events) };
  };
  const notes: string[] = [];
  const up = ["up", "--yes", "--skip-preview"];
  const log = { note: (line: string) => void notes.push(line) };
  const { code } = await runMending({ stack: stack.name, run }, up, log);

  const [first, second] = runs;
  if (!first || !second) throw new Error(`${runs.length} runs: ${first?.output}`);
  expect(explain(first.events)).toEqual([
    {
      resource: "board-service",
      line: expect.stringMatching(/^what buildhosts installed on this board is gone, .*--replace/),
      resetBoard: "board",
    },
  ]);
  expect(notes).toEqual([expect.stringContaining("installed on board is gone")]);
  expect(code, second.output).toBe(0);
  expect(await handshake(scene, defaultClient(await stateOf(stack)))).toBe("");
  expect(Object.keys((await stack.up()).changes)).toEqual(["same"]);
});

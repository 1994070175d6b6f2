import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { explain } from "../../commands/lib/explain.ts";
import { provisioned } from "./ground.ts";

test("a board that is off does not block destroy: the error says the way out, and the way is open", async () => {
  const { board, stack } = await provisioned();
  await board.powerOff();

  const refused = await stack.destroy();
  expect(refused.code).not.toBe(0);
  expect(refused.seconds).toBeLessThan(120);
  const lines = explain(await readFile(join(stack.folder, "events.jsonl"), "utf8")).map(
    ({ resource, line }) => `${resource}: ${line}`,
  );
  expect(lines).toContainEqual(expect.stringMatching(/^board\.removal: .*nothing listens/));
  expect(lines).toContainEqual(
    expect.stringMatching(/^board\.removal: .*set abandon: true for it and run the update once/),
  );

  // Neither of these asks anything of the board: it is still off.
  await stack.configure({ abandon: true });
  const abandoned = await stack.up();
  expect(abandoned.output).not.toContain("error:");
  expect(abandoned.code).toBe(0);
  const destroyed = await stack.destroy();
  expect(destroyed.output).not.toContain("error:");
  expect(destroyed.code).toBe(0);
  expect(await board.running()).toBe(false);
});

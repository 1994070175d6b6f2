import { toStderr as log } from "../runtime/progress.ts";
import { ended, runTool } from "./lib/ending.ts";
import { toolOptions } from "./lib/options.ts";
import { print, table, warn } from "./lib/output.ts";
import { behindPins, readPins } from "./lib/pins.ts";

toolOptions({
  usage: "npm run pins --",
  summary:
    "Says which pinned versions are behind, with the reason for those that stay, and changes nothing.\nIt asks npm, Go's module proxy, PyPI and GitHub.",
  onStack: false,
});

await runTool(async () => {
  const { pins, unasked } = await log.step("ask for the newest versions", readPins);
  log.close();
  const behind = behindPins(pins);
  if (behind.length > 0) {
    print(
      table(
        ["PIN", "HAS", "NEWEST", "FILE", "STAYS BECAUSE"],
        behind.map(({ name, version, newest, file, reason, isHeld }) => [
          name,
          version,
          newest,
          file,
          isHeld ? String(reason) : reason === undefined ? "" : `(for an older version:) ${reason}`,
        ]),
      ),
    );
  }
  for (const { name, reason } of unasked) warn(`${name}: no answer: ${reason}`);
  const due = behind.filter(({ isHeld }) => !isHeld).length;
  const line = `${due} to raise, ${behind.length - due} stay, ${unasked.length} without an answer`;
  return due > 0 ? ended.failed(line) : ended.well(line);
});

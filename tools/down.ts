import { rm } from "node:fs/promises";
import { join } from "node:path";
import { findVirtualBoard, instanceOf } from "../proving-ground/board/virtualBoard.ts";
import { toStderr as log } from "../proving-ground/progress.ts";
import { ended, runTool } from "./ending.ts";
import { DEV, engineSession } from "./engineSession.ts";
import { toolOptions } from "./options.ts";
import { localDir, projectDir, virtualBoards } from "./stackFile.ts";

const { stack, pulumiArgs, values } = toolOptions({
  usage: "npm run down --",
  summary:
    "Takes everything that the stack installed away from its hosts, and stops the virtual boards.\nThe build cache on a host stays, unless the stack says removeCacheOnDelete.",
  options: { yes: "do not ask before removing anything (the dev stack never asks)" },
  passes: true,
});

await runTool(async () => {
  const requests = await virtualBoards(stack);
  for (const { platform } of requests) {
    const board = await findVirtualBoard(instanceOf(projectDir), platform);
    // After a restart of this machine: what is to be removed from the board needs it to answer.
    if (!board || (await board.running())) continue;
    await log.step(`start the virtual board (${platform})`, () => board.start());
    board.disconnect();
  }
  const session = await engineSession(stack, log);
  const unasked = stack === DEV ? ["--yes", "--skip-preview"] : values.yes ? ["--yes"] : [];
  const { code, explanations } = await session.run(["destroy", ...unasked, ...pulumiArgs]);
  if (code !== 0) return ended.failed(`down failed on stack '${stack}'`, explanations);
  for (const { platform } of requests) {
    const board = await findVirtualBoard(instanceOf(projectDir), platform);
    if (board) await log.step(`stop the virtual board (${platform})`, () => board.stop());
  }
  await rm(join(localDir, "clients", stack), { recursive: true, force: true });
  return ended.well(
    `stack '${stack}' is down${requests.length > 0 ? "; nothing of it runs any more" : ""}`,
  );
});

import { toStderr as log } from "../proving-ground/progress.ts";
import { ended, runTool } from "./ending.ts";
import { DEV, engineSession } from "./engineSession.ts";
import { toolOptions } from "./options.ts";
import { startProvingGround } from "./provingGround.ts";
import { buildSample } from "./sample.ts";
import { showBuilders } from "./showBuilders.ts";

const { stack, pulumiArgs, values } = toolOptions({
  usage: "npm run up --",
  summary:
    "Makes the machines of a stack BuildKit builders. The dev stack boots a virtual riscv64 board first,\nand builds an image on it in the end; every other stack works on the hosts that it names.",
  options: { yes: "do not ask before changing anything (the dev stack never asks)" },
  passes: true,
});

await runTool(async () => {
  const [ground, session] = await Promise.all([
    startProvingGround(stack, log),
    engineSession(stack, log),
  ]);
  try {
    // There is nobody to protect from a change of the virtual board.
    const unasked = stack === DEV ? ["--yes", "--skip-preview"] : values.yes ? ["--yes"] : [];
    const { code, explanations } = await session.run(["up", ...unasked, ...pulumiArgs]);
    if (code !== 0) return ended.failed(`up failed on stack '${stack}'`, explanations);
    const outputs = await session.outputs();
    if (ground) await buildSample(outputs, ground.boards, log);
    await showBuilders(stack, outputs);
    return ended.well(`stack '${stack}' is up`);
  } finally {
    await ground?.close();
  }
});

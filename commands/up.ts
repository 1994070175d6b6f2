import { ensureBuildctl } from "../proving-ground/mirror/assets.ts";
import { askingRunner } from "./lib/asking.ts";
import { ended, runTool } from "./lib/ending.ts";
import { forgetRepeatable, takeLockAway } from "./lib/killedRun.ts";
import { runMending } from "./lib/mending.ts";
import { toolOptions } from "./lib/options.ts";
import { startSession } from "./lib/provingGround.ts";
import { buildSample } from "./lib/sample.ts";
import { showBuilders } from "./lib/showBuilders.ts";
import { isProvingGround } from "./lib/stackFile.ts";
import { toolLog } from "./lib/toolLog.ts";

const { stack, pulumiArgs, values } = toolOptions({
  usage: "npm run up --",
  summary:
    "Makes the machines of a stack BuildKit builders. The stack dev boots a virtual riscv64 board first,\nnative one at this machine's speed, docker a virtual Docker host, and github a board and a GitHub on loopback; these stacks build an image\nat the end. Every other stack works on the hosts that it names.",
  options: {
    yes: "do not ask before changing anything (the stacks dev, native, docker and github never ask)",
  },
  passes: true,
});

const log = toolLog("up");
await runTool(async () => {
  const { ground, session } = await startSession(stack, log);
  // Where it must be built, that takes a minute: it is done while the machines are made builders.
  const buildctl = ground && ensureBuildctl(log.quiet);
  buildctl?.catch(() => {}); // It is told below.
  try {
    // There is nobody to protect from a change of a virtual machine.
    const unasked = isProvingGround(stack)
      ? ["--yes", "--skip-preview"]
      : values.yes
        ? ["--yes"]
        : [];
    const locked = await takeLockAway(session, unasked.length > 0, log);
    if (locked !== undefined) return ended.failed(locked);
    await forgetRepeatable(session, log);
    // A GitHub that was just started has nothing of what the state says.
    const looking = ground?.github?.isNew ? ["--refresh"] : [];
    const args = ["up", ...unasked, ...looking, ...pulumiArgs];
    const run = askingRunner(session, `Update stack '${stack}'?`);
    const { code, explanations, isDeclined } = await runMending({ stack, run }, args, log);
    if (isDeclined) return ended.failed(`stack '${stack}': nothing was changed`);
    if (code !== 0) return ended.failed(`up failed on stack '${stack}'`, explanations);
    const outputs = await session.outputs();
    if (ground && buildctl) {
      const ready = await Promise.race([buildctl, undefined]);
      const program = ready ?? (await log.step("make buildctl ready", () => buildctl));
      await buildSample(outputs, ground.machines, program, log);
    }
    await showBuilders(stack, outputs);
    return ended.well(`stack '${stack}' is up`);
  } finally {
    await ground?.close();
  }
}, log);

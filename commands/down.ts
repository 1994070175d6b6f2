import { askingRunner } from "./lib/asking.ts";
import { removeKeys } from "./lib/clientFiles.ts";
import { ended, runTool } from "./lib/ending.ts";
import { engineSession } from "./lib/engineSession.ts";
import { takeLockAway } from "./lib/killedRun.ts";
import { toolOptions } from "./lib/options.ts";
import { findProvingGround, startGithubOf } from "./lib/provingGround.ts";
import { showPlan } from "./lib/showPlan.ts";
import { sayingSilence } from "./lib/silentHosts.ts";
import { isProvingGround, localDir } from "./lib/stackFile.ts";
import { toolLog } from "./lib/toolLog.ts";

const { stack, pulumiArgs, values } = toolOptions({
  usage: "npm run down --",
  summary:
    "Removes everything that the stack installed on its hosts, and stops the virtual machines.\nThe build cache on a host stays, unless the stack says removeCacheOnDelete.",
  options: {
    yes: "do not ask before removing anything (the stacks dev, native, docker and github never ask)",
  },
  passes: true,
});

const log = toolLog("down");
await runTool(async () => {
  for (const machine of await findProvingGround(stack)) {
    // After a restart of this machine: a removal needs a board that answers.
    if (await machine.running()) continue;
    await log.step(`start ${machine.instance}`, () => machine.start());
    machine.disconnect();
  }
  const github = await startGithubOf(stack, log);
  const session = await engineSession(stack, log);
  const previews = pulumiArgs.includes("--preview-only");
  const unasked = isProvingGround(stack)
    ? ["--yes", "--skip-preview"]
    : values.yes
      ? ["--yes"]
      : [];
  const locked = previews ? undefined : await takeLockAway(session, unasked.length > 0, log);
  if (locked !== undefined) return ended.failed(locked);
  // One that was started for this has nothing to remove.
  const looking = github?.isNew ? ["--refresh"] : [];
  const words = ["destroy", ...(previews ? [] : unasked), ...looking, ...pulumiArgs];
  const run = askingRunner(session, `Remove everything of stack '${stack}'?`);
  const { code, explanations, plan, isDeclined } = await sayingSilence(session, log, () =>
    run(words),
  );
  if (isDeclined) return ended.failed(`stack '${stack}': nothing was changed`);
  if (code !== 0) return ended.failed(`down failed on stack '${stack}'`, explanations);
  if (previews) showPlan(plan());
  if (previews) return ended.well(`previewed the end of stack '${stack}'; nothing was changed`);
  // Where only some resources were meant, the machines are still needed.
  if (!(await session.isEmpty()))
    return ended.well(`stack '${stack}' still has resources; its machines run on`);
  const machines = await findProvingGround(stack);
  for (const machine of machines) await log.step(`stop ${machine.instance}`, () => machine.stop());
  await github?.stop();
  await removeKeys(stack, localDir);
  return ended.well(
    `stack '${stack}' is down${machines.length > 0 || github ? "; its machines are stopped" : ""}`,
  );
}, log);

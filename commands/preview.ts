import { writeFile } from "node:fs/promises";
import { ended, runTool } from "./lib/ending.ts";
import { toolOptions } from "./lib/options.ts";
import { tableOf } from "./lib/planText.ts";
import { startSession } from "./lib/provingGround.ts";
import { showPlan } from "./lib/showPlan.ts";
import { toolLog } from "./lib/toolLog.ts";

const { stack, pulumiArgs, values } = toolOptions({
  usage: "npm run preview --",
  summary: "Shows what `npm run up` would change on which host, and changes nothing there.",
  options: {
    diff: "show each change line by line",
    "markdown=FILE": "write what happens to each host as a table, for a pull request",
  },
  passes: true,
});

const log = toolLog("preview");
await runTool(async () => {
  const { ground, session } = await startSession(stack, log);
  await ground?.close();
  const diff = values.diff ? ["--diff"] : [];
  const { code, explanations, plan, isWhole } = await session.run([
    "preview",
    ...diff,
    ...pulumiArgs,
  ]);
  const planned = plan();
  // One that expected no changes fails, and shows what there is to do all the same.
  if (code === 0 || isWhole) showPlan(planned);
  if (code !== 0) return ended.failed(`preview failed on stack '${stack}'`, explanations);
  if (values.markdown) {
    const path = String(values.markdown);
    await writeFile(path, tableOf(planned)).catch((error: Error) => {
      throw new Error(`--markdown: ${path} cannot be written: ${error.message}`);
    });
  }
  return ended.well(`previewed stack '${stack}'; nothing was changed`);
}, log);

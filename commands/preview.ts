import { ended, runTool } from "./lib/ending.ts";
import { toolOptions } from "./lib/options.ts";
import { startSession } from "./lib/provingGround.ts";
import { toolLog } from "./lib/toolLog.ts";

const { stack, pulumiArgs, values } = toolOptions({
  usage: "npm run preview --",
  summary: "Shows what `npm run up` would change on which host, and changes nothing there.",
  options: { diff: "show each change line by line" },
  passes: true,
});

const log = toolLog("preview");
await runTool(async () => {
  const { ground, session } = await startSession(stack, log);
  await ground?.close();
  const diff = values.diff ? ["--diff"] : [];
  const { code, explanations, foretold } = await session.run(["preview", ...diff, ...pulumiArgs]);
  for (const line of foretold) process.stderr.write(`! ${line}\n`);
  if (code !== 0) return ended.failed(`preview failed on stack '${stack}'`, explanations);
  return ended.well(`previewed stack '${stack}'; nothing was changed`);
}, log);

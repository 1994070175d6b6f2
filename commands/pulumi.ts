import { ended, runTool } from "./lib/ending.ts";
import { engineSession } from "./lib/engineSession.ts";
import { toolOptions } from "./lib/options.ts";
import { toolLog } from "./lib/toolLog.ts";

const { stack, pulumiArgs } = toolOptions({
  usage: "npm run pulumi --",
  summary:
    "Runs any pulumi command on a stack, with the engine, plugins and backend of `npm run up`:\n  npm run pulumi -- --stack NAME -- stack output builders\n  npm run pulumi -- --stack NAME -- config set --secret buildhosts:sshPrivateKey < path",
  passes: true,
});

const log = toolLog("pulumi");
await runTool(async () => {
  const session = await engineSession(stack, log);
  const { code, explanations } = await session.run(pulumiArgs.length > 0 ? pulumiArgs : ["about"]);
  if (explanations.length > 0) ended.failed(`pulumi failed on stack '${stack}'`, explanations);
  return code;
}, log);

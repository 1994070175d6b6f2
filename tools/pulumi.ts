import { toStderr as log } from "../proving-ground/progress.ts";
import { runTool } from "./ending.ts";
import { engineSession } from "./engineSession.ts";
import { toolOptions } from "./options.ts";

const { stack, pulumiArgs } = toolOptions({
  usage: "npm run pulumi --",
  summary:
    "Runs any pulumi command on a stack, with the engine, plugins and backend of `npm run up`:\nnpm run pulumi -- --stack dev -- stack output builders",
  passes: true,
});

await runTool(async () => {
  const session = await engineSession(stack, log);
  const { code } = await session.run(pulumiArgs.length > 0 ? pulumiArgs : ["about"]);
  return code;
});

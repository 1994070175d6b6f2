import { join, resolve } from "node:path";
import { writeClientFiles } from "./lib/clientFiles.ts";
import { ended, runTool } from "./lib/ending.ts";
import { engineSession } from "./lib/engineSession.ts";
import { toolOptions } from "./lib/options.ts";
import { localDir } from "./lib/stackFile.ts";
import { toolLog } from "./lib/toolLog.ts";

const { stack, values } = toolOptions({
  usage: "npm run client --",
  summary: "Writes the certificate files of a client, ready for buildx and buildctl.",
  options: {
    "name=CLIENT": "which client of the stack (default: default)",
    "out=FOLDER":
      "where ca.pem, cert.pem and key.pem go (default: .buildhosts/clients/NAME/CLIENT)",
  },
});

const log = toolLog("client");
await runTool(async () => {
  const name = String(values.name ?? "default");
  // Not beside the sources, where a commit could take the key along.
  const folder = resolve(String(values.out ?? join(localDir, "clients", stack, name)));
  const session = await engineSession(stack, log);
  await writeClientFiles(await session.outputs(), name, folder);
  return ended.well(`ca.pem, cert.pem and key.pem of client '${name}' are in ${folder}`);
}, log);

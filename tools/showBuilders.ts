import { join, relative } from "node:path";
import { writeClientFiles } from "./clientFiles.ts";
import { DEV } from "./engineSession.ts";
import { localDir, projectDir } from "./stackFile.ts";

interface Builder {
  name: string;
  endpoint: string;
  platforms: string[];
}

/** Prints the builders of a stack, and the commands with which they are used. */
export async function showBuilders(stack: string, outputs: Record<string, unknown>): Promise<void> {
  const builders = outputs.builders as Builder[];
  const lines = builders.map((b) => `  ${b.name}  ${b.endpoint}  ${b.platforms.join(",")}`);
  const client = Object.keys((outputs.clientCertificates ?? {}) as object)[0];
  lines.unshift("", "Builders:");
  if (client) {
    if (stack === DEV) {
      const folder = join(localDir, "clients", stack, client);
      await writeClientFiles(outputs, client, folder);
      lines.push("", "Use them:", `  cd ${relative(projectDir, folder)}`);
    } else {
      lines.push(
        "",
        "Use them:",
        `  npm run client -- --stack ${stack} --name ${client} && cd ${client}`,
      );
    }
    for (const line of [...(outputs.buildctl as string[]), ...(outputs.buildx as string[])]) {
      lines.push(`  ${line}`);
    }
  }
  process.stdout.write(`${lines.join("\n")}\n\n`);
}

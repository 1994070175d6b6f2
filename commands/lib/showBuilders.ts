import { join, relative } from "node:path";
import type { KnownBuilder, KnownPool } from "../../stack/outputs.ts";
import { writeClientFiles } from "./clientFiles.ts";
import { isProvingGround, localDir, projectDir } from "./stackFile.ts";

/** Prints the builders of a stack, and the commands with which they are used. */
export async function showBuilders(stack: string, outputs: Record<string, unknown>): Promise<void> {
  const builders = outputs.builders as KnownBuilder[];
  const lines = builders.map((b) => `  ${b.name}  ${b.endpoint}  ${b.platforms.join(",")}`);
  const client = Object.keys((outputs.clientCertificates ?? {}) as object)[0];
  lines.unshift("", "Builders:");
  const pools = (outputs.pools ?? []) as KnownPool[];
  if (pools.length > 0) lines.push("Pools:");
  for (const { name, endpoint, platforms, domain } of pools)
    lines.push(`  ${name}  ${endpoint}  ${platforms.join(",")}  as <project>.${domain}`);
  if (client) {
    const folder = join(localDir, "clients", stack, client);
    lines.push("", "Use them:");
    // Whose key goes where is the user's to say, but for the stack that is this machine's own.
    if (isProvingGround(stack)) await writeClientFiles(outputs, client, folder);
    else lines.push(`  npm run client -- --stack ${stack} --name ${client}`);
    lines.push(`  cd ${relative(projectDir, folder)}`);
    for (const line of [...(outputs.buildctl as string[]), ...(outputs.buildx as string[])]) {
      lines.push(`  ${line}`);
    }
  }
  process.stdout.write(`${lines.join("\n")}\n\n`);
}

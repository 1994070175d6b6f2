import { join } from "node:path";

/** The file with the connection of a virtual machine: the proving ground writes it, and the loader reads it. */
export function connectionFile(projectDir: string, kind: string, platform: string): string {
  return join(projectDir, ".buildhosts", kind, `${platform.replace("linux/", "")}.json`);
}

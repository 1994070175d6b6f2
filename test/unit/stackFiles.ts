import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { readStackConfig } from "../../config/load.ts";
import type { StackConfig } from "../../config/stackConfig.ts";

/** Reads whole stack files on a machine that has what the documentation takes for granted: an SSH agent and a token for GitHub. */
export interface StackFileReader {
  /** A folder of its own, in the place of a clone. */
  projectDir: string;
  /** @throws {ConfigError} with every problem of the file. */
  read(text: string): StackConfig;
  close(): void;
}

export async function stackFileReader(): Promise<StackFileReader> {
  const projectDir = mkdtempSync(join(tmpdir(), "buildhosts-docs-"));
  const agentSocket = join(projectDir, "agent.sock");
  const agent = createServer();
  const listening = Promise.withResolvers<void>();
  agent.listen(agentSocket, () => listening.resolve());
  await listening.promise;
  const environment = { SSH_AUTH_SOCK: agentSocket, GITHUB_TOKEN: "token" };
  return {
    projectDir,
    read(text) {
      const config: Record<string, unknown> = parse(text).config;
      // As the engine hands a configuration over: objects and lists as JSON.
      const values = Object.entries(config).map(([key, value]) => [
        key,
        typeof value === "string" ? value : JSON.stringify(value),
      ]);
      return readStackConfig(
        { values: Object.fromEntries(values), secretKeys: [] },
        { projectDir, environment },
      );
    },
    close() {
      agent.close();
      rmSync(projectDir, { recursive: true });
    },
  };
}

import { inject } from "vitest";
import { ensurePlugins } from "../../runtime/plugins.ts";
import { toStderr as log } from "../../runtime/progress.ts";

/** Makes the plugin for GitHub ready, which no other tests need. It is built where the official one cannot be had. */
export async function githubPlugin(): Promise<void> {
  if (process.env.BUILDHOSTS_TEST_PULUMI_HOME) return;
  const { engine, env } = inject("ground");
  await ensurePlugins(engine, env.PULUMI_HOME ?? "", log, { github: true });
}

// Builds the GitHub plugin where it is not in the cache, and prints its path. launcher.sh calls it.

import { toStderr } from "../progress.ts";
import { ensureGithubProvider } from "./provider.ts";

try {
  process.stdout.write(`${await ensureGithubProvider(toStderr)}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

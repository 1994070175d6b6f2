import { spawn } from "node:child_process";
import { join } from "node:path";
import { projectDir, type TestStack } from "./ground.ts";

export interface KillableUp {
  /** Ends pulumi and everything that it started: the program, the plugins and their connections. */
  kill(): Promise<void>;
}

/** An update in a process group of its own, which can be killed in the middle. */
export function startUp(stack: TestStack): KillableUp {
  const { env, engine } = stack.ground;
  const child = spawn(
    engine.pulumi,
    [
      ...["up", "--yes", "--skip-preview", "--stack", stack.name, "--config-file"],
      ...[stack.configFile, "--non-interactive", "--cwd", projectDir],
    ],
    {
      env: {
        ...process.env,
        ...env,
        PULUMI_BACKEND_URL: `file://${join(stack.folder, "state")}`,
      },
      stdio: "ignore",
      detached: true,
    },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error("pulumi did not start");
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    kill: async () => {
      process.kill(-pid, "SIGKILL");
      await ended;
    },
  };
}

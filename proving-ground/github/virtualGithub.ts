import { spawn } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../../runtime/freePort.ts";

/** How a project's GitHub is reached. */
export interface VirtualGithubConnection {
  /** `http://127.0.0.1:<port>` */
  url: string;
  token: string;
  pid: number;
}

/** A GitHub on loopback that runs in the background until `stop`, whatever becomes of this process. */
export interface VirtualGithub extends VirtualGithubConnection {
  /** Whether it was just started: what an earlier one had is gone with it. */
  isNew: boolean;
  stop(): Promise<void>;
}

const startSeconds = 30;

/** Where the Pulumi program finds the connection of the project's GitHub. */
export function githubConnectionFile(projectDir: string): string {
  return join(projectDir, ".buildhosts", "virtual-github.json");
}

/**
 * The GitHub of a project: the one that runs, or else an empty one with these organizations, at the address of the
 * one before, which stands in a stack's state.
 *
 * @throws its last words, when it does not start.
 */
export async function startVirtualGithub(
  projectDir: string,
  organizations: readonly string[],
): Promise<VirtualGithub> {
  const running = await findVirtualGithub(projectDir);
  if (running) return running;
  const file = githubConnectionFile(projectDir);
  const before = await read(file);
  const port = before ? new URL(before.url).port : String(await freePort());
  await rm(file, { force: true });
  await mkdir(dirname(file), { recursive: true });
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, "cli.ts"),
      ...["--port", port, "--connection", file, ...organizations],
    ],
    { detached: true, stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = `${said}${text}`.slice(-2000);
  });
  const deadline = Date.now() + startSeconds * 1000;
  for (;;) {
    const started = await findVirtualGithub(projectDir);
    if (started) {
      child.stderr.destroy();
      child.unref();
      return { ...started, isNew: true };
    }
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`the GitHub of the proving ground did not start:\n${said.trim()}`);
    }
    await pause(50);
  }
}

/** The GitHub of a project, if it runs. */
export async function findVirtualGithub(projectDir: string): Promise<VirtualGithub | undefined> {
  const file = githubConnectionFile(projectDir);
  const found = await read(file);
  if (!found || !(await answers(found))) return undefined;
  return {
    ...found,
    isNew: false,
    async stop() {
      process.kill(found.pid, "SIGTERM");
      const deadline = Date.now() + startSeconds * 1000;
      while (await answers(found)) {
        if (Date.now() > deadline) throw new Error(`${found.url} goes on after SIGTERM`);
        await pause(50);
      }
      await rm(file, { force: true });
    },
  };
}

async function read(file: string): Promise<VirtualGithubConnection | undefined> {
  return readFile(file, "utf8").then(JSON.parse, () => undefined);
}

/** Whether it is a GitHub of ours that answers there: a port may be somebody else's by now. */
async function answers({ url, token }: VirtualGithubConnection): Promise<boolean> {
  try {
    const { status } = await fetch(`${url}/api/v3/user`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(5000),
    });
    return status === 200;
  } catch {
    return false;
  }
}

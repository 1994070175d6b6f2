import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { script } from "../../components/github/workflow.ts";

/** What a step's script left behind. */
export interface ScriptRun {
  code: number;
  /** Standard output and error, as a run's log shows them. */
  log: string;
  /** What it wrote to GITHUB_OUTPUT. */
  outputs: Record<string, string>;
  /** What it wrote to GITHUB_STEP_SUMMARY. */
  summary: string;
}

/** Runs a script of the workflows as a GitHub runner does, the text as it stands in the workflow. */
export async function runScript(
  name: string,
  env: Record<string, string>,
  cwd?: string,
  timeoutSeconds = 120,
): Promise<ScriptRun> {
  const folder = await mkdtemp(join(tmpdir(), "buildhosts-script-"));
  try {
    const [file, output, summary] = ["script.sh", "output", "summary"].map((one) =>
      join(folder, one),
    ) as [string, string, string];
    await writeFile(file, script(name));
    await writeFile(output, "");
    await writeFile(summary, "");
    const { exitCode, all } = await execa(
      "bash",
      ["--noprofile", "--norc", "-e", "-o", "pipefail", file],
      {
        cwd: cwd ?? folder,
        env: {
          PATH: process.env.PATH,
          HOME: folder,
          RUNNER_TEMP: folder,
          GITHUB_OUTPUT: output,
          GITHUB_STEP_SUMMARY: summary,
          ...env,
        },
        extendEnv: false,
        all: true,
        reject: false,
        timeout: timeoutSeconds * 1000,
      },
    );
    return {
      code: exitCode ?? -1,
      log: String(all),
      outputs: parseOutputs(await readFile(output, "utf8")),
      summary: await readFile(summary, "utf8"),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `name=value`, or `name<<END`, lines, `END`. */
function parseOutputs(text: string): Record<string, string> {
  const outputs: Record<string, string> = {};
  const lines = text.split("\n");
  while (lines.length > 0) {
    const line = lines.shift() ?? "";
    const [, name, end] = /^([\w-]+)<<(.+)$/.exec(line) ?? [];
    if (name !== undefined) {
      const stop = lines.indexOf(end ?? "");
      outputs[name] = lines.splice(0, stop).join("\n");
      lines.shift();
    } else if (line.includes("=")) {
      outputs[line.slice(0, line.indexOf("="))] = line.slice(line.indexOf("=") + 1);
    }
  }
  return outputs;
}

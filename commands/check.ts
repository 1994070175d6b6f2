import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { boardctlSource } from "../components/board/boardctl.ts";
import { ensurePrograms } from "../proving-ground/debian/programs.ts";
import { ensureWorkflowLinters } from "../proving-ground/linters/linters.ts";
import { toStderr as log } from "../runtime/progress.ts";
import { ended, runTool } from "./lib/ending.ts";
import { toolOptions } from "./lib/options.ts";
import { projectDir } from "./lib/stackFile.ts";
import { workflowVariants } from "./lib/workflowVariants.ts";

/** A check, and what it printed where it found something. */
interface Check {
  title: string;
  run(): Promise<{ ok: boolean; output: string }>;
}

const bin = (name: string) => join(projectDir, "node_modules", ".bin", name);

async function command(program: string, args: string[], input?: string, cwd = projectDir) {
  const { exitCode, all } = await execa(program, args, {
    cwd,
    all: true,
    reject: false,
    ...(input !== undefined && { input }),
  });
  return { ok: exitCode === 0, output: String(all ?? "") };
}

/** Every shell script that git knows, by its ending or its first line. */
async function shellScripts(): Promise<string[]> {
  const { stdout } = await execa("git", ["ls-files", "-co", "--exclude-standard"], {
    cwd: projectDir,
  });
  const scripts: string[] = [];
  for (const file of stdout.split("\n")) {
    if (file.startsWith("components/board/boardctl/")) continue; // checked as the whole that they make
    const text = await readFile(join(projectDir, file), "utf8").catch(() => "");
    if (file.endsWith(".sh") || /^#!.*\b(ba|da)?sh\b/.test(text)) scripts.push(file);
  }
  return scripts;
}

const checks: Check[] = [
  { title: "types", run: () => command(bin("tsc"), ["--project", projectDir]) },
  {
    title: "lint and format",
    run: () => command(bin("biome"), ["check", "--error-on-warnings", projectDir]),
  },
  {
    title: "shellcheck",
    async run() {
      const whole = await command("shellcheck", ["--shell=sh", "-"], boardctlSource);
      const others = await command("shellcheck", await shellScripts());
      return { ok: whole.ok && others.ok, output: `${whole.output}${others.output}` };
    },
  },
  { title: "workflows", run: lintWorkflows },
];

/** Labels of runners that GitHub has none of, or not yet. */
const ownLabels = ["riscv64", "talos", "ubuntu-24.04-riscv"];

/** Runs actionlint, with shellcheck on each step's script, and zizmor on every workflow as buildhosts writes it. */
async function lintWorkflows(): Promise<{ ok: boolean; output: string }> {
  const { actionlint, zizmor } = await ensureWorkflowLinters(log);
  const folder = await mkdtemp(join(tmpdir(), "buildhosts-workflows-"));
  try {
    const workflows = join(folder, ".github", "workflows");
    await mkdir(workflows, { recursive: true });
    for (const [file, text] of Object.entries(workflowVariants()))
      await writeFile(join(workflows, file), text);
    const config = join(folder, "actionlint.json");
    await writeFile(config, JSON.stringify({ "self-hosted-runner": { labels: ownLabels } }));
    const files = Object.keys(workflowVariants()).map((file) => join(workflows, file));
    const findings = await Promise.all([
      command(actionlint, ["-no-color", "-config-file", config, ...files], undefined, folder),
      command(zizmor, [
        "--offline",
        "--pedantic",
        "--no-progress",
        "--quiet",
        "--color=never",
        workflows,
      ]),
    ]);
    return {
      ok: findings.every(({ ok }) => ok),
      output: findings.map(({ output }) => output).join(""),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs every check, prints what they found, and tells how many held. */
export async function check(): Promise<{ passed: number; failed: number }> {
  await ensurePrograms([{ program: "shellcheck", debian: "shellcheck" }], log);
  let failed = 0;
  for (const { title, run } of checks) {
    const { ok, output } = await log.step(title, run);
    if (ok) continue;
    failed++;
    process.stdout.write(`${output}\n`);
  }
  return { passed: checks.length - failed, failed };
}

if (import.meta.main) {
  toolOptions({
    usage: "npm run check --",
    summary: "Checks types, lint, format and shell scripts; runs nothing of the project.",
    onStack: false,
  });
  await runTool(async () => {
    const { passed, failed } = await check();
    return failed > 0
      ? ended.failed(`${failed} of ${passed + failed} checks failed, see above`)
      : ended.well(`${passed} checks passed`);
  });
}

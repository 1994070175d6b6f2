// The plugin for GitHub, as it comes to where the engine looks for it. What it does then is upstream's;
// integration tests show it at work.

import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Engine } from "../../runtime/engine/engine.ts";
import { ensurePlugins } from "../../runtime/plugins.ts";
import type { Progress } from "../../runtime/progress.ts";

let folder: string;
let engine: Engine;
let notes: string[];
let steps: string[];

const log: Progress = {
  note: (line) => notes.push(line),
  step: (title, work) => {
    steps.push(title);
    return work();
  },
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "buildhosts-plugin-"));
  [notes, steps] = [[], []];
  await mkdir(join(folder, "bin"));
  const programs = {
    pulumi: 'echo "warning: Error downloading plugin: Get: dial tcp: no such host" >&2; exit 1',
    // What it makes is a plugin that shows how it was started.
    go: `[ "$1" != env ] || { echo go1.26.0; exit; }
for argument; do case $argument in -o=*) program=\${argument#-o=} ;; esac; done
printf '#!/bin/sh\\necho "started with $*"\\n' >"$program"
chmod +x "$program"
echo "$*" >>${folder}/builds`,
  };
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(folder, "bin", name), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, "bin", name), 0o755);
  }
  engine = { pulumi: join(folder, "bin/pulumi"), version: "3.259.0", origin: "installed", env: {} };
  vi.stubEnv("PATH", `${join(folder, "bin")}${delimiter}${process.env.PATH}`);
  vi.stubEnv("BUILDHOSTS_CACHE", join(folder, "it's a cache"));
  vi.stubEnv("PULUMI_HOME", join(folder, "none"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const ensured = (github: boolean) => ensurePlugins(engine, join(folder, "home"), log, { github });
const builds = async () =>
  (await readFile(join(folder, "builds"), "utf8").catch(() => "")).split("\n").filter(Boolean);
/** As the engine starts it. */
const started = () =>
  execa(join(folder, "home/plugins/resource-github-v6.15.0/pulumi-resource-github"), [
    "127.0.0.1:1",
  ]);

test("a stack with GitHub has the plugin built from Go modules where it cannot be had, once, and one line says why", async () => {
  const plugins = await ensured(true);
  expect(plugins.find(({ name }) => name === "github")).toEqual({
    name: "github",
    version: "6.15.0",
    origin: "built",
  });
  expect(notes).toEqual([
    "plugins command 1.2.1, docker 5.0.0, tls 5.5.1 are the offline stand-ins, github 6.15.0 is built from its Go modules: the official ones cannot be had (no such host)",
  ]);
  expect(steps).toEqual(["build the GitHub plugin 6.15.0 from Go modules (1 to 5 minutes)"]);
  await ensured(true);
  expect(await builds()).toHaveLength(1);
  expect((await builds())[0]).toContain("-X main.version=6.15.0");
  expect((await started()).stdout).toBe("started with 127.0.0.1:1");
});

test("a stack without GitHub waits for no build, and hears of none", async () => {
  await ensured(false);
  expect(await builds()).toEqual([]);
  expect(notes.join()).not.toContain("github");
});

test("resources of a stack that says nothing of GitHub any longer still find their plugin: it is built when it is started", async () => {
  await ensured(false);
  const { stdout, stderr } = await started();
  expect(stdout).toBe("started with 127.0.0.1:1");
  expect(stderr).toContain("✓ build the GitHub plugin 6.15.0");
  await started();
  expect(await builds()).toHaveLength(1);
});

test("a plugin that cannot be built when it is started says why", async () => {
  await ensured(false);
  await writeFile(join(folder, "bin/go"), "#!/bin/sh\necho go1.20\n");
  const { exitCode, stderr } = await started().catch((error) => error);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("go: go1.20 found, but 1.21 or newer is needed");
});

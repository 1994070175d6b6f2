import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { engineSession } from "../../commands/lib/engineSession.ts";
import { parallelSteps, projectDir } from "../../commands/lib/stackFile.ts";
import { pulumiHomeOf } from "../../runtime/plugins.ts";
import { linesTo } from "../../runtime/progress.ts";

const plugins = ["command-v1.2.1", "docker-v5.0.0", "github-v6.15.0", "tls-v5.5.1"];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "buildhosts-session-"));
  // A pulumi of the user's: it installs plugins of the size of official ones where PULUMI_HOME is.
  await mkdir(join(folder, "bin"));
  const programs = {
    pulumi: `case $1 in
  version) echo v3.259.0 ;;
  plugin) f=$PULUMI_HOME/plugins/resource-$4-v$5 && mkdir -p "$f" && head -c 70000 /dev/zero >"$f/pulumi-resource-$4" ;;
  *) echo "$PULUMI_HOME" >>${folder}/homes ;;
esac`,
    "pulumi-language-nodejs": "exit 0",
  };
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(folder, "bin", name), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, "bin", name), 0o755);
  }
  vi.stubEnv("PATH", `${join(folder, "bin")}${delimiter}${process.env.PATH}`);
  vi.stubEnv("BUILDHOSTS_CACHE", join(folder, "cache"));
  vi.stubEnv("PULUMI_HOME", join(folder, "own"));
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "tests");
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** What the engine had as its home when it was asked for the stack. */
async function homeOfEngine(): Promise<string> {
  await engineSession(
    "dev",
    linesTo(() => {}),
  );
  return (await readFile(join(folder, "homes"), "utf8")).trim();
}

test("an engine whose official plugins are in this clone's home alone looks for them there", async () => {
  expect(await homeOfEngine()).toBe(pulumiHomeOf(projectDir));
});

test("an engine whose user has some of the official plugins looks where all of them are", async () => {
  const [command = ""] = plugins;
  await install(command);
  expect(await homeOfEngine()).toBe(pulumiHomeOf(projectDir));
});

test("an engine whose user has all of the official plugins keeps its home", async () => {
  for (const plugin of plugins) await install(plugin);
  expect(await homeOfEngine()).toBe(join(folder, "own"));
});

async function install(plugin: string): Promise<void> {
  const home = join(folder, "own", "plugins", `resource-${plugin}`);
  await mkdir(home, { recursive: true });
  const name = `pulumi-resource-${plugin.replace(/-v.*/, "")}`;
  await writeFile(join(home, name), Buffer.alloc(70_000));
}

test("as many steps run at once as there are boards, where that is more than the engine would", () => {
  vi.stubEnv("PULUMI_PARALLEL", undefined);
  const boards = (count: number) => Array.from({ length: count }, () => ({ host: "a" }));
  expect(parallelSteps(boards(1))).toEqual({});
  expect(parallelSteps(undefined)).toEqual({});
  expect(parallelSteps(boards(1000))).toEqual(
    availableParallelism() < 8 ? { PULUMI_PARALLEL: "32" } : {},
  );
  // The SSH server of a jump host takes ten that have not logged in.
  expect(parallelSteps([...boards(1000), { host: "b", jump: { host: "c" } }])).toEqual({});
  vi.stubEnv("PULUMI_PARALLEL", "3");
  expect(parallelSteps(boards(1000))).toEqual({});
});

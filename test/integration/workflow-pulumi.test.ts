// The scripts of builders.yml, in a checkout as a runner has it: npm, the tools and the engine are real.

import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { stringify } from "yaml";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { cacheDir } from "../../runtime/cache.ts";
import { pulumiHomeOf } from "../../runtime/plugins.ts";
import { runScript, type ScriptRun } from "../unit/runScript.ts";
import { githubPlugin } from "./githubPlugin.ts";
import { projectDir } from "./ground.ts";

const WORKFLOW = "/repos/builders/images/contents/.github/workflows/build-on-builders.yml";

let folder: string;
let checkout: string;
let github: Github;
const runs: ScriptRun[] = [];

beforeAll(async () => {
  await githubPlugin();
  folder = await mkdtemp(join(tmpdir(), "buildhosts-checkout-"));
  checkout = join(folder, "checkout");
  const files = await execa("git", ["ls-files", "-co", "--exclude-standard"], { cwd: projectDir });
  for (const file of files.stdout.split("\n")) {
    await mkdir(dirname(join(checkout, file)), { recursive: true });
    await cp(join(projectDir, file), join(checkout, file)).catch((error) => {
      // Of this clone's, but deleted and not committed yet.
      if (error.code !== "ENOENT") throw error;
    });
  }
  await symlink(join(projectDir, "node_modules"), join(checkout, "node_modules"));
  // What could not be downloaded just now is not asked for again.
  const { env } = inject("ground");
  await cp(join(env.PULUMI_HOME ?? "", "plugins"), join(pulumiHomeOf(checkout), "plugins"), {
    recursive: true,
  });
  github = await startGithub({ organizations: ["builders"] });
  const config = {
    "buildhosts:github": {
      owner: "builders",
      baseUrl: `${github.url}/`,
      repositories: [{ name: "images", client: "default", workflows: { buildOnBuilders: {} } }],
    },
  };
  await writeFile(join(checkout, "Pulumi.lab.yaml"), stringify({ config }));
  await mkdir(join(folder, "state"));
});
afterAll(async () => {
  await github?.stop();
  await rm(pulumiHomeOf(checkout), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
});

/** Runs a script with the variables of its step; what is not set arrives empty. */
async function run(name: string, env: Record<string, string> = {}): Promise<ScriptRun> {
  const done = await runScript(
    name,
    {
      STACK: "lab",
      PULUMI_ACCESS_TOKEN: "",
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "correct horse",
      GITHUB_TOKEN: github.token,
      BUILDHOSTS_CACHE: cacheDir(),
      ...env,
    },
    checkout,
  );
  runs.push(done);
  return done;
}
const preview = () => readFile(join(checkout, "preview.txt"), "utf8");
const changes = () => github.served.filter(({ operation }) => !operation.startsWith("GET "));

/** Each test begins where the one before it ended. */
describe("builders.yml", () => {
  test.each([
    ["a passphrase", { PULUMI_CONFIG_PASSPHRASE: "" }, "passphrase"],
    ["a token", { GITHUB_TOKEN: "" }, "buildhosts:githubToken: missing"],
    ["a stack that is there", { STACK: "elsewhere" }, "there is no Pulumi.elsewhere.yaml"],
  ])("fails without %s, and what is commented says why", async (_, env, message) => {
    const { code } = await run("preview-stack.sh", env);
    expect(code).not.toBe(0);
    expect(await preview()).toContain(message);
  });

  test("previews what a pull request would change, and changes nothing", async () => {
    const { code, log } = await run("preview-stack.sh");
    expect(code, log).toBe(0);
    expect(await preview()).toMatch(/\+ github:index\/repository:Repository: \(create\)/);
    expect(log).toContain((await preview()).trimEnd());
    const table = await readFile(join(checkout, "preview.md"), "utf8");
    expect(table).toContain("No host changes.");
    expect(table).toMatch(
      /^\| repository images \| is made<br>.*workflow build-on-builders\.yml is made/m,
    );
    expect(changes()).toEqual([]);
  });

  test.each([
    ["passes the policy pack that the workflow names", "policy", 0],
    ["fails where that pack is missing", "elsewhere", 255],
  ])("%s", async (_, pack, status) => {
    const { code, log } = await run("preview-stack.sh", { POLICY_PACK: pack });
    expect(code === 0, log).toBe(status === 0);
    expect(await preview()).toContain(pack);
  });

  test("brings the stack up, without a question, and finds no drift then", async () => {
    const up = await run("bring-up.sh");
    expect(up.code, up.log).toBe(0);
    expect(await github.ask("GET", WORKFLOW)).toMatchObject({ name: "build-on-builders.yml" });
    const drift = await run("find-drift.sh");
    expect(drift.code, drift.log).toBe(0);
  });

  test("does not call it drift when it could not look", async () => {
    const { code, log } = await run("find-drift.sh", { GITHUB_TOKEN: "ghp_wrong" });
    expect(log).toContain("::error::stack lab could not be compared with what is there");
    expect(log).not.toContain("differ from the stack file");
    expect(code).not.toBe(0);
  });

  test("finds a workflow that was changed by hand, and mends it", async () => {
    const own = (await github.ask("GET", WORKFLOW)) as { sha: string; content: string };
    const content = Buffer.from("name: changed\n").toString("base64");
    await github.ask("PUT", WORKFLOW, { message: "Try something", sha: own.sha, content });
    const before = changes().length;
    const drift = await run("find-drift.sh");
    expect(drift.log).toContain(
      "::error::the hosts or repositories of stack lab differ from the stack file",
    );
    expect(drift.log).toContain("images-build-on-builders.yml");
    expect(drift.log).toContain("repository images: workflow build-on-builders.yml is changed\n");
    expect(drift.code).not.toBe(0);
    expect(changes()).toHaveLength(before);

    const up = await run("bring-up.sh");
    expect(up.code, up.log).toBe(0);
    expect(await github.ask("GET", WORKFLOW)).toMatchObject({ content: own.content });
    expect((await run("find-drift.sh")).code).toBe(0);
  });

  test("shows no key, no token and no passphrase in any log", () => {
    for (const { log } of runs)
      for (const secret of ["PRIVATE KEY", github.token, "correct horse"])
        expect(log).not.toContain(secret);
    expect(github.problems).toEqual([]);
  });
});

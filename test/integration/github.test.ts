import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { type Run, TestStack } from "./ground.ts";
import { stateOf } from "./state.ts";

const REPOSITORY = "/repos/builders/riscv64";
const WORKFLOW = `${REPOSITORY}/contents/.github/workflows/build-on-builders.yml`;

let github: Github;
let stack: TestStack;

beforeEach(async () => {
  github = await startGithub({ organizations: ["builders"] });
  const ground = inject("ground");
  stack = await TestStack.makeAlone({
    ...ground,
    env: { ...ground.env, GITHUB_TOKEN: github.token },
  });
  await configure();
});
afterEach(async () => {
  // What GitHub itself would not have understood.
  expect(github.problems).toEqual([]);
  await github.stop();
});

/** A stack of clients and a repository; builders are no part of these tests. */
function configure(repository: object = {}, keys: Record<string, unknown> = {}): Promise<void> {
  return stack.configureAlone({
    "buildhosts:github": {
      owner: "builders",
      baseUrl: `${github.url}/`,
      repositories: [
        {
          name: "riscv64",
          client: "default",
          workflows: { buildkitBuild: {}, releaseTracker: {}, buildOnBuilders: {} },
          ...repository,
        },
      ],
    },
    ...keys,
  });
}

async function up(...args: string[]): Promise<Run> {
  const run = await stack.up(...args);
  expect(run.code, run.output).toBe(0);
  return run;
}

/** What was done to resources, but for what stayed as it was, and for looking at them. */
function done({ changes }: Run): Record<string, string[]> {
  const { same, refresh, ...rest } = changes;
  return rest;
}

const commits = async () => (await github.ask("GET", `${REPOSITORY}/commits`)) as { sha: string }[];

const secret = async (part: string) =>
  (await github.secret("builders/riscv64", `BUILDER_AUTH_TLS_${part}`))?.value;

describe("a repository on GitHub", () => {
  test("comes up with workflows, settings and secrets; a second up changes nothing, a third with refresh neither", async () => {
    await up();
    expect(await github.ask("GET", REPOSITORY)).toMatchObject({
      visibility: "private",
      archived: false,
    });
    expect(await github.ask("GET", `${REPOSITORY}/actions/permissions`)).toMatchObject({
      sha_pinning_required: true,
    });
    const state = await stateOf(stack);
    expect(await secret("CACERT")).toBe(state.resource("ca-certificate").certPem);
    expect(await secret("CERT")).toBe(state.resource("client-default-certificate").certPem);
    expect(await secret("KEY")).toBe(state.resource("client-default-key").privateKeyPem);
    // The first commit, and one for each of the seven files.
    expect(await commits()).toHaveLength(8);

    const asked = github.served.length;
    expect(done(await up())).toEqual({});
    expect(done(await up("--refresh"))).toEqual({});
    expect(await commits()).toHaveLength(8);
    const changes = github.served
      .slice(asked)
      .filter(({ operation }) => !operation.startsWith("GET "));
    expect(changes).toEqual([]);
  });

  test("a workflow that was changed by hand is seen and written back, in one commit", async () => {
    await up();
    const file = (await github.ask("GET", WORKFLOW)) as { sha: string; content: string };
    await github.ask("PUT", WORKFLOW, {
      message: "Try something",
      sha: file.sha,
      content: Buffer.from("name: changed\n").toString("base64"),
    });
    const before = (await commits()).length;
    const preview = await stack.preview("--refresh");
    expect(preview.output).toContain("riscv64-build-on-builders.yml");
    expect(done(await up("--refresh"))).toEqual({ update: ["riscv64-build-on-builders.yml"] });
    expect(((await github.ask("GET", WORKFLOW)) as { content: string }).content).toBe(file.content);
    expect((await commits()).length).toBe(before + 1);
  });

  test("a secret that somebody else changed is seen while previewing, and written anew", async () => {
    await up();
    const own = await secret("CERT");
    await github.setSecret("builders/riscv64", "BUILDER_AUTH_TLS_CERT", "theirs");
    const preview = await stack.preview();
    expect(preview.output).toContain("somebody else changed the secret BUILDER_AUTH_TLS_CERT");
    await up();
    expect(await secret("CERT")).toBe(own);
    expect(done(await up())).toEqual({});
  });

  test("a renewed client certificate updates exactly its secrets", async () => {
    await up();
    const [ca, cert, key] = [await secret("CACERT"), await secret("CERT"), await secret("KEY")];
    // Another validity makes the certificates anew, as the end of the old one would.
    await configure({}, { "buildhosts:certificates": { validityHours: 8761 } });
    const run = await up();
    expect(await secret("CERT")).not.toBe(cert);
    expect([await secret("CACERT"), await secret("KEY")]).toEqual([ca, key]);
    const ofGithub = Object.entries(done(run)).flatMap(([op, names]) =>
      names.filter((name) => name.startsWith("riscv64-")).map((name) => `${op} ${name}`),
    );
    expect(ofGithub.sort()).toEqual(["update riscv64-cert", "update riscv64-written"]);
    expect(done(await up())).toEqual({});
  });

  test("destroy archives it, and takes the secrets away", async () => {
    await up();
    const { code, output } = await stack.destroy();
    expect(code, output).toBe(0);
    expect(await github.ask("GET", REPOSITORY)).toMatchObject({ archived: true });
    expect(await secret("KEY")).toBeUndefined();
  });

  test("one that is there already is refused before anything is made, and used as it is where that is said", async () => {
    await github.ask("POST", "/orgs/builders/repos", {
      name: "riscv64",
      auto_init: true,
      description: "theirs",
    });
    const refused = await stack.preview();
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain(
      'buildhosts:github.repositories[0].name: received "riscv64", which builders has already.',
    );
    expect(refused.output).not.toContain("at Object.");
    await configure({ existing: true });
    await up();
    expect(await github.ask("GET", REPOSITORY)).toMatchObject({ description: "theirs" });
    const { code, output } = await stack.destroy();
    expect(code, output).toBe(0);
    expect(await github.ask("GET", REPOSITORY)).toMatchObject({ archived: false });
  });

  test("no key and no token is seen in any output, nor in the state", async () => {
    const run = await up();
    const preview = await stack.preview();
    const { output: state } = await stack.pulumi(["stack", "export"]);
    for (const text of [run.output, preview.output, state]) {
      expect(text).not.toContain("PRIVATE KEY");
      expect(text).not.toContain(github.token);
    }
  });
});

describe("when GitHub fails", () => {
  test.each([
    ["500 once", { kind: "status", status: 500 }, "PUT /repos/{owner}/{repo}/contents/{path}", 1],
    ["409 once", { kind: "status", status: 409 }, "PUT /repos/{owner}/{repo}/contents/{path}", 1],
    ["a lost answer", { kind: "lost-answer" }, "PUT /repos/{owner}/{repo}/contents/{path}", 1],
    [
      "a lost answer about a secret",
      { kind: "lost-answer" },
      "PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}",
      1,
    ],
    [
      "the limit of requests",
      { kind: "rate-limit", resetSeconds: 2 },
      "PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}",
      1,
    ],
  ] as const)("it converges without duplicates: %s", async (_, fault, operation, times) => {
    github.faults.add({ operation, fault, times });
    await stack.up();
    github.faults.clear();
    await up();
    expect(done(await up("--refresh"))).toEqual({});
    expect(await secret("KEY")).toContain("PRIVATE KEY");
    const files = (await github.ask("GET", `${REPOSITORY}/contents/.github/workflows`)) as object[];
    expect(files).toHaveLength(3);
  });
});

// Repositories on GitHub, from up to destroy: what is changed by hand, what is renewed, and what GitHub fails at.
// Builders are no part of this; github-builders.test.ts has one.

import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import {
  type Github,
  type GithubOptions,
  startGithub,
} from "../../proving-ground/github/github.ts";
import { githubPlugin } from "./githubPlugin.ts";
import { type Run, TestStack } from "./ground.ts";
import { stateOf } from "./state.ts";

const REPOSITORY = "/repos/builders/riscv64";
const WORKFLOW = `${REPOSITORY}/contents/.github/workflows/build-on-builders.yml`;
const workflows = { buildkitBuild: {}, releaseTracker: {}, buildOnBuilders: {} };

let github: Github;
let stack: TestStack;
/** Every operation of the stack's, whatever came of it. */
let runs: Run[];

async function start(options: GithubOptions = {}): Promise<void> {
  github = await startGithub({ organizations: ["builders"], ...options });
  const ground = inject("ground");
  stack = await TestStack.makeAlone({
    ...ground,
    env: { ...ground.env, GITHUB_TOKEN: github.token },
  });
  runs = [];
}
const stop = () => github?.stop();
beforeAll(githubPlugin);
afterEach(() => {
  // What GitHub itself would not have understood.
  expect(github.problems.splice(0)).toEqual([]);
});

/** A stack of clients and one repository. */
function configure(repository: object, of: object = {}, keys: object = {}): Promise<void> {
  return stack.configureAlone({
    "buildhosts:github": {
      owner: "builders",
      baseUrl: `${github.url}/`,
      repositories: [{ name: "riscv64", client: "default", ...repository }],
      ...of,
    },
    ...keys,
  });
}

async function run(operation: Promise<Run>): Promise<Run> {
  const done = await operation;
  runs.push(done);
  return done;
}
async function up(...args: string[]): Promise<Run> {
  const done = await run(stack.up(...args));
  expect(done.code, done.output).toBe(0);
  return done;
}

/** What was done to resources, but for what stayed as it was, and for looking at them. */
function done({ changes }: Run): Record<string, string[]> {
  const { same, refresh, ...rest } = changes;
  return rest;
}

type Listed = Record<string, unknown>[];
const list = async (path: string) => (await github.ask("GET", path)) as unknown as Listed;
const commits = () => list(`${REPOSITORY}/commits`);
const workflowsThere = async () =>
  (await list(`${REPOSITORY}/contents/.github/workflows`)).map(({ name }) => name);
const secret = async (part: string, place = "builders/riscv64") =>
  (await github.secret(place, `BUILDER_AUTH_TLS_${part}`))?.value;
/** What GitHub was asked to change since `from` requests. */
const changesSince = (from: number) =>
  github.served.slice(from).filter(({ operation }) => !operation.startsWith("GET "));

/** Each test begins where the one before it ended. */
describe("a repository on GitHub", () => {
  beforeAll(async () => {
    await start();
    await configure({ workflows });
  });
  afterAll(stop);

  test("comes up with workflows, settings and secrets; a second up with a refresh changes nothing", async () => {
    await up();
    expect(await github.ask("GET", REPOSITORY)).toMatchObject({
      visibility: "private",
      archived: false,
    });
    expect(await github.ask("GET", `${REPOSITORY}/actions/permissions`)).toMatchObject({
      sha_pinning_required: true,
    });
    expect(await github.ask("GET", `${REPOSITORY}/actions/permissions/access`)).toEqual({
      access_level: "organization",
    });
    const state = await stateOf(stack);
    expect(await secret("CACERT")).toBe(state.resource("ca-certificate").certPem);
    expect(await secret("CERT")).toBe(state.resource("client-default-certificate").certPem);
    expect(await secret("KEY")).toBe(state.resource("client-default-key").privateKeyPem);
    // The first commit, and one for each of the seven files.
    expect(await commits()).toHaveLength(8);

    const asked = github.served.length;
    expect(done(await up("--refresh"))).toEqual({});
    expect(changesSince(asked)).toEqual([]);
  });

  test("has a workflow that was changed by hand written back, in one commit", async () => {
    const file = (await github.ask("GET", WORKFLOW)) as { sha: string; content: string };
    await github.ask("PUT", WORKFLOW, {
      message: "Try something",
      sha: file.sha,
      content: Buffer.from("name: changed\n").toString("base64"),
    });
    const before = (await commits()).length;
    const preview = await run(stack.preview("--refresh"));
    expect(preview.output).toContain("riscv64-build-on-builders.yml");
    expect(done(await up("--refresh"))).toEqual({ update: ["riscv64-build-on-builders.yml"] });
    expect(((await github.ask("GET", WORKFLOW)) as { content: string }).content).toBe(file.content);
    expect((await commits()).length).toBe(before + 1);
  });

  test("has a secret that somebody else changed seen while previewing, and written anew", async () => {
    const own = await secret("CERT");
    await github.setSecret("builders/riscv64", "BUILDER_AUTH_TLS_CERT", "theirs");
    const preview = await run(stack.preview());
    expect(preview.output).toContain("somebody else changed the secret BUILDER_AUTH_TLS_CERT");
    await up();
    expect(await secret("CERT")).toBe(own);
    const asked = github.served.length;
    expect(done(await up())).toEqual({});
    expect(changesSince(asked)).toEqual([]);
  });

  test("has exactly its secret updated when a client's certificate is renewed", async () => {
    const [ca, cert, key] = [await secret("CACERT"), await secret("CERT"), await secret("KEY")];
    // Another validity makes the certificates anew, as the end of the old one would.
    await configure({ workflows }, {}, { "buildhosts:certificates": { validityHours: 8761 } });
    const renewal = await up();
    expect(await secret("CERT")).not.toBe(cert);
    expect([await secret("CACERT"), await secret("KEY")]).toEqual([ca, key]);
    const ofGithub = Object.entries(done(renewal)).flatMap(([op, names]) =>
      names.filter((name) => name.startsWith("riscv64-")).map((name) => `${op} ${name}`),
    );
    expect(ofGithub.sort()).toEqual(["update riscv64-cert", "update riscv64-written"]);
  });

  test("is archived by destroy, without its secrets", async () => {
    const removal = await run(stack.destroy());
    expect(removal.code, removal.output).toBe(0);
    expect(await github.ask("GET", REPOSITORY)).toMatchObject({ archived: true });
    expect(await secret("KEY")).toBeUndefined();
    const again = await run(stack.preview());
    expect(again.output).toContain(
      'repositories[0].name: received "riscv64", which is archived, as destroy leaves it.',
    );
  });

  test("shows no key and no token in any output, nor in the state", async () => {
    const { output: state } = await stack.pulumi(["stack", "export"]);
    for (const text of [...runs.map(({ output }) => output), state]) {
      expect(text).not.toContain("PRIVATE KEY");
      expect(text).not.toContain(github.token);
    }
  });
});

describe("a repository that is there already", () => {
  beforeAll(async () => {
    await start();
    await github.ask("POST", "/orgs/builders/repos", {
      name: "riscv64",
      auto_init: true,
      description: "theirs",
    });
    await github.ask("POST", `${REPOSITORY}/actions/variables`, {
      name: "BUILDER_NODES",
      value: "theirs",
    });
  });
  afterAll(stop);

  test("is refused before anything is made", async () => {
    await configure({ workflows });
    const refused = await run(stack.preview());
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain(
      'buildhosts:github.repositories[0].name: received "riscv64", which builders has already.',
    );
    expect(refused.output).not.toContain("at Object.");
  });

  const environment = `${REPOSITORY}/environments/builders`;
  const key = `${REPOSITORY}/actions/secrets/BUILDER_AUTH_TLS_KEY`;
  const nodes = `${REPOSITORY}/actions/variables/BUILDER_NODES`;

  test.each<[string, string, object, () => Promise<unknown>]>([
    ["the variable BUILDER_NODES", nodes, {}, async () => {}],
    [
      "the environment builders",
      environment,
      { environment: { name: "builders", branches: ["main"] } },
      () => github.ask("PUT", environment, { wait_timer: 5 }),
    ],
    [
      "the file .github/workflows/build-on-builders.yml",
      WORKFLOW,
      { workflows: { buildOnBuilders: {} } },
      () => github.ask("PUT", WORKFLOW, { message: "Ours", content: "bmFtZTogb3VycwoK" }),
    ],
    [
      "the secret BUILDER_AUTH_TLS_KEY",
      key,
      {},
      () => github.setSecret("builders/riscv64", "BUILDER_AUTH_TLS_KEY", "theirs"),
    ],
  ])("keeps %s, which is somebody else's: a preview refuses it", async (what, path, of, make) => {
    await make();
    const before = (await github.ask("GET", path)) as { sha?: string };
    await configure({ existing: true, ...of });
    const refused = await run(stack.preview());
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain(
      `builders/riscv64 has ${what} already, and this stack did not make it: the update would write over it`,
    );
    expect(refused.output).not.toContain("at Object.");
    // And an update without one.
    expect((await run(stack.up())).code).not.toBe(0);
    expect(await github.ask("GET", path)).toEqual(before);
    const removal = await run(stack.destroy());
    expect(removal.code, removal.output).toBe(0);
    expect(await github.ask("GET", path)).toEqual(before);
    await github.ask("DELETE", path, before.sha ? { message: "Go", sha: before.sha } : undefined);
  });

  test("is used as it is where that is said, and left so, with the choice of its actions", async () => {
    await configure({
      existing: true,
      requireShaPins: true,
      environment: { name: "builders", branches: ["main"] },
      workflows: { buildOnBuilders: {} },
    });
    await up();
    expect(await secret("KEY", "builders/riscv64/builders")).toContain("PRIVATE KEY");
    const asked = github.served.length;
    expect(done(await up("--refresh"))).toEqual({});
    expect(changesSince(asked)).toEqual([]);
    // Written anew by a replacement, which finds the old ones: they are this stack's.
    await github.setSecret("builders/riscv64/builders", "BUILDER_AUTH_TLS_KEY", "theirs");
    const preview = await run(stack.preview());
    expect(preview.code, preview.output).toBe(0);
    await up();
    expect(await github.ask("GET", REPOSITORY)).toMatchObject({ description: "theirs" });
    const removal = await run(stack.destroy());
    expect(removal.code, removal.output).toBe(0);
    expect(await github.ask("GET", REPOSITORY)).toMatchObject({ archived: false });
    expect(await github.ask("GET", `${REPOSITORY}/actions/permissions`)).toMatchObject({
      sha_pinning_required: true,
    });
    expect(await secret("KEY")).toBeUndefined();
    await expect(github.ask("GET", environment)).rejects.toThrow("404");
  });
});

/** Each test begins where the one before it ended. */
describe("workflows by a pull request, secrets of an environment and of the organization, a ruleset", () => {
  const everything = {
    visibility: "public",
    workflows: { buildOnBuilders: {}, releaseTracker: {}, buildkitBuild: {} },
    proposeWorkflows: true,
    protectDefaultBranch: true,
    environment: { name: "builders", branches: ["main", "release/*"] },
  };
  const ofOrganization = { organizationSecrets: { client: "default" } };
  const pulls = (state: string) => list(`${REPOSITORY}/pulls?state=${state}`);

  beforeAll(async () => {
    await start();
    await configure(everything, ofOrganization);
  });
  afterAll(stop);

  test("are each made once, by one up, though the answer to every kind of create is lost", async () => {
    const once = [
      "POST /orgs/{org}/repos",
      "PUT /repos/{owner}/{repo}/contents/{path}",
      "POST /repos/{owner}/{repo}/git/refs",
      "POST /repos/{owner}/{repo}/pulls",
      "POST /repos/{owner}/{repo}/rulesets",
      "PUT /repos/{owner}/{repo}/environments/{environment_name}",
      "POST /repos/{owner}/{repo}/environments/{environment_name}/deployment-branch-policies",
      "PUT /repos/{owner}/{repo}/environments/{environment_name}/secrets/{secret_name}",
      "POST /repos/{owner}/{repo}/environments/{environment_name}/variables",
      "PUT /orgs/{org}/actions/secrets/{secret_name}",
      "POST /orgs/{org}/actions/variables",
    ];
    for (const operation of once) github.faults.add({ operation, fault: { kind: "lost-answer" } });
    await up();
    const lost = github.served.filter(({ status }) => status === 0);
    expect(lost.map(({ operation }) => operation).sort()).toEqual([...once].sort());

    expect(await github.ask("GET", REPOSITORY)).toMatchObject({
      security_and_analysis: {
        secret_scanning: { status: "enabled" },
        secret_scanning_push_protection: { status: "enabled" },
      },
    });
    expect(await list(`${REPOSITORY}/rulesets`)).toHaveLength(1);
    expect(await pulls("open")).toHaveLength(1);
    const policies = `${REPOSITORY}/environments/builders/deployment-branch-policies`;
    const { branch_policies } = (await github.ask("GET", policies)) as unknown as {
      branch_policies: Listed;
    };
    // Whichever of them was made again came last.
    expect(branch_policies.map(({ name }) => name).sort()).toEqual(["main", "release/*"]);
    for (const place of ["builders/riscv64/builders", "builders"]) {
      expect(await secret("KEY", place)).toContain("PRIVATE KEY");
      expect(await github.variable(place, "BUILDER_NODES")).toMatchObject({ value: "[]" });
    }
    expect(await secret("KEY")).toBeUndefined();
  });

  test("change nothing when up runs again, looking at everything", async () => {
    const asked = github.served.length;
    expect(done(await up("--refresh"))).toEqual({});
    expect(changesSince(asked)).toEqual([]);
  });

  test("come to the default branch when the pull request is merged, and are not proposed again", async () => {
    const [pull] = await pulls("open");
    // The default branch has its first commit alone until then.
    expect(await commits()).toHaveLength(1);
    await github.ask("PUT", `${REPOSITORY}/pulls/${pull?.number}/merge`, {
      merge_method: "squash",
    });
    expect(await workflowsThere()).toEqual([
      "build-on-builders.yml",
      "buildkit-weekly-build.yml",
      "track-buildkit-releases.yml",
    ]);
    await up("--refresh");
    expect(await pulls("open")).toEqual([]);
    expect(done(await up("--refresh"))).toEqual({});
  });

  test("are proposed anew where they change, what is new alone", async () => {
    const releaseTracker = { schedule: "0 3 * * *" };
    await configure(
      { ...everything, workflows: { ...everything.workflows, releaseTracker } },
      ofOrganization,
    );
    await up();
    const [pull, ...others] = await pulls("open");
    expect(others).toEqual([]);
    const file = ".github/workflows/track-buildkit-releases.yml";
    expect(pull?.body).toBe(`Proposed by the stack that runs the builders: \`${file}\`.`);
    const head = pull?.head as { ref: string } | undefined;
    const { content } = (await github.ask(
      "GET",
      `${REPOSITORY}/contents/${file}?ref=${head?.ref}`,
    )) as {
      content: string;
    };
    expect(Buffer.from(content, "base64").toString()).toContain('cron: "0 3 * * *"');
  });

  test("take the place of a proposal that was not merged: one is open, and the other closed", async () => {
    const [before] = await pulls("open");
    const releaseTracker = { schedule: "0 4 * * *" };
    await configure(
      { ...everything, workflows: { ...everything.workflows, releaseTracker } },
      ofOrganization,
    );
    await up();
    const open = await pulls("open");
    expect(open).toHaveLength(1);
    expect(open[0]?.number).not.toBe(before?.number);
    expect((await pulls("closed")).map(({ number }) => number)).toContain(before?.number);
  });

  test("are written anew in the environment and in the organization where somebody else changed them", async () => {
    const own = await secret("CERT", "builders");
    for (const place of ["builders/riscv64/builders", "builders"])
      await github.setSecret(place, "BUILDER_AUTH_TLS_CERT", "theirs");
    await up();
    for (const place of ["builders/riscv64/builders", "builders"])
      expect(await secret("CERT", place)).toBe(own);
    expect(done(await up())).toEqual({});
  });
});

/** Each test begins where the one before it ended. */
describe("a repository whose jobs somebody approves, and that destroy deletes", () => {
  const protectedBy = async () => {
    const { protection_rules } = (await github.ask(
      "GET",
      `${REPOSITORY}/environments/builders`,
    )) as unknown as { protection_rules: Listed };
    return protection_rules;
  };
  const approved = (reviewerUserIds?: number[]) =>
    configure({
      visibility: "public",
      deleteOnDestroy: true,
      allowedActions: ["docker/*"],
      environment: { name: "builders", ...(reviewerUserIds && { reviewerUserIds }) },
    });

  beforeAll(() => start());
  afterAll(stop);

  test("comes up with its reviewers, and a second up with a refresh changes nothing", async () => {
    const { id } = (await github.ask("GET", "/user")) as { id: number };
    await approved([id]);
    await up();
    expect(await protectedBy()).toMatchObject([
      { type: "required_reviewers", reviewers: [{ type: "User", reviewer: { id } }] },
    ]);
    expect(await github.ask("GET", `${REPOSITORY}/actions/permissions/selected-actions`)).toEqual({
      github_owned_allowed: true,
      verified_allowed: false,
      patterns_allowed: ["docker/*"],
    });
    const asked = github.served.length;
    expect(done(await up("--refresh"))).toEqual({});
    expect(changesSince(asked)).toEqual([]);
  });

  test("has none when the stack names none any longer", async () => {
    await approved();
    expect(done(await up())).toEqual({ update: ["riscv64-environment"] });
    expect(await protectedBy()).toEqual([]);
  });

  test("is gone after destroy", async () => {
    const removal = await run(stack.destroy());
    expect(removal.code, removal.output).toBe(0);
    await expect(github.ask("GET", REPOSITORY)).rejects.toThrow("404");
  });
});

describe("when GitHub fails", () => {
  const contents = "PUT /repos/{owner}/{repo}/contents/{path}";
  const secrets = "PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}";
  afterEach(stop);

  test("it converges without duplicates: 500, 409 and the limit of requests", async () => {
    await start();
    await configure({ workflows });
    github.faults.add({ operation: contents, fault: { kind: "status", status: 500 } });
    github.faults.add({ operation: secrets, fault: { kind: "rate-limit", resetSeconds: 2 } });
    const variables = "POST /repos/{owner}/{repo}/actions/variables";
    const mostUsed = [secrets, variables];
    for (const operation of mostUsed)
      github.faults.add({ operation, fault: { kind: "lost-answer" } });
    github.faults.add({
      operation: "PUT /repos/{owner}/{repo}/topics",
      fault: { kind: "status", status: 502 },
    });
    await up();
    const lost = github.served.filter(({ status }) => status === 0);
    expect(lost.map(({ operation }) => operation).sort()).toEqual(mostUsed.sort());
    expect(await github.variable("builders/riscv64", "BUILDER_NODES")).toMatchObject({
      value: "[]",
    });
    github.faults.add({ operation: contents, fault: { kind: "status", status: 409 } });
    await configure({ workflows: { ...workflows, buildkitBuild: { keepUntaggedDays: 9 } } });
    const conflict = await run(stack.up());
    expect(conflict.output).toContain("409");
    for (const operation of [
      "GET /users/{username}",
      "GET /repos/{owner}/{repo}",
      "GET /repos/{owner}/{repo}/actions/variables/{name}",
      "GET /repos/{owner}/{repo}/actions/secrets/{secret_name}",
    ])
      github.faults.add({ operation, fault: { kind: "status", status: 502 } });
    const again = await up();
    expect(again.output).not.toContain("somebody else changed");
    expect(done(await up("--refresh"))).toEqual({});
    expect(await workflowsThere()).toHaveLength(3);
    expect(await secret("KEY")).toContain("PRIVATE KEY");
  });

  test("a repository that a lost answer left, and that the token may not delete, is named", async () => {
    await start({ scopes: ["repo", "workflow"] });
    await configure({});
    github.faults.add({ operation: "POST /orgs/{org}/repos", fault: { kind: "lost-answer" } });
    const refused = await run(stack.up());
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain(
      "riscv64-repository: GitHub has made repos/builders/riscv64, but its answer was lost, and this token may not delete it (403). Delete it by hand, and run up again.",
    );
  });
});

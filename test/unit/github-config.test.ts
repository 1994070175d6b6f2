import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ConfigError, problemLine } from "../../config/findings.ts";
import { readStackConfig } from "../../config/load.ts";
import type { StackConfig } from "../../config/stackConfig.ts";
import { startGithub } from "../../proving-ground/github/github.ts";
import {
  findVirtualGithub,
  githubConnectionFile,
  startVirtualGithub,
} from "../../proving-ground/github/virtualGithub.ts";
import { compose } from "../../stack/compose.ts";
import { underMocks } from "./pulumiMocks.ts";

const TOKEN = "ghp_hunter2";
let projectDir: string;
beforeEach(async () => {
  projectDir = await mkdtemp(join(tmpdir(), "buildhosts-github-"));
});
afterEach(() => rm(projectDir, { recursive: true }));

function read(github: unknown, more: Record<string, string> = {}, secretKeys: string[] = []) {
  return readStackConfig(
    {
      values: {
        "buildhosts:clients": '["ci", "alice"]',
        "buildhosts:github": JSON.stringify(github),
        ...more,
      },
      secretKeys,
    },
    { projectDir, environment: { GITHUB_TOKEN: TOKEN } },
  );
}

function problems(...args: Parameters<typeof read>): string[] {
  try {
    read(...args);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(problemLine);
    throw error;
  }
  return [];
}

const one = (repository: object) => ({
  owner: "example",
  repositories: [{ name: "images", ...repository }],
});

describe("buildhosts:github", () => {
  test("is absent where nothing is said", () => {
    expect(read({}).github).toBeUndefined();
  });

  test("has every default filled in", () => {
    expect(read(one({ client: "ci", workflows: { buildOnBuilders: {} } })).github).toEqual({
      owner: "example",
      baseUrl: "https://api.github.com/",
      token: TOKEN,
      repositories: [
        {
          name: "images",
          existing: false,
          deleteOnDestroy: false,
          requireShaPins: true,
          protectDefaultBranch: false,
          defaultBranch: "main",
          client: "ci",
          proposeWorkflows: false,
          workflows: { buildOnBuilders: { maxBuilders: 10 } },
        },
      ],
    });
  });

  test("demands no pins of a repository that is not the stack's", () => {
    expect(read(one({ existing: true })).github?.repositories[0]?.requireShaPins).toBe(false);
  });

  test("takes the secret token before the environment's, and an own GitHub's address", () => {
    const github = { owner: "example", baseUrl: "https://github.example.com", repositories: [] };
    const config = read(github, { "buildhosts:githubToken": "ghp_own\n" }, [
      "buildhosts:githubToken",
    ]);
    expect(config.github).toMatchObject({
      token: "ghp_own",
      baseUrl: "https://github.example.com/",
    });
  });

  test.each<[string, unknown, string]>([
    ["no owner", { repositories: [{ name: "a" }] }, "github.owner: missing; expected the name"],
    ["an owner that is none", { owner: "a/b" }, 'github.owner: received "a/b"; expected the name'],
    [
      "plain http",
      { owner: "a", baseUrl: "http://github.example.com/" },
      "github.baseUrl: received",
    ],
    ["an owner in a name", one({ name: "a/b" }), 'repositories[0].name: received "a/b"; expected'],
    [
      "a misspelt key",
      one({ exsting: true }),
      'repositories[0].exsting: unknown key; did you mean "existing"?',
    ],
    ["a bad topic", one({ topics: ["RISC-V"] }), "repositories[0].topics[0]: received"],
    [
      "a client of nobody's",
      one({ client: "cii" }),
      'repositories[0].client: received "cii", which is none of buildhosts:clients; did you mean "ci"?',
    ],
    [
      "settings of an existing repository",
      one({ existing: true, visibility: "public" }),
      "repositories[0].visibility: does not go together with existing",
    ],
    [
      "deleting an existing repository",
      one({ existing: true, deleteOnDestroy: true }),
      "repositories[0].deleteOnDestroy: does not go together with existing",
    ],
    [
      "a tracker of nothing",
      one({ workflows: { releaseTracker: {} } }),
      "workflows.releaseTracker: starts the workflow of buildkitBuild, which is missing here",
    ],
    [
      "a label of a runner of previews with a blank",
      one({ workflows: { pulumi: { stack: "home", runsOn: ["my lan"] } } }),
      'pulumi.runsOn[0]: received "my lan"; expected a runner\'s label',
    ],
    ...["/etc/policy", "../policy", "--policy", "policy pack"].map(
      (path): [string, object, string] => [
        `a policy pack at ${path}`,
        one({ workflows: { pulumi: { stack: "home", policyPack: path } } }),
        `pulumi.policyPack: received "${path}"; expected a path below the repository, such as policy`,
      ],
    ),
    [
      "a cron line of words",
      one({ workflows: { buildkitBuild: { schedule: "weekly" } } }),
      "buildkitBuild.schedule: received",
    ],
    [
      "a runner of no label",
      one({ workflows: { buildkitBuild: { runsOn: [] } } }),
      "buildkitBuild.runsOn: received []; expected at least one label",
    ],
    [
      "a label with a blank",
      one({ workflows: { buildkitBuild: { runsOn: ["my board"] } } }),
      'buildkitBuild.runsOn[0]: received "my board"; expected a runner\'s label',
    ],
    [
      "an image without a digest",
      one({ workflows: { ownBuildkitd: { buildkitImage: "moby/buildkit:v0.34.2" } } }),
      "ownBuildkitd.buildkitImage: received",
    ],
    [
      "an image of a release by a tag",
      one({ workflows: { buildkitBuild: { images: { base: "debian:trixie-slim" } } } }),
      'buildkitBuild.images.base: received "debian:trixie-slim"; expected an image with its digest',
    ],
    [
      "a branch of a new repository",
      one({ defaultBranch: "trunk" }),
      'defaultBranch: received "trunk"; a new repository\'s is main',
    ],
    [
      "the same repository twice",
      { owner: "a", repositories: [{ name: "b" }, { name: "B" }] },
      'repositories[1].name: received "B", which repositories[0] has already; choose another.',
    ],
  ])("refuses %s", (_, github, message) => {
    expect(problems(github)).toEqual([expect.stringContaining(`buildhosts:github`)]);
    expect(problems(github)[0]).toContain(message);
  });

  test("warns of releases that are signed though their images may move", () => {
    const pinned = `debian:trixie-slim@sha256:${"0".repeat(64)}`;
    const warnings = (images: object) =>
      read(one({ workflows: { buildkitBuild: { images } } })).warnings.filter((line) =>
        line.includes("images"),
      );
    expect(warnings({ base: pinned })).toEqual([
      "buildhosts:github.repositories[0].workflows.buildkitBuild.images: signs releases that are made with images by tags that move: buildkit, scanner. Pin each by the digest that docker buildx imagetools inspect shows.",
    ]);
    expect(warnings({ base: pinned, buildkit: pinned, scanner: pinned })).toEqual([]);
  });

  test.each<[string, object, boolean | undefined, number]>([
    ["a private repository", { workflows: { buildkitBuild: {} } }, false, 1],
    ["one that says so", { workflows: { buildkitBuild: { attest: false } } }, false, 0],
    ["one with Enterprise Cloud", { workflows: { buildkitBuild: { attest: true } } }, true, 0],
    ["a public one", { visibility: "public", workflows: { buildkitBuild: {} } }, undefined, 0],
  ])("of %s, attestations are made where GitHub makes them", (_, repository, attest, warnings) => {
    const config = read(one(repository));
    expect(config.github?.repositories[0]?.workflows.buildkitBuild?.attest).toBe(attest);
    const said = config.warnings.filter((line) => line.includes("publishes without attestations"));
    expect(said).toHaveLength(warnings);
  });

  test("a tracker of a stack alone builds nothing", () => {
    const releaseTracker = { stack: { file: "Pulumi.home.yaml" } };
    expect(problems(one({ workflows: { releaseTracker } }))).toEqual([]);
  });

  test("refuses a token that stands readable in the stack file, without showing it", () => {
    const lines = problems(one({}), { "buildhosts:githubToken": "ghp_own" });
    expect(lines).toEqual([
      "buildhosts:githubToken: is not secret: the token stands readable in the stack file. Revoke it, make a new one, and run: pulumi config set --secret buildhosts:githubToken",
    ]);
  });

  test("refuses what is no token, without showing it", () => {
    const lines = problems(one({}), { "buildhosts:githubToken": "ghp own" }, [
      "buildhosts:githubToken",
    ]);
    expect(lines).toEqual([expect.stringContaining("is no token of GitHub (not shown)")]);
  });
});

test("a stack with repositories is composed of a provider, and of each repository's own resources", async () => {
  const github = await startGithub({ organizations: ["example"] });
  onTestFinished(() => github.stop());
  const stack = {
    owner: "example",
    baseUrl: `${github.url}/`,
    repositories: [
      {
        name: "riscv64",
        environment: { name: "builders" },
        client: "ci",
        workflows: { buildkitBuild: {}, releaseTracker: {}, buildOnBuilders: {} },
      },
    ],
    organizationSecrets: { client: "alice" },
  };
  const config: StackConfig = read(stack, { "buildhosts:githubToken": github.token }, [
    "buildhosts:githubToken",
  ]);
  const { mocks, result } = await underMocks(() => compose(config));
  await result;
  expect(mocks.inputs("github")).toMatchObject({ owner: "example", writeDelayMs: "0" });
  // The SDK hands a provider's inputs over as it does every other: a secret is marked.
  expect(JSON.stringify(mocks.inputs("github").token)).toContain(
    "1b47061264138c4ac30d75fd1eb44270",
  );
  expect(mocks.inputs("riscv64-workflow-access").accessLevel).toBe("organization");
  expect(mocks.inputs("riscv64-token").canApprovePullRequestReviews).toBe(false);
  expect(mocks.names().filter((name) => /github:|Repository|Secrets/.test(name))).toEqual([
    "buildhosts:index:BuilderRepository riscv64",
    "buildhosts:index:BuilderSecrets organization-example",
    "buildhosts:index:BuilderSecrets riscv64",
    "buildhosts:index:RepositoryWorkflows riscv64",
    "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret riscv64-cacert",
    "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret riscv64-cert",
    "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret riscv64-key",
    "github:index/actionsEnvironmentVariable:ActionsEnvironmentVariable riscv64-nodes",
    "github:index/actionsEnvironmentVariable:ActionsEnvironmentVariable riscv64-written",
    "github:index/actionsOrganizationSecret:ActionsOrganizationSecret organization-example-cacert",
    "github:index/actionsOrganizationSecret:ActionsOrganizationSecret organization-example-cert",
    "github:index/actionsOrganizationSecret:ActionsOrganizationSecret organization-example-key",
    "github:index/actionsOrganizationVariable:ActionsOrganizationVariable organization-example-nodes",
    "github:index/actionsOrganizationVariable:ActionsOrganizationVariable organization-example-written",
    "github:index/actionsRepositoryAccessLevel:ActionsRepositoryAccessLevel riscv64-workflow-access",
    "github:index/actionsRepositoryPermissions:ActionsRepositoryPermissions riscv64-actions",
    "github:index/repository:Repository riscv64-repository",
    "github:index/repositoryEnvironment:RepositoryEnvironment riscv64-environment",
    "github:index/repositoryFile:RepositoryFile riscv64-Dockerfile.buildkit-riscv64",
    "github:index/repositoryFile:RepositoryFile riscv64-build-on-builders.yml",
    "github:index/repositoryFile:RepositoryFile riscv64-buildkit-weekly-build.yml",
    "github:index/repositoryFile:RepositoryFile riscv64-entrypoint.sh",
    "github:index/repositoryFile:RepositoryFile riscv64-nfpm.buildkit-riscv64.yaml",
    "github:index/repositoryFile:RepositoryFile riscv64-track-buildkit-releases.yml",
    "github:index/repositoryFile:RepositoryFile riscv64-verify-release.sh",
    "github:index/repositoryVulnerabilityAlerts:RepositoryVulnerabilityAlerts riscv64-alerts",
    "github:index/workflowRepositoryPermissions:WorkflowRepositoryPermissions riscv64-token",
  ]);
});

describe("the proving ground's GitHub", () => {
  const virtual = { virtual: true, owner: "builders", repositories: [{ name: "images" }] };
  const notRunning =
    "buildhosts:github.virtual: the GitHub of the proving ground is not running; start it with npm run up, which runs Pulumi too.";

  test("is said to be started where it was not, or ended in the middle of that", async () => {
    expect(problems(virtual)).toEqual([notRunning]);
    await mkdir(dirname(githubConnectionFile(projectDir)), { recursive: true });
    await writeFile(githubConnectionFile(projectDir), '{"url":"http://127.');
    expect(problems(virtual)).toEqual([notRunning]);
  });

  test("goes together with no other address", () => {
    expect(problems({ ...virtual, baseUrl: "https://github.example.com" })).toContain(
      'buildhosts:github.baseUrl: received "https://github.example.com/" beside virtual: true, which has an address of its own. Take one of the two away.',
    );
  });

  test("goes on in the background, is found again, and comes back at its address when it was killed", async () => {
    const first = await startVirtualGithub(projectDir, ["builders"]);
    const ask = (path: string) =>
      fetch(`${first.url}/api/v3/${path}`, { headers: { authorization: `Bearer ${first.token}` } });
    try {
      expect(first.isNew).toBe(true);
      expect(read(virtual).github).toMatchObject({
        baseUrl: `${first.url}/`,
        token: first.token,
      });
      expect((await ask("orgs/builders")).status).toBe(200);
      expect((await startVirtualGithub(projectDir, ["builders"])).isNew).toBe(false);
      process.kill(first.pid, "SIGKILL");
      await expect.poll(() => findVirtualGithub(projectDir)).toBeUndefined();
      const second = await startVirtualGithub(projectDir, ["builders"]);
      expect(second).toMatchObject({ url: first.url, isNew: true });
    } finally {
      await (await findVirtualGithub(projectDir))?.stop();
    }
    expect(await findVirtualGithub(projectDir)).toBeUndefined();
  });
});

describe("a schedule", () => {
  const field = (item: string, name: string, range: string) =>
    `"${item}" is no ${name}, which goes from ${range}`;
  test.each([
    ["61 25 32 13 9", field("61", "minute", "0 to 59")],
    ["0 24 * * *", field("24", "hour", "0 to 23")],
    ["0 0 32 * *", field("32", "day of the month", "1 to 31")],
    ["0 0 * 13 *", field("13", "month", "1 to 12 or JAN to DEC")],
    ["0 0 0 * *", field("0", "day of the month", "1 to 31")],
    ["30 6 * * 7", `${field("7", "day of the week", "0 to 6 or SUN to SAT")}; Sunday is 0`],
    ["30 6 * * MON-SUN", field("MON-SUN", "day of the week", "0 to 6 or SUN to SAT")],
    ["30 6 * FOO *", field("FOO", "month", "1 to 12 or JAN to DEC")],
    ["*/0 6 * * *", field("*/0", "minute", "0 to 59")],
    ["*-5 6 * * *", field("*-5", "minute", "0 to 59")],
    ["5-1 6 * * *", field("5-1", "minute", "0 to 59")],
    ["1,,2 6 * * *", field("", "minute", "0 to 59")],
    ["30 6 ? * *", field("?", "day of the month", "1 to 31")],
    ["* * * * *", "GitHub runs a workflow every 5 minutes at most, and these are 1 apart"],
    ["*/2 6 * * *", "GitHub runs a workflow every 5 minutes at most, and these are 2 apart"],
    ["0,57 * * * *", "GitHub runs a workflow every 5 minutes at most, and these are 3 apart"],
    ["0,57 23,0 * * *", "GitHub runs a workflow every 5 minutes at most, and these are 3 apart"],
    ["0 0 31 2,4,6 *", "no such day ever comes"],
    ["@daily", "it has not five fields with one blank between them"],
    ["0 6 * *", "it has not five fields with one blank between them"],
    ["0  6 * * *", "it has not five fields with one blank between them"],
  ])("%s is refused", (schedule, refusal) => {
    const config = one({ workflows: { buildkitBuild: { schedule } } });
    expect(problems(config)).toEqual([
      `buildhosts:github.repositories[0].workflows.buildkitBuild.schedule: received "${schedule}"; expected a cron line of five fields such as "30 6 * * 0": ${refusal}.`,
    ]);
  });

  test.each([
    "30 6 * * 0",
    "*/5 * * * *",
    "0,57 6 * * *",
    "0,57 0,6,12 * * *",
    "5/15 2-8/3 1,15 jan-jun,DEC mon-fri",
    "0 0 29 2 *",
    "0 0 31 2 1",
  ])("%s is accepted", (schedule) => {
    expect(
      problems(one({ workflows: { releaseTracker: { schedule }, buildkitBuild: {} } })),
    ).toEqual([]);
  });
});

describe("GitHub's own runners", () => {
  const hostKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdndYS0p72mI5";
  const stack = (board: object, docker: string) => ({
    "buildhosts:boards": JSON.stringify([
      { name: "a", host: "192.168.1.10", hostKey, platform: "riscv64", ...board },
    ]),
    "buildhosts:dockerHosts": JSON.stringify([
      {
        name: "d",
        docker,
        platform: "amd64",
        builders: [{ name: "b", image: `moby/buildkit:v0.34.2@sha256:${"a".repeat(64)}` }],
      },
    ]),
    "buildhosts:sshPrivateKey": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
  });
  const warnings = (workflows: object, board: object = {}, github: object = {}) =>
    read({ ...one({ workflows }), ...github }, stack(board, "unix:///var/run/docker.sock"), [
      "buildhosts:sshPrivateKey",
    ]).warnings;
  const path = "buildhosts:github.repositories[0].workflows";

  test("do not reach builders of a local network, nor machines that shall become builders", () => {
    expect(warnings({ buildOnBuilders: {}, pulumi: { stack: "home" } })).toEqual([
      `${path}.buildOnBuilders.runsOn: ubuntu-latest is a runner of GitHub's, which does not reach 192.168.1.10, localhost: only a local network has those builders. Name a runner of your own in runsOn, or give the builder an endpoint that they reach.`,
      `${path}.pulumi.runsOn: ubuntu-latest is a runner of GitHub's, which does not reach 192.168.1.10, localhost: only a local network has those hosts. Name a runner of your own in runsOn.`,
    ]);
  });

  test("reach an endpoint that is public", () => {
    expect(
      warnings(
        { buildOnBuilders: { runsOn: ["ubuntu-24.04-arm"] } },
        { endpoint: "tcp://builder.example.com:1234" },
      ),
    ).toEqual([
      `${path}.buildOnBuilders.runsOn: ubuntu-24.04-arm is a runner of GitHub's, which does not reach localhost: only a local network has that builder. Name a runner of your own in runsOn, or give the builder an endpoint that they reach.`,
    ]);
  });

  test.each<[title: string, workflows: object, github: object]>([
    ["a runner of one's own is named", { buildOnBuilders: { runsOn: ["self-hosted"] } }, {}],
    [
      "GitHub is one's own",
      { buildOnBuilders: {} },
      { baseUrl: "https://github.example.com/api/v3/" },
    ],
    ["no workflow uses the builders", { ownBuildkitd: undefined }, {}],
  ])("are not there where %s", (_, workflows, github) => {
    expect(warnings(workflows, {}, github)).toEqual([]);
  });
});

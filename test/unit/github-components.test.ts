import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import {
  BuilderRepository,
  BuilderSecrets,
  type BuilderSecretsArgs,
  RepositoryWorkflows,
} from "../../components/index.ts";
import { settled, underMocks } from "./pulumiMocks.ts";

/** The SDK's mark of a secret among serialised inputs. */
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const SIGNATURE = "4dabf18193072939515e22adb298388d";

const client: BuilderSecretsArgs = {
  caCertPem: "CA",
  certPem: "CERT",
  privateKeyPem: "CLIENT KEY",
  builders: [
    { name: "a", endpoint: "tcp://a.example.com:1234", platforms: ["linux/riscv64"] },
    { name: "b", endpoint: "tcp://b.example.com:1234", platforms: ["linux/amd64", "linux/386"] },
  ],
};

describe("BuilderRepository", () => {
  test("is never deleted to make room for another of its name", async () => {
    const { mocks } = await underMocks(() => new BuilderRepository("r"));
    expect(mocks.options.get("r-repository")).toMatchObject({ deleteBeforeReplace: false });
  });

  test("is private, is archived instead of deleted, and demands pinned actions", async () => {
    const { mocks, result } = await underMocks(() => new BuilderRepository("images"));
    expect(mocks.names()).toEqual([
      "buildhosts:index:BuilderRepository images",
      "github:index/actionsRepositoryPermissions:ActionsRepositoryPermissions images-actions",
      "github:index/repository:Repository images-repository",
      "github:index/repositoryVulnerabilityAlerts:RepositoryVulnerabilityAlerts images-alerts",
      "github:index/workflowRepositoryPermissions:WorkflowRepositoryPermissions images-token",
    ]);
    expect(mocks.inputs("images-repository")).toMatchObject({
      name: "images",
      visibility: "private",
      archiveOnDestroy: true,
      autoInit: true,
    });
    expect(mocks.inputs("images-actions")).toEqual({
      repository: "images",
      enabled: true,
      shaPinningRequired: true,
      allowedActions: "all",
    });
    expect(mocks.inputs("images-token")).toMatchObject({
      defaultWorkflowPermissions: "read",
      canApprovePullRequestReviews: false,
    });
    expect((await settled(result.repositoryName)).value).toBe("images");
  });

  test("has secrets looked for, and kept from being pushed, where everybody can see it", async () => {
    const { mocks } = await underMocks(
      () => new BuilderRepository("images", { visibility: "public" }),
    );
    expect(mocks.inputs("images-repository").securityAndAnalysis).toEqual({
      secretScanning: { status: "enabled" },
      secretScanningPushProtection: { status: "enabled" },
    });
    const closed = await underMocks(() => new BuilderRepository("images"));
    expect(closed.mocks.inputs("images-repository")).not.toHaveProperty("securityAndAnalysis");
  });

  test("is really deleted only where that was asked for", async () => {
    const { mocks } = await underMocks(
      () => new BuilderRepository("images", { deleteOnDestroy: true }),
    );
    expect(mocks.inputs("images-repository").archiveOnDestroy).toBe(false);
  });

  test("leaves an existing one alone", async () => {
    const { mocks, result } = await underMocks(
      () => new BuilderRepository("theirs", { repository: "website", existing: true }),
    );
    expect(mocks.names()).toEqual(["buildhosts:index:BuilderRepository theirs"]);
    expect((await settled(result.repositoryName)).value).toBe("website");
  });

  test("gives an existing one only what was asked for", async () => {
    const { mocks } = await underMocks(
      () =>
        new BuilderRepository("website", {
          existing: true,
          protectDefaultBranch: true,
          environment: { name: "builders", branches: ["main", "release/*"] },
        }),
    );
    expect(mocks.names()).toEqual([
      "buildhosts:index:BuilderRepository website",
      "github:index/repositoryEnvironment:RepositoryEnvironment website-environment",
      "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy website-environment-main",
      "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy website-environment-release-",
      "github:index/repositoryRuleset:RepositoryRuleset website-ruleset",
    ]);
    expect(mocks.inputs("website-ruleset")).toMatchObject({
      conditions: { refName: { includes: ["~DEFAULT_BRANCH"], excludes: [] } },
      rules: { deletion: true, nonFastForward: true },
    });
  });

  test("lets others call its workflows, and workflows propose, only where that is asked for", async () => {
    const { mocks } = await underMocks(
      () =>
        new BuilderRepository("images", { workflowAccess: "organization", workflowsPropose: true }),
    );
    expect(mocks.inputs("images-workflow-access")).toEqual({
      repository: "images",
      accessLevel: "organization",
    });
    expect(mocks.inputs("images-token").canApprovePullRequestReviews).toBe(true);
  });

  test("allows chosen actions only", async () => {
    const { mocks } = await underMocks(
      () => new BuilderRepository("images", { allowedActions: ["docker/*"] }),
    );
    expect(mocks.inputs("images-actions")).toMatchObject({
      allowedActions: "selected",
      allowedActionsConfig: { githubOwnedAllowed: true, patternsAlloweds: ["docker/*"] },
    });
  });
});

describe("RepositoryWorkflows", () => {
  const files = { ".github/workflows/b.yml": "B", ".github/workflows/a.yml": "A" };

  test("writes each file to the default branch, always with the same commit message", async () => {
    const { mocks } = await underMocks(
      () => new RepositoryWorkflows("images", { repository: "images", files }),
    );
    expect(mocks.names()).toEqual([
      "buildhosts:index:RepositoryWorkflows images",
      "github:index/repositoryFile:RepositoryFile images-a.yml",
      "github:index/repositoryFile:RepositoryFile images-b.yml",
    ]);
    expect(mocks.inputs("images-a.yml")).toEqual({
      repository: "images",
      file: ".github/workflows/a.yml",
      content: "A",
      commitMessage: "Write .github/workflows/a.yml",
      overwriteOnCreate: true,
    });
  });

  test("proposes them on a branch that is another one for other content", async () => {
    const branchOf = async (content: string) => {
      const { mocks } = await underMocks(
        () =>
          new RepositoryWorkflows("images", {
            repository: "images",
            files: { "a.yml": content },
            delivery: "pullRequest",
          }),
      );
      const branch = mocks.inputs("images-branch").branch;
      expect(mocks.inputs("images-a.yml").branch).toBe(branch);
      expect(mocks.inputs("images-pull-request")).toMatchObject({
        headRef: branch,
        baseRef: "main",
      });
      return branch;
    };
    const first = await branchOf("A");
    expect(first).toMatch(/^buildhosts\/workflows-[0-9a-f]{12}$/);
    expect(await branchOf("A")).toBe(first);
    expect(await branchOf("B")).not.toBe(first);
  });
});

describe("BuilderSecrets", () => {
  test("is three secrets and the list of builders in a repository", async () => {
    const { mocks } = await underMocks(
      () => new BuilderSecrets("images", { ...client, repository: "images" }),
    );
    expect(mocks.names()).toEqual([
      "buildhosts:index:BuilderSecrets images",
      "github:index/actionsSecret:ActionsSecret images-cacert",
      "github:index/actionsSecret:ActionsSecret images-cert",
      "github:index/actionsSecret:ActionsSecret images-key",
      "github:index/actionsVariable:ActionsVariable images-nodes",
      "github:index/actionsVariable:ActionsVariable images-written",
    ]);
    expect(mocks.inputs("images-key")).toEqual({
      repository: "images",
      secretName: "BUILDER_AUTH_TLS_KEY",
      value: { [SIGNATURE]: SECRET, value: "CLIENT KEY" },
    });
    expect(mocks.inputs("images-nodes").variableName).toBe("BUILDER_NODES");
    expect(JSON.parse(String(mocks.inputs("images-nodes").value))).toEqual(client.builders);
  });

  test.each([
    [
      "an environment",
      { repository: "images", environment: "builders" },
      "actionsEnvironmentSecret:ActionsEnvironmentSecret",
      { repository: "images", environment: "builders" },
    ],
    [
      "an organization",
      { visibility: "selected" as const, selectedRepositoryIds: [7] },
      "actionsOrganizationSecret:ActionsOrganizationSecret",
      { visibility: "selected", selectedRepositoryIds: [7] },
    ],
  ])("are those of %s where that is named", async (_, place, type, inputs) => {
    const { mocks } = await underMocks(() => new BuilderSecrets("x", { ...client, ...place }));
    expect(mocks.names()).toContain(`github:index/${type} x-cert`);
    expect(mocks.inputs("x-cert")).toMatchObject(inputs);
    expect(mocks.inputs("x-nodes")).toMatchObject(inputs);
  });

  test("a renewed certificate changes its own secret and nothing else", async () => {
    const inputs = async (args: BuilderSecretsArgs) => {
      const { mocks } = await underMocks(
        () => new BuilderSecrets("x", { ...args, repository: "x" }),
      );
      return new Map(mocks.registered.map((one) => [one.name, JSON.stringify(one.inputs)]));
    };
    const [before, after] = [await inputs(client), await inputs({ ...client, certPem: "NEW" })];
    expect(
      [...after].filter(([name, text]) => before.get(name) !== text).map(([name]) => name),
    ).toEqual(["x-cert"]);
  });

  test("takes what another resource gives: ids of repositories, and who writes them", async () => {
    const { mocks } = await underMocks(
      () =>
        new BuilderSecrets("x", {
          ...client,
          visibility: "selected",
          selectedRepositoryIds: [pulumi.output(7)],
          writtenBy: pulumi.output("lab/dev"),
        }),
    );
    expect(mocks.inputs("x-cert")).toMatchObject({ selectedRepositoryIds: [7] });
    expect(JSON.parse(String(mocks.inputs("x-written").value))).toMatchObject({ by: "lab/dev" });
  });

  test("refuses an environment of no repository", async () => {
    const made = () =>
      underMocks(() => new BuilderSecrets("x", { ...client, environment: "builders" }));
    await expect(made()).rejects.toThrow(
      "x: an environment belongs to a repository; name the repository",
    );
    await expect(made()).rejects.toSatisfy(
      (error) => pulumi.ResourceError.isInstance(error) && error.resource instanceof BuilderSecrets,
    );
  });
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { GithubConfig, RepositoryConfig } from "../../config/stackConfig.ts";
import {
  type Github,
  type GithubOptions,
  startGithub,
} from "../../proving-ground/github/github.ts";
import { checkGithub } from "../../stack/github/check.ts";
import { unmergedFiles } from "../../stack/github/proposals.ts";
import { secretRewrites } from "../../stack/github/secrets.ts";
import { keepUp } from "../../stack/github/upkeep.ts";

let github: Github;
afterEach(() => github.stop());

async function start(options: GithubOptions = {}): Promise<void> {
  github = await startGithub({ organizations: ["builders"], ...options });
}

const repository = (change: Partial<RepositoryConfig> = {}): RepositoryConfig => ({
  name: "images",
  existing: false,
  deleteOnDestroy: false,
  requireShaPins: true,
  protectDefaultBranch: false,
  defaultBranch: "main",
  proposeWorkflows: false,
  workflows: {},
  ...change,
});

const check = (change: Partial<GithubConfig> = {}) =>
  checkGithub({
    owner: "builders",
    baseUrl: `${github.url}/`,
    token: github.token,
    repositories: [repository()],
    ...change,
  });

describe("before anything is made", () => {
  test("what can be had is accepted, and nothing is changed by asking", async () => {
    await start();
    await check({ organizationSecrets: { client: "ci", visibility: "private" } });
    expect(github.served.every(({ operation }) => operation.startsWith("GET "))).toBe(true);
    expect(github.problems).toEqual([]);
  });

  test("an owner that GitHub does not know is refused", async () => {
    await start();
    await expect(check({ owner: "nobody" })).rejects.toThrow(
      'buildhosts:github.owner: received "nobody"; GitHub has no such user or organization.',
    );
  });

  test("a token that GitHub refuses is refused, and not shown", async () => {
    await start();
    const error: Error = await check({ token: "ghp_hunter2" }).catch((e) => e);
    expect(error.message).toBe(
      "buildhosts:githubToken: GitHub refuses the token (401): it is wrong, revoked or expired. Make a new one.",
    );
  });

  test("a token without the scopes that are needed is refused, with all of them", async () => {
    await start({ scopes: ["repo"] });
    await expect(
      check({
        repositories: [
          repository({ deleteOnDestroy: true, workflows: { pulumi: { stack: "home" } } }),
        ],
        organizationSecrets: { client: "ci", visibility: "all" },
      }),
    ).rejects.toThrow(
      "buildhosts:githubToken: lacks the scopes workflow, delete_repo, admin:org; it has repo. Add what is missing where the token was made",
    );
  });

  test("an existing repository that is not there is refused", async () => {
    await start();
    await expect(check({ repositories: [repository({ existing: true })] })).rejects.toThrow(
      'buildhosts:github.repositories[0].name: received "images"; builders has no such repository, or the token may not see it. Without existing: true, it is made.',
    );
  });

  describe("on the plan Free", () => {
    const environment = { name: "builders", branches: ["main"] };

    test("what a private repository has not is refused, with the way out", async () => {
      await start({ plan: "free" });
      const repositories = [repository({ environment, protectDefaultBranch: true })];
      const error: Error = await check({
        repositories,
        organizationSecrets: { client: "ci", visibility: "private" },
      }).catch((e) => e);
      expect(error.message.split("\n- ")).toEqual([
        "3 problems in the stack's configuration:",
        'buildhosts:github.organizationSecrets.visibility: received "private"; builders is on the plan Free, where an organization\'s secrets do not reach private repositories. Take all, for its public ones, or give each repository a client instead.',
        'buildhosts:github.repositories[0].environment: received "builders", and the repository is private; builders is on the plan Free, where only public repositories have environments. Make it public, take the plan Team, or remove it.',
        "buildhosts:github.repositories[0].protectDefaultBranch: received true, and the repository is private; builders is on the plan Free, where only public repositories have rules for their branches. Make it public, take the plan Team, or remove it.",
      ]);
    });

    test("an existing repository is taken as it is seen", async () => {
      await start({ plan: "free" });
      for (const [name, visibility] of [
        ["open", "public"],
        ["closed", "private"],
      ] as const) {
        const settings = { name, auto_init: true, visibility };
        await github.ask("POST", "/orgs/builders/repos", settings);
      }
      await check({ repositories: [repository({ existing: true, name: "open", environment })] });
      await expect(
        check({ repositories: [repository({ existing: true, name: "closed", environment })] }),
      ).rejects.toThrow("and the repository is private; builders is on the plan Free");
    });

    test("a user is told of the user's plan", async () => {
      await start({ plan: "free" });
      await expect(
        check({ owner: "octocat", repositories: [repository({ environment })] }),
      ).rejects.toThrow(
        "octocat is on the plan Free, where only public repositories have environments. Make it public, take the plan Pro,",
      );
    });

    test.each([
      ["free", repository({ visibility: "public", environment, protectDefaultBranch: true })],
      ["team", repository({ environment, protectDefaultBranch: true })],
      [undefined, repository({ environment, protectDefaultBranch: true })],
    ])("nothing is refused that there is: plan %s", async (plan, one) => {
      await start(plan === undefined ? {} : { plan });
      await check({ repositories: [one] });
      expect(github.problems).toEqual([]);
    });
  });

  test("an archived one is refused", async () => {
    await start();
    await github.ask("POST", "/orgs/builders/repos", { name: "images", auto_init: true });
    await github.ask("PATCH", "/repos/builders/images", { archived: true });
    await expect(check({ repositories: [repository({ existing: true })] })).rejects.toThrow(
      'received "images", which is archived: it takes no change. Unarchive it first.',
    );
  });

  test.each([
    ["lets nobody", "none", 1],
    ["lets the organization", "organization", 0],
  ])(
    "a private one that %s call its workflows (%s) causes %i warnings",
    async (_, level, count) => {
      const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
      onTestFinished(() => warn.mockRestore());
      await start();
      const settings = { name: "images", auto_init: true, visibility: "private" };
      await github.ask("POST", "/orgs/builders/repos", settings);
      const access = "/repos/builders/images/actions/permissions/access";
      await github.ask("PUT", access, { access_level: level });
      await check({
        repositories: [
          repository({ existing: true, requireShaPins: false, workflows: { buildOnBuilders: {} } }),
        ],
      });
      expect(warn).toHaveBeenCalledTimes(count);
      if (count > 0)
        expect(warn).toHaveBeenCalledWith(
          'repository images is private and lets no other one use its workflows: they get "workflow was not found". Change that by hand in its settings, under Actions, General, Access.',
        );
    },
  );

  test("a private one whose build would fail at its attestations is refused", async () => {
    await start();
    const settings = { name: "images", auto_init: true, visibility: "private" };
    await github.ask("POST", "/orgs/builders/repos", settings);
    const theirs = { existing: true, requireShaPins: false };
    await expect(
      check({ repositories: [repository({ ...theirs, workflows: { buildkitBuild: {} } })] }),
    ).rejects.toThrow(
      "buildhosts:github.repositories[0].workflows.buildkitBuild.attest: missing; images is private, where attestations take GitHub Enterprise Cloud",
    );
    await check({
      repositories: [repository({ ...theirs, workflows: { buildkitBuild: { attest: false } } })],
    });
  });

  test("one whose choice of actions would be undone is refused", async () => {
    await start();
    await github.ask("POST", "/orgs/builders/repos", { name: "images", auto_init: true });
    const permissions = "/repos/builders/images/actions/permissions";
    await github.ask("PUT", permissions, { enabled: true, allowed_actions: "selected" });
    const theirs = repository({ existing: true, requireShaPins: true });
    await expect(check({ repositories: [theirs] })).rejects.toThrow(
      "buildhosts:github.repositories[0].requireShaPins: received true, but images allows chosen actions only, which would be undone: name them in allowedActions too.",
    );
    await check({ repositories: [{ ...theirs, allowedActions: ["docker/*"] }] });
  });

  test("secrets of a user's organization are refused, for there is none", async () => {
    await start();
    await expect(
      check({ owner: "octocat", organizationSecrets: { client: "ci", visibility: "all" } }),
    ).rejects.toThrow("buildhosts:github.organizationSecrets: octocat is a user");
  });

  test("a GitHub that does not answer is named", async () => {
    await start();
    await expect(check({ baseUrl: "http://127.0.0.1:1/" })).rejects.toThrow(
      'buildhosts:github.baseUrl: received "http://127.0.0.1:1/"; http://127.0.0.1:1/api/v3/ does not answer (',
    );
  });
});

describe("what GitHub fails at is no answer", () => {
  const users = "GET /users/{username}";
  const repos = "GET /repos/{owner}/{repo}";
  const asked = (operation: string) =>
    github.served.filter((one) => one.operation === operation).length;

  test.each([
    ["fails", { kind: "status", status: 502 }],
    ["limits requests", { kind: "rate-limit", resetSeconds: 0 }],
    ["asks for a second", { kind: "secondary-rate-limit", retryAfterSeconds: 1 }],
    ["breaks the connection", { kind: "lost-answer" }],
  ] as const)("where it %s, it is asked again", async (_, fault) => {
    await start();
    await github.ask("POST", "/orgs/builders/repos", { name: "images", auto_init: true });
    for (const operation of [users, repos]) github.faults.add({ operation, fault });
    await check({ repositories: [repository({ existing: true })] });
    expect([asked(users), asked(repos)]).toEqual([2, 2]);
  });

  test("a status that stays is said, and what it was about, in one line", async () => {
    await start();
    github.faults.add({ operation: users, fault: { kind: "status", status: 502 }, times: 9 });
    await expect(check()).rejects.toThrow(
      /^buildhosts:github: GET users\/builders: GitHub answers 502 \(Server Error\), 4 times; run this again later\.$/,
    );
    expect(asked(users)).toBe(4);
  });

  test("a limit that lasts is said, and not waited for", async () => {
    await start();
    github.faults.add({ operation: repos, fault: { kind: "rate-limit", resetSeconds: 1800 } });
    await expect(check({ repositories: [repository({ existing: true })] })).rejects.toThrow(
      /^buildhosts:github: GitHub's limit of requests is used up \(GET repos\/builders\/images: 403\); run this again in 31 minutes\.$/,
    );
    expect(asked(repos)).toBe(1);
  });

  test("a fine-grained token, which says nothing of its rights, is told what it needs when it is refused", async () => {
    await start({ fineGrained: true });
    const message = "Resource not accessible by personal access token";
    github.faults.add({ operation: repos, fault: { kind: "status", status: 403, message } });
    await expect(check({ repositories: [repository({ existing: true })] })).rejects.toThrow(
      `buildhosts:github: GET repos/builders/images: GitHub answers 403 (${message}). A fine-grained token needs Administration, Contents,`,
    );
  });

  test("a secret, and the files of the default branch, are not taken for gone", async () => {
    await start();
    await github.ask("POST", "/orgs/builders/repos", { name: "images", auto_init: true });
    const place = "/repos/builders/images/actions/variables";
    await github.ask("POST", place, {
      name: "BUILDER_SECRETS",
      value: JSON.stringify({
        rewrite: "never",
        written: { KEY: "2026-01-02 03:04:05 +0000 UTC" },
      }),
    });
    const config: GithubConfig = {
      owner: "builders",
      baseUrl: `${github.url}/`,
      token: github.token,
      repositories: [repository({ client: "ci" })],
    };
    const fault = { kind: "status", status: 500 } as const;
    for (const operation of [
      "GET /repos/{owner}/{repo}/actions/secrets/{secret_name}",
      "GET /repos/{owner}/{repo}/git/trees/{tree_sha}",
    ])
      github.faults.add({ operation, fault, times: 4 });
    await expect(secretRewrites(config)).rejects.toThrow(
      "GET repos/builders/images/actions/secrets/BUILDER_AUTH_TLS_KEY: GitHub answers 500",
    );
    await expect(unmergedFiles(config, repository(), { a: "b" })).rejects.toThrow(
      "GET repos/builders/images/git/trees/main?recursive=1: GitHub answers 500",
    );
  });
});

describe("what the provider has no resource for", () => {
  const WEEKLY = ".github/workflows/buildkit-weekly-build.yml";
  const OFF =
    "repository images: GitHub has switched buildkit-weekly-build.yml off after 60 days without a commit";
  const RISK =
    "repository images is public and has workflows for a runner of your own: a pull request of a fork can run code on that runner, and leave files for the next job";
  const FIX =
    'in its settings, under Actions, General, choose "Require approval for all external contributors", or take runners that are made for one job (--ephemeral)';
  const APPROVAL = "/repos/builders/images/actions/permissions/fork-pr-contributor-approval";

  async function repositoryThere(visibility: "public" | "private"): Promise<void> {
    await start();
    const settings = { name: "images", auto_init: true, visibility };
    await github.ask("POST", "/orgs/builders/repos", settings);
    await github.ask("PUT", `/repos/builders/images/contents/${WEEKLY}`, {
      message: "Write",
      content: Buffer.from("name: Weekly\non:\n  schedule: []\n").toString("base64"),
    });
  }

  /** What a preview or an update says. */
  async function upkeep(change: Partial<RepositoryConfig>, preview = false): Promise<string[]> {
    const lines: string[] = [];
    const spies = [
      vi.spyOn(pulumi.runtime, "isDryRun").mockReturnValue(preview),
      ...(["info", "warn"] as const).map((level) =>
        vi
          .spyOn(pulumi.log, level)
          .mockImplementation(async (line) => void lines.push(`${level}: ${line}`)),
      ),
    ];
    const config = { owner: "builders", baseUrl: `${github.url}/`, token: github.token };
    await keepUp({ ...config, repositories: [] }, repository(change), [WEEKLY]);
    for (const spy of spies) spy.mockRestore();
    expect(github.problems).toEqual([]);
    return lines;
  }
  const state = async () =>
    (
      (await github.ask("GET", "/repos/builders/images/actions/workflows")) as {
        workflows: { state: string }[];
      }
    ).workflows.map((one) => one.state);
  const policy = async () =>
    ((await github.ask("GET", APPROVAL)) as { approval_policy: string }).approval_policy;

  test("a workflow that GitHub has switched off is said in the preview, and on again after up", async () => {
    await repositoryThere("private");
    github.workflowStates.set("builders/images/buildkit-weekly-build.yml", "disabled_inactivity");
    expect(await upkeep({}, true)).toEqual([`warn: ${OFF}; up switches it on again.`]);
    expect(await state()).toEqual(["disabled_inactivity"]);
    expect(await upkeep({})).toEqual([`info: ${OFF}; it is on again.`]);
    expect(await state()).toEqual(["active"]);
    expect(await upkeep({})).toEqual([]);
  });

  test("one that the token may not switch on is said, with the step by hand", async () => {
    await repositoryThere("private");
    github.workflowStates.set("builders/images/buildkit-weekly-build.yml", "disabled_inactivity");
    github.faults.add({
      operation: "PUT /repos/{owner}/{repo}/actions/workflows/{workflow_id}/enable",
      fault: { kind: "status", status: 403, message: "Resource not accessible" },
    });
    expect(await upkeep({})).toEqual([
      `warn: ${OFF}, and the token may not switch it on (403); by hand: gh workflow enable buildkit-weekly-build.yml --repo builders/images`,
    ]);
  });

  test("one that somebody has switched off stays off", async () => {
    await repositoryThere("private");
    github.workflowStates.set("builders/images/buildkit-weekly-build.yml", "disabled_manually");
    expect(await upkeep({})).toEqual([]);
    expect(await state()).toEqual(["disabled_manually"]);
  });

  test("a repository that is not there yet has nothing to be kept up", async () => {
    await start();
    expect(await upkeep({ workflows: { buildkitBuild: {} } }, true)).toEqual([]);
  });

  test("pull requests of forks wait for an approval where they could reach an own runner", async () => {
    await repositoryThere("public");
    const build = { workflows: { buildkitBuild: {} } };
    expect(await upkeep(build, true)).toEqual([]);
    expect(await policy()).toBe("first_time_contributors");
    expect(await upkeep(build)).toEqual([]);
    expect(await policy()).toBe("all_external_contributors");
    expect(await upkeep({ ...build, existing: true })).toEqual([]);
  });

  test("in a repository that is not the stack's they are warned about, with what closes it", async () => {
    await repositoryThere("public");
    for (const workflows of [
      { buildkitBuild: {} },
      { serviceContainer: { buildkitImage: "b" } },
      { pulumi: { stack: "home", runsOn: ["self-hosted", "lab"] } },
      { buildOnBuilders: { runsOn: ["lab"] } },
      { buildkitBuild: { runsOn: ["ubuntu-latest"] }, windows: { runsOn: ["lab-windows"] } },
    ]) {
      expect(await upkeep({ existing: true, workflows })).toEqual([`warn: ${RISK}: ${FIX}.`]);
    }
    expect(await policy()).toBe("first_time_contributors");
  });

  test("they are warned about where the token may not set it", async () => {
    await repositoryThere("public");
    github.faults.add({
      operation: "PUT /repos/{owner}/{repo}/actions/permissions/fork-pr-contributor-approval",
      fault: { kind: "status", status: 403, message: "Resource not accessible" },
    });
    expect(await upkeep({ workflows: { buildkitBuild: {} } })).toEqual([
      `warn: ${RISK}, and the token may not change that (403): ${FIX}.`,
    ]);
  });

  test.each<[string, "public" | "private", RepositoryConfig["workflows"]]>([
    [
      "runners of GitHub",
      "public",
      { buildOnBuilders: {}, buildkitBuild: { runsOn: ["ubuntu-24.04-riscv"] } },
    ],
    ["nobody outside", "private", { buildkitBuild: {} }],
  ])("nothing is asked of %s", async (_, visibility, workflows) => {
    await repositoryThere(visibility);
    expect(await upkeep({ existing: true, workflows })).toEqual([]);
    expect(github.served.map(({ path }) => path)).not.toContain(APPROVAL);
  });
});

describe("a package", () => {
  const packages = (visibility: "public" | "private", linked?: string) => [
    {
      ...{ owner: "builders", name: "buildkit-riscv64", visibility, versions: [] },
      ...(linked && { repository: linked }),
    },
  ];
  const settings = () => `${github.url}/orgs/builders/packages/container/buildkit-riscv64/settings`;

  /** What a preview says of the package of the repository builders/images. */
  async function said(options: GithubOptions, status?: number): Promise<string[]> {
    await start(options);
    const operation = "GET /orgs/{org}/packages/{package_type}/{package_name}";
    if (status) github.faults.add({ operation, fault: { kind: "status", status } });
    for (const name of ["images", "other"])
      await github.ask("POST", "/orgs/builders/repos", { name, auto_init: true });
    const lines: string[] = [];
    for (const level of ["info", "warn"] as const) {
      const spy = vi.spyOn(pulumi.log, level);
      spy.mockImplementation(async (line) => void lines.push(`${level}: ${line}`));
      onTestFinished(() => spy.mockRestore());
    }
    await check({
      repositories: [repository({ existing: true, workflows: { buildkitBuild: {} } })],
    });
    return lines;
  }

  test("that is as it should be has nothing said of it", async () => {
    expect(await said({ packages: packages("public", "builders/images") })).toEqual([]);
  });

  test("that not everybody can pull is said with the step by hand, in the words of docs/github.md", async () => {
    const [line = "", ...others] = await said({ packages: packages("private", "builders/images") });
    expect(others).toEqual([]);
    expect(line).toBe(
      `warn: package buildkit-riscv64 is private and should be public. By hand, as GitHub has no API for it: open ${settings()}, and under Danger Zone choose Change visibility, public.`,
    );
    const page = await readFile(join(import.meta.dirname, "../../docs/github.md"), "utf8");
    const shown = line
      .replace("warn: ", "")
      .replace(`${github.url}/orgs/builders`, "https://github.com/orgs/example");
    expect(page).toContain(`\n${shown}\n`);
  });

  test.each([
    ["another repository", "builders/other", "builders/other"],
    ["none", undefined, "no repository"],
  ])("that belongs to %s is said to", async (_, linked, called) => {
    expect(await said({ packages: packages("public", linked) })).toEqual([
      `warn: package buildkit-riscv64 belongs to ${called}, not to builders/images, whose workflows then cannot push to it. By hand: open ${settings()}, and under Manage Actions access add builders/images with the role Write.`,
    ]);
  });

  test("that is not there, or that the token may not see, is said too", async () => {
    expect(await said({})).toEqual([
      "info: package buildkit-riscv64 is not there, or the token may not see it: it appears with its first push, private.",
    ]);
    await github.stop();
    expect(await said({}, 403)).toEqual([
      "warn: package buildkit-riscv64: the token may not see who can pull it; a classic one needs the scope read:packages.",
    ]);
  });
});

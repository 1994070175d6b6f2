import * as z from "zod";
import { closed } from "../components/schema/closed.ts";
import { expected, shown } from "../components/schema/expected.ts";
import {
  checkedText,
  flag,
  isPlainUrl,
  listOf,
  oneOf,
  text,
  whole,
} from "../components/schema/values.ts";
import { cronRefusal } from "./cron.ts";

/** The keys below `buildhosts:github`. */

const owner = text(
  "the name of a user or an organization on GitHub",
  /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?(?:_[a-z0-9]+)?$/,
);

export const PUBLIC_API = "https://api.github.com/";

const loopback = new Set(["localhost", "127.0.0.1", "[::1]"]);

const baseUrl = checkedText(
  "an https address without user and query, the API's (https://api.github.com/) or that of an own GitHub",
  (value) =>
    isPlainUrl(value, ["https"]) ||
    (isPlainUrl(value, ["http"]) && loopback.has(new URL(value).hostname)),
).transform((value) => (value.endsWith("/") ? value : `${value}/`));

const repositoryName = checkedText(
  "a repository's name of at most 100 letters, digits, dots, hyphens and underscores, without its owner",
  (value) => /^[A-Za-z0-9._-]{1,100}$/.test(value) && !/^\.{1,2}$|\.git$/.test(value),
);

const aSchedule = 'a cron line of five fields such as "30 6 * * 0"';
const schedule = z.string(expected(aSchedule)).superRefine((value, context) => {
  const refusal = cronRefusal(value);
  if (refusal === undefined) return;
  const message = `received ${shown(value)}; expected ${aSchedule}: ${refusal}.`;
  context.addIssue({ code: "custom", message });
});

const runsOn = listOf(
  text("a runner's label", /^[A-Za-z0-9][\w.-]{0,99}$/),
  "a list of a runner's labels",
).min(1, expected("at least one label"));

const repositoryPath = text(
  "a path below the repository, such as policy",
  /^(?!-|.*\.\.)[A-Za-z0-9_.-][A-Za-z0-9_./-]{0,199}$/,
);

const environmentName = text(
  "an environment's name without quotes, slashes and line breaks",
  /^[^\0\n\r'"`,;\\/]{1,255}$/,
);

const branch = text("a branch's name", /^(?![-/.])[\w./-]{1,200}$/);

const branchPattern = text("a pattern of branch names", /^(?![-/.])[\w./*-]{1,200}$/);

const buildkitImage = text(
  "BuildKit's image with its digest, moby/buildkit:v0.34.2@sha256:…, as docker buildx imagetools inspect shows it",
  /^[\w.:/-]+@sha256:[0-9a-f]{64}$/,
);

const pinnedImage = text(
  "an image with its digest, name:tag@sha256:…, as docker buildx imagetools inspect shows it",
  /^[\w.:/-]+@sha256:[0-9a-f]{64}$/,
);

const filePath = text("an absolute path without blanks", /^\/[\w./@+-]+$/);

const upstreamTag = text('a version such as "v0.34.2"', /^v\d+\.\d+\.\d+(-[\w.]+)?$/);

const visibility = oneOf("public", "private", "internal");

const workflows = closed({
  buildOnBuilders: closed({
    runsOn: runsOn
      .optional()
      .describe("Labels of a runner that reaches the builders. Default: ubuntu-latest."),
  })
    .optional()
    .describe(
      "build-on-builders.yml: a reusable workflow that builds an image on this stack's builders, in any repository that has a client's secrets.",
    ),
  buildkitBuild: closed({
    runsOn: runsOn
      .optional()
      .describe("Labels of a riscv64 runner. Default: self-hosted, linux, riscv64."),
    schedule: schedule
      .optional()
      .describe("When it builds the newest of master, in UTC. Default: 30 6 * * 0."),
    packageName: text("a package's name in lower case", /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/)
      .optional()
      .describe("Name of the package on ghcr.io. Default: buildkit-riscv64."),
    visibility: visibility
      .optional()
      .describe(
        "Its visibility. If the package has another one, a check prints the step by hand. Default: public.",
      ),
    attest: flag
      .optional()
      .describe(
        "Whether GitHub attests where the files come from. Outside of public repositories that takes GitHub Enterprise Cloud. Default: true in a public repository.",
      ),
    images: closed({
      buildkit: pinnedImage
        .optional()
        .describe("The image that builds it. Default: moby/buildkit:buildx-stable-1."),
      scanner: pinnedImage
        .optional()
        .describe(
          "The scanner that lists its contents. Default: docker/buildkit-syft-scanner:stable-1.",
        ),
      base: pinnedImage.optional().describe("The base image. Default: debian:trixie-slim."),
      binfmt: pinnedImage
        .optional()
        .describe(
          "The emulator of the second platform in the tests. Default: tonistiigi/binfmt, pinned.",
        ),
    })
      .optional()
      .describe(
        "Images that make a release, by their digests. Default: upstream's, by tags that move.",
      ),
    keepDevelopmentBuilds: whole("a whole number from 1 to 1000", 1, 1000)
      .optional()
      .describe("How many development builds stay in the package. Default: 8."),
    keepUntaggedDays: whole("a whole number of days from 1 to 365", 1, 365)
      .optional()
      .describe("How many days untagged images stay in the package. Default: 7."),
  })
    .optional()
    .describe(
      "buildkit-weekly-build.yml: builds, tests and publishes BuildKit for riscv64, weekly and on request.",
    ),
  releaseTracker: closed({
    schedule: schedule.optional().describe("When it looks, in UTC. Default: 0 9 * * *."),
    maxAttempts: whole("a whole number from 1 to 100", 1, 100)
      .optional()
      .describe("How often a build that ends without a release is started again. Default: 3."),
    stack: closed({
      file: text("a path of a stack file in the repository", /^(?![-/.])[\w./-]+\.ya?ml$/).describe(
        "Its file: Pulumi.home.yaml.",
      ),
      components: listOf(oneOf("buildkit", "containerd", "runc"), "a list of components")
        .min(1, expected("at least one component"))
        .optional()
        .describe("The components that it looks after. Default: buildkit, containerd and runc."),
    })
      .optional()
      .describe(
        "A stack in the same repository, for whose pinned releases it proposes newer ones. Default: none.",
      ),
  })
    .optional()
    .describe(
      "track-buildkit-releases.yml: has each new release of BuildKit built, and tracks that in an issue, or proposes newer releases for a stack. With buildkitBuild, or stack, or both.",
    ),
  serviceContainer: closed({
    buildkitImage: buildkitImage.describe("BuildKit's image with its digest."),
    runsOn: runsOn.optional().describe("Labels of the runner. Default: self-hosted, linux."),
    config: filePath
      .optional()
      .describe("buildkitd.toml on the runner. Default: /usr/etc/buildkit/buildkitd.toml."),
  })
    .optional()
    .describe(
      "build-in-service-container.yml: a reusable workflow with buildkitd as a service container, on a runner of one's own.",
    ),
  ownBuildkitd: closed({
    buildkitImage: buildkitImage.describe("BuildKit's image with its digest."),
    runsOn: runsOn.optional().describe("Labels of the runner. Default: ubuntu-latest."),
    config: filePath.optional().describe("A buildkitd.toml on the runner. Default: none."),
  })
    .optional()
    .describe(
      "build-with-own-buildkitd.yml: a reusable workflow that starts a buildkitd by a step.",
    ),
  windows: closed({
    runsOn: runsOn.optional().describe("Labels of the runner. Default: windows-2025."),
    containerd: upstreamTag.optional().describe("Version of containerd. Default: v2.4.2."),
    buildkit: upstreamTag.optional().describe("Version of BuildKit. Default: v0.34.2."),
    buildx: upstreamTag.optional().describe("Version of buildx. Default: v0.38.2."),
  })
    .optional()
    .describe(
      "build-on-windows.yml: a reusable workflow that installs containerd and buildkitd on Windows.",
    ),
  pulumi: closed({
    stack: text("a stack's name", /^[A-Za-z0-9_.-]{1,100}$/).describe(
      "The stack whose file lies in the repository.",
    ),
    runsOn: runsOn
      .optional()
      .describe("Labels of a runner that reaches the stack's hosts. Default: ubuntu-latest."),
    driftSchedule: schedule
      .optional()
      .describe("When it looks for drift, in UTC. Default: 15 5 * * *."),
    branch: branch.optional().describe("The branch that up runs on. Default: main."),
    previewEnvironment: environmentName
      .optional()
      .describe("Environment with the secrets of previews. Default: preview."),
    policyPack: repositoryPath
      .optional()
      .describe(
        "Folder of the repository with a policy pack that each preview must pass, such as policy. Default: none.",
      ),
    policyPackConfig: repositoryPath
      .optional()
      .describe("JSON file of the repository with the policy pack's configuration. Default: none."),
    upEnvironment: environmentName
      .optional()
      .describe("Environment with the secrets of up. Default: production."),
  })
    .optional()
    .describe(
      "builders.yml: previews in pull requests, a look for drift, and up on the main branch. For a repository that holds a stack.",
    ),
}).describe(
  "Workflows that the update writes into the repository; {} takes one with its defaults.",
);

const repository = closed({
  name: repositoryName.describe("Its name, without the owner."),
  existing: flag
    .default(false)
    .describe(
      "Uses an existing repository that this stack did not make: its settings stay as they are, except those that the keys below set.",
    ),
  description: text("a text of at most 350 characters in one line", /^[^\0\n\r]{1,350}$/)
    .optional()
    .describe("Its description. Default: none."),
  topics: listOf(
    text("a topic in lower-case letters, digits and hyphens", /^[a-z0-9][a-z0-9-]{0,49}$/),
    "a list of topics",
  )
    .max(20, expected("at most 20 topics"))
    .optional()
    .describe("Its topics. Default: none."),
  visibility: visibility.optional().describe("Its visibility. Default: private."),
  deleteOnDestroy: flag
    .default(false)
    .describe(
      "Whether its removal from the stack deletes it with its history; otherwise the removal archives it.",
    ),
  requireShaPins: flag
    .optional()
    .describe(
      "Whether workflows must pin actions by a commit's full hash. Default: true; false where existing.",
    ),
  allowedActions: listOf(
    text("a pattern of actions such as docker/*", /^[\w.*-]+\/[\w./*@-]+$/),
    "a list of patterns of actions",
  )
    .optional()
    .describe("The actions that may be used beside GitHub's own. Default: all."),
  protectDefaultBranch: flag
    .default(false)
    .describe(
      "Whether the default branch changes by pull requests only, the repository's admins excepted.",
    ),
  defaultBranch: branch.default("main").describe("Its default branch, the target of proposals."),
  environment: closed({
    name: environmentName.describe("Its name."),
    branches: listOf(branchPattern, "a list of patterns of branch names")
      .min(1, expected("at least one pattern"))
      .optional()
      .describe("Branches whose workflows may use it. Default: all."),
    reviewerUserIds: listOf(whole("a user's number", 1), "a list of users' numbers")
      .max(6, expected("at most 6 users"))
      .optional()
      .describe("Users, one of whom must approve each job that uses it. Default: nobody."),
  })
    .optional()
    .describe("An environment, which then holds the client's secrets. Default: none."),
  client: text("the name of one of the stack's clients", /^[a-z][a-z0-9-]*$/)
    .optional()
    .describe(
      "The client whose certificate workflows get as secrets, with the builders as a variable. Default: none.",
    ),
  proposeWorkflows: flag
    .default(false)
    .describe("Whether workflows come by a pull request instead of commits to the default branch."),
  workflows: workflows.default({}),
});

export const githubSchema = closed({
  owner: owner.optional().describe("The user or organization that owns the repositories."),
  baseUrl: baseUrl
    .prefault(PUBLIC_API)
    .describe("The API's address; of a GitHub Enterprise Server, its own."),
  virtual: flag
    .default(false)
    .describe(
      "Uses a GitHub on loopback, which npm run up starts. The proving ground sets baseUrl and the token.",
    ),
  repositories: listOf(repository, "a list of repositories")
    .default([])
    .describe("Repositories that build BuildKit, or build on this stack's builders."),
  organizationSecrets: closed({
    client: text("the name of one of the stack's clients", /^[a-z][a-z0-9-]*$/).describe(
      "The client whose certificate it is.",
    ),
    visibility: oneOf("all", "private")
      .default("private")
      .describe("Which of the organization's repositories see them."),
  })
    .optional()
    .describe("A client's secrets and the builders for a whole organization. Default: none."),
}).describe("Repositories on GitHub that build BuildKit, and repositories that use the builders.");

/** The file that the proving ground writes about its GitHub. */
export const githubConnection = z.object({ url: z.url(), token: z.string() });

export const githubToken = z
  .string(expected("a token of GitHub"))
  .default("")
  .describe(
    "A token for buildhosts:github, as a secret: pulumi config set --secret buildhosts:githubToken. Default: GITHUB_TOKEN of the environment.",
  );

export type GithubInput = z.output<typeof githubSchema>;
export type RepositoryInput = z.output<typeof repository>;

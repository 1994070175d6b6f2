import { readFileSync } from "node:fs";
import { join } from "node:path";
import { nearest } from "../components/schema/closed.ts";
import { shown } from "../components/schema/expected.ts";
import { isLocal } from "./addresses.ts";
import type { Findings } from "./findings.ts";
import {
  type GithubInput,
  githubConnection,
  PUBLIC_API,
  type RepositoryInput,
} from "./githubSchema.ts";
import type { GithubConfig, RepositoryConfig } from "./stackConfig.ts";

/** The parts of the stack that decide whether `buildhosts:github` can work. */
export interface GithubSurroundings {
  clients: readonly string[];
  builderCount: number;
  /** Hosts by which clients reach builders, and by which this machine reaches hosts to set them up. */
  hosts: { ofBuilders: readonly string[]; ofMachines: readonly string[] };
  /** The text of buildhosts:githubToken; empty where it is not set. */
  token: string;
  tokenIsSecret: boolean;
  environment: Readonly<Record<string, string | undefined>>;
  projectDir: string;
}

/** `buildhosts:github` as the composition reads it, or nothing where the stack has none of it. */
export function githubConfig(
  input: GithubInput,
  stack: GithubSurroundings,
  findings: Findings,
  tokenFindings: Findings,
): GithubConfig | undefined {
  const { owner, repositories, organizationSecrets } = input;
  if (owner === undefined && repositories.length === 0 && !organizationSecrets) return undefined;
  if (owner === undefined) {
    findings.refuse(
      ["owner"],
      "missing; expected the name of a user or an organization on GitHub.",
    );
  }
  if (input.virtual && input.baseUrl !== PUBLIC_API) {
    findings.refuse(
      ["baseUrl"],
      `received ${shown(input.baseUrl)} beside virtual: true, which has an address of its own. Take one of the two away.`,
    );
  }
  const location = input.virtual
    ? virtualLocation(stack.projectDir, findings)
    : { baseUrl: input.baseUrl, token: githubToken(stack, tokenFindings) };
  for (const [index, repository] of repositories.entries()) {
    const at = findings.at("repositories", index);
    refuseImpossible(repository, at);
    if (input.baseUrl === PUBLIC_API && !input.virtual) {
      warnOfDistance(repository, stack, at.at("workflows"));
    }
    refuseForeignClient(repository.client, stack.clients, at);
    const first = repositories.findIndex(
      ({ name }) => name.toLowerCase() === repository.name.toLowerCase(),
    );
    if (first < index) {
      at.refuse(
        ["name"],
        `received ${shown(repository.name)}, which repositories[${first}] has already; choose another.`,
      );
    }
  }
  if (organizationSecrets) {
    refuseForeignClient(
      organizationSecrets.client,
      stack.clients,
      findings.at("organizationSecrets"),
    );
  }
  const needsBuilders = organizationSecrets ?? repositories.find(({ client }) => client);
  if (needsBuilders && stack.builderCount === 0) {
    findings.warn(["repositories"], "gives secrets of builders, and the stack has no builder.");
  }
  if (owner === undefined || location?.token === undefined) return undefined;
  return {
    owner,
    baseUrl: location.baseUrl,
    token: location.token,
    repositories: repositories.map((one) => repositoryConfig(one, stack.builderCount)),
    organizationSecrets,
  };
}

/** The address and token that the proving ground wrote down when it started its GitHub. */
function virtualLocation(projectDir: string, findings: Findings) {
  try {
    const text = readFileSync(join(projectDir, ".buildhosts", "virtual-github.json"), "utf8");
    const { url, token } = githubConnection.parse(JSON.parse(text));
    return { baseUrl: `${url}/`, token };
  } catch {
    findings.refuse(
      ["virtual"],
      "the GitHub of the proving ground is not running; start it with npm run up, which runs Pulumi too.",
    );
    return undefined;
  }
}

function githubToken(
  { token, tokenIsSecret, environment }: GithubSurroundings,
  findings: Findings,
): string | undefined {
  if (token !== "" && !tokenIsSecret) {
    findings.refuse(
      [],
      "is not secret: the token stands readable in the stack file. Revoke it, make a new one, and run: pulumi config set --secret buildhosts:githubToken",
    );
    return undefined;
  }
  const found = (token || environment.GITHUB_TOKEN || "").trim();
  if (/^[\x21-\x7e]+$/.test(found)) return found;
  findings.refuse(
    [],
    found === ""
      ? "missing; buildhosts:github needs a token. Run: pulumi config set --secret buildhosts:githubToken, or set GITHUB_TOKEN."
      : "is no token of GitHub (not shown): it has blanks or line breaks inside.",
  );
  return undefined;
}

/** The owner of an existing repository decides these. */
const ownSettings = ["description", "topics", "visibility"] as const;

function refuseImpossible(repository: RepositoryInput, findings: Findings): void {
  const { existing, workflows } = repository;
  if (existing) {
    for (const key of ownSettings) {
      if (repository[key] === undefined) continue;
      findings.refuse(
        [key],
        "does not go together with existing: such a repository keeps its own. Take one of the two away.",
      );
    }
    if (repository.deleteOnDestroy) {
      findings.refuse(
        ["deleteOnDestroy"],
        "does not go together with existing: a repository that is not this stack's is never deleted.",
      );
    }
  }
  if (workflows.releaseTracker && !workflows.releaseTracker.stack && !workflows.buildkitBuild) {
    findings.refuse(
      ["workflows", "releaseTracker"],
      "starts the workflow of buildkitBuild, which is missing here; add buildkitBuild: {}, or a stack to look after.",
    );
  }
  const { buildkitBuild } = workflows;
  if (
    buildkitBuild &&
    buildkitBuild.attest === undefined &&
    !existing &&
    repository.visibility !== "public"
  ) {
    findings.warn(
      ["workflows", "buildkitBuild"],
      `publishes without attestations, as the repository is ${repository.visibility ?? "private"}, where they take GitHub Enterprise Cloud. With that: attest: true; or visibility: public; or attest: false, and this is not said again.`,
    );
  }
  const { buildkit, scanner, base } = buildkitBuild?.images ?? {};
  const moving = Object.entries({ buildkit, scanner, base }).filter(([, image]) => !image);
  if (buildkitBuild && moving.length > 0) {
    findings.warn(
      ["workflows", "buildkitBuild", "images"],
      `signs releases that are made with images by tags that move: ${moving.map(([key]) => key).join(", ")}. Pin each by the digest that docker buildx imagetools inspect shows.`,
    );
  }
  if (repository.defaultBranch !== "main" && !existing) {
    findings.refuse(
      ["defaultBranch"],
      `received ${shown(repository.defaultBranch)}; a new repository's is main. Only with existing.`,
    );
  }
}

/** Whether these are labels of GitHub's own runners, which are on the internet and nowhere else, and made for one job. */
export function isHostedRunner(labels: readonly string[]): boolean {
  return /^(ubuntu|windows|macos)-/.test(labels[0] ?? "");
}

/** Warns where GitHub's own runners would have to reach what only a local network has. */
function warnOfDistance(
  { workflows }: RepositoryInput,
  { hosts }: GithubSurroundings,
  findings: Findings,
): void {
  const { buildOnBuilders, pulumi } = workflows;
  for (const [key, workflow, far, what, fix] of [
    [
      "buildOnBuilders",
      buildOnBuilders,
      hosts.ofBuilders,
      "builder",
      ", or give the builder an endpoint that they reach",
    ],
    ["pulumi", pulumi, hosts.ofMachines, "host", ""],
  ] as const) {
    const local = far.filter(isLocal);
    const labels = workflow?.runsOn ?? ["ubuntu-latest"];
    if (!workflow || local.length === 0 || !isHostedRunner(labels)) continue;
    findings.warn(
      [key, "runsOn"],
      `${labels[0]} is a runner of GitHub's, which does not reach ${local.join(", ")}: only a local network has ${local.length === 1 ? `that ${what}` : `those ${what}s`}. Name a runner of your own in runsOn${fix}.`,
    );
  }
}

function refuseForeignClient(
  client: string | undefined,
  clients: readonly string[],
  findings: Findings,
): void {
  if (client === undefined || clients.includes(client)) return;
  const near = nearest(client, clients);
  findings.refuse(
    ["client"],
    `received ${shown(client)}, which is none of buildhosts:clients; ${near ? `did you mean ${shown(near)}?` : `they are ${clients.join(", ")}.`}`,
  );
}

function repositoryConfig(input: RepositoryInput, builderCount: number): RepositoryConfig {
  const { workflows, ...args } = input;
  const { buildOnBuilders, buildkitBuild, ...others } = workflows;
  return {
    ...(args satisfies Pick<RepositoryConfig, keyof typeof args>),
    requireShaPins: input.requireShaPins ?? !input.existing,
    workflows: {
      ...others,
      ...(buildkitBuild && {
        // Of an existing repository GitHub says whether it is public (see checkGithub).
        buildkitBuild:
          input.existing || input.visibility === "public"
            ? buildkitBuild
            : { ...buildkitBuild, attest: buildkitBuild.attest ?? false },
      }),
      ...(buildOnBuilders && {
        // By tens: the workflow shall not change with every board.
        buildOnBuilders: {
          ...buildOnBuilders,
          maxBuilders: Math.max(10, Math.ceil(builderCount / 10) * 10),
        },
      }),
    },
  };
}

import * as github from "@pulumi/github";
import * as pulumi from "@pulumi/pulumi";
import { BuilderRepository } from "../../components/builderRepository.ts";
import { BuilderSecrets } from "../../components/builderSecrets.ts";
import { hasReusable, repositoryFiles } from "../../components/github/repositoryFiles.ts";
import { RepositoryWorkflows } from "../../components/repositoryWorkflows.ts";
import type { GithubConfig, RepositoryConfig } from "../../config/stackConfig.ts";
import type { Builder, StackCertificates } from "../../hosts/hostKind.ts";
import type { Pool } from "../builderPool.ts";
import { account, stackTopic } from "./check.ts";
import { repeatLostCreates } from "./lostAnswers.ts";
import { unmergedFiles } from "./proposals.ts";
import { organizationSecrets, repositorySecrets, secretRewrites } from "./secrets.ts";
import { refuseTaken } from "./taken.ts";
import { keepUp, keepUpOnceMade } from "./upkeep.ts";

/**
 * The repositories of a stack, with the workflows and the secrets that let them in. Asks GitHub, while
 * previewing too, whether somebody else has changed those since.
 */
export async function githubRepositories(
  config: GithubConfig,
  { ca, clients }: StackCertificates,
  builders: (Builder | Pool)[],
): Promise<void> {
  const [rewrites, repeating, owner] = await Promise.all([
    secretRewrites(config),
    repeatLostCreates(config),
    account(config),
  ]);
  const refusing = refuseTaken(config);
  const isGithubItself = new URL(config.baseUrl).hostname === "api.github.com";
  const provider = new github.Provider("github", {
    owner: config.owner,
    baseUrl: config.baseUrl,
    token: pulumi.secret(config.token),
    // GitHub wants a second between changes; a server of one's own does not.
    ...(!isGithubItself && { writeDelayMs: 0 }),
  });

  const stack: Stack = { config, rewrites, client: clientFiles(ca, clients, builders) };
  for (const one of config.repositories) {
    const transformations = one.existing
      ? [refusing, repeating]
      : [repeating, keepUpOnceMade(config, one)];
    const repository = builderRepository(one, owner?.isOrganization ?? false, {
      provider,
      transformations,
    });
    const opts = { provider, transformations, dependsOn: [repository] };
    await repositoryWorkflows(stack, one, repository, opts);
    if (one.client) repositorySecretsOf(stack, one.client, one, repository, opts);
  }
  if (config.organizationSecrets) {
    const { client, visibility } = config.organizationSecrets;
    new BuilderSecrets(
      `organization-${config.owner}`,
      {
        ...stack.client(client),
        writtenBy: stackTopic(),
        visibility,
        rewrite: rewrites.get(organizationSecrets(config.owner)),
      },
      { provider, transformations: [refusing, repeating] },
    );
  }
}

/** The parts of a stack that its repositories need. */
interface Stack {
  config: GithubConfig;
  rewrites: Awaited<ReturnType<typeof secretRewrites>>;
  client: ReturnType<typeof clientFiles>;
}

/** By a client's name, the arguments of its secrets. */
function clientFiles(
  ca: StackCertificates["ca"],
  clients: StackCertificates["clients"],
  builders: (Builder | Pool)[],
) {
  return (name: string) => {
    const found = clients[name];
    if (!found) throw new Error(`buildhosts:clients has no ${name}`);
    return {
      caCertPem: ca.certPem,
      certPem: found.certPem,
      privateKeyPem: found.privateKeyPem,
      builders: builders.map((one) => ({
        ...{ name: one.name, endpoint: one.endpoint, platforms: one.platforms },
        ...("domain" in one && { domain: one.domain }),
      })),
    };
  };
}

function builderRepository(
  one: RepositoryConfig,
  isOrganization: boolean,
  opts: pulumi.ComponentResourceOptions,
): BuilderRepository {
  const {
    name,
    client: _,
    defaultBranch: _branch,
    proposeWorkflows: _propose,
    workflows,
    ...args
  } = one;
  const { existing, topics = [] } = args;
  return new BuilderRepository(
    name,
    {
      ...args,
      ...(!existing && { topics: [...topics, stackTopic()] }),
      ...(!existing &&
        args.visibility !== "public" &&
        hasReusable(workflows) && { workflowAccess: isOrganization ? "organization" : "user" }),
      workflowsPropose: workflows.releaseTracker?.stack !== undefined,
    },
    opts,
  );
}

async function repositoryWorkflows(
  { config }: Stack,
  one: RepositoryConfig,
  { repositoryName }: BuilderRepository,
  opts: pulumi.ComponentResourceOptions,
): Promise<void> {
  const { name, defaultBranch, proposeWorkflows, workflows } = one;
  const wanted = repositoryFiles(config.owner, workflows);
  if (Object.keys(wanted).length > 0) await keepUp(config, one, Object.keys(wanted));
  const files = proposeWorkflows ? await unmergedFiles(config, one, wanted) : wanted;
  if (Object.keys(files).length === 0) return;
  new RepositoryWorkflows(
    name,
    {
      repository: repositoryName,
      files,
      delivery: proposeWorkflows ? "pullRequest" : "commit",
      defaultBranch,
    },
    opts,
  );
}

function repositorySecretsOf(
  { config, rewrites, client }: Stack,
  clientName: string,
  { name, environment }: RepositoryConfig,
  repository: BuilderRepository,
  opts: pulumi.ComponentResourceOptions,
): void {
  new BuilderSecrets(
    name,
    {
      ...client(clientName),
      writtenBy: stackTopic(),
      rewrite: rewrites.get(repositorySecrets(config.owner, name, environment?.name)),
      repository: repository.repositoryName,
      ...(environment && { environment: repository.environmentName }),
    },
    opts,
  );
}

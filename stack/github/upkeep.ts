import * as pulumi from "@pulumi/pulumi";
import type { RepositoryWorkflowSet } from "../../components/github/repositoryFiles.ts";
import { isHostedRunner } from "../../config/githubConfig.ts";
import type { GithubConfig, RepositoryConfig } from "../../config/stackConfig.ts";
import { askGithub } from "./api.ts";

/**
 * Sets what the provider has no resource for: switches on workflows that GitHub switched off, and requires an approval
 * before a new contributor's code runs on a runner of one's own. A preview reports both, and changes nothing.
 *
 * @param files paths of the workflows that the stack writes there.
 */
export async function keepUp(
  github: GithubConfig,
  repository: RepositoryConfig,
  files: readonly string[],
): Promise<void> {
  const at = `repos/${github.owner}/${repository.name}`;
  await switchOn(github, repository.name, at, files);
  if (runsOnOwnRunners(repository.workflows)) await requireApproval(github, repository, at);
}

/** The same for a repository that is made in this update, which cannot be looked at before. */
export function keepUpOnceMade(
  github: GithubConfig,
  repository: RepositoryConfig,
): pulumi.ResourceTransformation {
  return ({ type, name, props, opts }) => {
    if (type !== "github:index/repository:Repository") return undefined;
    if (Object.keys(repository.workflows).length === 0) return undefined;
    const hook = new pulumi.ResourceHook(`${name}-keep-up`, () => keepUp(github, repository, []));
    return { props, opts: pulumi.mergeOptions(opts, { hooks: { afterCreate: [hook] } }) };
  };
}

/** A workflow that somebody has switched off by hand stays off. */
async function switchOn(
  github: GithubConfig,
  name: string,
  at: string,
  files: readonly string[],
): Promise<void> {
  const { status, body } = await askGithub(github, `${at}/actions/workflows?per_page=100`);
  if (status === 404) return;
  const all = (body.workflows ?? []) as { path: string; state: string }[];
  for (const { path, state } of all) {
    if (state !== "disabled_inactivity" || !files.includes(path)) continue;
    const file = path.split("/").at(-1) ?? path;
    const off = `repository ${name}: GitHub has switched ${file} off after 60 days without a commit`;
    if (pulumi.runtime.isDryRun()) {
      void pulumi.log.warn(`${off}; up switches it on again.`);
      continue;
    }
    const answer = await askGithub(github, `${at}/actions/workflows/${file}/enable`, {
      change: { method: "PUT" },
      accept: [204, 403, 404],
    });
    if (answer.status === 204) {
      void pulumi.log.info(`${off}; it is on again.`);
    } else {
      void pulumi.log.warn(
        `${off}, and the token may not switch it on (${answer.status}); by hand: gh workflow enable ${file} --repo ${github.owner}/${name}`,
      );
    }
  }
}

/** Whether some of these workflows run where the next job finds what this one left. */
function runsOnOwnRunners(workflows: RepositoryWorkflowSet): boolean {
  const { buildkitBuild, serviceContainer, ownBuildkitd, windows, buildOnBuilders, pulumi } =
    workflows;
  // Without `runsOn`, all workflows but these two use GitHub's runners.
  const runners = [
    buildkitBuild && (buildkitBuild.runsOn ?? ["self-hosted"]),
    serviceContainer && (serviceContainer.runsOn ?? ["self-hosted"]),
    ...[ownBuildkitd, windows, buildOnBuilders, pulumi].map((one) => one?.runsOn),
  ];
  // A runner of one's own need not have the label self-hosted.
  return runners.some((labels) => labels && !isHostedRunner(labels));
}

const EVERYBODY_OUTSIDE = "all_external_contributors";

/** In a public repository anybody's pull request may name the runner. Of others GitHub has no such setting. */
async function requireApproval(
  github: GithubConfig,
  { name, existing }: RepositoryConfig,
  at: string,
): Promise<void> {
  const { status, body: repository } = await askGithub(github, at);
  if (status === 404 || repository.visibility !== "public") return;
  const path = `${at}/actions/permissions/fork-pr-contributor-approval`;
  const { body } = await askGithub(github, path, { accept: [200, 403, 404] });
  if (body.approval_policy === EVERYBODY_OUTSIDE) return;
  const risk = `repository ${name} is public and has workflows for a runner of your own: a pull request of a fork can run code on that runner, and leave files for the next job`;
  const fix = `in its settings, under Actions, General, choose "Require approval for all external contributors", or take runners that are made for one job (--ephemeral)`;
  if (existing) {
    void pulumi.log.warn(`${risk}: ${fix}.`);
    return;
  }
  if (pulumi.runtime.isDryRun()) return;
  const answer = await askGithub(github, path, {
    change: { method: "PUT", body: JSON.stringify({ approval_policy: EVERYBODY_OUTSIDE }) },
    accept: [204, 403, 404, 422],
  });
  if (answer.status !== 204) {
    void pulumi.log.warn(`${risk}, and the token may not change that (${answer.status}): ${fix}.`);
  }
}

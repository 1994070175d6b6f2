import * as pulumi from "@pulumi/pulumi";
import type { GithubConfig } from "../../config/stackConfig.ts";
import type { GithubChange } from "./api.ts";
import {
  at,
  byName,
  environmentOf,
  type Find,
  type Found,
  findRuleset,
  findVariable,
  type Github,
  hasContent,
  type Inputs,
  inOrganization,
  inRepository,
  lookingAt,
  type SettingsPath,
} from "./lookups.ts";

/** A kind of object that GitHub creates by a POST, which it accepts once. */
interface MadeOnce {
  find: Find;
  /** Whether it is as the create would have made it, whoever did. Default: only what this run made is deleted. */
  isSame?(found: Found, inputs: Inputs, github: Github): boolean;
  /** Whether nobody has put anything into it since. Default: there is nothing that one could put in. */
  isUntouched?(found: Found, github: Github): Promise<boolean>;
  /** Default: DELETE. Nothing where the provider overwrites what it finds. */
  undo?: GithubChange | "nothing";
}

const variable = (pathOf: SettingsPath): MadeOnce => ({
  find: findVariable(pathOf),
  isSame: ({ body }, inputs) => body.value === inputs.value,
});

const madeOnce: Record<string, MadeOnce> = {
  "github:index/repository:Repository": {
    find: ({ name }, github) => at(github, `repos/${github.owner}/${name}`),
    async isUntouched({ path }, { ask }) {
      // 409: it has none at all.
      const { status, body } = await ask(`${path}/commits?per_page=2`, { accept: [200, 409] });
      if (status === 409) return true;
      return Array.isArray(body) && body.length <= 1;
    },
  },
  "github:index/actionsVariable:ActionsVariable": variable(inRepository),
  "github:index/actionsEnvironmentVariable:ActionsEnvironmentVariable": variable(environmentOf),
  "github:index/actionsOrganizationVariable:ActionsOrganizationVariable": variable(inOrganization),
  "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy": {
    find: (inputs, github) =>
      byName(
        github,
        `${environmentOf(inputs, github.owner)}/deployment-branch-policies`,
        inputs.branchPattern,
        "branch_policies",
      ),
    // It is its name and nothing else, not even a time.
    isSame: () => true,
  },
  "github:index/repositoryRuleset:RepositoryRuleset": {
    find: findRuleset,
  },
  "github:index/repositoryFile:RepositoryFile": {
    find: ({ repository, file, branch }, github) =>
      at(
        github,
        `repos/${github.owner}/${repository}/contents/${file}${branch ? `?ref=${branch}` : ""}`,
      ),
    isSame: (found, { content }) => hasContent(found, content),
    undo: "nothing",
  },
  "github:index/repositoryPullRequest:RepositoryPullRequest": {
    async find({ baseRepository, headRef }, { owner, ask }) {
      const list = `repos/${owner}/${baseRepository}/pulls`;
      const head = encodeURIComponent(`${owner}:${headRef}`);
      const { body } = await ask(`${list}?state=open&head=${head}`);
      const [found] = (Array.isArray(body) ? body : []) as Record<string, unknown>[];
      return found && { path: `${list}/${found.number}`, body: found };
    },
    // GitHub deletes none.
    undo: { method: "PATCH", body: JSON.stringify({ state: "closed" }) },
  },
};

/**
 * Deletes and recreates resources whose create response was lost. The provider then asks once more, GitHub answers that the
 * resource exists already, and the state would never know of it.
 *
 * It deletes only a resource that GitHub made since this run began, by GitHub's clock, or one that is identical anyway; a
 * repository only without a commit of anybody's. It is for components: their resources inherit it.
 */
export async function repeatLostCreates(
  config: GithubConfig,
): Promise<pulumi.ResourceTransformation> {
  const github = lookingAt(config);
  const { headers } = await github.ask("user");
  const began = Date.parse(headers.get("date") ?? "");
  return ({ type, name, props, opts }) => {
    const kind = madeOnce[type];
    if (!kind) return undefined;
    let isRepeated = false;
    const hook = new pulumi.ErrorHook(
      `${name}-make-again`,
      async ({ failedOperation, newInputs }) => {
        if (failedOperation !== "create" || isRepeated) return false;
        isRepeated = true;
        return takeAway(kind, { name, inputs: newInputs ?? {}, began }, github);
      },
    );
    return { props, opts: pulumi.mergeOptions(opts, { hooks: { onError: [hook] } }) };
  };
}

/** @returns whether there is now room for what was refused */
async function takeAway(
  { find, isSame, isUntouched, undo = { method: "DELETE" } }: MadeOnce,
  { name, inputs, began }: { name: string; inputs: Inputs; began: number },
  github: Github,
): Promise<boolean> {
  const found = await find(inputs, github);
  if (!found) return false;
  const isOfThisRun = Date.parse(String(found.body.created_at)) >= began;
  if (!isOfThisRun && !isSame?.(found, inputs, github)) return false;
  if (isUntouched && !(await isUntouched(found, github))) return false;
  if (undo === "nothing") return true;
  const { status } = await github.ask(found.path, {
    change: undo,
    accept: [200, 204, 403, 404, 422],
  });
  // 404: it is gone, by an attempt whose answer was lost as well.
  if (status < 300 || status === 404) return true;
  throw new Error(
    `${name}: GitHub has made ${found.path}, but its answer was lost, and this token may not delete it (${status}). Delete it by hand, and run up again.`,
  );
}

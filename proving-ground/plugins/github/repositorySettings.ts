// Settings that a repository always has: to make such a resource is to change them.

import type { Attributes } from "../provider/plan.ts";
import type { Resource } from "../provider/plugin.ts";
import { type Client, GithubError } from "./client.ts";
import { BOOLEAN, githubResource, STRINGS, unlessArchived } from "./githubResource.ts";
import { REPOSITORY, repositoryId } from "./repositoryId.ts";

interface ActionsInputs {
  readonly repository: string;
  readonly enabled: boolean;
  readonly allowedActions?: string;
  readonly allowedActionsConfig?: {
    readonly githubOwnedAllowed: boolean;
    readonly verifiedAllowed?: boolean;
    readonly patternsAlloweds?: readonly string[];
  };
  readonly shaPinningRequired?: boolean;
}

interface AllowedActions {
  readonly github_owned_allowed: boolean;
  readonly verified_allowed: boolean;
  readonly patterns_allowed: readonly string[];
}

const ALLOWED_ACTIONS: Attributes = {
  githubOwnedAllowed: { shape: BOOLEAN, required: true },
  verifiedAllowed: { shape: BOOLEAN },
  patternsAlloweds: { shape: STRINGS, unordered: true },
};

const ACTIONS = "/repos/{owner}/{repo}/actions/permissions";

/** The repository's name is the id of its settings, and may not be another repository's later. */
const NAMED = { ...REPOSITORY, replaces: false };

/** `github:index/actionsRepositoryPermissions:ActionsRepositoryPermissions`. */
export function actionsRepositoryPermissions(client: () => Client): Resource {
  const write = async (inputs: ActionsInputs, client: Client) => {
    const { repository: repo, enabled, allowedActions = "all", allowedActionsConfig } = inputs;
    await client.ask(`PUT ${ACTIONS}`, {
      repo,
      enabled,
      ...(enabled && { allowed_actions: allowedActions }),
      // As the official plugin: that pins are no longer demanded is not told to GitHub.
      ...(inputs.shaPinningRequired && { sha_pinning_required: true }),
    });
    if (allowedActions !== "selected" || !allowedActionsConfig) return;
    await client.ask(`PUT ${ACTIONS}/selected-actions`, {
      repo,
      github_owned_allowed: allowedActionsConfig.githubOwnedAllowed,
      verified_allowed: allowedActionsConfig.verifiedAllowed ?? false,
      patterns_allowed: allowedActionsConfig.patternsAlloweds ?? [],
    });
  };
  return githubResource<ActionsInputs, ActionsInputs>(client, {
    attributes: {
      repository: NAMED,
      enabled: { shape: BOOLEAN, unset: true },
      allowedActions: { shape: { kind: "string", allowed: ["all", "local_only", "selected"] } },
      allowedActionsConfig: {
        shape: {
          kind: "object",
          fields: ALLOWED_ACTIONS,
        },
      },
      shaPinningRequired: { shape: BOOLEAN, computed: true },
    },
    outputs: [],

    async create(inputs, client) {
      await write(inputs, client);
      return { id: inputs.repository };
    },

    async read(id, state, client) {
      const { data } = await client.ask<{
        readonly enabled: boolean;
        readonly allowed_actions?: string;
        readonly sha_pinning_required?: boolean;
      }>(`GET ${ACTIONS}`, { repo: id });
      const { allowedActions: known, allowedActionsConfig: config } = state;
      const wanted = (known === "selected" && config) || !known;
      const selects = data.enabled && data.allowed_actions === "selected" && wanted;
      return {
        repository: id,
        enabled: data.enabled,
        allowedActions: data.allowed_actions ?? "",
        shaPinningRequired: data.sha_pinning_required ?? false,
        ...(selects
          ? { allowedActionsConfig: await selected(id, client) }
          : { allowedActionsConfig: undefined }),
      };
    },

    async update(_, inputs, __, client) {
      await write(inputs, client);
      return undefined;
    },

    async remove(id, _, client) {
      await client.ask(`PUT ${ACTIONS}`, { repo: id, enabled: true, allowed_actions: "all" });
    },

    imported: (id) => ({ repository: id }),
  });
}

async function selected(repo: string, client: Client) {
  const { data } = await client.ask<AllowedActions>(`GET ${ACTIONS}/selected-actions`, { repo });
  return {
    githubOwnedAllowed: data.github_owned_allowed,
    verifiedAllowed: data.verified_allowed,
    patternsAlloweds: data.patterns_allowed,
  };
}

interface WorkflowInputs {
  readonly repository: string;
  readonly defaultWorkflowPermissions?: string;
  readonly canApprovePullRequestReviews: boolean;
}

/** `github:index/workflowRepositoryPermissions:WorkflowRepositoryPermissions`. */
export function workflowRepositoryPermissions(client: () => Client): Resource {
  const write = (inputs: WorkflowInputs, client: Client) =>
    client.ask(`PUT ${ACTIONS}/workflow`, {
      repo: inputs.repository,
      default_workflow_permissions: inputs.defaultWorkflowPermissions,
      can_approve_pull_request_reviews: inputs.canApprovePullRequestReviews,
    });
  return githubResource<WorkflowInputs, WorkflowInputs>(client, {
    attributes: {
      repository: NAMED,
      defaultWorkflowPermissions: { shape: { kind: "string", allowed: ["read", "write"] } },
      canApprovePullRequestReviews: { shape: BOOLEAN, unset: false },
    },
    outputs: [],

    async create(inputs, client) {
      await write(inputs, client);
      return { id: inputs.repository };
    },

    async read(id, _, client) {
      const { data } = await client.ask<{
        readonly default_workflow_permissions: string;
        readonly can_approve_pull_request_reviews: boolean;
      }>(`GET ${ACTIONS}/workflow`, { repo: id });
      return {
        repository: id,
        defaultWorkflowPermissions: data.default_workflow_permissions,
        canApprovePullRequestReviews: data.can_approve_pull_request_reviews,
      };
    },

    async update(_, inputs, __, client) {
      await write(inputs, client);
      return undefined;
    },

    async remove(id, _, client) {
      const inputs = { defaultWorkflowPermissions: "read", canApprovePullRequestReviews: false };
      await write({ repository: id, ...inputs }, client);
    },

    imported: (id) => ({ repository: id }),
  });
}

interface AccessInputs {
  readonly repository: string;
  readonly accessLevel: string;
}

/** `github:index/actionsRepositoryAccessLevel:ActionsRepositoryAccessLevel`. */
export function actionsRepositoryAccessLevel(client: () => Client): Resource {
  const write = ({ repository: repo, accessLevel: access_level }: AccessInputs, client: Client) =>
    client.ask(`PUT ${ACTIONS}/access`, { repo, access_level });
  return githubResource<AccessInputs, AccessInputs>(client, {
    attributes: {
      repository: NAMED,
      accessLevel: {
        shape: { kind: "string", allowed: ["none", "user", "organization", "enterprise"] },
        required: true,
      },
    },
    outputs: [],

    async create(inputs, client) {
      await write(inputs, client);
      return { id: inputs.repository };
    },

    async read(id, _, client) {
      const { data } = await client.ask<{ readonly access_level: string }>(
        `GET ${ACTIONS}/access`,
        { repo: id },
      );
      return { repository: id, accessLevel: data.access_level };
    },

    async update(_, inputs, __, client) {
      await write(inputs, client);
      return undefined;
    },

    async remove(id, _, client) {
      await write({ repository: id, accessLevel: "none" }, client);
    },

    imported: (id) => ({ repository: id }),
  });
}

interface AlertsInputs {
  readonly repository: string;
  readonly enabled: boolean;
}

interface AlertsState extends AlertsInputs {
  readonly repositoryId: number;
}

/** `github:index/repositoryVulnerabilityAlerts:RepositoryVulnerabilityAlerts`. */
export function repositoryVulnerabilityAlerts(client: () => Client): Resource {
  const route = "/repos/{owner}/{repo}/vulnerability-alerts";
  const write = ({ repository: repo, enabled }: AlertsInputs, client: Client) =>
    client.ask(`${enabled ? "PUT" : "DELETE"} ${route}`, { repo });
  return githubResource<AlertsInputs, AlertsState>(client, {
    attributes: { repository: REPOSITORY, enabled: { shape: BOOLEAN, unset: true } },
    outputs: ["repositoryId"],

    async create(inputs, client) {
      const { repository: repo } = inputs;
      const { data } = await client.ask<{ readonly id: number; readonly archived: boolean }>(
        "GET /repos/{owner}/{repo}",
        { repo },
      );
      if (data.archived) {
        const what = `cannot enable vulnerability alerts on archived repository`;
        throw new Error(`${what} ${client.owner}/${repo}`);
      }
      await write(inputs, client);
      return { id: String(data.id), known: { repositoryId: data.id } };
    },

    async read(_, state, client) {
      const { repository: repo } = state;
      const enabled = (await client.find(`GET ${route}`, { repo })) !== undefined;
      if (!enabled) await demandRepository(repo, client);
      return { enabled, ...(await repositoryId(state, client)) };
    },

    async update(_, inputs, __, client) {
      await write(inputs, client);
      return undefined;
    },

    async remove(_, state, client) {
      await unlessArchived(write({ ...state, enabled: false }, client));
    },

    imported: (id) => ({ repository: id }),
  });
}

/** "Not found" says that there are no alerts, or no repository; as the official plugin, the latter is an error. */
async function demandRepository(repo: string, client: Client): Promise<void> {
  try {
    const route = "GET /repos/{owner}/{repo}";
    const { data } = await client.ask<{ readonly archived: boolean }>(route, { repo });
    if (!data.archived) return;
  } catch (error) {
    if (!(error instanceof GithubError)) throw error;
    const what =
      "repository doesn't exist anymore, please remove the resource from your configuration";
    throw new Error(`${what}: ${error.message}`);
  }
  const what = `repository ${client.owner}/${repo} is archived`;
  throw new Error(`${what}, please remove the resource from your configuration`);
}

import type { Attributes } from "../provider/plan.ts";
import type { Resource } from "../provider/plugin.ts";
import type { Client } from "./client.ts";
import {
  BOOLEAN,
  githubResource,
  idParts,
  NOT_HERE,
  NUMBER,
  STRING,
  STRINGS,
  unlessArchived,
} from "./githubResource.ts";

interface BypassActor {
  readonly actorId?: number;
  readonly actorType: string;
  readonly bypassMode: string;
}

interface RefName {
  readonly includes: readonly string[];
  readonly excludes: readonly string[];
}

interface PullRequest {
  readonly allowedMergeMethods?: readonly string[];
  readonly dismissStaleReviewsOnPush: boolean;
  readonly requireCodeOwnerReview: boolean;
  readonly requireLastPushApproval: boolean;
  readonly requiredApprovingReviewCount: number;
  readonly requiredReviewThreadResolution: boolean;
  readonly requiredReviewers?: readonly [];
}

interface StatusChecks {
  readonly requiredChecks: readonly { readonly context: string; readonly integrationId: number }[];
  readonly strictRequiredStatusChecksPolicy: boolean;
  readonly doNotEnforceOnCreate: boolean;
}

interface Rules {
  readonly creation?: boolean;
  readonly update?: boolean;
  readonly updateAllowsFetchAndMerge?: boolean;
  readonly deletion?: boolean;
  readonly requiredLinearHistory?: boolean;
  readonly requiredSignatures?: boolean;
  readonly nonFastForward?: boolean;
  readonly pullRequest?: PullRequest;
  readonly requiredStatusChecks?: StatusChecks;
}

interface Inputs {
  readonly name: string;
  readonly repository: string;
  readonly target: string;
  readonly enforcement: string;
  readonly bypassActors?: readonly BypassActor[];
  readonly conditions?: { readonly refName: RefName };
  readonly rules: Rules;
}

interface State extends Inputs {
  readonly etag: string;
  readonly nodeId: string;
  readonly rulesetId: number;
}

/** A ruleset in GitHub's words. */
interface Ruleset {
  readonly id: number;
  readonly node_id: string;
  readonly name: string;
  readonly target: string;
  readonly enforcement: string;
  readonly bypass_actors?: readonly {
    readonly actor_id: number | null;
    readonly actor_type: string;
    readonly bypass_mode: string;
  }[];
  readonly conditions?: {
    readonly ref_name?: {
      readonly include?: readonly string[];
      readonly exclude?: readonly string[];
    };
  };
  readonly rules?: readonly Rule[];
}

interface Rule {
  readonly type: string;
  readonly parameters?: { readonly [name: string]: unknown };
}

const NOT_RULED = { shape: { kind: "any" }, unsupported: NOT_HERE } as const;

const PULL_REQUEST: Attributes = {
  allowedMergeMethods: { shape: STRINGS, computed: true },
  dismissStaleReviewsOnPush: { shape: BOOLEAN, unset: false },
  requireCodeOwnerReview: { shape: BOOLEAN, unset: false },
  requireLastPushApproval: { shape: BOOLEAN, unset: false },
  requiredApprovingReviewCount: { shape: { kind: "number", minimum: 0 }, unset: 0 },
  requiredReviewThreadResolution: { shape: BOOLEAN, unset: false },
  requiredReviewers: NOT_RULED,
};

const CHECK: Attributes = {
  context: { shape: STRING, required: true },
  integrationId: { shape: NUMBER, unset: 0 },
};

const STATUS_CHECKS: Attributes = {
  requiredChecks: {
    shape: {
      kind: "list",
      of: {
        kind: "object",
        fields: CHECK,
      },
    },
    required: true,
    unordered: true,
  },
  strictRequiredStatusChecksPolicy: { shape: BOOLEAN },
  doNotEnforceOnCreate: { shape: BOOLEAN, unset: false },
};

const RULES: Attributes = {
  creation: { shape: BOOLEAN },
  update: { shape: BOOLEAN },
  updateAllowsFetchAndMerge: { shape: BOOLEAN, unset: false },
  deletion: { shape: BOOLEAN },
  requiredLinearHistory: { shape: BOOLEAN },
  requiredSignatures: { shape: BOOLEAN },
  nonFastForward: { shape: BOOLEAN },
  pullRequest: { shape: { kind: "object", fields: PULL_REQUEST } },
  requiredStatusChecks: { shape: { kind: "object", fields: STATUS_CHECKS } },
  branchNamePattern: NOT_RULED,
  commitAuthorEmailPattern: NOT_RULED,
  commitMessagePattern: NOT_RULED,
  committerEmailPattern: NOT_RULED,
  copilotCodeReview: NOT_RULED,
  fileExtensionRestriction: NOT_RULED,
  filePathRestriction: NOT_RULED,
  maxFilePathLength: NOT_RULED,
  maxFileSize: NOT_RULED,
  mergeQueue: NOT_RULED,
  requiredCodeScanning: NOT_RULED,
  requiredDeployments: NOT_RULED,
  tagNamePattern: NOT_RULED,
};

const ACTOR: Attributes = {
  actorId: { shape: NUMBER },
  actorType: {
    shape: {
      kind: "string",
      allowed: [
        "RepositoryRole",
        "Team",
        "Integration",
        "OrganizationAdmin",
        "DeployKey",
        "EnterpriseOwner",
        "User",
      ],
    },
    required: true,
  },
  bypassMode: {
    shape: { kind: "string", allowed: ["always", "pull_request", "exempt"] },
    required: true,
  },
};

const ATTRIBUTES: Attributes = {
  name: { shape: STRING },
  repository: { shape: STRING, required: true },
  target: { shape: { kind: "string", allowed: ["branch", "push", "tag"] }, required: true },
  enforcement: {
    shape: { kind: "string", allowed: ["disabled", "active", "evaluate"] },
    required: true,
  },
  bypassActors: {
    shape: { kind: "list", of: { kind: "object", fields: ACTOR } },
    unordered: true,
  },
  conditions: {
    shape: {
      kind: "object",
      fields: {
        refName: {
          shape: {
            kind: "object",
            fields: {
              includes: { shape: STRINGS, required: true },
              excludes: { shape: STRINGS, required: true },
            },
          },
          required: true,
        },
      },
    },
  },
  rules: { shape: { kind: "object", fields: RULES }, required: true },
};

/** Rules without parameters, by input. */
const SIMPLE = {
  creation: "creation",
  deletion: "deletion",
  requiredLinearHistory: "required_linear_history",
  requiredSignatures: "required_signatures",
  nonFastForward: "non_fast_forward",
} as const;

const ALL = "/repos/{owner}/{repo}/rulesets";

/** `github:index/repositoryRuleset:RepositoryRuleset`. */
export function repositoryRuleset(client: () => Client): Resource {
  return githubResource<Inputs, State>(client, {
    attributes: ATTRIBUTES,
    outputs: ["etag", "nodeId", "rulesetId"],
    schemaVersion: 1,
    autoName: true,

    async create(inputs, client) {
      const { repository: repo } = inputs;
      if (await isArchived(repo, client)) {
        throw new Error(`cannot create ruleset on archived repository ${client.owner}/${repo}`);
      }
      const { data } = await client.ask<Ruleset>(`POST ${ALL}`, requestFor(inputs));
      return { id: String(data.id) };
    },

    async read(id, { repository: repo }, client) {
      const found = await client.find<Ruleset>(`GET ${ALL}/{id}`, { repo, id });
      if (found === undefined) return undefined;
      const { data, etag } = found;
      const { ref_name } = data.conditions ?? {};
      return {
        etag,
        nodeId: data.node_id,
        rulesetId: data.id,
        name: data.name,
        target: data.target,
        enforcement: data.enforcement,
        bypassActors: (data.bypass_actors ?? []).map((actor) => ({
          actorId: actor.actor_id ?? 0,
          actorType: actor.actor_type,
          bypassMode: actor.bypass_mode,
        })),
        ...(ref_name && {
          conditions: {
            refName: { includes: ref_name.include ?? [], excludes: ref_name.exclude ?? [] },
          },
        }),
        rules: rulesIn(data.rules ?? []),
      };
    },

    async update(id, inputs, _, client) {
      if (await isArchived(inputs.repository, client)) return undefined;
      await client.ask(`PUT ${ALL}/{id}`, { id, ...requestFor(inputs) });
      return undefined;
    },

    async remove(id, { repository: repo }, client) {
      await unlessArchived(client.ask(`DELETE ${ALL}/{id}`, { repo, id }));
    },

    imported: (id) => ({ repository: idParts(id, 2)[0] ?? "" }),
  });
}

async function isArchived(repo: string, client: Client): Promise<boolean> {
  const route = "GET /repos/{owner}/{repo}";
  return (await client.ask<{ readonly archived: boolean }>(route, { repo })).data.archived;
}

function requestFor(inputs: Inputs) {
  const { conditions } = inputs;
  return {
    repo: inputs.repository,
    name: inputs.name,
    target: inputs.target,
    enforcement: inputs.enforcement,
    bypass_actors: (inputs.bypassActors ?? []).map((actor) => ({
      ...(actor.actorId && { actor_id: actor.actorId }),
      actor_type: actor.actorType,
      bypass_mode: actor.bypassMode,
    })),
    ...(conditions && {
      conditions: {
        ref_name: { include: conditions.refName.includes, exclude: conditions.refName.excludes },
      },
    }),
    rules: rulesFor(inputs.rules),
  };
}

function rulesFor(rules: Rules): Rule[] {
  const made: Rule[] = Object.entries(SIMPLE)
    .filter(([input]) => rules[input as keyof typeof SIMPLE])
    .map(([, type]) => ({ type }));
  const { update, updateAllowsFetchAndMerge = false, pullRequest, requiredStatusChecks } = rules;
  if (update) {
    const parameters = { update_allows_fetch_and_merge: updateAllowsFetchAndMerge };
    made.push({ type: "update", parameters });
  }
  if (pullRequest) {
    made.push({
      type: "pull_request",
      parameters: {
        ...(pullRequest.allowedMergeMethods && {
          allowed_merge_methods: pullRequest.allowedMergeMethods,
        }),
        dismiss_stale_reviews_on_push: pullRequest.dismissStaleReviewsOnPush,
        require_code_owner_review: pullRequest.requireCodeOwnerReview,
        require_last_push_approval: pullRequest.requireLastPushApproval,
        required_approving_review_count: pullRequest.requiredApprovingReviewCount,
        required_review_thread_resolution: pullRequest.requiredReviewThreadResolution,
      },
    });
  }
  if (requiredStatusChecks) {
    made.push({
      type: "required_status_checks",
      parameters: {
        required_status_checks: requiredStatusChecks.requiredChecks.map((check) => ({
          context: check.context,
          ...(check.integrationId && { integration_id: check.integrationId }),
        })),
        strict_required_status_checks_policy:
          requiredStatusChecks.strictRequiredStatusChecksPolicy ?? false,
        do_not_enforce_on_create: requiredStatusChecks.doNotEnforceOnCreate,
      },
    });
  }
  return made;
}

function rulesIn(rules: readonly Rule[]): Rules {
  const find = (type: string) => rules.find((rule) => rule.type === type);
  const simple = Object.fromEntries(
    Object.entries(SIMPLE).map(([input, type]) => [input, find(type) !== undefined]),
  );
  const update = find("update");
  const pull = find("pull_request")?.parameters;
  const checks = find("required_status_checks")?.parameters;
  return {
    ...simple,
    update: update !== undefined,
    updateAllowsFetchAndMerge: update?.parameters?.update_allows_fetch_and_merge === true,
    ...(pull && {
      pullRequest: {
        allowedMergeMethods: (pull.allowed_merge_methods ?? []) as string[],
        dismissStaleReviewsOnPush: pull.dismiss_stale_reviews_on_push === true,
        requireCodeOwnerReview: pull.require_code_owner_review === true,
        requireLastPushApproval: pull.require_last_push_approval === true,
        requiredApprovingReviewCount: Number(pull.required_approving_review_count ?? 0),
        requiredReviewThreadResolution: pull.required_review_thread_resolution === true,
        requiredReviewers: [],
      },
    }),
    ...(checks && {
      requiredStatusChecks: {
        requiredChecks: (
          checks.required_status_checks as { context: string; integration_id?: number }[]
        ).map(({ context, integration_id = 0 }) => ({ context, integrationId: integration_id })),
        strictRequiredStatusChecksPolicy: checks.strict_required_status_checks_policy === true,
        doNotEnforceOnCreate: checks.do_not_enforce_on_create === true,
      },
    }),
  };
}

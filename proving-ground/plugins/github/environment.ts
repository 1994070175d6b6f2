import type { Attributes } from "../provider/plan.ts";
import type { Resource } from "../provider/plugin.ts";
import type { Client, Parameters } from "./client.ts";
import { BOOLEAN, githubResource, idPart, idParts, NUMBERS, STRING } from "./githubResource.ts";
import { REPOSITORY, repositoryId } from "./repositoryId.ts";

interface Reviewers {
  readonly teams?: readonly number[];
  readonly users?: readonly number[];
}

interface Inputs {
  readonly repository: string;
  readonly environment: string;
  readonly canAdminsBypass: boolean;
  readonly preventSelfReview: boolean;
  readonly waitTimer?: number;
  readonly reviewers?: readonly Reviewers[];
  readonly deploymentBranchPolicy?: {
    readonly protectedBranches: boolean;
    readonly customBranchPolicies: boolean;
  };
}

interface State extends Inputs {
  readonly repositoryId: number;
}

interface Environment {
  readonly can_admins_bypass?: boolean;
  readonly protection_rules?: readonly {
    readonly type: string;
    readonly wait_timer?: number;
    readonly prevent_self_review?: boolean;
    readonly reviewers?: readonly {
      readonly type: string;
      readonly reviewer: { readonly id: number };
    }[];
  }[];
  readonly deployment_branch_policy: {
    readonly protected_branches: boolean;
    readonly custom_branch_policies: boolean;
  } | null;
}

const REVIEWERS: Attributes = {
  teams: { shape: NUMBERS, unordered: true },
  users: { shape: NUMBERS, unordered: true },
};

const ONE = "/repos/{owner}/{repo}/environments/{environment}";

/** `github:index/repositoryEnvironment:RepositoryEnvironment`. */
export function repositoryEnvironment(client: () => Client): Resource {
  return githubResource<Inputs, State>(client, {
    attributes: {
      repository: REPOSITORY,
      environment: { shape: STRING, required: true, replaces: true },
      canAdminsBypass: { shape: BOOLEAN, unset: true },
      preventSelfReview: { shape: BOOLEAN, unset: false },
      waitTimer: { shape: { kind: "number", minimum: 0 } },
      reviewers: {
        shape: {
          kind: "list",
          of: {
            kind: "object",
            fields: REVIEWERS,
          },
        },
      },
      deploymentBranchPolicy: {
        shape: {
          kind: "object",
          fields: {
            protectedBranches: { shape: BOOLEAN, required: true },
            customBranchPolicies: { shape: BOOLEAN, required: true },
          },
        },
      },
    },
    outputs: ["repositoryId"],
    schemaVersion: 1,

    async create(inputs, client) {
      await client.ask(`PUT ${ONE}`, requestFor(inputs));
      return { id: `${inputs.repository}:${idPart(inputs.environment)}` };
    },

    async read(_, state, client) {
      const { repository: repo, environment } = state;
      const found = await client.find<Environment>(`GET ${ONE}`, { repo, environment });
      if (found === undefined) return undefined;
      const { can_admins_bypass, protection_rules = [], deployment_branch_policy } = found.data;
      const timer = protection_rules.find(({ type }) => type === "wait_timer");
      const reviews = protection_rules.find(({ type }) => type === "required_reviewers");
      const ids = (kind: string) =>
        (reviews?.reviewers ?? [])
          .filter(({ type }) => type === kind)
          .map(({ reviewer }) => reviewer.id);
      return {
        canAdminsBypass: can_admins_bypass ?? true,
        waitTimer: timer?.wait_timer ?? 0,
        reviewers: state.reviewers ?? [],
        // As the official plugin: that reviewers were taken away does not show.
        ...(reviews && {
          reviewers: [{ teams: ids("Team"), users: ids("User") }],
          preventSelfReview: reviews.prevent_self_review ?? false,
        }),
        deploymentBranchPolicy: deployment_branch_policy
          ? {
              protectedBranches: deployment_branch_policy.protected_branches,
              customBranchPolicies: deployment_branch_policy.custom_branch_policies,
            }
          : undefined,
        ...(await repositoryId(state, client)),
      };
    },

    async update(_, inputs, __, client) {
      await client.ask(`PUT ${ONE}`, requestFor(inputs));
      return undefined;
    },

    async remove(_, { repository: repo, environment }, client) {
      await client.find(`DELETE ${ONE}`, { repo, environment });
    },

    imported(id) {
      const [repository = "", environment = ""] = idParts(id, 2);
      return { repository, environment };
    },
  });
}

function requestFor(inputs: Inputs): Parameters {
  const { repository: repo, environment, waitTimer, deploymentBranchPolicy: policy } = inputs;
  const [reviewers] = inputs.reviewers ?? [];
  return {
    repo,
    environment,
    can_admins_bypass: inputs.canAdminsBypass,
    prevent_self_review: inputs.preventSelfReview,
    wait_timer: waitTimer || 0,
    reviewers: reviewers
      ? [
          ...(reviewers.teams ?? []).map((id) => ({ type: "Team", id })),
          ...(reviewers.users ?? []).map((id) => ({ type: "User", id })),
        ]
      : null,
    deployment_branch_policy: policy
      ? {
          protected_branches: policy.protectedBranches,
          custom_branch_policies: policy.customBranchPolicies,
        }
      : null,
  };
}

interface PolicyInputs {
  readonly repository: string;
  readonly environment: string;
  readonly branchPattern?: string;
  readonly tagPattern?: string;
}

interface PolicyState extends PolicyInputs {
  readonly repositoryId: number;
  readonly policyId: number;
}

interface Policy {
  readonly id: number;
  readonly name: string;
  readonly type?: string;
}

/** `github:index/repositoryEnvironmentDeploymentPolicy:…`: a pattern of branches that may use an environment. */
export function environmentDeploymentPolicy(client: () => Client): Resource {
  const all = `${ONE}/deployment-branch-policies`;
  const where = ({ repository: repo, environment }: PolicyInputs) => ({ repo, environment });
  return githubResource<PolicyInputs, PolicyState>(client, {
    attributes: {
      repository: REPOSITORY,
      environment: { shape: STRING, required: true, replaces: true },
      branchPattern: { shape: STRING },
      tagPattern: { shape: STRING },
    },
    outputs: ["policyId", "repositoryId"],
    schemaVersion: 1,

    refuse: ({ branchPattern, tagPattern }) =>
      (branchPattern === undefined) !== (tagPattern === undefined)
        ? []
        : [
            {
              property: "branchPattern",
              reason: "one of branchPattern and tagPattern is to be set",
            },
          ],

    async create(inputs, client) {
      const { branchPattern, tagPattern, repository, environment } = inputs;
      const { data } = await client.ask<Policy>(`POST ${all}`, {
        ...where(inputs),
        name: branchPattern ?? tagPattern,
        type: branchPattern ? "branch" : "tag",
      });
      return {
        id: `${repository}:${idPart(environment)}:${data.id}`,
        known: { policyId: data.id },
      };
    },

    async read(_, state, client) {
      const { policyId } = state;
      const found = await client.find<Policy>(`GET ${all}/{policy}`, {
        ...where(state),
        policy: policyId,
      });
      if (found === undefined) return undefined;
      const { type, name } = found.data;
      return {
        policyId,
        ...(type === "tag" ? { tagPattern: name } : { branchPattern: name }),
        ...(await repositoryId(state, client)),
      };
    },

    async update(_, inputs, { policyId }, client) {
      const name = inputs.branchPattern ?? inputs.tagPattern;
      await client.ask(`PUT ${all}/{policy}`, { ...where(inputs), policy: policyId, name });
      return undefined;
    },

    async remove(_, state, client) {
      await client.ask(`DELETE ${all}/{policy}`, { ...where(state), policy: state.policyId });
    },

    imported(id) {
      const [repository = "", environment = "", policy = ""] = idParts(id, 3);
      return { repository, environment, policyId: Number(policy) };
    },
  });
}

import type { Call, Json, JsonObject, Routes, World } from "../api.ts";
import { ApiError, changeTime, NO_CONTENT, NOT_FOUND, ok } from "../api.ts";

export interface Environment {
  readonly id: number;
  readonly name: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly waitTimerMinutes: number;
  readonly canAdminsBypass: boolean;
  readonly preventSelfReview: boolean;
  readonly reviewers: readonly { readonly type: "User" | "Team"; readonly id: number }[];
  readonly branchPolicy: JsonObject | null;
  /** The patterns of a custom branch policy. */
  readonly patterns: readonly {
    readonly id: number;
    readonly name: string;
    readonly type: string;
  }[];
}

/** Deployment environments by repository; names are the same in any case. */
export class Environments {
  readonly #all = new Map<string, Environment>();

  static key(repositoryId: number, name: string): string {
    return `${repositoryId} ${name.toLowerCase()}`;
  }

  get(repositoryId: number, name: string): Environment | undefined {
    return this.#all.get(Environments.key(repositoryId, name));
  }

  of(repositoryId: number): readonly Environment[] {
    return [...this.#all].flatMap(([key, environment]) =>
      key.startsWith(`${repositoryId} `) ? [environment] : [],
    );
  }

  set(repositoryId: number, environment: Environment): void {
    this.#all.set(Environments.key(repositoryId, environment.name), environment);
  }

  delete(repositoryId: number, name: string): boolean {
    return this.#all.delete(Environments.key(repositoryId, name));
  }
}

/** `onDelete` hears which environment takes its secrets and variables along. */
export function environmentRoutes(
  world: World,
  environments: Environments,
  onDelete: (repositoryId: number, name: string) => void,
): Routes {
  const all = "/repos/{owner}/{repo}/environments";
  const one = `${all}/{environment_name}`;
  const nameIn = (call: Call) => call.parameters.environment_name ?? "";
  return {
    async [`GET ${all}`](call) {
      const { id } = await world.repository(call);
      const found = await Promise.all(
        environments.of(id).map((environment) => described(world, call, environment)),
      );
      return ok({ total_count: found.length, environments: found });
    },
    async [`GET ${one}`](call) {
      const { id } = await world.repository(call);
      const environment = environments.get(id, nameIn(call));
      if (environment === undefined) throw NOT_FOUND;
      return ok(await described(world, call, environment));
    },
    async [`PUT ${one}`](call) {
      const { id } = await world.repository(call);
      const old = environments.get(id, nameIn(call));
      const body = (call.body ?? {}) as {
        readonly wait_timer?: number;
        readonly can_admins_bypass?: boolean;
        readonly prevent_self_review?: boolean;
        readonly reviewers?: Environment["reviewers"] | null;
        readonly deployment_branch_policy?: JsonObject | null;
      };
      const updatedAt = changeTime(old?.updatedAt);
      // What is not said falls back to its default: the endpoint replaces.
      environments.set(id, {
        id: old?.id ?? world.nextId(),
        name: old?.name ?? nameIn(call),
        createdAt: old?.createdAt ?? updatedAt,
        updatedAt,
        waitTimerMinutes: body.wait_timer ?? 0,
        canAdminsBypass: body.can_admins_bypass ?? true,
        preventSelfReview: body.prevent_self_review ?? false,
        reviewers: body.reviewers ?? [],
        branchPolicy: body.deployment_branch_policy ?? null,
        patterns:
          body.deployment_branch_policy?.custom_branch_policies === true
            ? (old?.patterns ?? [])
            : [],
      });
      return ok(await described(world, call, environments.get(id, nameIn(call)) as Environment));
    },
    async [`DELETE ${one}`](call) {
      const { id } = await world.repository(call);
      if (!environments.delete(id, nameIn(call))) throw NOT_FOUND;
      onDelete(id, nameIn(call));
      return NO_CONTENT;
    },
    ...patternRoutes(world, environments, one, nameIn),
  };
}

/** The branches and tags that may use an environment, where its policy is a custom one. */
function patternRoutes(
  world: World,
  environments: Environments,
  environment: string,
  nameIn: (call: Call) => string,
): Routes {
  const all = `${environment}/deployment-branch-policies`;
  const one = `${all}/{branch_policy_id}`;
  const found = async (call: Call) => {
    const { id: repositoryId } = await world.repository(call);
    const environment = environments.get(repositoryId, nameIn(call));
    if (environment?.branchPolicy?.custom_branch_policies !== true) throw NOT_FOUND;
    const { patterns } = environment;
    return {
      patterns,
      change: (to: Environment["patterns"]) =>
        environments.set(repositoryId, { ...environment, patterns: to }),
    };
  };
  const foundOne = async (call: Call) => {
    const { patterns, change } = await found(call);
    const pattern = patterns.find(({ id }) => id === Number(call.parameters.branch_policy_id));
    if (pattern === undefined) throw NOT_FOUND;
    return { pattern, others: patterns.filter((other) => other !== pattern), change };
  };
  const shown = (pattern: Environment["patterns"][number]): JsonObject => ({
    ...pattern,
    node_id: `DBP_${pattern.id}`,
  });
  return {
    async [`GET ${all}`](call) {
      const { patterns } = await found(call);
      return ok({ total_count: patterns.length, branch_policies: patterns.map(shown) });
    },
    async [`POST ${all}`](call) {
      const { patterns, change } = await found(call);
      const { name, type = "branch" } = call.body as {
        readonly name: string;
        readonly type?: string;
      };
      if (patterns.some((other) => other.name === name && other.type === type)) {
        // Described without a body.
        return { status: 303 };
      }
      const pattern = { id: world.nextId(), name, type };
      change([...patterns, pattern]);
      return ok(shown(pattern));
    },
    async [`GET ${one}`](call) {
      return ok(shown((await foundOne(call)).pattern));
    },
    async [`PUT ${one}`](call) {
      const { pattern, others, change } = await foundOne(call);
      const changed = { ...pattern, name: (call.body as { readonly name: string }).name };
      change([...others, changed]);
      return ok(shown(changed));
    },
    async [`DELETE ${one}`](call) {
      const { others, change } = await foundOne(call);
      change(others);
      return NO_CONTENT;
    },
  };
}

async function described(world: World, call: Call, environment: Environment): Promise<JsonObject> {
  const { id, name, waitTimerMinutes, reviewers, branchPolicy, preventSelfReview } = environment;
  const { owner, repo } = call.parameters;
  const rule = (number: number, type: string, others: JsonObject): JsonObject => ({
    id: id * 10 + number,
    node_id: `GA_${id}_${number}`,
    type,
    ...others,
  });
  const rules: Json[] = [];
  if (waitTimerMinutes > 0) rules.push(rule(1, "wait_timer", { wait_timer: waitTimerMinutes }));
  if (reviewers.length > 0) {
    const who = await Promise.all(
      reviewers.map(async ({ type, id: who }) => ({
        type,
        reviewer: await account(world, call, type, who),
      })),
    );
    rules.push(
      rule(2, "required_reviewers", { prevent_self_review: preventSelfReview, reviewers: who }),
    );
  }
  if (branchPolicy !== null) rules.push(rule(3, "branch_policy", {}));
  return {
    id,
    node_id: `EN_${id}`,
    name,
    url: `${world.url}/api/v3/repos/${owner}/${repo}/environments/${encodeURIComponent(name)}`,
    html_url: `${world.url}/${owner}/${repo}/deployments/activity_log?environments_filter=${encodeURIComponent(name)}`,
    created_at: environment.createdAt,
    updated_at: environment.updatedAt,
    can_admins_bypass: environment.canAdminsBypass,
    protection_rules: rules,
    deployment_branch_policy: branchPolicy,
  };
}

async function account(
  world: World,
  { headers }: Call,
  type: "User" | "Team",
  id: number,
): Promise<Json> {
  const path = type === "Team" ? `/teams/${id}` : "/users";
  const { status, body } = await world.emulator({ method: "GET", path, headers });
  const found =
    type === "Team" && status === 200
      ? (body as JsonObject)
      : ((Array.isArray(body) ? body : []) as JsonObject[]).find((user) => user.id === id);
  if (found === undefined) throw new ApiError(422, `Validation Failed`);
  return found;
}

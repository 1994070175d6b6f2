import type { Call, JsonObject, Routes, World } from "../api.ts";
import { ApiError, NO_CONTENT, ok } from "../api.ts";

/** A repository's permissions for Actions. */
export interface ActionsPermissions {
  readonly enabled: boolean;
  readonly allowedActions: string;
  readonly shaPinningRequired: boolean;
  readonly selected: JsonObject;
  readonly workflow: JsonObject;
  /** Who may use its actions and workflows, where it is not public. */
  readonly accessLevel: string;
  /** Whose pull requests from forks run after an approval alone. */
  readonly forkApproval: string;
}

const AT_FIRST: ActionsPermissions = {
  enabled: true,
  allowedActions: "all",
  shaPinningRequired: false,
  selected: { github_owned_allowed: true, verified_allowed: false, patterns_allowed: [] },
  workflow: { default_workflow_permissions: "read", can_approve_pull_request_reviews: false },
  accessLevel: "none",
  forkApproval: "first_time_contributors",
};

/** By repository's id. */
export class AllActionsPermissions {
  readonly #all = new Map<number, ActionsPermissions>();

  get(repositoryId: number): ActionsPermissions {
    return this.#all.get(repositoryId) ?? AT_FIRST;
  }

  change(repositoryId: number, change: Partial<ActionsPermissions>): void {
    this.#all.set(repositoryId, { ...this.get(repositoryId), ...change });
  }
}

export function permissionRoutes(world: World, permissions: AllActionsPermissions): Routes {
  const path = "/repos/{owner}/{repo}/actions/permissions";
  /** Only where selected actions are allowed is there anything to select. */
  const selecting = async (call: Call): Promise<number> => {
    const { id } = await world.repository(call);
    if (permissions.get(id).allowedActions !== "selected") {
      throw new ApiError(409, "Conflict: the allowed actions are not 'selected'.");
    }
    return id;
  };
  /** Everybody may use what a public one has. */
  const closed = async (call: Call): Promise<number> => {
    const { id, visibility } = await world.repository(call);
    if (visibility !== "public") return id;
    throw new ApiError(422, "Access policy only applies to internal and private repositories.");
  };
  return {
    async [`GET ${path}/access`](call) {
      return ok({ access_level: permissions.get(await closed(call)).accessLevel });
    },
    async [`PUT ${path}/access`](call) {
      const { access_level } = call.body as { readonly access_level: string };
      permissions.change(await closed(call), { accessLevel: access_level });
      return NO_CONTENT;
    },
    async [`GET ${path}/fork-pr-contributor-approval`](call) {
      const { id } = await world.repository(call);
      return ok({ approval_policy: permissions.get(id).forkApproval });
    },
    async [`PUT ${path}/fork-pr-contributor-approval`](call) {
      const { id } = await world.repository(call);
      const { approval_policy } = call.body as { readonly approval_policy: string };
      permissions.change(id, { forkApproval: approval_policy });
      return NO_CONTENT;
    },
    async [`GET ${path}`](call) {
      const { id, full_name } = await world.repository(call);
      const { enabled, allowedActions, shaPinningRequired } = permissions.get(id);
      return ok({
        enabled,
        ...(enabled && { allowed_actions: allowedActions }),
        ...(enabled &&
          allowedActions === "selected" && {
            selected_actions_url: `${world.url}/api/v3/repos/${full_name}/actions/permissions/selected-actions`,
          }),
        sha_pinning_required: shaPinningRequired,
      });
    },
    async [`PUT ${path}`](call) {
      const { id } = await world.repository(call);
      const body = call.body as {
        readonly enabled: boolean;
        readonly allowed_actions?: string;
        readonly sha_pinning_required?: boolean;
      };
      permissions.change(id, {
        enabled: body.enabled,
        ...(body.allowed_actions !== undefined && { allowedActions: body.allowed_actions }),
        ...(body.sha_pinning_required !== undefined && {
          shaPinningRequired: body.sha_pinning_required,
        }),
      });
      return NO_CONTENT;
    },
    async [`GET ${path}/selected-actions`](call) {
      return ok(permissions.get(await selecting(call)).selected);
    },
    async [`PUT ${path}/selected-actions`](call) {
      const id = await selecting(call);
      const { selected } = permissions.get(id);
      permissions.change(id, { selected: { ...selected, ...(call.body as JsonObject) } });
      return NO_CONTENT;
    },
    async [`GET ${path}/workflow`](call) {
      return ok(permissions.get((await world.repository(call)).id).workflow);
    },
    async [`PUT ${path}/workflow`](call) {
      const { id } = await world.repository(call);
      const { workflow } = permissions.get(id);
      permissions.change(id, { workflow: { ...workflow, ...(call.body as JsonObject) } });
      return NO_CONTENT;
    },
  };
}

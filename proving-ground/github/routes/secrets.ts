import type { Answer, Call, Json, JsonObject, Routes, World } from "../api.ts";
import { ApiError, changeTime, NO_CONTENT, NOT_FOUND, ok, page } from "../api.ts";
import type { SecretBox } from "../secretBox.ts";
import type { Environments } from "./environments.ts";

/** A secret or a variable of Actions; a secret's value in the clear, as a workflow would see it. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** Of an organization only: who sees it. */
  readonly visibility?: string;
  readonly repositoryIds?: readonly number[];
}

/** Secrets and variables by where they are kept, then by name. */
export class Settings {
  readonly #byScope = new Map<string, Map<string, Setting>>();

  all(scope: string): readonly Setting[] {
    return [...(this.#byScope.get(scope)?.values() ?? [])];
  }

  get(scope: string, name: string): Setting | undefined {
    return this.#byScope.get(scope)?.get(name.toUpperCase());
  }

  set(scope: string, change: Pick<Setting, "name" | "value"> & Partial<Setting>): void {
    const name = change.name.toUpperCase();
    const old = this.get(scope, name);
    const updatedAt = changeTime(old?.updatedAt);
    const settings = this.#byScope.get(scope) ?? new Map<string, Setting>();
    settings.set(name, { createdAt: updatedAt, ...old, ...change, name, updatedAt });
    this.#byScope.set(scope, settings);
  }

  /** Whether there was one. */
  delete(scope: string, name: string): boolean {
    return this.#byScope.get(scope)?.delete(name.toUpperCase()) ?? false;
  }

  deleteScope(scope: string): void {
    this.#byScope.delete(scope);
  }
}

/** Where the secrets and variables of a repository, an environment and an organization are kept. */
export const scopeOf = {
  repository: (id: number) => `repository ${id}`,
  environment: (id: number, name: string) => `environment ${id} ${name.toLowerCase()}`,
  organization: (login: string) => `organization ${login.toLowerCase()}`,
};

interface Level {
  readonly prefix: string;
  readonly ofOrganization: boolean;
  scope(call: Call): Promise<string>;
}

/** The endpoints for secrets and variables of repositories, environments and organizations. */
export function settingsRoutes(
  world: World,
  box: SecretBox,
  secrets: Settings,
  variables: Settings,
  environments: Environments,
): Routes {
  const levels: Level[] = [
    {
      prefix: "/repos/{owner}/{repo}/actions",
      ofOrganization: false,
      scope: async (call) => scopeOf.repository((await world.repository(call)).id),
    },
    {
      prefix: "/repos/{owner}/{repo}/environments/{environment_name}",
      ofOrganization: false,
      async scope(call) {
        const { id } = await world.repository(call);
        const name = call.parameters.environment_name ?? "";
        if (environments.get(id, name) === undefined) throw NOT_FOUND;
        return scopeOf.environment(id, name);
      },
    },
    {
      prefix: "/orgs/{org}/actions",
      ofOrganization: true,
      scope: async (call) => scopeOf.organization((await world.organization(call)).login),
    },
  ];
  return Object.assign(
    {},
    ...levels.flatMap((level) => [
      secretRoutes(world, box, secrets, level),
      variableRoutes(world, variables, level),
    ]),
  );
}

function secretRoutes(world: World, box: SecretBox, secrets: Settings, level: Level): Routes {
  const { prefix } = level;
  const one = `${prefix}/secrets/{secret_name}`;
  return {
    async [`GET ${prefix}/secrets/public-key`](call) {
      await level.scope(call);
      return ok({ key_id: box.keyId, key: box.publicKey });
    },
    [`GET ${prefix}/secrets`]: (call) =>
      list(call, world, level, secrets, "secrets", (secret) => described(secret, call, world)),
    async [`GET ${one}`](call) {
      return ok(described(await found(secrets, level, call, "secret_name"), call, world));
    },
    async [`PUT ${one}`](call) {
      const scope = await level.scope(call);
      const body = call.body as { readonly encrypted_value: string; readonly key_id: string };
      const name = checkedName(call.parameters.secret_name);
      const value = body.key_id === box.keyId ? box.open(body.encrypted_value) : undefined;
      if (value === undefined) {
        throw new ApiError(422, "Bad request - key ID or encryption is not valid");
      }
      const existed = secrets.get(scope, name) !== undefined;
      secrets.set(scope, { name, value, ...audience(level, call.body) });
      return existed ? NO_CONTENT : { status: 201, body: {} };
    },
    async [`DELETE ${one}`](call) {
      if (!secrets.delete(await level.scope(call), call.parameters.secret_name ?? "")) {
        throw NOT_FOUND;
      }
      return NO_CONTENT;
    },
    ...(level.ofOrganization && {
      [`GET ${one}/repositories`]: (call: Call) =>
        audienceList(call, world, level, secrets, "secret_name"),
    }),
  };
}

function variableRoutes(world: World, variables: Settings, level: Level): Routes {
  const { prefix } = level;
  const one = `${prefix}/variables/{name}`;
  const withValue = (variable: Setting, call: Call): JsonObject => {
    const { name, ...others } = described(variable, call, world);
    return { name: name ?? "", value: variable.value, ...others };
  };
  return {
    [`GET ${prefix}/variables`]: (call) =>
      list(call, world, level, variables, "variables", (variable) => withValue(variable, call)),
    async [`POST ${prefix}/variables`](call) {
      const scope = await level.scope(call);
      const body = call.body as { readonly name: string; readonly value: string };
      const name = checkedName(body.name);
      if (variables.get(scope, name) !== undefined) {
        throw new ApiError(409, "Already exists - Variable already exists");
      }
      variables.set(scope, { name, value: body.value, ...audience(level, call.body) });
      return { status: 201, body: {} };
    },
    async [`GET ${one}`](call) {
      return ok(withValue(await found(variables, level, call, "name"), call));
    },
    async [`PATCH ${one}`](call) {
      const old = await found(variables, level, call, "name");
      const { value = old.value } = (call.body ?? {}) as { readonly value?: string };
      variables.set(await level.scope(call), {
        name: old.name,
        value,
        ...audience(level, call.body, old),
      });
      return NO_CONTENT;
    },
    async [`DELETE ${one}`](call) {
      if (!variables.delete(await level.scope(call), call.parameters.name ?? "")) throw NOT_FOUND;
      return NO_CONTENT;
    },
    ...(level.ofOrganization && {
      [`GET ${one}/repositories`]: (call: Call) =>
        audienceList(call, world, level, variables, "name"),
    }),
  };
}

async function list(
  call: Call,
  world: World,
  level: Level,
  settings: Settings,
  property: string,
  show: (setting: Setting) => JsonObject,
): Promise<Answer> {
  const all = settings.all(await level.scope(call));
  const { items, headers } = page(call, world, all.map(show));
  return { ...ok({ total_count: all.length, [property]: items }), ...(headers && { headers }) };
}

async function found(
  settings: Settings,
  level: Level,
  call: Call,
  parameter: string,
): Promise<Setting> {
  const setting = settings.get(await level.scope(call), call.parameters[parameter] ?? "");
  if (setting === undefined) throw NOT_FOUND;
  return setting;
}

function described(setting: Setting, call: Call, world: World): JsonObject {
  const described = {
    name: setting.name,
    created_at: setting.createdAt,
    updated_at: setting.updatedAt,
  };
  if (setting.visibility === undefined) return described;
  const { visibility } = setting;
  if (visibility !== "selected") return { ...described, visibility };
  const path = call.path.endsWith(`/${setting.name}`) ? call.path : `${call.path}/${setting.name}`;
  const url = `${world.url}/api/v3${path}/repositories`;
  return { ...described, visibility, selected_repositories_url: url };
}

function audience(level: Level, body: unknown, old?: Setting): Partial<Setting> {
  if (!level.ofOrganization) return {};
  const { visibility = old?.visibility, selected_repository_ids: ids } = (body ?? {}) as {
    readonly visibility?: string;
    readonly selected_repository_ids?: readonly number[];
  };
  return {
    ...(visibility !== undefined && { visibility }),
    repositoryIds: visibility === "selected" ? (ids ?? old?.repositoryIds ?? []) : [],
  };
}

async function audienceList(
  call: Call,
  world: World,
  level: Level,
  settings: Settings,
  parameter: string,
): Promise<Answer> {
  const { repositoryIds = [] } = await found(settings, level, call, parameter);
  const repositories: Json[] = [];
  for (const id of repositoryIds) {
    const { status, body } = await world.emulator({
      method: "GET",
      path: `/repositories/${id}`,
      headers: call.headers,
    });
    if (status === 200) repositories.push(body as JsonObject);
  }
  return ok({ total_count: repositories.length, repositories });
}

/** GitHub's own rules for names. */
function checkedName(name = ""): string {
  const wrong = !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
    ? "can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_) and must not start with a number"
    : /^github_/i.test(name) && "must not start with the GITHUB_ prefix";
  if (wrong) throw new ApiError(422, `Name ${wrong}.`);
  return name;
}

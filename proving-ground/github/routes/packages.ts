import type { Call, JsonObject, Routes, World } from "../api.ts";
import { ApiError, changeTime, NO_CONTENT, NOT_FOUND, ok, page } from "../api.ts";

/** A container package of GHCR. It appears by a push, which this GitHub has none of: tests put it here. */
export interface ContainerPackage {
  /** User or organization. */
  readonly owner: string;
  readonly name: string;
  readonly visibility: "public" | "private" | "internal";
  /** `owner/name` of the repository that it is linked to, if it is to one. */
  readonly repository?: string;
  /** Newest first. */
  versions: readonly PackageVersion[];
}

export interface PackageVersion {
  readonly digest: string;
  readonly tags: readonly string[];
  /** When GitHub was started unless said. */
  readonly createdAt?: string;
}

/** GitHub has no endpoint that sets a package's visibility; so there is none here. */
export function packageRoutes(world: World, packages: readonly ContainerPackage[]): Routes {
  const find = (owner: string, { parameters }: Call): ContainerPackage => {
    if (parameters.package_type !== "container") {
      throw new ApiError(400, "Invalid argument. This GitHub has packages of type container only.");
    }
    const found = packages.find(
      ({ owner: login, name }) =>
        login.toLowerCase() === owner.toLowerCase() && name === parameters.package_name,
    );
    if (found === undefined) throw new ApiError(404, "Package not found.");
    return found;
  };
  const at = changeTime();

  const described = async (found: ContainerPackage, call: Call): Promise<JsonObject> => {
    const { owner, name } = found;
    const get = async (path: string): Promise<JsonObject> => {
      const { status, body } = await world.emulator({ method: "GET", path, headers: call.headers });
      if (status !== 200) throw NOT_FOUND;
      return body as JsonObject;
    };
    const account = await get(`/users/${owner}`).catch(() => get(`/orgs/${owner}`));
    const kind = account.type === "User" ? "users" : "orgs";
    return {
      id: idOf(found),
      name,
      package_type: "container",
      owner: ownerOf(account),
      version_count: found.versions.length,
      visibility: found.visibility,
      url: `${world.url}/api/v3/${kind}/${owner}/packages/container/${encodeURIComponent(name)}`,
      created_at: at,
      updated_at: at,
      html_url: `${world.url}/${kind}/${owner}/packages/container/package/${encodeURIComponent(name)}`,
      ...(found.repository !== undefined && {
        repository: await get(`/repos/${found.repository}`),
      }),
    };
  };

  const versions = (found: ContainerPackage, call: Call) => {
    const all = found.versions.map((version) => ({
      id: versionId(version),
      name: version.digest,
      url: `${world.url}/api/v3${call.path}/${versionId(version)}`,
      package_html_url: `${world.url}/${found.owner}/packages/container/package/${found.name}`,
      created_at: version.createdAt ?? at,
      updated_at: version.createdAt ?? at,
      metadata: { package_type: "container", container: { tags: version.tags } },
    }));
    const { items, headers } = page(call, world, all);
    return { ...ok(items), ...(headers && { headers }) };
  };
  const versionIds = new Map<string, number>();
  const versionId = ({ digest }: PackageVersion): number => {
    const id = versionIds.get(digest) ?? world.nextId();
    versionIds.set(digest, id);
    return id;
  };
  const remove = (found: ContainerPackage, { parameters }: Call) => {
    const id = Number(parameters.package_version_id);
    const left = found.versions.filter((version) => versionId(version) !== id);
    if (left.length === found.versions.length) throw new ApiError(404, "Package not found.");
    if (left.length === 0) {
      throw new ApiError(
        400,
        "You cannot delete the last version of a package. You must delete the package instead.",
      );
    }
    found.versions = left;
    return NO_CONTENT;
  };
  const idOf = (found: ContainerPackage) => packages.indexOf(found) + 1;

  const routes: { [operation: string]: Routes[string] } = {};
  for (const [prefix, ownerIn] of [
    ["/users/{username}", (call: Call) => call.parameters.username ?? ""],
    ["/orgs/{org}", (call: Call) => call.parameters.org ?? ""],
  ] as const) {
    const one = `${prefix}/packages/{package_type}/{package_name}`;
    routes[`GET ${one}`] = async (call) => ok(await described(find(ownerIn(call), call), call));
    routes[`GET ${one}/versions`] = (call) => versions(find(ownerIn(call), call), call);
    routes[`DELETE ${one}/versions/{package_version_id}`] = (call) =>
      remove(find(ownerIn(call), call), call);
  }
  return routes;
}

/** An account as the owner of something, which says less than the account itself. */
function ownerOf({ login, id, node_id, avatar_url, type }: JsonObject): JsonObject {
  return {
    login: login ?? "",
    id: id ?? 0,
    node_id: node_id ?? "",
    avatar_url: avatar_url ?? "",
    url: "",
    type: type ?? "Organization",
  };
}

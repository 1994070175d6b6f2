import { ApiError, type Call, NOT_FOUND } from "./api.ts";

/**
 * Refuses what a classic token without the right scope may not do, in the words that GitHub has for it:
 * it often hides what may not be seen behind "Not Found".
 *
 * @throws 403 or 404
 */
export function checkScopes(operation: string, call: Call, scopes: readonly string[]): void {
  const has = (...any: string[]) => any.some((scope) => scopes.includes(scope));
  const writes = call.method !== "GET";
  if (operation.includes("/packages/") && !has("read:packages", "write:packages", "repo")) {
    throw new ApiError(403, "You need at least read:packages scope to get a package.");
  }
  if (operation.startsWith("DELETE ") && operation.includes("/packages/")) {
    if (has("delete:packages")) return;
    throw new ApiError(403, "You need at least delete:packages scope to delete a package.");
  }
  if (operation.includes("/orgs/{org}/actions/") && !has("admin:org")) {
    throw new ApiError(403, "Must have admin rights to Repository.");
  }
  if (!writes) return;
  if (operation === "DELETE /repos/{owner}/{repo}" && !has("delete_repo")) {
    throw new ApiError(403, "Must have admin rights to Repository.");
  }
  if (!has("repo", "public_repo")) throw NOT_FOUND;
  const toWorkflow = call.parameters.path?.startsWith(".github/workflows/");
  if (operation.includes("/contents/") && toWorkflow && !has("workflow")) throw NOT_FOUND;
}

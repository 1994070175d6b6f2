import { ApiError, type JsonObject, type Routes, type World } from "../api.ts";

/** The emulator opens a second pull request for a branch that has one; GitHub does not. */
export function pullRoutes(world: World): Routes {
  return {
    async "POST /repos/{owner}/{repo}/pulls"(call) {
      const { head, base } = call.body as { readonly head: string; readonly base: string };
      const label = head.includes(":") ? head : `${call.parameters.owner}:${head}`;
      const { body } = await world.emulator({
        method: "GET",
        path: call.path,
        query: new URLSearchParams({ state: "open", head: label, base }),
        headers: call.headers,
      });
      if (Array.isArray(body) && (body as readonly JsonObject[]).length > 0) {
        throw new ApiError(422, "Validation Failed", [
          {
            resource: "PullRequest",
            code: "custom",
            message: `A pull request already exists for ${label}.`,
          },
        ]);
      }
      return world.emulator(call);
    },
  };
}

import type { Answer, Call, JsonObject, Routes, World } from "../api.ts";
import { NOT_FOUND } from "../api.ts";

/** A branch by its name, and its renaming; the emulator has less of the one and nothing of the other. */
export function branchRoutes(world: World): Routes {
  const one = "/repos/{owner}/{repo}/branches/{branch}";

  const described = async (call: Call, repository: string, name: string): Promise<JsonObject> => {
    const { headers } = call;
    const get = async (path: string): Promise<JsonObject> => {
      const answer = await world.emulator({
        method: "GET",
        path: `/repos/${repository}/${path}`,
        headers,
      });
      if (answer.status !== 200) throw NOT_FOUND;
      return answer.body as JsonObject;
    };
    const branch = await get(`branches/${name}`);
    const self = `${world.url}/api/v3/repos/${repository}/branches/${name}`;
    return {
      ...branch,
      commit: await get(`commits/${(branch.commit as JsonObject).sha}`),
      protection: { enabled: branch.protected === true },
      protection_url: `${self}/protection`,
      _links: { self, html: `${world.url}/${repository}/tree/${name}` },
    };
  };

  return {
    async [`GET ${one}`](call): Promise<Answer> {
      const { full_name } = await world.repository(call);
      return { status: 200, body: await described(call, full_name, call.parameters.branch ?? "") };
    },
    async [`POST ${one}/rename`](call): Promise<Answer> {
      const { full_name, json } = await world.repository(call);
      const { branch = "" } = call.parameters;
      const name = String((call.body as JsonObject).new_name);
      const ask = (method: string, path: string, body?: JsonObject) =>
        world.emulator({
          method,
          path: `/repos/${full_name}${path}`,
          headers: call.headers,
          ...(body && { body }),
        });
      const { commit } = await described(call, full_name, branch);
      const { sha = "" } = commit as JsonObject;
      const made = await ask("POST", "/git/refs", { ref: `refs/heads/${name}`, sha });
      if (made.status !== 201) return made;
      if (json.default_branch === branch) await ask("PATCH", "", { default_branch: name });
      await ask("DELETE", `/git/refs/heads/${branch}`);
      return { status: 201, body: await described(call, full_name, name) };
    },
  };
}

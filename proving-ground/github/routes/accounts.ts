import type { Answer, JsonObject, Routes, World } from "../api.ts";
import { addressesOf } from "../complete.ts";

/** An account by its name, be it a user or an organization; the emulator has two places for them. */
export function accountRoutes(world: World, plan: string | undefined): Routes {
  const withPlan = (answer: Answer): Answer => {
    if (plan === undefined || answer.status !== 200) return answer;
    const told = { name: plan, space: 0, private_repos: 0, collaborators: 0 };
    return { ...answer, body: { ...(answer.body as JsonObject), plan: told } };
  };
  return {
    "GET /user": async (call) => withPlan(await world.emulator(call)),
    "GET /orgs/{org}": async (call) => withPlan(await world.emulator(call)),
    async "GET /users/{username}"(call) {
      const user = await world.emulator(call);
      if (user.status !== 404) return user;
      const path = `/orgs/${call.parameters.username}`;
      const organization = await world.emulator({ method: "GET", path, headers: call.headers });
      if (organization.status !== 200) return user;
      const described = organization.body as JsonObject;
      const login = String(described.login);
      return {
        status: 200,
        body: {
          ...addressesOf(world, login),
          url: `${world.url}/api/v3/users/${login}`,
          name: null,
          company: null,
          blog: "",
          location: null,
          email: null,
          hireable: null,
          bio: null,
          public_repos: 0,
          public_gists: 0,
          followers: 0,
          following: 0,
          created_at: described.created_at ?? "",
          updated_at: described.updated_at ?? "",
          login,
          id: described.id ?? 0,
          node_id: described.node_id ?? "",
          avatar_url: described.avatar_url ?? "",
          type: "Organization",
        },
      };
    },
  };
}

import type { Call, JsonObject, Routes, World } from "../api.ts";
import { ApiError, changeTime, NO_CONTENT, NOT_FOUND, ok, page } from "../api.ts";

/** Rulesets by repository's id, then by their own. */
export type Rulesets = Map<number, Map<number, JsonObject>>;

export function rulesetRoutes(world: World, rulesets: Rulesets): Routes {
  const all = "/repos/{owner}/{repo}/rulesets";
  const one = `${all}/{ruleset_id}`;
  const of = (repositoryId: number): Map<number, JsonObject> => {
    const found = rulesets.get(repositoryId) ?? new Map<number, JsonObject>();
    rulesets.set(repositoryId, found);
    return found;
  };
  const existing = async (call: Call) => {
    const repository = await world.repository(call);
    const id = Number(call.parameters.ruleset_id);
    const ruleset = of(repository.id).get(id);
    if (ruleset === undefined) throw NOT_FOUND;
    return { repository, id, ruleset };
  };
  const refuseTakenName = (repositoryId: number, name: unknown, except?: number) => {
    for (const [id, ruleset] of of(repositoryId)) {
      if (ruleset.name === name && id !== except) {
        throw new ApiError(422, "Validation Failed", ["Name must be unique"]);
      }
    }
  };
  return {
    async [`GET ${all}`](call) {
      const { id } = await world.repository(call);
      // The list leaves out what the rules are.
      const found = [...of(id).values()].map(({ rules: _, conditions: __, ...others }) => others);
      const { items, headers } = page(call, world, found);
      return { ...ok(items), ...(headers && { headers }) };
    },
    async [`POST ${all}`](call) {
      const repository = await world.repository(call);
      const body = call.body as JsonObject;
      refuseTakenName(repository.id, body.name);
      const id = world.nextId();
      const createdAt = changeTime();
      const link = `repos/${repository.full_name}/rulesets/${id}`;
      const ruleset: JsonObject = {
        id,
        name: body.name ?? "",
        target: body.target ?? "branch",
        source_type: "Repository",
        source: repository.full_name,
        enforcement: body.enforcement ?? "active",
        node_id: `RRS_${id}`,
        created_at: createdAt,
        updated_at: createdAt,
        bypass_actors: body.bypass_actors ?? [],
        current_user_can_bypass: "never",
        conditions: body.conditions ?? { ref_name: { include: [], exclude: [] } },
        rules: body.rules ?? [],
        _links: {
          self: { href: `${world.url}/api/v3/${link}` },
          html: { href: `${world.url}/${repository.full_name}/rules/${id}` },
        },
      };
      of(repository.id).set(id, ruleset);
      return { status: 201, body: ruleset };
    },
    async [`GET ${one}`](call) {
      return ok((await existing(call)).ruleset);
    },
    async [`PUT ${one}`](call) {
      const { repository, id, ruleset } = await existing(call);
      const body = call.body as JsonObject;
      if (body.name !== undefined) refuseTakenName(repository.id, body.name, id);
      const changed = { ...ruleset };
      for (const key of ["name", "target", "enforcement", "bypass_actors", "conditions", "rules"]) {
        if (body[key] !== undefined) changed[key as keyof JsonObject] = body[key];
      }
      of(repository.id).set(id, {
        ...changed,
        updated_at: changeTime(String(ruleset.updated_at)),
      });
      return ok(of(repository.id).get(id) ?? {});
    },
    async [`DELETE ${one}`](call) {
      const { repository, id } = await existing(call);
      of(repository.id).delete(id);
      return NO_CONTENT;
    },
  };
}

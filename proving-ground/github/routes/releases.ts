import type { Call, JsonObject, Routes, World } from "../api.ts";

/** The latest release is the one that was said to be, which the emulator has no ear for. */
export function releaseRoutes(world: World): Routes {
  const all = "/repos/{owner}/{repo}/releases";
  /** By repository's id, the release's. */
  const latest = new Map<number, number>();
  const note = async (call: Call, answer: Awaited<ReturnType<World["emulator"]>>) => {
    const { make_latest } = (call.body ?? {}) as { readonly make_latest?: string };
    const { id, draft, prerelease } = (answer.body ?? {}) as JsonObject & { readonly id?: number };
    if (make_latest === "true" && id !== undefined && !draft && !prerelease) {
      latest.set((await world.repository(call)).id, id);
    }
    return answer;
  };
  return {
    [`POST ${all}`]: async (call) => note(call, await world.emulator(call)),
    [`PATCH ${all}/{release_id}`]: async (call) => note(call, await world.emulator(call)),
    async [`GET ${all}/latest`](call) {
      const id = latest.get((await world.repository(call)).id);
      if (id === undefined) return world.emulator(call);
      return world.emulator({ ...call, path: call.path.replace(/latest$/, String(id)) });
    },
  };
}

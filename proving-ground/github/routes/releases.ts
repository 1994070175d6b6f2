import { createHash } from "node:crypto";
import type { Answer, Call, Json, JsonObject, Routes, World } from "../api.ts";

/** Checksums of the assets, as GitHub gives them since 2025, by the asset's id. */
type Digests = Map<number, string>;

function withDigests(answer: Answer, digests: Digests): Answer {
  const change = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(change);
    if (typeof value !== "object" || value === null) return value;
    const object = Object.entries(value).map(([name, inner]) => [name, change(inner)]);
    const digest = "browser_download_url" in value && digests.get(Number(value.id));
    return Object.fromEntries(digest ? [...object, ["digest", digest]] : object);
  };
  return Buffer.isBuffer(answer.body) || answer.body === undefined
    ? answer
    : { ...answer, body: change(answer.body) };
}

/** The latest release is the one that was said to be, which the emulator has no ear for. */
export function releaseRoutes(world: World): Routes {
  const all = "/repos/{owner}/{repo}/releases";
  /** By repository's id, the release's. */
  const latest = new Map<number, number>();
  const digests: Digests = new Map();
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
    async [`POST ${all}/{release_id}/assets`](call) {
      const answer = await world.emulator(call);
      const { id } = (answer.body ?? {}) as { readonly id?: number };
      const sum = createHash("sha256").update(call.rawBody).digest("hex");
      if (id !== undefined) digests.set(id, `sha256:${sum}`);
      return withDigests(answer, digests);
    },
    [`GET ${all}/tags/{tag}`]: async (call) => withDigests(await world.emulator(call), digests),
    async [`GET ${all}/latest`](call) {
      const id = latest.get((await world.repository(call)).id);
      if (id === undefined) return world.emulator(call);
      return world.emulator({ ...call, path: call.path.replace(/latest$/, String(id)) });
    },
  };
}

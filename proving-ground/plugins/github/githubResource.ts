import {
  checkPlanned,
  diffPlanned,
  inputsFound,
  type Planned,
  planOf,
  previewOf,
} from "../provider/plan.ts";
import { NotReady, type Resource } from "../provider/plugin.ts";
import type { Failure, Shape } from "../provider/shapes.ts";
import { type PropertyMap, reveal, secret, type Value } from "../provider/values.ts";
import { type Client, GithubError } from "./client.ts";

/** What a resource does on GitHub, with its inputs as `Inputs` and its whole state as `State`. */
export interface GithubResource<Inputs, State> extends Planned {
  /** Of the state, where the official plugin has changed it since its first version. */
  readonly schemaVersion?: number;
  /** What is wrong with the inputs beyond what each is by itself. */
  refuse?(inputs: PropertyMap): readonly Failure[];
  /** Of the state, what an update has GitHub decide anew. */
  readonly forgottenByUpdate?: readonly (keyof State & string)[];
  create(inputs: Inputs, client: Client): Promise<Made<State>>;
  /** What comes after: when it fails, the resource is in the state nevertheless. */
  complete?(id: string, inputs: Inputs, client: Client): Promise<void>;
  /** What GitHub has of it beyond `state`, which is what was known; nothing when it is gone. */
  read(id: string, state: State, client: Client): Promise<Partial<State> | undefined>;
  /** `inputs` have what is chosen by GitHub as it was. Returns what of the state is known by the answer alone. */
  update(
    id: string,
    inputs: Inputs,
    old: State,
    client: Client,
  ): Promise<Partial<State> | undefined>;
  remove(id: string, state: State, client: Client): Promise<void>;
  /** The inputs that an id to be imported stands for. */
  imported(id: string): PropertyMap;
}

/** What was made. */
export interface Made<State> {
  readonly id: string;
  /** What of the state is known by the answer alone. */
  readonly known?: Partial<State>;
}

/** A thing that GitHub has. */
export function githubResource<Inputs, State extends Inputs>(
  current: () => Client,
  resource: GithubResource<Inputs, State>,
): Resource {
  const { attributes, schemaVersion } = resource;
  const secrets = Object.keys(attributes).filter((name) => attributes[name]?.secret);

  /** The state as the official plugin writes it: nothing is left out, and its version stands beside it. */
  const stateOf = (known: PropertyMap): PropertyMap => {
    const state: { [name: string]: Value } = {};
    for (const name of Object.keys(attributes)) state[name] = null;
    // Where GitHub has nothing of what was known, nothing is what stays.
    for (const [name, value] of Object.entries(ownOf(known))) state[name] = value ?? null;
    for (const name of secrets) state[name] = secret(state[name] ?? null);
    if (schemaVersion === undefined) return state;
    return { ...state, __meta: JSON.stringify({ schema_version: String(schemaVersion) }) };
  };

  const found = async (id: string, known: PropertyMap): Promise<PropertyMap | undefined> => {
    const state = await resource.read(id, known as State, current());
    return state && stateOf({ ...known, ...(state as PropertyMap), id });
  };

  return {
    check(inputs, context) {
      const { inputs: checked, failures } = checkPlanned(inputs, context, resource);
      const more = resource.refuse?.(reveal(checked) as PropertyMap) ?? [];
      return { inputs: checked, failures: [...failures, ...more] };
    },

    diff: (old, news) =>
      diffPlanned(
        { ...old, state: reveal(old.state) as PropertyMap },
        reveal(news) as PropertyMap,
        resource,
      ),

    async create(inputs, { preview }) {
      const plain = reveal(inputs) as PropertyMap;
      if (preview) return { id: "", state: stateOf(previewOf(plain, resource)) };
      const planned = planOf(plain, attributes);
      const { id, known = {} } = await resource.create(planned as Inputs, current());
      try {
        await resource.complete?.(id, planned as Inputs, current());
        const state = await found(id, { ...planned, ...(known as PropertyMap) });
        if (state === undefined) throw new Error("is gone as soon as it was made");
        return { id, state };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new NotReady(reason, id, stateOf({ ...planned, id }));
      }
    },

    async update(old, news, { preview }) {
      const state = reveal(old.state) as PropertyMap;
      const planned = planOf(reveal(news) as PropertyMap, attributes);
      const kept = Object.entries(ownOf(state)).filter(
        ([name]) => !(name in attributes) || attributes[name]?.computed,
      );
      const known: { [name: string]: Value } = { ...Object.fromEntries(kept), ...planned };
      if (preview) return stateOf(known);
      const learned = await resource.update(old.id, known as Inputs, state as State, current());
      for (const name of resource.forgottenByUpdate ?? []) delete known[name];
      const now = await found(old.id, { ...known, ...(learned as PropertyMap) });
      if (now === undefined) throw new Error("is gone as soon as it was changed");
      return now;
    },

    async delete({ id, state }) {
      await resource.remove(id, reveal(state) as State, current());
    },

    async read({ id, inputs, state }) {
      const isImport = Object.keys(state).length === 0;
      const known = isImport ? resource.imported(id) : ownOf(reveal(state) as PropertyMap);
      const now = await found(id, known);
      if (now === undefined) return undefined;
      if (isImport) return { inputs: imported(now), state: now };
      const visible = inputsFound(
        reveal(inputs) as PropertyMap,
        reveal(now) as PropertyMap,
        attributes,
      );
      return { inputs: withSecrets(visible), state: now };
    },
  };

  /** What a program would say to have what has been found. */
  function imported(now: PropertyMap): PropertyMap {
    return Object.fromEntries(
      Object.entries(planOf(now, attributes)).filter(
        ([name, value]) => value !== null && attributes[name]?.unsupported === undefined,
      ),
    );
  }

  function withSecrets(inputs: PropertyMap): PropertyMap {
    const marked: { [name: string]: Value } = { ...inputs };
    for (const name of secrets) {
      const value = marked[name];
      if (value !== undefined) marked[name] = secret(value);
    }
    return marked;
  }
}

/** `state` without what the official plugin notes beside it. */
function ownOf(state: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(state).filter(([name]) => !name.startsWith("__")));
}

/** Lets what GitHub refuses in an archived repository, which is going anyway, be as good as done. */
export async function unlessArchived(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof GithubError && error.archived)) throw error;
  }
}

export const STRING: Shape = { kind: "string" };
export const BOOLEAN: Shape = { kind: "boolean" };
export const NUMBER: Shape = { kind: "number" };
export const STRINGS: Shape = { kind: "list", of: STRING };
export const NUMBERS: Shape = { kind: "list", of: NUMBER };

/** What is said of an input that the official plugin has and the stand-in has not. */
export const NOT_HERE =
  "the offline stand-in for the plugin github 6.15.0 does not have this input; with internet, " +
  "`pulumi plugin install resource github 6.15.0` gets the plugin that does";

/** The `count` parts of an id; the last may hold colons of its own. */
export function idParts(id: string, count: number): string[] {
  const parts = id.split(":");
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join(":")].map((part) =>
    part.replaceAll("??", ":"),
  );
}

/** A part of an id. */
export function idPart(part: string): string {
  return part.replaceAll(":", "??");
}

/** A time of GitHub's as the official plugin writes it. */
export function goTime(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)} +0000 UTC`;
}

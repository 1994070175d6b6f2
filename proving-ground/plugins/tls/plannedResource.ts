import type { Difference } from "../provider/differences.ts";
import type { Log, Resource } from "../provider/plugin.ts";
import { check, type Fields } from "../provider/shapes.ts";
import {
  equal,
  type PropertyMap,
  reveal,
  secret,
  UNKNOWN,
  type Value,
} from "../provider/values.ts";

export interface PlannedResourceOptions<Inputs> {
  readonly fields: Fields;
  /** The state's values for inputs that are not set. */
  readonly defaults: PropertyMap;
  /** Inputs whose change keeps the resource; the others' makes a new one. */
  readonly updatable: readonly string[];
  /** Outputs, besides `id`, that only an update knows. */
  readonly computed: readonly string[];
  /** Outputs that are secret, besides the secret inputs. */
  readonly secretOutputs?: readonly string[];
  /** Outputs that follow from the inputs, so that a preview knows them; their change is an update. */
  derived?(planned: PropertyMap): PropertyMap;
  /** Outputs that time alone makes due: a new resource replaces the one they are due in. */
  due?(planned: PropertyMap): readonly string[];
  /** Outputs that a refresh finds changed. */
  refreshed?(state: PropertyMap): PropertyMap;
  create(inputs: Inputs, log: Log): Promise<{ id: string; outputs: PropertyMap }>;
}

/**
 * A resource that lives in the state alone. As with the official plugin, which has a Terraform provider
 * inside, what is compared is the state and the plan: the inputs with the defaults of those not set.
 */
export function plannedResource<Inputs>(options: PlannedResourceOptions<Inputs>): Resource {
  const { fields, defaults, updatable, computed } = options;

  const secrets = [
    ...(options.secretOutputs ?? []),
    ...Object.keys(fields).filter((name) => fields[name]?.secret),
  ];
  const withSecrets = (state: PropertyMap): PropertyMap => {
    const marked: { [name: string]: Value } = { ...state };
    for (const name of secrets) {
      const value = marked[name];
      if (value !== undefined && value !== UNKNOWN) marked[name] = secret(value);
    }
    return marked;
  };

  const plan = (inputs: PropertyMap): PropertyMap => {
    const planned = { ...defaults, ...inputs };
    return { ...planned, ...options.derived?.(planned) };
  };

  return {
    check: (inputs) => check(inputs, fields),

    diff(old, news) {
      const state = reveal(old.state) as PropertyMap;
      const planned = reveal(plan(news)) as PropertyMap;
      const changes = new Map<string, Difference>();
      const replaces = new Set<string>();
      for (const name of new Set([...Object.keys(fields), ...Object.keys(planned)])) {
        // An input that is not set and has no default stays what it became.
        if (isComputedToo(name) && !(name in planned)) continue;
        if (equal(state[name], planned[name])) continue;
        changes.set(name, differenceOf(state[name], planned[name]));
        if (name in fields && !updatable.includes(name)) replaces.add(name);
      }
      for (const name of options.due?.({ ...state, ...planned }) ?? []) {
        changes.set(name, "update");
        replaces.add(name);
      }
      return { changes, replaces, detailed: false };
    },

    async create(inputs, { preview, log }) {
      const planned = plan(inputs);
      if (preview) {
        const unknown: { [name: string]: Value } = { id: UNKNOWN };
        for (const name of computed) unknown[name] = UNKNOWN;
        return { id: "", state: withSecrets({ ...unknown, ...planned }) };
      }
      const { id, outputs } = await options.create(reveal(planned) as Inputs, log);
      return { id, state: withSecrets({ ...planned, ...outputs, id }) };
    },

    async update(old, news) {
      return withSecrets({ ...old.state, ...plan(news) });
    },

    // There is nothing but the state, and the engine removes that.
    async delete() {},

    read: async ({ inputs, state }) => ({
      inputs: withSecrets(inputs),
      state: withSecrets({ ...state, ...options.refreshed?.(reveal(state) as PropertyMap) }),
    }),
  };
}

/** The one input that the official plugin also takes from the state when it is not set. */
function isComputedToo(name: string): boolean {
  return name === "maxPathLength";
}

function differenceOf(old: Value | undefined, now: Value | undefined): Difference {
  if (old === undefined) return "add";
  return now === undefined ? "delete" : "update";
}

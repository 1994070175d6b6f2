import { setTimeout as sleep } from "node:timers/promises";
import {
  checkPlanned,
  diffPlanned,
  inputsFound,
  type Planned,
  planOf,
  previewOf,
} from "../provider/plan.ts";
import { type Existing, NotReady, type Request, type Resource } from "../provider/plugin.ts";
import type { PropertyMap, Value } from "../provider/values.ts";
import { type Daemon, isNotFound, reasonOf } from "./daemonOf.ts";

/** A label, as Docker's resources take them. */
export interface Label {
  readonly label: string;
  readonly value: string;
}

/** Thrown where something was made that is not as it should be; its id and what is to be said. */
export class MadeButFailed extends Error {
  readonly id: string;

  constructor(id: string, reason: string) {
    super(reason);
    this.id = id;
  }
}

export interface DockerResource<Inputs> extends Planned {
  /** What the official plugin notes beside the state: the version of its shape, and how long it waits. */
  readonly meta: { readonly schemaVersion?: string; readonly timeouts?: boolean };
  /** Makes it, and returns its id. */
  create(inputs: Inputs, daemon: Daemon, request: Request): Promise<string>;
  /** What it is like now, beyond `state`, which is what was known; nothing when it is gone. */
  read(id: string, state: Inputs, daemon: Daemon): Promise<PropertyMap | undefined>;
  update?(id: string, old: Inputs, now: Inputs, daemon: Daemon, request: Request): Promise<void>;
  remove(id: string, state: Inputs, daemon: Daemon): Promise<void>;
}

const TIMEOUTS_KEY = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0";
/** How long making, changing or removing may take: the official plugin gives up then, too. */
const LIMIT_MINUTES = 20;
const LIMIT_NS = LIMIT_MINUTES * 60 * 1e9;

/** A thing that a Docker daemon has. */
export function dockerResource<Inputs>(
  current: () => Daemon,
  resource: DockerResource<Inputs>,
): Resource {
  const { attributes, meta } = resource;
  const noted = {
    __meta: JSON.stringify({
      ...(meta.timeouts && {
        [TIMEOUTS_KEY]: {
          create: LIMIT_NS,
          delete: LIMIT_NS,
          update: LIMIT_NS,
        },
      }),
      ...(meta.schemaVersion && { schema_version: meta.schemaVersion }),
    }),
  };
  const reached = async () => {
    const daemon = current();
    await daemon.reach();
    return daemon;
  };
  const found = async (daemon: Daemon, id: string, known: PropertyMap) => {
    const state = await bounded(resource.read(id, known as Inputs, daemon));
    return state && { ...ownOf(known), ...state, ...noted, id };
  };

  return {
    check: (inputs, context) => checkPlanned(inputs, context, resource),
    diff: (old, news) => diffPlanned(old, news, resource),

    async create(inputs, request) {
      if (request.preview) return { id: "", state: previewOf(inputs, resource) };
      const daemon = await reached();
      const planned = planOf(inputs, attributes);
      try {
        const id = await bounded(resource.create(planned as Inputs, daemon, request));
        const state = await found(daemon, id, planned);
        if (state === undefined) throw new Error("is gone as soon as it was made");
        return { id, state: withSets(state, planned, attributes) };
      } catch (error) {
        if (!(error instanceof MadeButFailed)) throw new Error(reasonOf(error));
        throw new NotReady(error.message, error.id, { ...planned, ...noted, id: error.id });
      }
    },

    async update(old, news, request) {
      const planned = withoutOld(old, attributes, planOf(news, attributes));
      if (request.preview) return planned;
      const daemon = await reached();
      try {
        const state = old.state as Inputs;
        const update = resource.update?.(old.id, state, planned as Inputs, daemon, request);
        if (update !== undefined) await bounded(update);
      } catch (error) {
        throw new Error(reasonOf(error));
      }
      return { ...planned, ...noted };
    },

    async delete(old) {
      const daemon = await reached();
      try {
        await bounded(resource.remove(old.id, old.state as Inputs, daemon));
      } catch (error) {
        if (!isNotFound(error)) throw new Error(reasonOf(error));
      }
    },

    async read({ id, inputs, state }) {
      const daemon = await reached();
      const now = await found(daemon, id, state);
      return now && { inputs: inputsFound(inputs, now, attributes), state: now };
    },
  };
}

/** What `work` gives, unless the daemon no longer answers. */
async function bounded<T>(work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const limit = sleep(LIMIT_MINUTES * 60_000, undefined, { signal: over.signal, ref: false }).then(
    () => {
      throw new Error(`the docker host has not answered for ${LIMIT_MINUTES} minutes`);
    },
  );
  try {
    return await Promise.race([work, limit]);
  } finally {
    limit.catch(() => {});
    over.abort();
  }
}

/** The state with all that the inputs say; of the rest stays what is an output or the daemon's choice. */
function withoutOld(old: Existing, attributes: Planned["attributes"], planned: PropertyMap) {
  const kept = Object.entries(ownOf(old.state)).filter(
    ([name]) => !(name in attributes) || attributes[name]?.computed,
  );
  return { ...Object.fromEntries(kept), ...planned };
}

/**
 * The state of what was just made, its sets as they were asked for. What the daemon makes of one
 * (`CAP_SYS_ADMIN` of `SYS_ADMIN`) the official plugin finds at the next refresh only.
 */
function withSets(
  state: PropertyMap,
  planned: PropertyMap,
  attributes: Planned["attributes"],
): PropertyMap {
  const asked: { [name: string]: Value } = { ...state };
  for (const [name, { unordered, computed, shape }] of Object.entries(attributes)) {
    if (!unordered) continue;
    const wanted = planned[name];
    const isNone = wanted === undefined || (Array.isArray(wanted) && wanted.length === 0);
    if (!isNone) asked[name] = wanted;
    else if (computed) continue;
    else if (shape.kind === "list") asked[name] = [];
    else delete asked[name];
  }
  return asked;
}

/**
 * `state` without what the official plugin notes in it about how the rest is to be read
 * (`__pulumi_raw_state_delta`): it ends with a panic where the rest has changed since.
 */
function ownOf(state: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(state).filter(([name]) => !name.startsWith("__")));
}

/** Docker's map for a list of labels. */
export function labelMap(labels: readonly Label[] | undefined): { [label: string]: string } {
  return Object.fromEntries((labels ?? []).map(({ label, value }) => [label, value]));
}

/** A list of labels for Docker's map. */
export function labelList(labels: { readonly [label: string]: string } | null | undefined) {
  return Object.entries(labels ?? {})
    .map(([label, value]) => ({ label, value }))
    .sort((a, b) => (a.label < b.label ? -1 : 1));
}

/** Tries `work` until what it throws is no longer `busy`, 30 s at most. */
export async function untilFree(work: () => Promise<unknown>, busy: RegExp): Promise<void> {
  const end = Date.now() + 30_000;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!busy.test(reasonOf(error)) || Date.now() > end) throw error;
    }
    await sleep(1000);
  }
}

/** A resource before or after an update, as the engine's event log has it: secrets are blinded. */
export interface ResourceState {
  type: string;
  urn: string;
  parent?: string;
  inputs?: Record<string, unknown>;
  /** Its deletion takes it from the state and touches nothing else. */
  retainOnDelete?: boolean;
}

/** What a preview plans for one resource. */
export interface PlannedStep {
  op: "same" | "create" | "update" | "replace" | "delete";
  urn: string;
  /** Its type: `command:remote:Command`. */
  type: string;
  name: string;
  /** The component that it is part of; empty where it is part of none. */
  parent: { type: string; name: string };
  /** The names of the inputs that differ. */
  differing: string[];
  old?: ResourceState;
  new?: ResourceState;
}

/** The several steps of one replacement. */
const REPLACING = ["replace", "create-replacement", "delete-replaced"];

const PLANNED = ["same", "create", "update", "delete", ...REPLACING];

/** What a preview plans, one step for each resource, from the engine's event log. */
export function plannedSteps(eventLog: string): PlannedStep[] {
  const steps = new Map<string, PlannedStep>();
  for (const text of eventLog.split("\n")) {
    // The log of a large stack has megabytes of other events.
    if (!text.includes('"resourcePreEvent"')) continue;
    const change = JSON.parse(text).resourcePreEvent?.metadata;
    // What a refresh found has other names, and is followed by what is planned.
    if (!change || !PLANNED.includes(change.op)) continue;
    const isReplacing = REPLACING.includes(change.op);
    const known = steps.get(change.urn);
    const state: ResourceState = change.new ?? change.old ?? {};
    const [type = "", name = ""] = change.urn.split("::").slice(2);
    const parent = change.new?.parent ?? change.old?.parent;
    const [parentType = "", parentName = ""] = parent?.split("::").slice(2) ?? [];
    steps.set(change.urn, {
      op: isReplacing ? "replace" : change.op,
      urn: change.urn,
      type: state.type ?? type.split("$").at(-1) ?? "",
      name,
      parent: { type: parentType.split("$").at(-1) ?? "", name: parentName },
      differing: [...new Set([...(known?.differing ?? []), ...(change.diffs ?? [])])].sort(),
      // The last step of a replacement knows nothing of the new one.
      ...((change.old ?? known?.old) && { old: change.old ?? known?.old }),
      ...((change.new ?? known?.new) && { new: change.new ?? known?.new }),
    });
  }
  return [...steps.values()];
}

/** By component of a type, the steps of its parts, by what follows its name in theirs. */
export function partsOf(
  steps: readonly PlannedStep[],
  component: string,
): Map<string, Partial<Record<string, PlannedStep>>> {
  const found = new Map<string, Partial<Record<string, PlannedStep>>>();
  for (const step of steps) {
    const { type, name } = step.parent;
    if (type !== component) continue;
    const parts = found.get(name) ?? {};
    parts[step.name.slice(name.length + 1)] = step;
    found.set(name, parts);
  }
  return found;
}

/** What one list has and the other one lacks. */
export function difference(before: readonly string[], after: readonly string[]) {
  return {
    added: after.filter((one) => !before.includes(one)),
    gone: before.filter((one) => !after.includes(one)),
  };
}

/** An input as text; nothing where it is a secret, unknown or no text. */
export function textOf(state: ResourceState | undefined, input: string): string | undefined {
  const value = state?.inputs?.[input];
  return typeof value === "string" && value !== UNKNOWN ? value : undefined;
}

/** What the engine puts in the place of a text that only the update will know. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** What becomes of a cache when its builder is removed later on, where an update changes that. */
export function cacheOnRemoval(before: boolean | undefined, after: boolean | undefined): string[] {
  if (before === after) return [];
  return [
    after
      ? "its removal will delete the build cache, too"
      : "its removal will leave the build cache",
  ];
}

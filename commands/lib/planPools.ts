import { addressIn } from "./foretell.ts";
import type { PlanEntry } from "./plan.ts";
import { difference, type PlannedStep, partsOf, type ResourceState, textOf } from "./planned.ts";

export const POOL = "buildhosts:index:BuilderPool";

/** The resources of a pool, by what follows its name in theirs: `config`, `service` and `removal`, or `container`. */
type Steps = Partial<Record<string, PlannedStep>>;

/** What becomes of each pool that changes. */
export function poolPlans(steps: readonly PlannedStep[]): PlanEntry[] {
  return [...partsOf(steps, POOL)].flatMap(([name, pool]) => {
    const plan = planOf(pool);
    return plan ? [{ name, ...plan }] : [];
  });
}

function planOf(pool: Steps): Omit<PlanEntry, "name"> | undefined {
  const { config, service, container } = pool;
  const last = service ?? container;
  if (last?.op === "create") {
    const at = addressIn(config?.new);
    return { clauses: [`becomes a pool${at ? ` at ${at}` : ""}`], builds: { fate: "none" } };
  }
  if (last?.op === "delete") {
    return last.old?.retainOnDelete
      ? {
          clauses: ["leaves the stack without being contacted (abandon): HAProxy stays"],
          builds: { fate: "continue" },
        }
      : { clauses: ["leaves the stack: HAProxy ends there"], builds: { fate: "end" } };
  }
  const changing = Object.values(pool).filter((step) => step && step.op !== "same");
  if (changing.length === 0) return undefined;
  const clauses = serverChanges(config);
  // A container's files are secret.
  clauses.push(container ? "another container takes over" : "HAProxy reloads");
  return { clauses, builds: { fate: "continue" } };
}

function serverChanges(config: PlannedStep | undefined): string[] {
  const [old, then] = [serversIn(config?.old), serversIn(config?.new)];
  if (!old || !then) return [];
  const { added, gone } = difference([...old.keys()], [...then.keys()]);
  const moved = [...then].filter(([name, at]) => old.has(name) && old.get(name) !== at);
  return [
    ...(added.length > 0 ? [`leads to ${added.join(", ")} too`] : []),
    ...(gone.length > 0 ? [`leads to ${gone.join(", ")} no more`] : []),
    ...moved.map(([name, at]) => `reaches ${name} at ${at}`),
  ];
}

/** Of haproxy.cfg, the address of each builder. */
function serversIn(state: ResourceState | undefined): Map<string, string> | undefined {
  const cfg = textOf(state, "stdin");
  if (cfg === undefined) return undefined;
  const lines = cfg.matchAll(/^ {2}server (\S+) (\S+)/gm);
  return new Map([...lines].map(([, name = "", at = ""]) => [name, at]));
}

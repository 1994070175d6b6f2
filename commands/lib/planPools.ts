import { addressIn } from "./foretell.ts";
import type { PlanEntry } from "./plan.ts";
import { type PlannedStep, type ResourceState, textOf } from "./planned.ts";

export const POOL = "buildhosts:index:BuilderPool";

/** The resources of a pool, by what follows its name in theirs: `config`, `service` and `removal`, or `container`. */
type Steps = Partial<Record<string, PlannedStep>>;

/** What becomes of each pool that changes. */
export function poolPlans(steps: readonly PlannedStep[]): PlanEntry[] {
  const pools = new Map<string, Steps>();
  for (const step of steps) {
    const { type, name } = step.parent;
    if (type !== POOL) continue;
    const pool = pools.get(name) ?? {};
    pool[step.name.slice(name.length + 1)] = step;
    pools.set(name, pool);
  }
  return [...pools].flatMap(([name, pool]) => {
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
  const added = [...then.keys()].filter((name) => !old.has(name));
  const gone = [...old.keys()].filter((name) => !then.has(name));
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

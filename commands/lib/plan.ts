import { foretell } from "./foretell.ts";
import { boardPlans } from "./planBoards.ts";
import { certificatePlans } from "./planCertificates.ts";
import { containerPlans } from "./planContainers.ts";
import { githubPlans } from "./planGithub.ts";
import { plannedSteps } from "./planned.ts";
import { poolPlans } from "./planPools.ts";

/** What becomes of the builds that run on a host. */
export type Builds =
  /** None runs there: it is new, or it is no host. */
  | { fate: "none" }
  | { fate: "continue" }
  /** A restart waits for them, so long. */
  | { fate: "wait"; seconds: number; isCertain: boolean }
  | { fate: "end" };

/** What an update does to one host, or to something else of the stack that has a name. */
export interface PlanEntry {
  /** As the stack file names it. */
  name: string;
  /** What is done, each a clause of one sentence. */
  clauses: string[];
  builds: Builds;
}

/** What an update does, from a preview. */
export interface Plan {
  /** The CA and the clients. */
  certificates: PlanEntry[];
  /** Boards, builders on Docker hosts, and pools. */
  hosts: PlanEntry[];
  /** Repositories and organizations on GitHub. */
  repositories: PlanEntry[];
  /** What needs attention before it is done. */
  warnings: string[];
}

/** What an update does, from the event log of its preview. */
export function planOf(eventLog: string): Plan {
  const steps = plannedSteps(eventLog);
  return {
    certificates: certificatePlans(steps),
    hosts: byName([...boardPlans(steps), ...containerPlans(steps), ...poolPlans(steps)]),
    repositories: byName(githubPlans(steps)),
    warnings: foretell(steps),
  };
}

/** The engine works on many hosts at the same time: the order of its events is none. */
function byName(entries: PlanEntry[]): PlanEntry[] {
  return entries.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

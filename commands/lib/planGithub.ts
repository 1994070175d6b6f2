import type { PlanEntry } from "./plan.ts";
import { type PlannedStep, textOf } from "./planned.ts";

/** How many of a kind are named at most. */
const NAMED = 4;

/** What becomes of each repository that changes, and of an organization's secrets. */
export function githubPlans(steps: readonly PlannedStep[]): PlanEntry[] {
  const places = new Map<string, PlannedStep[]>();
  for (const step of steps) {
    if (!step.type.startsWith("github:") || step.op === "same") continue;
    const place = placeOf(step, steps);
    places.set(place, [...(places.get(place) ?? []), step]);
  }
  return [...places].map(([name, changes]) => ({
    name,
    clauses: clausesOf(changes),
    builds: { fate: "none" },
  }));
}

const kindOf = ({ type }: PlannedStep) => type.split(":").at(-1) ?? type;

/** The repository's name, or that of the component where the engine does not know it yet. */
function placeOf(step: PlannedStep, all: readonly PlannedStep[]): string {
  const kind = kindOf(step);
  if (kind.startsWith("ActionsOrganization")) return "organization";
  const input = kind === "Repository" ? "name" : "repository";
  const known = textOf(step.new, input) ?? textOf(step.old, input);
  if (known) return `repository ${known}`;
  // Of a repository that the same update makes.
  const made = all.find(
    (other) => kindOf(other) === "Repository" && other.parent.name === step.parent.name,
  );
  return `repository ${textOf(made?.new, "name") ?? step.parent.name}`;
}

function clausesOf(steps: PlannedStep[]): string[] {
  const clauses: string[] = [];
  const repository = steps.find((step) => kindOf(step) === "Repository");
  if (repository?.op === "create") clauses.push("is made");
  if (repository?.op === "update")
    clauses.push(`settings change: ${repository.differing.join(", ")}`);
  if (repository?.op === "replace") clauses.push("is made anew");
  if (repository?.op === "delete") clauses.push(deletion(repository));

  const groups = new Map<string, Set<string>>();
  for (const step of steps) {
    if (step === repository) continue;
    const [what, name] = described(step);
    const group = `${what}\n${VERBS[step.op]}`;
    groups.set(group, (groups.get(group) ?? new Set()).add(name));
  }
  for (const group of [...groups.keys()].sort()) {
    const [what = "", verb = ""] = group.split("\n");
    const names = [...(groups.get(group) ?? [])].filter(Boolean).sort();
    const shown = names.length > NAMED ? `${names.length} of them` : names.join(", ");
    clauses.push(
      [what, shown, names.length > 1 ? verb.replace(/^is/, "are") : verb].filter(Boolean).join(" "),
    );
  }
  return clauses;
}

function deletion({ old }: PlannedStep): string {
  if (old?.retainOnDelete) return "leaves the stack and stays";
  return old?.inputs?.archiveOnDestroy ? "is archived" : "is deleted, with all of its history";
}

const VERBS: Record<PlannedStep["op"], string> = {
  same: "stays",
  create: "is made",
  update: "is changed",
  replace: "is made anew",
  delete: "is removed",
};

/** What a resource is to a reader, and its name there. */
function described(step: PlannedStep): [what: string, name: string] {
  const kind = kindOf(step);
  const named = (input: string) => textOf(step.new, input) ?? textOf(step.old, input) ?? "";
  if (kind === "RepositoryFile") {
    const file = named("file");
    const isWorkflow = file.startsWith(".github/workflows/");
    return [isWorkflow ? "workflow" : "file", isWorkflow ? (file.split("/").at(-1) ?? file) : file];
  }
  if (/^Actions.*Secret$/.test(kind)) return ["secret", named("secretName")];
  if (/^Actions.*Variable$/.test(kind)) return ["variable", named("variableName")];
  if (kind === "RepositoryPullRequest") return ["pull request", named("title")];
  if (kind === "RepositoryEnvironment") return ["environment", named("environment")];
  if (kind === "RepositoryRuleset") return ["ruleset", named("name")];
  // ActionsRepositoryPermissions: its settings have no name of their own.
  return [kind.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase(), ""];
}

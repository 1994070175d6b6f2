import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Document, isMap, isScalar, isSeq, parseDocument, Scalar, visit } from "yaml";
import { actions } from "./actions.ts";

const folder = join(import.meta.dirname, "workflows");

/** The text of a file that workflows are made of. */
export function workflowFile(name: string): string {
  return readFileSync(join(folder, name), "utf8");
}

/** A workflow of `workflows/`, which a function may change before it becomes text. */
export type Workflow = Document.Parsed;

/** In a template, a step's `run` is the name of its script's file. */
const scriptName = /^[\w-]+\.(sh|ps1)$/;

/** A line in a script that includes another script. */
const sourceLine =
  /^(?:# shellcheck source=.*\n)?\. "?(?:\$\(dirname "\$0"\)|\.)\/([\w-]+\.sh)"?$/gm;

/** A script as a step runs it: whole, with what it takes in from its neighbours. */
export function script(name: string): string {
  return workflowFile(name).replace(sourceLine, (_, source: string) =>
    script(source)
      .replace(/^#!.*\n/, "")
      .trimEnd(),
  );
}

/**
 * A workflow as it stands in a repository: the template of that name, changed by `edit`, every action at
 * its pinned commit, and every script in its step. The template's comments stay.
 *
 * @throws when the template uses an action without a pin, or `edit` left it no valid YAML.
 */
export function renderWorkflow(
  name: string,
  edit: (workflow: Workflow) => void = () => {},
): string {
  const workflow = parseDocument(workflowFile(name));
  edit(workflow);
  visit(workflow, {
    Pair(_, { key, value }) {
      if (!isScalar(key) || !isScalar(value) || typeof value.value !== "string") return;
      if (key.value === "uses") pin(value as Scalar<string>);
      if (key.value === "run" && scriptName.test(value.value)) embed(value as Scalar<string>);
    },
  });
  if (workflow.errors.length > 0) throw new Error(`${name}: ${workflow.errors[0]?.message}`);
  return workflow.toString({ lineWidth: 0 });
}

function pin(uses: Scalar<string>): void {
  if (uses.value.startsWith("./")) return;
  const action = actions[uses.value];
  if (!action)
    throw new Error(`action '${uses.value}' has no pin; add it to components/github/actions.ts`);
  uses.value = `${uses.value}@${action.sha}`;
  uses.comment = ` ${action.version}`;
}

function embed(run: Scalar<string>): void {
  run.value = script(run.value);
  run.type = Scalar.BLOCK_LITERAL;
}

/** Changes a key of a job's step, which is known by its name. */
export function setInStep(
  workflow: Workflow,
  {
    job,
    step,
    path,
    value,
  }: { job: string; step: string; path: readonly string[]; value: unknown },
): void {
  const steps = workflow.getIn(["jobs", job, "steps"]);
  const found = isSeq(steps) && steps.items.find((one) => isMap(one) && one.get("name") === step);
  if (!isMap(found)) throw new Error(`job ${job} has no step '${step}'`);
  found.setIn(path, workflow.createNode(value));
}

/** Adds a line to the build arguments of a job's step, which is known by its name. */
export function addBuildArgument(
  workflow: Workflow,
  job: string,
  step: string,
  line: string,
): void {
  const steps = workflow.getIn(["jobs", job, "steps"]);
  const found = isSeq(steps) && steps.items.find((one) => isMap(one) && one.get("name") === step);
  const before = isMap(found) ? found.getIn(["with", "build-args"], true) : undefined;
  if (!isScalar(before)) throw new Error(`job ${job} has no step '${step}' with build-args`);
  before.value = `${before.value}${line}\n`;
}

/** Takes away a job's step, which is known by its name. */
export function removeStep(workflow: Workflow, job: string, step: string): void {
  const steps = workflow.getIn(["jobs", job, "steps"]);
  const index = isSeq(steps)
    ? steps.items.findIndex((one) => isMap(one) && one.get("name") === step)
    : -1;
  if (index < 0) throw new Error(`job ${job} has no step '${step}'`);
  workflow.deleteIn(["jobs", job, "steps", index]);
}

/** Changes the labels of the runner that a job takes. */
export function setRunner(workflow: Workflow, job: string, labels: readonly string[]): void {
  const [only] = labels;
  workflow.setIn(
    ["jobs", job, "runs-on"],
    labels.length === 1 ? only : workflow.createNode(labels),
  );
}

/** Takes a job away, and the mention of it in what other jobs wait for. */
export function removeJob(workflow: Workflow, job: string): void {
  workflow.deleteIn(["jobs", job]);
  const jobs = workflow.get("jobs");
  if (!isMap(jobs)) return;
  for (const { value } of jobs.items) {
    const needs = isMap(value) ? value.get("needs") : undefined;
    if (!isSeq(needs)) continue;
    needs.items = needs.items.filter((one) => !isScalar(one) || one.value !== job);
  }
}

import { MENDED_LABEL } from "../../components/container/drift.ts";
import type { Builds, PlanEntry } from "./plan.ts";
import { certificateChanges } from "./planCertificates.ts";
import {
  cacheOnRemoval,
  difference,
  type PlannedStep,
  type ResourceState,
  textOf,
} from "./planned.ts";
import { settingValues, tomlChanges } from "./tomlChanges.ts";

const BUILDER = "buildhosts:index:BuilderContainer";
const EMULATION = "buildhosts:index:HostEmulation";
const CONTAINER = "docker:index/container:Container";
const IMAGE = "docker:index/remoteImage:RemoteImage";
const VOLUME = "docker:index/volume:Volume";

/** The steps of one component, by what they make. */
interface Steps {
  component?: PlannedStep;
  container?: PlannedStep;
  image?: PlannedStep;
  volume?: PlannedStep;
}

/** What becomes of each builder on a Docker host that changes, and of what a host emulates. */
export function containerPlans(steps: readonly PlannedStep[]): PlanEntry[] {
  const plans: PlanEntry[] = [];
  for (const [name, made] of componentsOf(steps, BUILDER)) {
    const plan = builderPlan(name, made, steps);
    if (plan) plans.push({ name, ...plan });
  }
  for (const [name, { container, image }] of componentsOf(steps, EMULATION)) {
    const op = container?.op;
    if (!container || op === "same") continue;
    const platforms = commandOf(container.new ?? container.old).at(-1) ?? "";
    const clause =
      op === "create"
        ? `emulates ${platforms}`
        : op === "delete"
          ? `emulates ${platforms} until it boots`
          : ["registers the emulators again", ...imageChange(image)].join(", ");
    plans.push({
      name: name.replace(/-emulation$/, ""),
      clauses: [clause],
      builds: { fate: "continue" },
    });
  }
  return plans;
}

function componentsOf(steps: readonly PlannedStep[], type: string): Map<string, Steps> {
  const found = new Map<string, Steps>();
  for (const step of steps) {
    const name = step.type === type ? step.name : step.parent.name;
    if (step.type !== type && step.parent.type !== type) continue;
    const made = found.get(name) ?? {};
    if (step.type === type) made.component = step;
    if (step.type === CONTAINER) made.container = step;
    if (step.type === IMAGE) made.image = step;
    if (step.type === VOLUME) made.volume = step;
    found.set(name, made);
  }
  return found;
}

function builderPlan(
  name: string,
  { component, container, image, volume }: Steps,
  all: readonly PlannedStep[],
): Omit<PlanEntry, "name"> | undefined {
  const op = container?.op;
  if (op === "create") {
    const what = textOf(image?.new, "name");
    const clauses = ["becomes a builder", ...(what ? [`runs ${shortImage(what)}`] : [])];
    return { clauses, builds: { fate: "none" } };
  }
  if (op === "delete") return leaving(container?.old, volume);

  const clauses: string[] = [];
  if (container && (op === "replace" || op === "update")) {
    clauses.push(...imageChange(image), ...settingChanges(component));
    clauses.push(...certificateChanges(all, name, true), ...inputChanges(container));
  }
  clauses.push(...volumeChanges(volume), ...removalChanges(component));
  if (clauses.length === 0 && op !== "replace" && op !== "update") return undefined;
  if (clauses.length === 0 && container?.differing.includes("uploads"))
    clauses.push("its files change, which are secret");
  if (op === "replace") clauses.push("the container is replaced");
  if (op === "update") clauses.push("the container is changed as it runs");
  const builds: Builds = op === "replace" ? { fate: "end" } : { fate: "continue" };
  return { clauses, builds };
}

function leaving(
  container: ResourceState | undefined,
  volume: PlannedStep | undefined,
): Omit<PlanEntry, "name"> {
  if (container?.retainOnDelete) {
    return {
      clauses: [
        "leaves the stack without its host being contacted (abandon): what runs there stays",
      ],
      builds: { fate: "continue" },
    };
  }
  const takesCache = volume?.op === "delete" && !volume.old?.retainOnDelete;
  return {
    clauses: [
      "leaves the stack: its container is removed",
      takesCache ? "the build cache is deleted" : "the build cache stays",
    ],
    builds: { fate: "end" },
  };
}

function volumeChanges(volume: PlannedStep | undefined): string[] {
  if (!volume || volume.op === "same" || volume.op === "create") return [];
  const isKept = volume.old?.retainOnDelete;
  const [before, after] = [textOf(volume.old, "name"), textOf(volume.new, "name")];
  const fate = isKept ? "the one before stays" : "the one before is deleted";
  if (volume.op === "replace") return [`build cache ${before} → ${after}, ${fate}`];
  if (volume.op === "delete") return [`no volume ${before} any more, ${fate}`];
  return [];
}

function imageChange(image: PlannedStep | undefined): string[] {
  const [before, after] = [textOf(image?.old, "name"), textOf(image?.new, "name")];
  if (!before || !after || before === after) return [];
  const [repository, tag] = splitImage(before);
  const [otherRepository, otherTag] = splitImage(after);
  return repository === otherRepository
    ? [`image ${repository}:${tag} → ${otherTag}`]
    : [`image ${shortImage(before)} → ${shortImage(after)}`];
}

function shortImage(reference: string): string {
  return splitImage(reference).join(":");
}

/** An image's repository and tag; a digest is shortened to what tells it from others. */
function splitImage(reference: string): [repository: string, tag: string] {
  const [name = "", digest] = reference.split("@");
  const colon = name.lastIndexOf(":");
  const hasTag = colon > name.lastIndexOf("/");
  const repository = hasTag ? name.slice(0, colon) : name;
  const tag = hasTag ? name.slice(colon + 1) : "latest";
  return [repository, digest ? `${tag}@${digest.replace(/^(sha256:.{12}).*/, "$1")}` : tag];
}

/** The container's files are one secret: what the component was told of them says what changes. */
function settingChanges(component: PlannedStep | undefined): string[] {
  const [old, then] = [component?.old, component?.new].map((state) =>
    settingValues(state?.inputs?.buildkitd),
  );
  const keys = old && then && component?.op === "update" ? tomlChanges(old, then) : [];
  return keys.length > 0 ? [`buildkitd.toml: ${keys.join(", ")}`] : [];
}

function removalChanges(component: PlannedStep | undefined): string[] {
  if (component?.op !== "update") return [];
  const [before, after] = [component.old, component.new].map(
    (state) => state?.inputs?.removeCacheOnDelete === true,
  );
  return cacheOnRemoval(before, after);
}

/** What a change of these inputs means; the others are named as they are. */
const WORDS: Record<string, (step: PlannedStep) => string[]> = {
  // Told by the image, the configuration and the certificates.
  image: () => [],
  uploads: () => [],
  ports: ({ old, new: then }) => [`port ${portsOf(old)} → ${portsOf(then)}`],
  labels: (step) => {
    const [before, after] = [labelsOf(step.old), labelsOf(step.new)];
    const mended = after.get(MENDED_LABEL);
    const names = [...new Set([...before.keys(), ...after.keys()])]
      .filter((name) => name !== MENDED_LABEL && before.get(name) !== after.get(name))
      .sort();
    return [
      ...(names.length > 0 ? [`labels: ${names.join(", ")}`] : []),
      ...(mended && mended !== before.get(MENDED_LABEL) ? [`mends: ${mended}`] : []),
    ];
  },
  envs: ({ old, new: then }) => [`environment: ${namesThatDiffer(old, then).join(", ")}`],
  privileged: ({ new: then }) => [
    then?.inputs?.privileged
      ? "runs privileged from now on"
      : "runs without privileges from now on",
  ],
  securityOpts: () => [],
  name: ({ old, new: then }) => [`container ${textOf(old, "name")} → ${textOf(then, "name")}`],
  memory: ({ old, new: then }) => limits("memory", "MB", old, then),
  memorySwap: () => [],
  cpus: ({ old, new: then }) => limits("cpus", "", old, then),
  volumes: () => [],
  // It follows from the others.
  healthcheck: () => [],
};

function inputChanges(step: PlannedStep): string[] {
  return step.differing
    .map((path) => path.split(/[.[]/)[0] ?? path)
    .filter((input, index, all) => all.indexOf(input) === index)
    .flatMap((input) => WORDS[input]?.(step) ?? [`${input} changes`]);
}

function labelsOf(state: ResourceState | undefined): Map<string, string> {
  const labels = state?.inputs?.labels;
  const list = Array.isArray(labels) ? labels : [];
  return new Map(list.map(({ label, value }) => [String(label), String(value)]));
}

function portsOf(state: ResourceState | undefined): string {
  const ports = state?.inputs?.ports;
  const list = Array.isArray(ports) ? ports : [];
  return list.map(({ ip, external }) => `${ip}:${external}`).join(", ") || "none";
}

/** The names of the variables, without their values, which may hold a password. */
function namesThatDiffer(
  old: ResourceState | undefined,
  then: ResourceState | undefined,
): string[] {
  const [before, after] = [old, then].map((state) => {
    const envs = state?.inputs?.envs;
    return Array.isArray(envs) ? envs.map(String) : [];
  });
  const { added, gone } = difference(before ?? [], after ?? []);
  return [...new Set([...added, ...gone].map((one) => one.split("=")[0] ?? ""))].sort();
}

function limits(
  what: string,
  unit: string,
  old: ResourceState | undefined,
  then: ResourceState | undefined,
): string[] {
  const [before, after] = [old, then].map((state) => {
    const limit = state?.inputs?.[what];
    return limit === undefined ? "no limit" : `${limit} ${unit}`.trim();
  });
  return [`${what} ${before} → ${after}`];
}

function commandOf(state: ResourceState | undefined): string[] {
  const command = state?.inputs?.command;
  return Array.isArray(command) ? command.map(String) : [];
}

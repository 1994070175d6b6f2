import { type Files, unbundle } from "../../components/board/bundle.ts";
import { addressIn } from "./foretell.ts";
import type { Builds, PlanEntry } from "./plan.ts";
import {
  certificateChanges,
  isAuthorityRenewed,
  isCertificateRenewed,
  isHealthCheckRenewed,
} from "./planCertificates.ts";
import {
  cacheOnRemoval,
  difference,
  type PlannedStep,
  partsOf,
  type ResourceState,
  textOf,
} from "./planned.ts";
import { tomlChanges, tomlValues } from "./tomlChanges.ts";

const BOARD = "buildhosts:index:BuilderBoard";

/** The steps of a board, by their role. */
type Steps = Partial<Record<string, PlannedStep>>;

/** In the order in which a board installs them. */
const RELEASES = ["containerd", "runc", "buildkit", "rootlesskit"];

/** What becomes of each board that changes. */
export function boardPlans(steps: readonly PlannedStep[]): PlanEntry[] {
  return [...partsOf(steps, BOARD)].flatMap(([name, board]) => planOf(name, board, steps) ?? []);
}

function planOf(name: string, board: Steps, all: readonly PlannedStep[]): PlanEntry | undefined {
  const { preflight, service, removal } = board;
  if (service?.op === "create") return { name, clauses: newBoard(board), builds: { fate: "none" } };
  if (service?.op === "delete" || (!service && removal?.op === "delete"))
    return { name, ...leaving(removal ?? service) };

  const clauses: string[] = [];
  // A board that was called otherwise keeps its resources under an alias.
  const former = formerName(name, preflight);
  if (former) clauses.push(`is called ${name} in place of ${former}`);
  const [at, to] = [addressIn(preflight?.old), addressIn(preflight?.new)];
  if (at && to && at !== to) clauses.push(`moves from ${at} to ${to}`);

  const versions = versionChanges(service);
  clauses.push(...versions.clauses);
  const isElsewhere = board.install?.op === "update" && !versions.clauses.length;
  const [mirror, otherMirror] = changed(board.install, sourceOf);
  if (isElsewhere && mirror && otherMirror && mirror !== otherMirror)
    clauses.push(`releases come from ${otherMirror} in place of ${mirror}`);

  const configuration = configurationChanges(board.config);
  clauses.push(...configuration.clauses);
  const isSigned = isCertificateRenewed(all, name);
  clauses.push(...certificateChanges(all, name, service?.op === "update"));
  const [drain, otherDrain] = changed(service, drainSecondsIn);
  if (drain !== undefined && otherDrain !== undefined && drain !== otherDrain)
    clauses.push(`a restart waits ${otherDrain} s in place of ${drain} s for builds`);
  clauses.push(...removalChanges(removal));

  const again = repeated(board);
  clauses.push(...again.clauses);
  if (clauses.length === 0) clauses.push(...lesserChanges(board, all));
  if (clauses.length === 0) return undefined;

  const restartsBuildkitd =
    versions.restartsBuildkitd ||
    configuration.restartsBuildkitd ||
    isSigned ||
    (isAuthorityRenewed(all) && service?.op !== "same") ||
    again.buildkitd === "restarts";
  if (versions.restartsContainerd || again.restartsContainerd) clauses.push("containerd restarts");
  if (restartsBuildkitd) clauses.push("buildkitd restarts");
  else if (again.buildkitd === "starts") clauses.push("buildkitd starts");
  else if (again.buildkitd === "may restart")
    clauses.push("buildkitd restarts if what it runs with is mended");
  const seconds = drainSecondsIn(textOf(service?.new, "create") ?? "") ?? 600;
  return { name, clauses, builds: buildsBeside(restartsBuildkitd, again.buildkitd, seconds) };
}

function buildsBeside(restarts: boolean, repeated: Repeated["buildkitd"], seconds: number): Builds {
  if (repeated === "starts") return { fate: "none" };
  if (restarts) return { fate: "wait", seconds, isCertain: true };
  return repeated === "may restart"
    ? { fate: "wait", seconds, isCertain: false }
    : { fate: "continue" };
}

function newBoard({ preflight, install, service }: Steps): string[] {
  const at = addressIn(preflight?.new);
  const versions = versionsIn(service?.new ?? install?.new);
  const installed = [...versions].map(([release, { version }]) => `${release} ${version}`);
  return [
    `becomes a builder${at ? ` at ${at}` : ""}`,
    ...(installed.length > 0 ? [`gets ${installed.join(", ")}`] : []),
  ];
}

function leaving(step: PlannedStep | undefined): Omit<PlanEntry, "name"> {
  if (step?.old?.retainOnDelete) {
    return {
      clauses: ["leaves the stack without being contacted (abandon): what runs there stays"],
      builds: { fate: "continue" },
    };
  }
  const takesCache = /--remove-cache/.test(textOf(step?.old, "delete") ?? "");
  return {
    clauses: [
      "leaves the stack: what buildhosts installed there is removed",
      takesCache ? "the build cache is deleted" : "the build cache stays",
    ],
    builds: { fate: "end" },
  };
}

function formerName(name: string, step: PlannedStep | undefined): string | undefined {
  const urn = step?.old?.urn;
  const former = urn
    ?.split("::")
    .at(-1)
    ?.replace(/-preflight$/, "");
  return former !== name ? former : undefined;
}

/** What `read` finds in the command of a step before and after. */
function changed<T>(step: PlannedStep | undefined, read: (create: string) => T) {
  return [step?.old, step?.new].map((state) => {
    const create = textOf(state, "create");
    return create === undefined ? undefined : read(create);
  }) as [T | undefined, T | undefined];
}

function drainSecondsIn(create: string): number | undefined {
  const found = /--drain-seconds (\d+)/.exec(create)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Where the first release comes from: a mirror, or this machine. */
function sourceOf(create: string): string | undefined {
  const url = /^ {2}containerd \S+ (\S+)/m.exec(create)?.[1];
  if (url?.startsWith("file:")) return "this machine";
  return url?.replace(/\/containerd\/containerd\/releases\/.*$/, "").replace(/\/\/[^/@]*@/, "//…@");
}

interface Version {
  version: string;
  /** Of the asset, where the stack names it. */
  sha256: string | undefined;
}

/** The releases that `boardctl activate` or `boardctl install` names. */
function versionsIn(state: ResourceState | undefined): Map<string, Version> {
  const create = textOf(state, "create") ?? "";
  const found = new Map<string, Version>();
  for (const release of RELEASES) {
    const words = new RegExp(`^ {2}(?:--)?${release} ([^\\s@]+)(?:@(\\S+))?`, "m").exec(create);
    if (words?.[1]) found.set(release, { version: words[1], sha256: words[2] });
  }
  return found;
}

function versionChanges(service: PlannedStep | undefined) {
  const [old, then] = [versionsIn(service?.old), versionsIn(service?.new)];
  const clauses: string[] = [];
  const differing = new Set<string>();
  for (const release of RELEASES) {
    const [before, after] = [old.get(release), then.get(release)];
    if (!after && !before) continue;
    if (!after) clauses.push(`no ${release} any more`);
    else if (!before) clauses.push(`${release} ${after.version} is added`);
    else if (before.version !== after.version)
      clauses.push(`${release} ${before.version} → ${after.version}`);
    else if (before.sha256 && after.sha256 && before.sha256 !== after.sha256)
      clauses.push(`${release} ${after.version} with another checksum`);
    else continue;
    differing.add(release);
  }
  return {
    clauses,
    restartsContainerd: differing.has("containerd"),
    // runc is started anew for each step of a build.
    restartsBuildkitd: differing.has("buildkit") || differing.has("rootlesskit"),
  };
}

function configurationChanges(config: PlannedStep | undefined) {
  const nothing = { clauses: [] as string[], restartsBuildkitd: false };
  const [id, otherId] = changed(config, (create) => create.split(" ").at(-1));
  if (config?.op === "same" || id === otherId) return nothing;
  const [bundle, otherBundle] = [textOf(config?.old, "stdin"), textOf(config?.new, "stdin")];
  if (bundle === undefined || otherBundle === undefined) {
    return {
      clauses: ["its configuration changes, which holds a secret"],
      restartsBuildkitd: true,
    };
  }
  const [old, then] = [unbundle(bundle), unbundle(otherBundle)];
  const clauses: string[] = [];
  const toml = (files: Files) => tomlValues(files["buildkitd.toml"] ?? "");
  const [values, otherValues] = [toml(old), toml(then)];
  const told = ["root"];
  const [worker, otherWorker] = [workerIn(values), workerIn(otherValues)];
  if (worker !== otherWorker) {
    clauses.push(`worker ${worker} → ${otherWorker}`);
    // The tables of both change, then.
    told.push("worker\\..*");
  }
  const isRootless = otherValues.get("worker.oci.rootless") === true;
  if ((values.get("worker.oci.rootless") === true) !== isRootless) {
    clauses.push(isRootless ? "runs without root from now on" : "runs as root from now on");
    told.push("grpc\\.tls\\.key", "worker\\.oci\\.(binary|rootless)");
  }
  const [root, otherRoot] = [values.get("root"), otherValues.get("root")];
  if (root !== otherRoot) clauses.push(`build cache ${root} → ${otherRoot}, the one before stays`);
  const keys = tomlChanges(values, otherValues, new RegExp(`^(${told.join("|")})$`));
  if (keys.length > 0) clauses.push(`buildkitd.toml: ${keys.join(", ")}`);
  const [env, otherEnv] = [old["buildkitd.env"] ?? "", then["buildkitd.env"] ?? ""];
  const variables = lineChanges(env, otherEnv).map((line) => line.split("=")[0] ?? "");
  if (variables.length > 0) clauses.push(`environment: ${[...new Set(variables)].join(", ")}`);
  const differing = [...new Set([...Object.keys(old), ...Object.keys(then)])]
    .filter((name) => old[name] !== then[name])
    .sort();
  const others = differing.filter((name) => !["buildkitd.toml", "buildkitd.env"].includes(name));
  if (others.length > 0) clauses.push(`files: ${others.map(shownFile).join(", ")}`);
  return { clauses, restartsBuildkitd: differing.some((name) => name.startsWith("buildkitd.")) };
}

const workerIn = (values: Map<string, unknown>) =>
  values.get("worker.containerd.enabled") === true ? "containerd" : "oci";

/** A drop-in as systemd has it: UNIT.d/NAME.conf. */
const shownFile = (name: string) => name.replace("__", ".d/");

function lineChanges(before: string, after: string): string[] {
  const { added, gone } = difference(before.split("\n"), after.split("\n"));
  return [...added, ...gone].filter(Boolean);
}

function removalChanges(removal: PlannedStep | undefined): string[] {
  if (removal?.op !== "update") return [];
  const [before, after] = [removal.old, removal.new].map((state) =>
    /--remove-cache/.test(textOf(state, "delete") ?? ""),
  );
  return cacheOnRemoval(before, after);
}

/** What comes of steps that run again though the stack asks for nothing new: because the host is not as they left it. */
interface Repeated {
  clauses: string[];
  buildkitd: "runs on" | "restarts" | "may restart" | "starts";
  restartsContainerd: boolean;
}

function repeated(board: Steps): Repeated {
  const again = Object.values(board).filter((step) => step?.op === "replace");
  if (again.length === 0) return { clauses: [], buildkitd: "runs on", restartsContainerd: false };
  const words = [...new Set(again.flatMap((step) => triggersOf(step)))];
  if (words.length === 0) {
    const clauses = ["its steps run again, and mend what is not in place"];
    return { clauses, buildkitd: "may restart", restartsContainerd: false };
  }
  if (words.some((line) => GONE.test(line)))
    return {
      clauses: [`is set up anew: ${words.join("; ")}`],
      buildkitd: "starts",
      restartsContainerd: false,
    };
  const met = words.filter((line) => !WITHOUT_RESTART.test(line));
  const restartsContainerd = met.some((line) => OF_CONTAINERD.test(line));
  const others = met.filter((line) => !OF_CONTAINERD.test(line));
  return {
    clauses: [`mends: ${words.join("; ")}`],
    buildkitd: met.some((line) => IS_DOWN.test(line))
      ? "starts"
      : others.some((line) => OF_BUILDKITD.test(line))
        ? "restarts"
        : others.length > 0
          ? "may restart"
          : "runs on",
    restartsContainerd,
  };
}

/** How a look at a board says what it found (`boardctl/look.sh`), by what mending it does to the services. */
const GONE = /^nothing of buildhosts is on the machine/;
const IS_DOWN = /^buildkitd\.(?:service|socket) (?:is|fails)\b/;
/** Modes and what starts at boot are put right while all runs; runc is started anew for each step of a build. */
const WITHOUT_RESTART =
  /\bhas the mode\b|\bis not executable\b|\bwas disabled at\b|\/store\/runc-|\/bin\/runc\b|^\S+\/boardctl was/;
const OF_CONTAINERD = /\/store\/containerd-|\/bin\/containerd\b|\bcontainerd\.service\b/;
const OF_BUILDKITD =
  /\/store\/(?:buildkit|rootlesskit|config|certificates)-|\/etc\/buildkit\/|\/bin\/(?:buildkitd|rootlesskit)\b|\bbuildkitd\.(?:service|socket)\b/;

/** The words with which a step says what it found on the host. */
function triggersOf(step: PlannedStep | undefined): string[] {
  const [before, after] = [step?.old, step?.new].map((state) => {
    const triggers = state?.inputs?.triggers;
    return Array.isArray(triggers) ? triggers.filter((word) => typeof word === "string") : [];
  });
  return (after ?? []).filter((word) => !before?.includes(word));
}

/** What is said only where nothing else is. */
function lesserChanges(board: Steps, all: readonly PlannedStep[]): string[] {
  const differs = (input: string) =>
    Object.values(board).some((step) => step?.op !== "same" && step?.differing.includes(input));
  const [script, otherScript] = changed(
    board.preflight,
    (text) => /--script (\S+)/.exec(text)?.[1],
  );
  if (differs("connection"))
    return ["is reached in another way (SSH key, user, host key or jump host)"];
  if (script !== otherScript) return ["boardctl is renewed, and checks the host again"];
  if (board.service?.op === "update" && isHealthCheckRenewed(all))
    return ["the certificate of its health check is renewed"];
  const steps = Object.entries(board)
    .filter(([, step]) => step && step.op !== "same")
    .map(([role]) => role)
    .sort();
  return steps.length > 0 ? [`runs ${steps.join(", ")} again`] : [];
}

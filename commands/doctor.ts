import { X509Certificate } from "node:crypto";
import type { ClientFiles } from "./lib/clientFiles.ts";
import { Control, type Worker } from "./lib/control.ts";
import { type ExitCode, exitCodes } from "./lib/failure.ts";
import { insideStep } from "./lib/insideStep.ts";
import {
  builderOf,
  clientOf,
  type KnownBuilder,
  type KnownStack,
  knownStack,
} from "./lib/knownStack.ts";
import { capOf, platformsOf } from "./lib/look.ts";
import { bytes, colour, counted, duration, print, printJson, working } from "./lib/output.ts";
import { poolFor, projectLabel } from "./lib/project.ts";
import { certificateFinding, type Finding, shortError, walk } from "./lib/reach.ts";
import { sameVersion } from "./lib/sameVersion.ts";
import { buildProbe, sendProbe } from "./lib/step.ts";
import { ownBytesOf } from "./lib/usage.ts";

/** How long the builder may take for each thing. */
const BOUND_MS = 10_000;
const STEP_MS = 120_000;
const SEND_MEGABYTES = 100;
const SEND_MS = 60_000;

/** A clock that is off by more than the first is worth a word; by more than the second, certificates begin to fail. */
const CLOCK_MS = { attention: 5_000, failed: 300_000 };
/** Below this, a context of some hundred megabytes takes minutes. */
const SLOW_BYTES_PER_SECOND = 2e6;

export interface DoctorOptions {
  stack: string;
  client?: string;
  json?: boolean;
  /** Whether 100 MB are sent. */
  speed?: boolean;
}

export async function doctor(
  name: string,
  { stack, client, json, speed = true }: DoctorOptions,
): Promise<ExitCode> {
  const known = await knownStack(stack);
  const { name: clientName, files } = clientOf(known, client);
  const pool = known.pools.find((one) => one.name === name);
  const builder = pool ? poolFor(pool, projectLabel(clientName)) : builderOf(known, name);
  const findings: Finding[] = [];
  for await (const finding of examine(known, builder, files, speed)) {
    findings.push(finding);
    working.close();
    if (!json) print(line(finding));
  }
  if (json) printJson({ stack, builder: name, client: clientName, findings });
  return findings.some(({ state }) => state === "failed")
    ? exitCodes.failed
    : findings.some(({ state }) => state === "attention")
      ? exitCodes.attention
      : exitCodes.well;
}

function line({ check, state, seen, fix }: Finding): string {
  const mark = {
    well: colour("green", "✓"),
    attention: colour("yellow", "!"),
    failed: colour("red", "✗"),
  }[state];
  return `${mark} ${check}: ${seen}${fix ? `\n  → ${fix}` : ""}`;
}

/** Looks at everything that a build needs, each after what it stands on; nothing follows a failure that all else needs. */
export async function* examine(
  { name: stack, renewalHours }: Pick<KnownStack, "name" | "renewalHours">,
  builder: KnownBuilder,
  files: ClientFiles,
  speed: boolean,
): AsyncGenerator<Finding> {
  // A file that is not valid explains all later failures.
  for (const [whose, pem] of [
    ["client", files.cert],
    ["CA", files.ca],
  ] as const)
    yield certificateFinding(whose, new X509Certificate(pem), renewalHours, stack);

  const way = await walk(builder, files, BOUND_MS);
  yield* way;
  if (way.some(({ state }) => state === "failed")) return;

  const control = new Control(builder, files);
  try {
    const { rights, version } = await askVersion(control, stack);
    if (control.serverCertificate)
      yield certificateFinding("builder", control.serverCertificate, renewalHours, stack);
    yield rights;
    if (version === undefined) return;
    yield versionFinding(version, builder, stack);
    yield await clockFinding(control);
    const workers = await control.workers(BOUND_MS);
    yield workersFinding(workers, builder);
    yield await cacheFinding(control, workers, stack);
    const step = await working.step(`build an image on ${builder.name} and run a step`, () =>
      stepFinding(control, workers),
    );
    yield step;
    if (step.state === "well") yield* insideStep(control, workers);
    if (speed)
      yield await working.step(`send ${SEND_MEGABYTES} MB to ${builder.name}`, () =>
        speedFinding(control),
      );
  } finally {
    control.close();
  }
}

/** The first question, which shows whether the client may ask any. */
async function askVersion(
  control: Control,
  stack: string,
): Promise<{ rights: Finding; version?: string }> {
  const check = "the client's rights";
  try {
    const version = await control.version(BOUND_MS);
    const seen = "the builder lets the client in, and answers";
    return { rights: { check, state: "well", seen }, version };
  } catch (error) {
    const seen = shortError(error);
    const fix = `run: buildhosts up --stack ${stack}, which gives builder and clients certificates of one CA; in a clone that others use too, the newest state counts`;
    return { rights: { check, state: "failed", seen, fix } };
  }
}

function versionFinding(version: string, { wanted }: KnownBuilder, stack: string): Finding {
  const check = "BuildKit";
  if (wanted && !sameVersion(version, wanted)) {
    const fix = `run: buildhosts up --stack ${stack}`;
    return {
      check,
      state: "attention",
      seen: `${version}; the stack file asks for ${wanted}`,
      fix,
    };
  }
  return { check, state: "well", seen: version };
}

async function clockFinding(control: Control): Promise<Finding> {
  const check = "clocks";
  const before = Date.now();
  const { clock } = await control.builds({ activeOnly: true }, BOUND_MS);
  const roundTrip = Date.now() - before;
  if (!clock) return { check, state: "well", seen: "this BuildKit does not tell the time" };
  // It was told somewhere in between.
  const off = clock.getTime() - (before + roundTrip / 2);
  const size = Math.max(0, Math.abs(off) - roundTrip / 2);
  const seen = `the builder's is ${duration(Math.abs(off))} ${off < 0 ? "behind" : "ahead of"} this machine's`;
  const fix = "on the one that is wrong: timedatectl set-ntp true";
  if (size > CLOCK_MS.failed) return { check, state: "failed", seen, fix };
  if (size > CLOCK_MS.attention) return { check, state: "attention", seen, fix };
  return { check, state: "well", seen };
}

function workersFinding(workers: Worker[], { platforms }: KnownBuilder): Finding {
  const check = "workers";
  const offered = platformsOf(workers);
  if (workers.length === 0) {
    const fix = "the builder's log says why it has none";
    return { check, state: "failed", seen: "the builder has none", fix };
  }
  const missing = platforms.filter((one) => !offered.some((name) => name.startsWith(one)));
  const seen = `${workers.length}, for ${offered.join(", ")}`;
  if (missing.length === 0) return { check, state: "well", seen };
  const fix =
    "emulation that the stack promises is gone, for instance after a reboot: run up again, or restart the builder";
  return { check, state: "attention", seen: `${seen}; not for ${missing.join(", ")}`, fix };
}

async function cacheFinding(control: Control, workers: Worker[], stack: string): Promise<Finding> {
  const check = "cache";
  try {
    const records = await control.diskUsage([], BOUND_MS);
    const used = ownBytesOf(records);
    const cap = capOf(workers.flatMap(({ GCPolicy }) => GCPolicy));
    const seen = `${bytes(used)}${cap ? ` of ${bytes(cap)}` : ""} in ${counted(records.length, "record")}`;
    // The builder itself collects at its cap: more than that means that it cannot.
    if (!cap || used <= cap * 1.1) return { check, state: "well", seen };
    const fix = `more than its cap: run: buildhosts prune --stack ${stack}, which says what is in the way`;
    return { check, state: "attention", seen, fix };
  } catch (error) {
    const fix = "the builder is busy, or its disk is: look again later";
    return { check, state: "attention", seen: `not counted: ${shortError(error)}`, fix };
  }
}

async function stepFinding(control: Control, workers: Worker[]): Promise<Finding> {
  const check = "a step of a build";
  try {
    const ms = await buildProbe(control, workers, STEP_MS);
    return ms === undefined
      ? { check, state: "well", seen: "not tried: there is no program for this processor here" }
      : { check, state: "well", seen: `an image was built and its step ran in ${duration(ms)}` };
  } catch (error) {
    const fix =
      "the builder runs no steps: its log says more; on a board, `journalctl -u buildkitd`, in a container `docker logs`";
    return { check, state: "failed", seen: shortError(error), fix };
  }
}

async function speedFinding(control: Control): Promise<Finding> {
  const check = "speed";
  try {
    const { bytes: sent, ms } = await sendProbe(control, SEND_MEGABYTES, SEND_MS);
    const rate = sent / (ms / 1000);
    const seen = `${bytes(sent)} into the cache in ${duration(ms)}, ${bytes(rate)}/s`;
    if (rate >= SLOW_BYTES_PER_SECOND) return { check, state: "well", seen };
    const fix =
      "large contexts take minutes: see the network, the builder's disk, and .dockerignore";
    return { check, state: "attention", seen, fix };
  } catch (error) {
    const fix = "see whether the builder's disk is full: buildhosts du";
    return { check, state: "failed", seen: shortError(error), fix };
  }
}

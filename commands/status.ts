import { X509Certificate } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { BuilderLook } from "../hosts/hostLook.ts";
import type { ClientFiles } from "./lib/clientFiles.ts";
import { type ExitCode, exitCodes, worst } from "./lib/failure.ts";
import { lookAtHostsOf } from "./lib/hostLooks.ts";
import { clientOf, type KnownStack, knownStack } from "./lib/knownStack.ts";
import type { Look } from "./lib/look.ts";
import { bytes, colour, counted, duration, looking, print, table, warn } from "./lib/output.ts";
import { certificateFinding, daysUntil } from "./lib/reach.ts";
import { sameVersion } from "./lib/sameVersion.ts";

/** How long a builder may take, so that ten of them, some dead, take two seconds. */
const BOUND_MS = 1_200;
const WATCH_MS = 5_000;

export interface StatusOptions {
  stack: string;
  client?: string;
  json?: boolean;
  watch?: boolean;
}

/** One builder as `--json` has it. */
export interface BuilderStatus {
  name: string;
  endpoint: string;
  reachable: boolean;
  /** Why it is not, or what needs attention, each with its fix. */
  problems: string[];
  answerMs: number;
  version: string | null;
  wantedVersion: string | null;
  workers: number;
  platforms: string[];
  cacheBytes: number | null;
  cacheCapBytes: number | null;
  /** On the file system of the cache. */
  freeBytes: number | null;
  freeInodes: number | null;
  runningBuilds: number | null;
  /** What somebody changed on the host by hand; null where that is not known. */
  drift: string[] | null;
  certificateDays: { server: number | null; client: number; ca: number };
}

export async function status({ stack, client, json, watch }: StatusOptions): Promise<ExitCode> {
  // The hosts are looked at while the engine reads the state.
  let hosts = lookAtHostsOf(stack);
  const known = await knownStack(stack);
  const { files } = clientOf(known, client);
  // Loaded by now, while the engine read the state.
  const { lookAtAll } = await import("./lib/look.ts");
  for (;;) {
    const [looks, found] = await looking.step(
      `ask ${counted(known.builders.length, "builder")}`,
      () => Promise.all([lookAtAll(known.builders, files, BOUND_MS), hosts]),
    );
    looking.close();
    const { builders, exitCode } = judge(known, files, looks, found);
    if (json) {
      print(JSON.stringify({ stack, exitCode, builders }, null, watch ? undefined : 2));
    } else {
      // A terminal shows the newest table alone.
      if (watch && process.stdout.isTTY) process.stdout.write("\u001b[H\u001b[2J");
      print(statusTable(builders));
      for (const { name, problems } of builders)
        for (const problem of problems) warn(`${name}: ${problem}`);
    }
    if (!watch) return exitCode;
    await pause(WATCH_MS);
    hosts = lookAtHostsOf(stack);
  }
}

/** The report on each builder, and the worst result. */
export function judge(
  known: KnownStack,
  files: ClientFiles,
  looks: Look[],
  hosts: ReadonlyMap<string, BuilderLook> = new Map(),
): { builders: BuilderStatus[]; exitCode: ExitCode } {
  const [client, ca] = [new X509Certificate(files.cert), new X509Certificate(files.ca)];
  const codes: ExitCode[] = [];
  const builders = looks.map((look): BuilderStatus => {
    const problems: string[] = [];
    const { builder, serverCertificate } = look;
    const host = hosts.get(builder.name);
    if (look.unreachable) {
      codes.push(exitCodes.failed);
      problems.push(look.fix ? `${look.unreachable}; ${look.fix}` : look.unreachable);
    }
    if (look.version && builder.wanted && !sameVersion(look.version, builder.wanted)) {
      codes.push(exitCodes.attention);
      problems.push(
        `BuildKit ${look.version} runs, and the stack file asks for ${builder.wanted}; run: buildhosts up --stack ${known.name}`,
      );
    }
    for (const line of host?.changes ?? []) {
      codes.push(exitCodes.attention);
      problems.push(`drift: ${line}; run: buildhosts up --stack ${known.name}`);
    }
    if (host?.reason && !look.unreachable) {
      problems.push(`whether somebody changed it by hand is not known: ${host.reason}`);
    }
    for (const [whose, certificate] of [
      ["builder", serverCertificate],
      ["client", client],
      ["CA", ca],
    ] as const) {
      if (!certificate) continue;
      const { state, check, seen, fix } = certificateFinding(
        whose,
        certificate,
        known.renewalHours,
        known.name,
      );
      if (state === "well") continue;
      codes.push(state === "failed" ? exitCodes.failed : exitCodes.attention);
      problems.push(`${check}: ${seen}; ${fix}`);
    }
    return {
      name: builder.name,
      endpoint: builder.endpoint,
      reachable: !look.unreachable,
      problems,
      answerMs: Math.round(look.answerMs),
      version: look.version ?? null,
      wantedVersion: builder.wanted ?? null,
      workers: look.workers.length,
      platforms: look.platforms,
      cacheBytes: look.cacheBytes ?? null,
      cacheCapBytes: look.capBytes ?? null,
      freeBytes: host?.free?.bytes ?? null,
      freeInodes: host?.free?.inodes ?? null,
      runningBuilds: look.runningBuilds ?? null,
      drift: host?.changes ?? null,
      certificateDays: {
        server: serverCertificate ? daysUntil(new Date(serverCertificate.validTo)) : null,
        client: daysUntil(new Date(client.validTo)),
        ca: daysUntil(new Date(ca.validTo)),
      },
    };
  });
  return { builders, exitCode: worst(codes) };
}

function statusTable(builders: BuilderStatus[]): string {
  return table(
    [
      ...["BUILDER", "STATE", "BUILDKIT", "WORKERS", "PLATFORMS", "CACHE", "FREE", "BUILDS"],
      ...["DRIFT", "CERTIFICATE DAYS"],
    ],
    builders.map((one) => [
      one.name,
      !one.reachable
        ? colour("red", "unreachable")
        : one.problems.length > 0
          ? colour("yellow", `attention (${duration(one.answerMs)})`)
          : colour("green", `ready (${duration(one.answerMs)})`),
      version(one),
      one.reachable ? String(one.workers) : "",
      platforms(one.platforms),
      cache(one),
      free(one),
      one.runningBuilds === null ? "" : String(one.runningBuilds),
      drift(one),
      `${one.certificateDays.server ?? "?"}, client ${one.certificateDays.client}, CA ${one.certificateDays.ca}`,
    ]),
  );
}

function version({ version, wantedVersion }: BuilderStatus): string {
  if (!version) return wantedVersion ? colour("dim", `wants ${wantedVersion}`) : "";
  return wantedVersion && !sameVersion(version, wantedVersion)
    ? colour("yellow", `${version} → ${wantedVersion}`)
    : version;
}

/** An amd64 machine has five of itself. */
function platforms(all: string[]): string {
  const [first, ...others] = all;
  return first === undefined ? "" : others.length > 0 ? `${first} +${others.length}` : first;
}

function cache({ reachable, cacheBytes, cacheCapBytes }: BuilderStatus): string {
  if (!reachable) return "";
  const used = cacheBytes === null ? "?" : bytes(cacheBytes);
  return cacheCapBytes === null ? used : `${used} of ${bytes(cacheCapBytes)}`;
}

/** Of the disk, and of its inodes. */
function free({ freeBytes, freeInodes }: BuilderStatus): string {
  if (freeBytes === null) return "";
  return freeInodes === null ? bytes(freeBytes) : `${bytes(freeBytes)}, ${thousands(freeInodes)}`;
}

/** `950`, `12k`, `1.2M`. */
function thousands(count: number): string {
  if (count < 1000) return String(count);
  return count < 1e6 ? `${Math.round(count / 1000)}k` : `${(count / 1e6).toFixed(1)}M`;
}

function drift({ drift }: BuilderStatus): string {
  if (drift === null) return "?";
  return drift.length === 0 ? "none" : colour("yellow", counted(drift.length, "change"));
}

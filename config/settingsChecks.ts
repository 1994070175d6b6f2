import { isIPv4 } from "node:net";
import { byteLimit } from "../components/buildkitd/diskSpace.ts";
import type {
  BuildkitdSettings,
  DiskSpace,
  GcPolicy,
  WorkerSettings,
} from "../components/buildkitd/schema.ts";
import { parseSubnet, settingsSince, subnetHolds } from "../components/buildkitd/schema.ts";
import {
  type BuildkitdNetwork,
  type BuildkitdWorker,
  containerdSocket,
  defaultBridge,
  keysOfOneWorker,
} from "../components/buildkitd/toml.ts";
import { shown } from "../components/schema/expected.ts";
import type { Findings, Path } from "./findings.ts";
import { refuseVainFilters, warnOfErosion, warnOfPolicies } from "./gcChecks.ts";
import { checkNameServers, type Reached, refuseOverlap } from "./networkChecks.ts";
import { refuseVainRegistries, registryHosts, warnOfRegistries } from "./registryChecks.ts";
import { refuseUnfitRoot, warnOfRoot } from "./rootChecks.ts";
import { isBelow } from "./versions.ts";

const bridgeOnly = ["cniPoolSize", "bridgeName", "bridgeSubnet"] as const;
const ociSnapshotters = ["auto", "overlayfs", "fuse-overlayfs", "native", "stargz"];
const gcAmounts = ["reservedSpace", "maxUsedSpace", "minFreeSpace"] as const;

/** A daemon whose settings are checked. */
export interface Daemon {
  /** The noun for messages. */
  on: "board" | "builder";
  worker: BuildkitdWorker;
  rootless: boolean;
  network: BuildkitdNetwork;
  platform: string;
  buildkitd: BuildkitdSettings;
  /** The address by which this machine reaches it, if its bridge's network could contain that. */
  address?: string;
  /** Other hosts that it must reach, by the keys that name them. */
  reaches?: readonly Reached[];
}

/** Refuses combinations of settings that no daemon can serve, or that would do something else than they say. */
export function refuseImpossibleSettings(daemon: Daemon, findings: Findings): void {
  const settings = daemon.buildkitd;
  const worker = settings.worker ?? {};
  const ofWorker = findings.at("worker");
  refuseForeignWorker(daemon, worker, ofWorker);
  if (daemon.network === "host") refuseBridge(worker, ofWorker);
  else refuseUnfitBridge(daemon, findings);
  refuseUnfitSnapshotter(daemon, worker, ofWorker);
  refuseForeignRuntime(worker, ofWorker);
  refuseForeignPlatforms(daemon, worker, ofWorker);
  refuseUnfitGc(worker, ofWorker);
  refuseUnfitRoot(settings, findings);
  refuseVainRegistries(settings, findings.at("registry"));
  refuseTakenSockets(settings, findings);
  refuseUnfitCompaction(settings, findings.at("compaction"));
}

function refuseForeignWorker(daemon: Daemon, worker: WorkerSettings, findings: Findings): void {
  const other = daemon.worker === "oci" ? "containerd" : "oci";
  for (const key of keysOfOneWorker[other]) {
    if (worker[key] === undefined) continue;
    const fix = daemon.on === "board" ? `remove it or set worker: ${other}` : "remove it";
    findings.refuse(
      [key],
      `only the ${other} worker has it, and this ${daemon.on}'s worker is ${daemon.worker}; ${fix}.`,
    );
  }
}

function refuseBridge(worker: WorkerSettings, findings: Findings): void {
  for (const key of bridgeOnly) {
    if (worker[key] === undefined) continue;
    findings.refuse([key], "has no effect with network host; remove it or set network: bridge.");
  }
}

function refuseUnfitBridge({ address, reaches = [], buildkitd }: Daemon, findings: Findings): void {
  const subnetText = buildkitd.worker?.bridgeSubnet ?? defaultBridge.subnet;
  const subnet = parseSubnet(subnetText);
  if (subnet && address && isIPv4(address) && subnetHolds(subnet, address)) {
    findings.refuse(
      ["worker", "bridgeSubnet"],
      `the board's address ${address} is in the bridge's network ${subnetText}, which would cut the board off; choose a network that is free there.`,
    );
  }
  refuseOverlap(buildkitd, [...reaches, ...settingsReach(buildkitd)], findings);
  checkNameServers(buildkitd, findings);
}

function refuseUnfitSnapshotter(daemon: Daemon, worker: WorkerSettings, findings: Findings): void {
  const refuse = findings.refuse.bind(findings);
  if (daemon.worker === "oci") {
    const snapshotter = worker.snapshotter ?? "auto";
    if (worker.proxySnapshotterPath === undefined && !ociSnapshotters.includes(snapshotter)) {
      refuse(
        ["snapshotter"],
        `received ${shown(snapshotter)}; expected one of ${ociSnapshotters.join(", ")}, or a name of one's own with proxySnapshotterPath.`,
      );
    }
    if (worker.stargzSnapshotter && snapshotter !== "stargz") {
      refuse(["stargzSnapshotter"], "has no effect without snapshotter: stargz.");
    }
    if (worker.noProcessSandbox && !daemon.rootless) {
      refuse(["noProcessSandbox"], `BuildKit allows it for rootless ${daemon.on}s only.`);
    }
  } else if (worker.snapshotter === "auto") {
    refuse(
      ["snapshotter"],
      'received "auto", which is no plugin of containerd; name one, such as overlayfs, or leave it out.',
    );
  }
}

function refuseForeignRuntime({ runtime }: WorkerSettings, findings: Findings): void {
  const runtimeName = runtime?.name ?? "io.containerd.runc.v2";
  if (runtime?.options && runtimeName !== "io.containerd.runc.v2") {
    findings.refuse(
      ["runtime", "options"],
      `are those of io.containerd.runc.v2, not of ${runtimeName}.`,
    );
  }
}

function refuseForeignPlatforms(
  { on, platform }: Daemon,
  { platforms }: WorkerSettings,
  findings: Findings,
): void {
  if (!platforms || platforms.includes(platform)) return;
  findings.refuse(
    ["platforms"],
    `received ${shown(platforms)}; the ${on}'s own ${platform} must be among them.`,
  );
}

function refuseUnfitGc(worker: WorkerSettings, findings: Findings): void {
  refuseIneffectiveGc(worker, findings);
  refuseReservedAboveMax(worker, findings);
  for (const [index, policy] of worker.gcpolicy?.entries() ?? []) {
    refuseReservedAboveMax(policy, findings.at("gcpolicy", index));
    refuseVainFilters(policy, findings.at("gcpolicy", index));
  }
}

function refuseUnfitCompaction({ compaction }: BuildkitdSettings, findings: Findings): void {
  const { minReclaimPercent = 30, minReclaimPercentFloor: floor } = compaction ?? {};
  if (floor !== undefined && floor > minReclaimPercent) {
    findings.refuse(
      ["minReclaimPercentFloor"],
      `received ${floor}; expected at most minReclaimPercent, ${minReclaimPercent}.`,
    );
  }
}

/** The hosts that the settings themselves name. */
function settingsReach(settings: BuildkitdSettings): Reached[] {
  const servers = (settings.dns?.nameservers ?? []).map((host, index) => ({
    key: `dns.nameservers[${index}]`,
    host,
  }));
  return [...servers, ...registryHosts(settings)].map(({ key, host }) => ({
    key: `buildkitd.${key}`,
    host,
  }));
}

/** Sockets that a daemon, or the containerd beside it, listens on; the second one there takes it from the first. */
const takenSockets = [
  "/run/buildkit/buildkitd.sock",
  "/run/user/1000/buildkit/buildkitd.sock",
  containerdSocket,
];

function refuseTakenSockets({ otel, worker }: BuildkitdSettings, findings: Findings): void {
  for (const [path, socket] of [
    [["otel", "socketPath"], otel?.socketPath],
    [["worker", "proxySnapshotterPath"], worker?.proxySnapshotterPath],
  ] as const) {
    const taken = takenSockets.find((one) => one === socket?.replace(/^\/var\/run\//, "/run/"));
    if (taken === undefined) continue;
    const owner = taken === containerdSocket ? "containerd's" : "buildkitd's";
    findings.refuse(path, `received ${shown(socket)}, which is ${owner} own; choose another.`);
  }
}

function refuseIneffectiveGc(worker: WorkerSettings, findings: Findings): void {
  const amounts = gcAmounts.filter((key) => worker[key] !== undefined);
  const limits = worker.gcpolicy ? [...amounts, "gcpolicy"] : amounts;
  if (worker.gc === false && limits.length > 0) {
    findings.refuse(
      ["gc"],
      `is false, so ${limits.join(", ")} would have no effect; keep one of the two.`,
    );
  } else if (worker.gcpolicy && amounts.length > 0) {
    findings.refuse(
      ["gcpolicy"],
      `replaces what ${amounts.join(", ")} would do; write that into the policies.`,
    );
  }
}

function refuseReservedAboveMax(
  { reservedSpace, maxUsedSpace }: Pick<GcPolicy, "reservedSpace" | "maxUsedSpace">,
  findings: Findings,
): void {
  if (reservedSpace === undefined || maxUsedSpace === undefined) return;
  const [reserved, max] = [measure(reservedSpace), measure(maxUsedSpace)];
  if (reserved.unit !== max.unit || reserved.amount <= max.amount) return;
  findings.refuse(
    ["reservedSpace"],
    `received ${shown(reservedSpace)}, which is more than maxUsedSpace, ${shown(maxUsedSpace)}.`,
  );
}

/** Shares of a disk and absolute amounts cannot be compared with each other before the disk is known. */
function measure(space: DiskSpace): { unit: "%" | "B"; amount: number } {
  return typeof space === "string" && space.endsWith("%")
    ? { unit: "%", amount: Number.parseInt(space, 10) }
    : { unit: "B", amount: byteLimit(space) };
}

/** Warns about risks of a daemon's settings. */
export function warnOfSettings(
  { on, buildkitd }: Pick<Daemon, "on" | "buildkitd">,
  buildkit: string | undefined,
  findings: Findings,
): void {
  const warn = findings.warn.bind(findings);
  const entitlements = buildkitd["insecure-entitlements"] ?? [];
  const host = on === "board" ? "board" : "host";
  if (entitlements.includes("security.insecure")) {
    warn(
      ["insecure-entitlements"],
      `security.insecure lets any client become root on the ${host}.`,
    );
  }
  if (entitlements.includes("network.host")) {
    warn(
      ["insecure-entitlements"],
      `network.host lets a build reach the daemon's port and the ${on === "board" ? "board's" : "container's"} loopback.`,
    );
  }
  if (buildkitd.worker?.gc === false) {
    warn(["worker", "gc"], "nothing limits the build cache: it grows until the disk is full.");
  }
  warnOfErosion(buildkitd.worker ?? {}, findings.at("worker"));
  warnOfPolicies(buildkitd.worker?.gcpolicy ?? [], findings.at("worker", "gcpolicy"));
  warnOfRoot(buildkitd, findings);
  warnOfRegistries(buildkitd, findings.at("registry"));
  if (buildkit === undefined) return;
  for (const [setting, since] of settingsSince) {
    if (!isBelow(buildkit, since)) continue;
    for (const where of placesOf(buildkitd, setting.split("."))) {
      warn(where, `BuildKit ${buildkit} silently ignores it; it needs ${since} or newer.`);
    }
  }
}

/** Where a setting stands: nowhere, once, or once for each item of a list (`gcpolicy[]`). */
function placesOf(value: unknown, segments: readonly string[]): Path[] {
  const [segment, ...rest] = segments;
  if (segment === undefined) return value === undefined ? [] : [[]];
  if (typeof value !== "object" || value === null) return [];
  const key = segment.replace(/\[\]$/, "");
  const child: unknown = (value as Record<string, unknown>)[key];
  if (!segment.endsWith("[]")) return placesOf(child, rest).map((path) => [key, ...path]);
  return Array.isArray(child)
    ? child.flatMap((item, index) => placesOf(item, rest).map((path) => [key, index, ...path]))
    : [];
}

import { isIPv4 } from "node:net";
import { byteLimit } from "../components/buildkitd/diskSpace.ts";
import type {
  BuildkitdSettings,
  DiskSpace,
  GcPolicy,
  WorkerSettings,
} from "../components/buildkitd/settings.ts";
import { keysOfOneWorker } from "../components/buildkitd/toml.ts";
import { parseSubnet, subnetHolds } from "./buildkitdSchema.ts";
import { type Findings, type Path, shown } from "./problems.ts";
import type { BoardInput } from "./schema.ts";
import type { Network } from "./stackConfig.ts";
import { isBelow, settingsSince } from "./versions.ts";

/** What BuildKit takes when a stack names no other. */
const defaultBridgeSubnet = "10.10.0.0/16";

/** The network of a board that names none: RootlessKit's children cannot make a bridge on the host. */
export function networkOf(board: Pick<BoardInput, "network" | "rootless">): Network {
  return board.network ?? (board.rootless ? "host" : "bridge");
}

/** Combinations of a board's keys that no daemon could serve, or that would do something else than they say. */
export function refuseImpossible(board: BoardInput, findings: Findings): void {
  const refuse = findings.refuse.bind(findings);
  if (board.rootless) {
    if (board.worker === "containerd") {
      refuse(["worker"], "containerd does not run rootless here; use oci, or take rootless away.");
    }
    if (board.network === "bridge") {
      refuse(
        ["network"],
        "a rootless buildkitd has the host's network only; use host, or take rootless away.",
      );
    }
    if (board.socketActivation) {
      refuse(
        ["socketActivation"],
        "RootlessKit does not hand systemd's socket on; take rootless or socketActivation away.",
      );
    }
    if (!board.virtual && board.listen.port < 1024) {
      refuse(
        ["listen", "port"],
        `received ${board.listen.port}; without root only ports from 1024 can be listened on.`,
      );
    }
  }

  if (!board.virtual) {
    const { address, port } = board.listen;
    if (port === board.port) {
      refuse(["listen", "port"], `received ${port}, which sshd has already; choose another port.`);
    }
    if (port === board.metrics?.port) {
      refuse(
        ["metrics", "port"],
        `received ${port}, which listen.port is already; choose another.`,
      );
    }
    if ((address === "::1" || address.startsWith("127.")) && board.endpoint === undefined) {
      refuse(
        ["listen", "address"],
        `received ${shown(address)}, which no client reaches from elsewhere; name in endpoint what clients reach it by, or listen on 0.0.0.0.`,
      );
    }
    if (board.jump && board.jump.host === board.host && board.jump.port === board.port) {
      refuse(["jump", "host"], "is the board itself; take jump away.");
    }
  } else if (board.metrics?.port === 1234) {
    refuse(
      ["metrics", "port"],
      "received 1234, which buildkitd listens on already; choose another.",
    );
  }

  const telemetry = board.openTelemetry;
  if (telemetry && !telemetry.endpoint && !telemetry.tracesEndpoint && !telemetry.metricsEndpoint) {
    refuse(["openTelemetry"], "no endpoint; set endpoint, tracesEndpoint or metricsEndpoint.");
  }

  refuseImpossibleSettings(board, findings.at("buildkitd"));
}

const bridgeOnly = ["cniPoolSize", "bridgeName", "bridgeSubnet"] as const;
const ociSnapshotters = ["auto", "overlayfs", "fuse-overlayfs", "native", "stargz"];
const gcAmounts = ["reservedSpace", "maxUsedSpace", "minFreeSpace"] as const;

function refuseImpossibleSettings(board: BoardInput, findings: Findings): void {
  const refuse = findings.refuse.bind(findings);
  const settings: BuildkitdSettings = board.buildkitd;
  const worker = settings.worker ?? {};
  const network = networkOf(board);

  const other = board.worker === "oci" ? "containerd" : "oci";
  for (const key of keysOfOneWorker[other]) {
    if (worker[key] === undefined) continue;
    refuse(
      ["worker", key],
      `only the ${other} worker has it, and this board's worker is ${board.worker}; take it away or set worker: ${other}.`,
    );
  }
  if (network === "host") {
    for (const key of bridgeOnly) {
      if (worker[key] === undefined) continue;
      refuse(
        ["worker", key],
        "has no effect with network host; take it away or set network: bridge.",
      );
    }
  } else {
    const subnetText = worker.bridgeSubnet ?? defaultBridgeSubnet;
    const subnet = parseSubnet(subnetText);
    const host = board.virtual ? undefined : board.host;
    if (subnet && host && isIPv4(host) && subnetHolds(subnet, host)) {
      refuse(
        ["worker", "bridgeSubnet"],
        `the board's address ${host} lies in the bridge's network ${subnetText}, which would cut the board off; choose a network that is free there.`,
      );
    }
  }

  if (board.worker === "oci") {
    const snapshotter = worker.snapshotter ?? "auto";
    if (worker.proxySnapshotterPath === undefined && !ociSnapshotters.includes(snapshotter)) {
      refuse(
        ["worker", "snapshotter"],
        `received ${shown(snapshotter)}; expected one of ${ociSnapshotters.join(", ")}, or a name of one's own with proxySnapshotterPath.`,
      );
    }
    if (worker.stargzSnapshotter && snapshotter !== "stargz") {
      refuse(["worker", "stargzSnapshotter"], "has no effect without snapshotter: stargz.");
    }
    if (worker.noProcessSandbox && !board.rootless) {
      refuse(["worker", "noProcessSandbox"], "BuildKit allows it for rootless boards only.");
    }
  } else if (worker.snapshotter === "auto") {
    refuse(
      ["worker", "snapshotter"],
      'received "auto", which is no plugin of containerd; name one, such as overlayfs, or leave it out.',
    );
  }
  const runtimeName = worker.runtime?.name ?? "io.containerd.runc.v2";
  if (worker.runtime?.options && runtimeName !== "io.containerd.runc.v2") {
    refuse(
      ["worker", "runtime", "options"],
      `are those of io.containerd.runc.v2, not of ${runtimeName}.`,
    );
  }
  if (worker.platforms && !worker.platforms.includes(board.platform)) {
    refuse(
      ["worker", "platforms"],
      `received ${shown(worker.platforms)}; the board's own ${board.platform} must be among them.`,
    );
  }

  refuseIneffectiveGc(worker, findings.at("worker"));
  refuseReservedAboveMax(worker, findings.at("worker"));
  for (const [index, policy] of worker.gcpolicy?.entries() ?? []) {
    refuseReservedAboveMax(policy, findings.at("worker", "gcpolicy", index));
  }

  for (const [name, registry] of Object.entries(settings.registry ?? {})) {
    if (registry.http && registry.insecure) {
      refuse(
        ["registry", name, "insecure"],
        "is about HTTPS and does not go with http: true; keep one.",
      );
    }
  }
  const { minReclaimPercent = 30, minReclaimPercentFloor: floor } = settings.compaction ?? {};
  if (floor !== undefined && floor > minReclaimPercent) {
    refuse(
      ["compaction", "minReclaimPercentFloor"],
      `received ${floor}; expected at most minReclaimPercent, ${minReclaimPercent}.`,
    );
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

/** What a board's configuration allows that its owner should know. */
export function warnOfRisks(board: BoardInput, buildkit: string, findings: Findings): void {
  const warn = findings.warn.bind(findings);
  const entitlements = board.buildkitd["insecure-entitlements"] ?? [];

  if (networkOf(board) === "host") {
    warn(
      board.network ? ["network"] : ["rootless"],
      `RUN steps share the board's network: they can reach the daemon's port${board.metrics ? ", the metrics and pprof" : ""} and everything else on its loopback.`,
    );
  }
  if (entitlements.includes("security.insecure")) {
    warn(
      ["buildkitd", "insecure-entitlements"],
      "security.insecure lets any client become root on the board.",
    );
  }
  if (entitlements.includes("network.host")) {
    warn(
      ["buildkitd", "insecure-entitlements"],
      "network.host lets a build reach the daemon's port and the board's loopback.",
    );
  }
  if (board.buildkitd.worker?.gc === false) {
    warn(
      ["buildkitd", "worker", "gc"],
      "nothing limits the build cache: it grows until the disk is full.",
    );
  }
  if (board.abandon) {
    warn(
      ["abandon"],
      "deleting this board from the stack will leave everything on it as it is; its certificate stays valid until it ends.",
    );
  }
  for (const [setting, since] of settingsSince) {
    if (!isBelow(buildkit, since)) continue;
    for (const where of placesOf(board.buildkitd, setting.split("."))) {
      warn(
        ["buildkitd", ...where],
        `BuildKit ${buildkit} ignores it without a word; it exists since ${since}.`,
      );
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

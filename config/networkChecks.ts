import { isIPv4 } from "node:net";
import type { BuildkitdSettings } from "../components/buildkitd/schema.ts";
import { parseSubnet, subnetHolds } from "../components/buildkitd/schema.ts";
import { defaultBridge } from "../components/buildkitd/toml.ts";
import { shown } from "../components/schema/expected.ts";
import type { OpenTelemetryInput, ProxiesInput } from "../hosts/hostSchema.ts";
import { hostIn, isLoopback, isMulticastName } from "./addresses.ts";
import type { Findings, Path } from "./findings.ts";

/** A host that a daemon or its users must reach, and the key of the stack file that names it. */
export interface Reached {
  key: string;
  host: string;
}

/** The hosts that a daemon must reach, besides those in its settings. */
export function daemonReaches({
  proxies,
  openTelemetry: telemetry,
}: {
  proxies?: ProxiesInput | undefined;
  openTelemetry?: OpenTelemetryInput | undefined;
}): Reached[] {
  const urls: Record<string, string | undefined> = {
    "proxies.http": proxies?.http,
    "proxies.https": proxies?.https,
    "openTelemetry.endpoint": telemetry?.endpoint,
    "openTelemetry.tracesEndpoint": telemetry?.tracesEndpoint,
    "openTelemetry.metricsEndpoint": telemetry?.metricsEndpoint,
  };
  return Object.entries(urls).map(([key, url]) => ({ key, host: url ? hostIn(url) : "" }));
}

/** Refuses an address that only the machine itself reaches, for a builder whose endpoint is that address. */
export function refuseLoopback(
  key: "listen" | "publish",
  address: string,
  findings: Findings,
): void {
  if (!isLoopback(address)) return;
  findings.refuse(
    [key, "address"],
    `received ${shown(address)}, which no client reaches from elsewhere; name in endpoint what clients reach it by, or ${key} on 0.0.0.0.`,
  );
}

/** Refuses `openTelemetry` without anything that takes its data. */
export function refuseNoCollector(
  { openTelemetry }: { openTelemetry?: OpenTelemetryInput | undefined },
  findings: Findings,
): void {
  if (!openTelemetry) return;
  const { endpoint, tracesEndpoint, metricsEndpoint } = openTelemetry;
  if (endpoint || tracesEndpoint || metricsEndpoint) return;
  findings.refuse(
    ["openTelemetry"],
    "no endpoint; set endpoint, tracesEndpoint or metricsEndpoint.",
  );
}

/** Name servers that no RUN step on a bridge reaches: its loopback is a step's own, and it has IPv4 only. */
export function checkNameServers({ dns }: BuildkitdSettings, findings: Findings): void {
  const servers = dns?.nameservers ?? [];
  const reached = servers.filter((server) => isIPv4(server) && !isLoopback(server));
  for (const [index, server] of servers.entries()) {
    if (reached.includes(server)) continue;
    const path = ["dns", "nameservers", index];
    const what = isLoopback(server)
      ? `is on loopback, where a RUN step on the bridge finds itself alone`
      : "is an IPv6 address, and the bridge of RUN steps has IPv4 only";
    if (reached.length === 0) {
      findings.refuse(
        path,
        `received "${server}", which ${what}; name an IPv4 address of the network.`,
      );
    } else {
      findings.warn(path, `${server} ${what}: they cannot ask it, and go on to the next.`);
    }
  }
}

/** Refuses a bridge whose network would take what a daemon must reach for its own RUN steps. */
export function refuseOverlap(
  { worker }: BuildkitdSettings,
  hosts: readonly Reached[],
  findings: Findings,
): void {
  const text = worker?.bridgeSubnet ?? defaultBridge.subnet;
  const subnet = parseSubnet(text);
  if (!subnet) return;
  for (const { key, host } of hosts) {
    if (!isIPv4(host) || !subnetHolds(subnet, host)) continue;
    findings.refuse(
      ["worker", "bridgeSubnet"],
      `${key}, ${host}, is in the bridge's network ${text}, so the daemon would look for it among the RUN steps; choose a network that is free there.`,
    );
  }
}

/** Warns about a name that ping finds and programs in Go do not. */
export function warnOfMulticastName(
  path: Path,
  host: string | undefined,
  findings: Findings,
): void {
  if (host === undefined || !isMulticastName(host)) return;
  findings.warn(
    path,
    `${host} looks like a name of multicast DNS: buildctl, buildx and Pulumi's plugins ask DNS servers alone. Unless one knows it, write the address here, and the name in extraNames.`,
  );
}

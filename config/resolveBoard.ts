import { UPSTREAM } from "../components/board/releases.ts";
import type { BoardConnectionArgs } from "../components/builderBoard.ts";
import { socketAddress } from "../components/socketAddress.ts";
import { networkOf } from "./boardChecks.ts";
import { certificateNames } from "./certificates.ts";
import { type Endpoint, endpointUrl } from "./endpoint.ts";
import type { Findings } from "./problems.ts";
import { readRegistryCertificates } from "./registryCertificates.ts";
import type { StackReleases } from "./releases.ts";
import type { BoardInput, OpenTelemetryInput, PhysicalBoardInput, ProxiesInput } from "./schema.ts";
import { findSshKey, type Machine } from "./sshKey.ts";
import type { BoardConfig, SshKey } from "./stackConfig.ts";
import { type LocatedBoard, locatedBoard } from "./virtualBoard.ts";

/** What a board takes from the rest of the stack. */
export interface BoardContext {
  releases: StackReleases;
  /** Names that the stack, and its pools, add to the board's certificate. */
  extraNames: readonly string[];
  /** The key for boards that name none; nothing where it cannot be had, which has been said already. */
  stackKey: SshKey | undefined;
  machine: Machine;
}

/** A board with every default filled in; nothing where its key or its place cannot be found. */
export function resolveBoard(
  input: BoardInput,
  context: BoardContext,
  findings: Findings,
): BoardConfig | undefined {
  const { releases, machine } = context;
  const located: LocatedBoard | undefined = input.virtual
    ? locatedBoard(input, machine.projectDir, findings)
    : input;
  const registryCertificates = readRegistryCertificates(
    input.registryCertificates,
    machine,
    findings.at("registryCertificates"),
  );
  if (!located) return undefined;
  // The keys that become other arguments; the component has the rest under their own names.
  const {
    virtual: _isVirtual,
    endpoint: _named,
    registryCertificates: _files,
    host,
    port,
    user,
    hostKey,
    jump,
    ssh,
    mirror = UPSTREAM,
    extraNames,
    metrics,
    proxies,
    openTelemetry,
    ...args
  } = located;
  const connection = connectionOf({ host, port, user, hostKey, jump, ssh }, context, findings);
  if (!connection || !registryCertificates) return undefined;
  const endpoint = endpointOf(located);
  return {
    ...(args satisfies Pick<BoardConfig, keyof typeof args>),
    connection,
    platforms: args.buildkitd.worker?.platforms ?? [args.platform],
    network: networkOf(args),
    serverName: endpoint.host,
    endpoint: endpointUrl(endpoint),
    certificateNames: certificateNames([
      endpoint.host,
      host,
      ...(isWildcard(args.listen.address) ? [] : [args.listen.address]),
      ...extraNames,
      ...context.extraNames,
    ]),
    metricsAddress: metrics && socketAddress(metrics),
    environment: environment(proxies, openTelemetry),
    releases: { ...releases.versions, ...(releases.source ?? { mirror }) },
    registryCertificates,
  };
}

/** As clients reach a board; of a virtual one, only the proving ground knows. */
export function endpointOf(
  board: Pick<PhysicalBoardInput, "endpoint" | "host" | "listen">,
): Endpoint;
export function endpointOf(board: BoardInput): Endpoint | undefined;
export function endpointOf(
  board: BoardInput | Pick<PhysicalBoardInput, "endpoint" | "host" | "listen">,
): Endpoint | undefined {
  if (!("host" in board)) return undefined;
  const { endpoint, host, listen } = board;
  return endpoint ?? { host, port: listen.port };
}

/** How to reach a board, by its jump host where it has one. */
function connectionOf(
  {
    jump,
    ssh,
    ...host
  }: Pick<PhysicalBoardInput, "host" | "port" | "user" | "hostKey" | "jump" | "ssh">,
  { stackKey, machine }: BoardContext,
  findings: Findings,
): BoardConnectionArgs | undefined {
  const key = ssh ? findSshKey(ssh, machine, findings.at("ssh")) : stackKey;
  const jumpKey = jump?.ssh ? findSshKey(jump.ssh, machine, findings.at("jump", "ssh")) : key;
  if (!key || !jumpKey) return undefined;
  if (!jump) return { ...host, ...key };
  const { ssh: _, ...proxy } = jump;
  return { ...host, ...key, proxy: { ...proxy, ...jumpKey } };
}

/** Whether a daemon listens on all addresses of its machine. */
export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** The environment of a buildkitd. */
export function environment(
  proxies: ProxiesInput | undefined,
  telemetry: OpenTelemetryInput | undefined,
): Record<string, string> {
  const attributes = Object.entries(telemetry?.resourceAttributes ?? {})
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join(",");
  const variables: Record<string, string | undefined> = {
    HTTP_PROXY: proxies?.http,
    HTTPS_PROXY: proxies?.https,
    NO_PROXY: proxies?.no?.join(","),
    OTEL_EXPORTER_OTLP_ENDPOINT: telemetry?.endpoint,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: telemetry?.tracesEndpoint,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: telemetry?.metricsEndpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: telemetry?.protocol,
    OTEL_SERVICE_NAME: telemetry?.serviceName,
    OTEL_RESOURCE_ATTRIBUTES: attributes,
    OTEL_IGNORE_ERROR: telemetry?.ignoreErrors ? "true" : undefined,
  };
  const set = Object.entries(variables).filter(([, value]) => value);
  return Object.fromEntries(set) as Record<string, string>;
}

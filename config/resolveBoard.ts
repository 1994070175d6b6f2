import { readFileSync } from "node:fs";
import { join } from "node:path";
import { socketAddress } from "../components/socketAddress.ts";
import { hostIn, isLoopback } from "./addresses.ts";
import { networkOf } from "./boardChecks.ts";
import { certificateNames } from "./certificates.ts";
import type { Findings } from "./problems.ts";
import { readRegistryCertificates } from "./registryCertificates.ts";
import { type StackReleases, upstreamMirror } from "./releases.ts";
import {
  type BoardInput,
  boardConnection,
  type OpenTelemetryInput,
  type PhysicalBoardInput,
  parseEndpoint,
  type VirtualBoardInput,
} from "./schema.ts";
import { findSshKey, type Machine, secretKey } from "./sshKey.ts";
import type {
  BoardConfig,
  CertificateConfig,
  ListenAddress,
  Proxies,
  ReleaseSource,
  SshKey,
} from "./stackConfig.ts";

/** What a board takes from the rest of the stack. */
export interface BoardContext {
  releases: StackReleases;
  certificates: CertificateConfig;
  /** The key for boards that name none; nothing where it cannot be had, which has been said already. */
  stackKey: SshKey | undefined;
  machine: Machine;
}

/** Where a board is, and from where it installs. */
type Location = Pick<BoardConfig, "connection" | "endpoint" | "listen" | "source">;

/** A board with every default filled in; nothing where its key or its place cannot be found. */
export function resolveBoard(
  board: BoardInput,
  context: BoardContext,
  findings: Findings,
): BoardConfig | undefined {
  const location = board.virtual
    ? virtualLocation(board, context, findings)
    : physicalLocation(board, context, findings);
  const registryCertificates = readRegistryCertificates(
    board.registryCertificates,
    context.machine,
    findings.at("registryCertificates"),
  );
  if (!location || !registryCertificates) return undefined;
  const serverName = parseEndpoint(location.endpoint)?.host ?? location.connection.host;
  const listenName = isWildcard(location.listen) ? [] : [location.listen.address];
  const { extraNames } = context.certificates;
  return {
    ...location,
    name: board.name,
    virtual: board.virtual === true,
    platform: board.platform,
    platforms: board.buildkitd.worker?.platforms ?? [board.platform],
    worker: board.worker,
    network: networkOf(board),
    rootless: board.rootless,
    socketActivation: board.socketActivation,
    serverName,
    certificateNames: certificateNames([
      serverName,
      location.connection.host,
      ...listenName,
      ...board.extraNames,
      ...extraNames.dnsNames,
      ...extraNames.ipAddresses,
    ]),
    metricsAddress: board.metrics && socketAddress(board.metrics),
    environment: environment(board.proxies ?? {}, board.openTelemetry),
    proxies: board.proxies ?? {},
    drainSeconds: board.drainSeconds,
    removeCacheOnDelete: board.removeCacheOnDelete,
    abandon: board.abandon,
    formerName: board.formerName,
    buildkitd: board.buildkitd,
    registryCertificates,
  };
}

/** As clients reach a board; of a virtual one, only the proving ground knows. */
export function endpointOf(board: PhysicalBoardInput): string;
export function endpointOf(board: BoardInput): string | undefined;
export function endpointOf(board: BoardInput): string | undefined {
  if (board.virtual) return undefined;
  const { endpoint, host, listen } = board;
  return endpoint ?? `tcp://${socketAddress({ address: host, port: listen.port })}`;
}

/** By which one endpoint is told from another, however it is written. */
export function endpointId(endpoint: string): string {
  const { host, port } = parseEndpoint(endpoint) ?? { host: endpoint, port: 0 };
  return `${isLoopback(host) ? "localhost" : hostIn(socketAddress({ address: host, port })).toLowerCase()}:${port}`;
}

function physicalLocation(
  board: PhysicalBoardInput,
  { releases, stackKey, machine }: BoardContext,
  findings: Findings,
): Location | undefined {
  const { host, port, user, hostKey, jump, ssh, listen } = board;
  const key = ssh ? findSshKey(ssh, machine, findings.at("ssh")) : stackKey;
  const jumpKey = jump?.ssh ? findSshKey(jump.ssh, machine, findings.at("jump", "ssh")) : key;
  if (!key || !jumpKey) return undefined;
  return {
    connection: {
      host,
      port,
      user,
      hostKey,
      key,
      jump: jump && {
        host: jump.host,
        port: jump.port,
        user: jump.user,
        hostKey: jump.hostKey,
        key: jumpKey,
      },
    },
    listen,
    endpoint: endpointOf(board),
    source: releases.source ?? { kind: "mirror", mirror: upstreamMirror },
  };
}

/** As the proving ground has written it down when it started the board. */
function virtualLocation(
  board: VirtualBoardInput,
  { releases, machine }: BoardContext,
  findings: Findings,
): Location | undefined {
  const folder = join(machine.projectDir, ".buildhosts");
  const file = join(folder, "virtual-board", `${board.platform.replace("linux/", "")}.json`);
  try {
    const found = boardConnection.parse(JSON.parse(readFileSync(file, "utf8")));
    return {
      connection: {
        host: found.host,
        port: found.port,
        user: board.user,
        hostKey: found.hostKey,
        key: secretKey(readFileSync(found.identityFile, "utf8")),
      },
      listen: { address: "0.0.0.0", port: 1234 },
      endpoint: `tcp://${found.host}:${found.buildkitPort}`,
      source: releases.source ?? provingGroundMirror(folder, found.gateway),
    };
  } catch {
    findings.refuse(
      ["virtual"],
      `the virtual ${board.platform} board is not running; start it with npm run up, which runs Pulumi too.`,
    );
    return undefined;
  }
}

/** The mirror on this machine's loopback, as the board sees it, or upstream where there is none. */
function provingGroundMirror(folder: string, gateway: string): ReleaseSource {
  try {
    const port = Number(readFileSync(join(folder, "mirror.port"), "utf8"));
    return { kind: "mirror", mirror: `http://${gateway}:${port}` };
  } catch {
    return { kind: "mirror", mirror: upstreamMirror };
  }
}

function isWildcard({ address }: ListenAddress): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** The environment of a buildkitd. */
export function environment(
  proxies: Proxies,
  telemetry: OpenTelemetryInput | undefined,
): Record<string, string> {
  const attributes = Object.entries(telemetry?.resourceAttributes ?? {})
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join(",");
  const variables: Record<string, string | undefined> = {
    HTTP_PROXY: proxies.http,
    HTTPS_PROXY: proxies.https,
    NO_PROXY: proxies.no?.join(","),
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

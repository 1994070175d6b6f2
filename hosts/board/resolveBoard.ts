import { UPSTREAM } from "../../components/board/releases.ts";
import type { BoardConnectionArgs, BuilderBoardArgs } from "../../components/builderBoard.ts";
import { type BuildkitdNetwork, defaultNetwork } from "../../components/buildkitd/toml.ts";
import { socketAddress } from "../../components/socketAddress.ts";
import { isWildcard } from "../../config/addresses.ts";
import { certificateNames } from "../../config/certificateConfig.ts";
import { type Endpoint, endpointUrl } from "../../config/endpoint.ts";
import type { Findings } from "../../config/findings.ts";
import { readRegistryCertificates } from "../../config/registryCertificates.ts";
import { findSshKey } from "../../config/sshKey.ts";
import type { BuilderConfig } from "../../config/stackConfig.ts";
import { daemonEnvironment } from "../daemonEnvironment.ts";
import type { HostContext } from "../hostKind.ts";
import type { BoardInput, PhysicalBoardInput } from "./boardSchema.ts";
import { type StartedBoard, startedBoard } from "./startedBoard.ts";

/** A board's name, the names in its certificate, and the arguments of its component without its certificates. */
export type BoardConfig = BuilderConfig &
  Omit<
    BuilderBoardArgs,
    | "caCertPem"
    | "caValidityStartTime"
    | "caValidityEndTime"
    | "certificate"
    | "healthCheck"
    | "drift"
  >;

/** A board with every default filled in; undefined if its SSH key or its virtual machine is missing. */
export function resolveBoard(
  input: BoardInput,
  context: HostContext,
  findings: Findings,
): BoardConfig | undefined {
  const { releases, machine } = context;
  const board: StartedBoard | undefined = input.virtual
    ? startedBoard(input, machine.projectDir, findings)
    : input;
  const registryCertificates = readRegistryCertificates(
    input.registryCertificates,
    machine,
    findings.at("registryCertificates"),
  );
  if (!board) return undefined;
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
  } = board;
  const connection = connectionOf({ host, port, user, hostKey, jump, ssh }, context, findings);
  if (!connection || !registryCertificates) return undefined;
  const endpoint = endpointOf(board);
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
      ...context.extraNames(board.name),
    ]),
    metricsAddress: metrics && socketAddress(metrics),
    environment: daemonEnvironment(proxies, openTelemetry),
    releases: { ...releases.versions, ...(releases.source ?? { mirror }) },
    registryCertificates,
  };
}

/** The endpoint for clients; undefined for a virtual board, whose address the proving ground decides. */
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

/** The network of RUN steps. */
export function networkOf({
  network,
  rootless,
}: Pick<BoardInput, "network" | "rootless">): BuildkitdNetwork {
  return network ?? defaultNetwork(rootless);
}

/** The SSH connection of a board, through its jump host if it has one. */
function connectionOf(
  {
    jump,
    ssh,
    ...host
  }: Pick<PhysicalBoardInput, "host" | "port" | "user" | "hostKey" | "jump" | "ssh">,
  { stackKey, machine }: HostContext,
  findings: Findings,
): BoardConnectionArgs | undefined {
  const key = ssh ? findSshKey(ssh, machine, findings.at("ssh")) : stackKey;
  const jumpKey = jump?.ssh ? findSshKey(jump.ssh, machine, findings.at("jump", "ssh")) : key;
  if (!key || !jumpKey) return undefined;
  if (!jump) return { ...host, ...key };
  const { ssh: _, ...proxy } = jump;
  return { ...host, ...key, proxy: { ...proxy, ...jumpKey } };
}

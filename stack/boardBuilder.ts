import type { Resource } from "@pulumi/pulumi";
import { boardFilePath } from "../components/board/files.ts";
import { type BoardConnectionArgs, BuilderBoard, preflightOf } from "../components/builderBoard.ts";
import { withRegistryFiles } from "../components/buildkitd/registryFiles.ts";
import type { BoardConfig, SshConnection, StackConfig } from "../config/stackConfig.ts";
import type { Builder } from "./builder.ts";
import { builderCertificate } from "./builderCertificate.ts";
import type { StackCertificates } from "./stackCertificates.ts";

/** A board of the stack, with a server certificate of its own. */
export function boardBuilder(
  board: BoardConfig,
  { certificates, releases }: StackConfig,
  { ca, healthCheck }: StackCertificates,
): Builder {
  // Not for a board that is refused: under a name that turns out to be another one's new name, the state would know this
  // certificate, and the one that it has would go.
  const preflight = Promise.withResolvers<Resource>();
  const { formerName } = board;
  const certificate = builderCertificate(board, certificates, ca, formerName, preflight.promise);
  const { settings, files } = withRegistryFiles(
    board.buildkitd,
    board.registryCertificates,
    (file) => boardFilePath(file, board.rootless),
  );
  const builder = new BuilderBoard(board.name, {
    connection: connection(board.connection),
    platform: board.platform,
    platforms: board.platforms,
    releases: {
      ...releases,
      mirror: board.source.kind === "mirror" ? board.source.mirror : undefined,
      push: board.source.kind === "push" ? board.source.folder : undefined,
    },
    caCertPem: ca.certPem,
    caValidityStartTime: ca.validityStartTime,
    caValidityEndTime: ca.validityEndTime,
    certificate,
    healthCheck,
    serverName: board.serverName,
    endpoint: board.endpoint,
    worker: board.worker,
    network: board.network,
    rootless: board.rootless,
    listen: board.listen,
    socketActivation: board.socketActivation,
    metricsAddress: board.metricsAddress,
    environment: board.environment,
    buildkitd: settings,
    files,
    drainSeconds: board.drainSeconds,
    removeCacheOnDelete: board.removeCacheOnDelete,
    abandon: board.abandon,
    formerName,
  });
  preflight.resolve(preflightOf(builder));
  const { endpoint, platforms } = builder;
  return { name: board.name, endpoint, platforms, serverName: board.serverName };
}

/** The agent is found by the plugin itself, so that its socket's changing path is no change. */
function connection({ host, port, user, hostKey, key, jump }: SshConnection): BoardConnectionArgs {
  return {
    host,
    port,
    user,
    hostKey,
    privateKey: key.kind === "privateKey" ? key.privateKey : undefined,
    proxy: jump && connection(jump),
  };
}

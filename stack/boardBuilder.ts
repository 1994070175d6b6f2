import { BuilderBoard } from "../components/builderBoard.ts";
import type { BoardConfig } from "../config/stackConfig.ts";
import type { Builder } from "./builder.ts";
import type { StackCertificates } from "./stackCertificates.ts";

/** A board of the stack, with a server certificate of its own. */
export function boardBuilder(
  { name, certificateNames, ...args }: BoardConfig,
  { ca, healthCheck, server }: StackCertificates,
): Builder {
  const { endpoint, platforms } = new BuilderBoard(name, {
    ...args,
    caCertPem: ca.certPem,
    caValidityStartTime: ca.validityStartTime,
    caValidityEndTime: ca.validityEndTime,
    certificate: server(name, certificateNames, args.formerName),
    healthCheck,
  });
  return { name, endpoint, platforms, serverName: args.serverName };
}

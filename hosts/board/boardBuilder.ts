import type { Resource } from "@pulumi/pulumi";
import { type BoardDriftArgs, BuilderBoard, preflightOf } from "../../components/builderBoard.ts";
import type { Builder, StackCertificates } from "../hostKind.ts";
import type { Drift } from "../hostLook.ts";
import type { BoardConfig } from "./resolveBoard.ts";

/** A board of the stack, with a server certificate of its own. */
export function boardBuilder(
  { name, certificateNames, ...args }: BoardConfig,
  { ca, healthCheck, server }: StackCertificates,
  drift: Drift,
): Builder {
  // Not for a board that is refused: under a name that turns out to be another one's new name, the state would know this
  // certificate, and the one that it has would go.
  const preflight = Promise.withResolvers<Resource>();
  const builder = new BuilderBoard(name, {
    ...args,
    caCertPem: ca.certPem,
    caValidityStartTime: ca.validityStartTime,
    caValidityEndTime: ca.validityEndTime,
    certificate: server(name, certificateNames, {
      formerName: args.formerName,
      after: preflight.promise,
    }),
    healthCheck,
    ...(drift.has(name) && { drift: drift.get(name) as BoardDriftArgs }),
  });
  preflight.resolve(preflightOf(builder));
  const { endpoint, platforms } = builder;
  return { name, endpoint, platforms, serverName: args.serverName };
}

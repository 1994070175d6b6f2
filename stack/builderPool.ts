import * as pulumi from "@pulumi/pulumi";
import { BuilderPool } from "../components/builderPool.ts";
import type { PoolConfig } from "../config/stackConfig.ts";
import type { Builder, StackCertificates } from "../hosts/hostKind.ts";

/** What clients need to know of a pool. */
export interface Pool extends Omit<Builder, "serverName"> {
  /** A client asks for `<project>.<domain>`. */
  domain: string;
  /** Names of its builders. */
  builders: string[];
}

/** A pool of the stack's builders, with a client of its own that asks for their health. */
export function builderPool(
  { name, builders: members, ...args }: PoolConfig,
  { ca, poolClient }: StackCertificates,
  builders: readonly Builder[],
): Pool {
  const { endpoint, platforms } = new BuilderPool(name, {
    ...args,
    builders: members.map((member) => ({
      name: member.name,
      // Once the builder has answered. While previewing it is known already, or haproxy.cfg would be shown as unknown.
      endpoint: pulumi.runtime.isDryRun()
        ? member.endpoint
        : (builders.find((one) => one.name === member.name)?.endpoint ?? pulumi.output("")).apply(
            () => member.endpoint,
          ),
    })),
    caCertPem: ca.certPem,
    healthCheck: poolClient(name),
  });
  return {
    ...{ name, endpoint, platforms, domain: args.domain },
    builders: members.map((member) => member.name),
  };
}

import { setImmediate } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../config/stackConfig.ts";
import { boardBuilder } from "./boardBuilder.ts";
import type { Builder } from "./builder.ts";
import { dockerHostBuilders } from "./dockerHostBuilders.ts";
import { type Drift, noDrift } from "./drift.ts";
import { type ClientFiles, type StackOutputs, stackOutputs } from "./outputs.ts";
import { stackCertificates } from "./stackCertificates.ts";

/**
 * The resources of a stack, and what it tells its users: one line for each kind of host. `drift` is what somebody changed on its
 * hosts; certificates do not wait for it.
 */
export async function compose(
  config: StackConfig,
  drift: Drift | Promise<Drift> = noDrift,
): Promise<StackOutputs> {
  for (const warning of config.warnings) void pulumi.log.warn(warning);

  const certificates = stackCertificates(config);
  const changed = await drift;
  const builders = await oneByOne([
    ...config.boards.map((board) => () => [
      boardBuilder(board, certificates, changed.boards.get(board.name)),
    ]),
    ...config.dockerHosts.map(
      (host) => () => dockerHostBuilders(host, certificates, changed.containers),
    ),
  ]);

  if (config.github) {
    // Its SDK takes a tenth of a second to load, which a stack without it need not wait for.
    const { githubRepositories } = await import("./github/repositories.ts");
    await githubRepositories(config.github, certificates, builders);
  }

  const clients: Record<string, ClientFiles> = {};
  for (const [name, client] of Object.entries(certificates.clients)) {
    clients[name] = {
      ca: certificates.ca.certPem,
      cert: client.certPem,
      key: client.privateKeyPem,
    };
  }
  return stackOutputs(builders, clients);
}

/** Declares each host in its turn, and lets it go to the engine, which works on it while the next is declared. */
async function oneByOne(hosts: (() => Builder[])[]): Promise<Builder[]> {
  const builders: Builder[] = [];
  for (const declare of hosts) {
    builders.push(...declare());
    await setImmediate();
  }
  return builders;
}

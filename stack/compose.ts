import { setImmediate } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../config/stackConfig.ts";
import { boardBuilder } from "./boardBuilder.ts";
import type { Builder } from "./builder.ts";
import { builderPool, type Pool } from "./builderPool.ts";
import { dockerHostBuilders } from "./dockerHostBuilders.ts";
import { type ClientFiles, type StackOutputs, stackOutputs } from "./outputs.ts";
import { stackCertificates } from "./stackCertificates.ts";

/** The resources of a stack, and what it tells its users: one line for each kind of host. */
export async function compose(config: StackConfig): Promise<StackOutputs> {
  for (const warning of config.warnings) void pulumi.log.warn(warning);

  const certificates = stackCertificates(config);
  const builders = await oneByOne([
    ...config.boards.map((board) => () => [boardBuilder(board, certificates)]),
    ...config.dockerHosts.map((host) => () => dockerHostBuilders(host, certificates)),
  ]);
  const pools = config.pools.map((pool) => builderPool(pool, certificates, builders));

  if (config.github) {
    // Its SDK takes a tenth of a second to load, which a stack without it need not wait for.
    const { githubRepositories } = await import("./github/repositories.ts");
    await githubRepositories(config.github, certificates, forClients(builders, pools));
  }

  const clients: Record<string, ClientFiles> = {};
  for (const [name, client] of Object.entries(certificates.clients)) {
    clients[name] = {
      ca: certificates.ca.certPem,
      cert: client.certPem,
      key: client.privateKeyPem,
    };
  }
  return stackOutputs(builders, clients, pools);
}

/** What clients build on: each pool, and the builders that are in none. */
function forClients(builders: Builder[], pools: Pool[]): (Builder | Pool)[] {
  const inPools = new Set(pools.flatMap((pool) => pool.builders));
  return [...pools, ...builders.filter(({ name }) => !inPools.has(name))];
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

import { setImmediate } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import { inNoPool } from "../components/pool/inNoPool.ts";
import type { StackConfig } from "../config/stackConfig.ts";
import type { Builder } from "../hosts/hostKind.ts";
import { type Drift, noDrift } from "../hosts/hostLook.ts";
import { hostKinds } from "../hosts/kinds.ts";
import { builderPool } from "./builderPool.ts";
import { type ClientFiles, type StackOutputs, stackOutputs } from "./outputs.ts";
import { stackCertificates } from "./stackCertificates.ts";

/**
 * The resources of a stack, and what it tells its users. `drift` is what somebody changed on its hosts; certificates do not wait
 * for it.
 */
export async function compose(
  config: StackConfig,
  drift: Drift | Promise<Drift> = noDrift,
): Promise<StackOutputs> {
  for (const warning of config.warnings) void pulumi.log.warn(warning);

  // This function throws an error of `drift` below: while it loads, that is no unhandled one.
  Promise.resolve(drift).catch(() => undefined);
  // Before any resource, so that the resources come in the same order whatever has to load.
  const hosts = await Promise.all(hostKinds.map((kind) => kind.declarations(config)));
  const certificates = stackCertificates(config);
  const changed = await drift;
  const builders: Builder[] = [];
  for (const declare of hosts.flat()) {
    builders.push(...declare(certificates, changed));
    // The engine works on this host while the program declares the next one.
    await setImmediate();
  }
  const pools = config.pools.map((pool) => builderPool(pool, certificates, builders));

  if (config.github) {
    // Its SDK takes a tenth of a second to load, which a stack without it need not wait for.
    const { githubRepositories } = await import("./github/repositories.ts");
    await githubRepositories(config.github, certificates, [...pools, ...inNoPool(builders, pools)]);
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

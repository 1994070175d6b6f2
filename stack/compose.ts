import { setImmediate } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../config/stackConfig.ts";
import { boardBuilder } from "./boardBuilder.ts";
import type { Builder } from "./builder.ts";
import { dockerHostBuilders } from "./dockerHostBuilders.ts";
import { type ClientFiles, type StackOutputs, stackOutputs } from "./outputs.ts";
import { stackCertificates } from "./stackCertificates.ts";

/** Lets what was just declared go to the engine, which works on it while the next host is declared. */
const begun = () => setImmediate();

/** The resources of a stack, and what it tells its users: one line for each kind of host. */
export async function compose(config: StackConfig): Promise<StackOutputs> {
  for (const warning of config.warnings) void pulumi.log.warn(warning);

  const certificates = stackCertificates(config);
  const builders: Builder[] = [];
  for (const board of config.boards) {
    builders.push(boardBuilder(board, config, certificates));
    await begun();
  }
  for (const host of config.dockerHosts) {
    builders.push(...dockerHostBuilders(host, config, certificates));
    await begun();
  }

  if (config.github) {
    // Its SDK takes a tenth of a second to load, which a stack without it need not wait for.
    const { githubRepositories } = await import("./githubRepositories.ts");
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

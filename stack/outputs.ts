import * as pulumi from "@pulumi/pulumi";
import { commandLine } from "../components/shell.ts";
import type { Builder } from "../hosts/hostKind.ts";
import type { Pool } from "./builderPool.ts";

/** The files with which builders accept a client, as PEM texts. */
export interface ClientFiles {
  ca: pulumi.Input<string>;
  cert: pulumi.Input<string>;
  key: pulumi.Input<string>;
}

export interface StackOutputs {
  /** name, endpoint and platforms of each builder. */
  builders: pulumi.Output<KnownBuilder[]>;
  /** Each pool: one address for several builders. */
  pools: pulumi.Output<KnownPool[]>;
  /** Secret: by client name, its { ca, cert, key }. */
  clientCertificates: pulumi.Output<Record<string, pulumi.Unwrap<ClientFiles>>>;
  /** The lines that make one buildx builder of all builders, one node each; $PWD has a client's files. */
  buildx: pulumi.Output<string[]>;
  /** A line for each builder that asks it for its workers; $PWD has a client's files. */
  buildctl: pulumi.Output<string[]>;
}

/** A builder as the outputs have it. */
export interface KnownBuilder {
  name: string;
  /** `tcp://host:port` */
  endpoint: string;
  platforms: string[];
}

/** A pool as the outputs have it. */
export interface KnownPool extends KnownBuilder {
  /** A client asks for `<project>.<domain>`. */
  domain: string;
  builders: string[];
}

export function stackOutputs(
  builders: Builder[],
  clients: Record<string, ClientFiles>,
  pools: Pool[] = [],
): StackOutputs {
  const known = pulumi.all(
    builders.map(({ name, endpoint, platforms }) =>
      pulumi.all([endpoint, platforms]).apply(([e, p]) => ({ name, endpoint: e, platforms: p })),
    ),
  );
  const serverNames = builders.map((builder) => builder.serverName);
  const each = (render: (builder: KnownBuilder, serverName: string, index: number) => string) =>
    known.apply((all) => all.map((builder, i) => render(builder, serverNames[i] ?? "", i)));
  return {
    builders: known,
    pools: pulumi.output(pools),
    clientCertificates: pulumi.secret(pulumi.output(clients)),
    buildx: each((builder, serverName, i) => buildxCreate(builder, serverName, i > 0)),
    buildctl: each(buildctlWorkers),
  };
}

/** The name of the buildx builder that the lines make. */
export const BUILDX_BUILDER = "buildhosts";

/**
 * The client's files are named with $PWD because buildx wants absolute paths
 * (https://docs.docker.com/build/builders/drivers/remote/).
 */
export function buildxCreate(
  { name, endpoint, platforms }: KnownBuilder,
  serverName: string,
  append: boolean,
): string {
  return [
    commandLine(
      "docker",
      "buildx",
      "create",
      "--name",
      BUILDX_BUILDER,
      ...(append ? ["--append"] : []),
    ),
    commandLine("--node", name, "--driver", "remote", "--platform", platforms.join(",")),
    `--driver-opt "cacert=$PWD/ca.pem,cert=$PWD/cert.pem,key=$PWD/key.pem,servername=${serverName}"`,
    commandLine(endpoint),
  ].join(" ");
}

export function buildctlWorkers({ endpoint }: KnownBuilder, serverName: string): string {
  return [
    commandLine("buildctl", "--addr", endpoint, "--tlsservername", serverName),
    "--tlscacert ca.pem --tlscert cert.pem --tlskey key.pem",
    "debug workers",
  ].join(" ");
}

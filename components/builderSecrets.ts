import * as github from "@pulumi/github";
import * as pulumi from "@pulumi/pulumi";

/** Which repositories of an organization see its secrets. */
export const SecretVisibility = { all: "all", private: "private", selected: "selected" } as const;
export type SecretVisibility = (typeof SecretVisibility)[keyof typeof SecretVisibility];

/** A builder or a pool of builders, as workflows need to know it. */
export interface BuilderNodeArgs {
  name: pulumi.Input<string>;
  /** `tcp://host:port` */
  endpoint: pulumi.Input<string>;
  platforms: pulumi.Input<pulumi.Input<string>[]>;
  /** Of a pool: a workflow asks it for `<project>.<domain>`. Default: none, it is a builder. */
  domain?: pulumi.Input<string>;
}

export interface BuilderSecretsArgs {
  /** The repository's name, without its owner. Default: none, the secrets are the organization's. */
  repository?: pulumi.Input<string>;
  /** An environment of the repository that holds them. Default: the repository itself. */
  environment?: pulumi.Input<string>;
  /** Of an organization's secrets: who sees them. Default: `private`, its private repositories. */
  visibility?: SecretVisibility;
  /** With `selected`: ids of the repositories. Default: none. */
  selectedRepositoryIds?: number[];
  /** The CA's certificate, PEM. */
  caCertPem: pulumi.Input<string>;
  /** A client's certificate, PEM. */
  certPem: pulumi.Input<string>;
  /** Its key, PEM. */
  privateKeyPem: pulumi.Input<string>;
  /** All that the client can build on. */
  builders: BuilderNodeArgs[];
  /**
   * Another text than before has all secrets written anew: what `up` is told when somebody else changed
   * one. Default: `never`.
   */
  rewrite?: string;
  /** Who writes them, which BUILDER_SECRETS then says too. Default: it does not say. */
  writtenBy?: string;
  /** What the names begin with, for a repository that uses the builders of several stacks. Default: `BUILDER`. */
  prefix?: string;
}

/**
 * Workflows can build on the builders as one client: secrets BUILDER_AUTH_TLS_CACERT, _CERT and _KEY hold
 * its PEM texts, and the variable BUILDER_NODES the builders as JSON, in the form that
 * docker/setup-buildx-action takes both (its BUILDER_NODE_<number>_AUTH_TLS_* and `append`).
 *
 * No API gives a secret back, so the variable BUILDER_SECRETS says when they were written: at another time
 * than GitHub says, somebody else has changed one.
 *
 * They are made in a repository, in one of its environments, or in an organization. A renewed certificate
 * updates `-cert` alone, a new CA `-cacert` too, another builder `-nodes` alone. Delete removes all; it
 * revokes nothing.
 *
 * ```ts
 * new BuilderSecrets("images", {
 *   repository: "images",
 *   caCertPem: ca.certPem,
 *   certPem: client.certPem,
 *   privateKeyPem: client.privateKeyPem,
 *   builders: [{ name: "visionfive", endpoint: board.endpoint, platforms: board.platforms }],
 * });
 * ```
 */
export class BuilderSecrets extends pulumi.ComponentResource {
  constructor(name: string, args: BuilderSecretsArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("buildhosts:index:BuilderSecrets", name, {}, opts);
    const place = placeOf(name, args, this);
    const prefix = args.prefix ?? "BUILDER";
    const rewrite = args.rewrite ?? "never";
    const pem = {
      CACERT: place.secret("cacert", `${prefix}_AUTH_TLS_CACERT`, args.caCertPem, rewrite),
      CERT: place.secret("cert", `${prefix}_AUTH_TLS_CERT`, args.certPem, rewrite),
      KEY: place.secret("key", `${prefix}_AUTH_TLS_KEY`, args.privateKeyPem, rewrite),
    };
    place.variable(
      "written",
      `${prefix}_SECRETS`,
      pulumi
        .all(pem)
        .apply((times) => JSON.stringify({ by: args.writtenBy, rewrite, written: times })),
    );
    place.variable(
      "nodes",
      `${prefix}_NODES`,
      pulumi
        .all(
          args.builders.map((one) =>
            pulumi.all([one.name, one.endpoint, one.platforms, one.domain] as const),
          ),
        )
        .apply((all) =>
          JSON.stringify(
            all.map(([node, endpoint, platforms, domain]) => ({
              ...{ name: node, endpoint, platforms, domain },
            })),
          ),
        ),
    );
    this.registerOutputs({});
  }
}

/** Where secrets and variables are made: each place has resources of its own for them. */
interface Place {
  /** @returns when it was written */
  secret(
    role: string,
    name: string,
    value: pulumi.Input<string>,
    rewrite: string,
  ): pulumi.Output<string>;
  variable(role: string, name: string, value: pulumi.Input<string>): void;
}

function placeOf(name: string, args: BuilderSecretsArgs, parent: pulumi.Resource): Place {
  const { repository, environment } = args;
  if (repository === undefined && environment !== undefined) {
    throw new Error(`${name}: an environment belongs to a repository; name the repository`);
  }
  const opts = { parent, deleteBeforeReplace: true };
  const written = (rewrite: string) => ({ ...opts, replacementTrigger: rewrite });
  if (repository !== undefined && environment !== undefined) {
    return {
      secret: (role, secretName, value, rewrite) =>
        new github.ActionsEnvironmentSecret(
          `${name}-${role}`,
          { repository, environment, secretName, value: pulumi.secret(value) },
          written(rewrite),
        ).updatedAt,
      variable: (role, variableName, value) =>
        new github.ActionsEnvironmentVariable(
          `${name}-${role}`,
          { repository, environment, variableName, value },
          opts,
        ),
    };
  }
  if (repository !== undefined) {
    return {
      secret: (role, secretName, value, rewrite) =>
        new github.ActionsSecret(
          `${name}-${role}`,
          { repository, secretName, value: pulumi.secret(value) },
          written(rewrite),
        ).updatedAt,
      variable: (role, variableName, value) =>
        new github.ActionsVariable(`${name}-${role}`, { repository, variableName, value }, opts),
    };
  }
  const who = {
    visibility: args.visibility ?? "private",
    selectedRepositoryIds: args.selectedRepositoryIds,
  };
  return {
    secret: (role, secretName, value, rewrite) =>
      new github.ActionsOrganizationSecret(
        `${name}-${role}`,
        { ...who, secretName, value: pulumi.secret(value) },
        written(rewrite),
      ).updatedAt,
    variable: (role, variableName, value) =>
      new github.ActionsOrganizationVariable(
        `${name}-${role}`,
        { ...who, variableName, value },
        opts,
      ),
  };
}

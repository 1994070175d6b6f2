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
  /** The repositories that see an organization's secrets. Default: `private`, its private repositories. */
  visibility?: SecretVisibility;
  /** With `selected`: ids of the repositories. Default: none. */
  selectedRepositoryIds?: pulumi.Input<pulumi.Input<number>[]>;
  /** The CA's certificate, PEM. */
  caCertPem: pulumi.Input<string>;
  /** A client's certificate, PEM. */
  certPem: pulumi.Input<string>;
  /** Its key, PEM. */
  privateKeyPem: pulumi.Input<string>;
  /** All that the client can build on. */
  builders: BuilderNodeArgs[];
  /**
   * A new text makes the next update write all secrets again, for instance because somebody else changed one.
   * Default: `never`.
   */
  rewrite?: string;
  /** The writer of the secrets, for BUILDER_SECRETS. Default: none. */
  writtenBy?: pulumi.Input<string>;
  /** The beginning of the names, for a repository that uses the builders of several stacks. Default: `BUILDER`. */
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
  /** @throws {pulumi.ResourceError} for an environment without its repository. */
  constructor(name: string, args: BuilderSecretsArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("buildhosts:index:BuilderSecrets", name, {}, opts);
    const writer = writerOf(name, args, this);
    const prefix = args.prefix ?? "BUILDER";
    const rewrite = args.rewrite ?? "never";
    const pem = {
      CACERT: writer.secret("cacert", `${prefix}_AUTH_TLS_CACERT`, args.caCertPem, rewrite),
      CERT: writer.secret("cert", `${prefix}_AUTH_TLS_CERT`, args.certPem, rewrite),
      KEY: writer.secret("key", `${prefix}_AUTH_TLS_KEY`, args.privateKeyPem, rewrite),
    };
    writer.variable(
      "written",
      `${prefix}_SECRETS`,
      pulumi
        .all({ by: args.writtenBy, ...pem })
        .apply(({ by, ...written }) => JSON.stringify({ by, rewrite, written })),
    );
    writer.variable(
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

/** Makes secrets and variables in a repository, an environment or an organization. The provider has resources of its own for each. */
interface SettingsWriter {
  /** @returns when it was written */
  secret(
    role: string,
    name: string,
    value: pulumi.Input<string>,
    rewrite: string,
  ): pulumi.Output<string>;
  variable(role: string, name: string, value: pulumi.Input<string>): void;
}

function writerOf(name: string, args: BuilderSecretsArgs, parent: pulumi.Resource): SettingsWriter {
  const { repository, environment } = args;
  if (repository === undefined && environment !== undefined) {
    throw new pulumi.ResourceError(
      `${name}: an environment belongs to a repository; name the repository`,
      parent,
      true,
    );
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

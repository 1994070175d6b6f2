import * as pulumi from "@pulumi/pulumi";
import { type LeafCertificateArgs, leafCertificate } from "./leafCertificate.ts";

export interface ServerCertificateArgs extends LeafCertificateArgs {
  /** DNS names that clients reach the builder by. Default: none. */
  dnsNames?: pulumi.Input<pulumi.Input<string>[]>;
  /** Addresses that clients reach the builder by. Default: none. */
  ipAddresses?: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Counted up, it gives the builder a new key, with a certificate for it. A renewal keeps the key; the certificate of
   * the old one is accepted until its end. Default: 1.
   */
  keyNumber?: number;
}

/**
 * A builder has a key and a certificate for server use only, valid for exactly the names given; it
 * cannot be shown as a client's. It lives in the stack's state, the key as a secret, until a builder
 * takes it to its host; deleting it takes it from the state.
 *
 * ```ts
 * const server = new ServerCertificate("board-1", {
 *   caCertPem: ca.certPem,
 *   caPrivateKeyPem: ca.privateKeyPem,
 *   dnsNames: ["board-1.example.com"],
 * });
 * ```
 */
export class ServerCertificate extends pulumi.ComponentResource {
  /** PEM; not secret. */
  readonly certPem: pulumi.Output<string>;
  /** PEM; secret. */
  readonly privateKeyPem: pulumi.Output<string>;
  /** RFC 3339. */
  readonly validityStartTime: pulumi.Output<string>;
  /** RFC 3339. */
  readonly validityEndTime: pulumi.Output<string>;

  /** @throws {pulumi.ResourceError} for a validity that every update would renew, or a number of a key below 1. */
  constructor(
    name: string,
    args: ServerCertificateArgs,
    opts: pulumi.ComponentResourceOptions = {},
  ) {
    super("buildhosts:index:ServerCertificate", name, {}, opts);
    const leaf = leafCertificate(name, { ...args, use: "server_auth" }, this);
    this.certPem = leaf.certPem;
    this.privateKeyPem = leaf.privateKeyPem;
    this.validityStartTime = leaf.validityStartTime;
    this.validityEndTime = leaf.validityEndTime;
    this.registerOutputs({ certPem: this.certPem });
  }
}

import * as pulumi from "@pulumi/pulumi";
import { type LeafCertificateArgs, leafCertificate } from "./leafCertificate.ts";

export interface ClientCertificateArgs extends LeafCertificateArgs {
  /**
   * Counted up, it gives the client a new key, with a certificate for it. A renewal keeps the key; the certificate of
   * the old one is accepted until its end. Default: 1.
   */
  keyNumber?: number;
}

/**
 * A client has a key and a certificate for client use only, which every builder of the same CA obeys
 * in full: BuildKit has no lesser right.
 *
 * It lives in the stack's state, the key as a secret. Delete removes it from the state but does not
 * revoke it: BuildKit reads no revocation list, so builders accept a copy until it expires, or until
 * another CA takes the place of this one.
 *
 * ```ts
 * const ci = new ClientCertificate("ci", { caCertPem: ca.certPem, caPrivateKeyPem: ca.privateKeyPem });
 * ```
 */
export class ClientCertificate extends pulumi.ComponentResource {
  /** PEM; not secret. */
  readonly certPem: pulumi.Output<string>;
  /** PEM; secret. */
  readonly privateKeyPem: pulumi.Output<string>;
  /** RFC 3339. */
  readonly validityEndTime: pulumi.Output<string>;

  /** @throws {pulumi.ResourceError} for a validity that every update would renew, or a number of a key below 1. */
  constructor(
    name: string,
    args: ClientCertificateArgs,
    opts: pulumi.ComponentResourceOptions = {},
  ) {
    super("buildhosts:index:ClientCertificate", name, {}, opts);
    const leaf = leafCertificate(name, { ...args, use: "client_auth" }, this);
    this.certPem = leaf.certPem;
    this.privateKeyPem = leaf.privateKeyPem;
    this.validityEndTime = leaf.validityEndTime;
    this.registerOutputs({ certPem: this.certPem });
  }
}

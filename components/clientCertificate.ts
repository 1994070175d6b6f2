import * as pulumi from "@pulumi/pulumi";
import type { KeyAlgorithm } from "./certificates.ts";
import { leafCertificate } from "./leafCertificate.ts";

export interface ClientCertificateArgs {
  /** Of the CA that signs: its certificate, PEM. */
  caCertPem: pulumi.Input<string>;
  /** Of the CA that signs: its key, PEM. */
  caPrivateKeyPem: pulumi.Input<string>;
  /** The client's name, the certificate's common name. Default: the resource's name. */
  commonName?: pulumi.Input<string>;
  /** Default: none. */
  organization?: pulumi.Input<string>;
  /** Of the key. Default: `ECDSA` (P-256). */
  algorithm?: KeyAlgorithm;
  /** How long the certificate is valid, in hours. Default: 8760, a year. */
  validityHours?: number;
  /** How long before its end an update renews it, in hours. Default: 720, 30 days. */
  earlyRenewalHours?: number;
  /**
   * Counted up, it gives the client a new key, with a certificate for it. A renewal keeps the key; the certificate of
   * the old one is accepted until its end. Default: 1.
   */
  keyNumber?: number;
}

/**
 * A client has a key and a certificate for client use only, which every builder of the same CA obeys
 * in full: BuildKit knows no lesser right.
 *
 * It lives in the stack's state, the key as a secret. Deleting it takes it from the state but does not
 * revoke it: BuildKit reads no revocation list, so a copy that left the state is accepted until its
 * end, or until the CA is replaced.
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

  constructor(
    name: string,
    args: ClientCertificateArgs,
    opts: pulumi.ComponentResourceOptions = {},
  ) {
    super("buildhosts:index:ClientCertificate", name, {}, opts);
    const leaf = leafCertificate(
      name,
      {
        algorithm: args.algorithm,
        caCertPem: args.caCertPem,
        caPrivateKeyPem: args.caPrivateKeyPem,
        commonName: args.commonName ?? name,
        organization: args.organization,
        use: "client_auth",
        validityHours: args.validityHours,
        earlyRenewalHours: args.earlyRenewalHours,
        keyNumber: args.keyNumber,
      },
      this,
    );
    this.certPem = leaf.certPem;
    this.privateKeyPem = leaf.privateKeyPem;
    this.validityEndTime = leaf.validityEndTime;
    this.registerOutputs({ certPem: this.certPem });
  }
}

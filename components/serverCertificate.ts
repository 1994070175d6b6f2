import * as pulumi from "@pulumi/pulumi";
import type { KeyAlgorithm } from "./certificates.ts";
import { leafCertificate } from "./leafCertificate.ts";

export interface ServerCertificateArgs {
  /** Of the CA that signs: its certificate, PEM. */
  caCertPem: pulumi.Input<string>;
  /** Of the CA that signs: its key, PEM. */
  caPrivateKeyPem: pulumi.Input<string>;
  /** DNS names that clients reach the builder by. Default: none. */
  dnsNames?: pulumi.Input<pulumi.Input<string>[]>;
  /** Addresses that clients reach the builder by. Default: none. */
  ipAddresses?: pulumi.Input<pulumi.Input<string>[]>;
  /** Default: the resource's name. */
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

  constructor(
    name: string,
    args: ServerCertificateArgs,
    opts: pulumi.ComponentResourceOptions = {},
  ) {
    super("buildhosts:index:ServerCertificate", name, {}, opts);
    const leaf = leafCertificate(
      name,
      {
        algorithm: args.algorithm,
        caCertPem: args.caCertPem,
        caPrivateKeyPem: args.caPrivateKeyPem,
        commonName: args.commonName ?? name,
        organization: args.organization,
        dnsNames: args.dnsNames,
        ipAddresses: args.ipAddresses,
        use: "server_auth",
        validityHours: args.validityHours,
        earlyRenewalHours: args.earlyRenewalHours,
        keyNumber: args.keyNumber,
      },
      this,
    );
    this.certPem = leaf.certPem;
    this.privateKeyPem = leaf.privateKeyPem;
    this.validityStartTime = leaf.validityStartTime;
    this.validityEndTime = leaf.validityEndTime;
    this.registerOutputs({ certPem: this.certPem });
  }
}

import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { type KeyAlgorithm, keyArgs, requireRenewable } from "./certificateArguments.ts";

export interface CertificateAuthorityArgs {
  /** Of the CA's key. Default: `ECDSA` (P-256). */
  algorithm?: KeyAlgorithm;
  /** The CA's name in its certificate. Default: the resource's name. */
  commonName?: pulumi.Input<string>;
  /** Default: none. */
  organization?: pulumi.Input<string>;
  /** How long the certificate is valid, in hours. Default: 87600, ten years. */
  validityHours?: number;
  /** How long before its end it is replaced, in hours. Default: 8760, a year. */
  earlyRenewalHours?: number;
}

/**
 * A certificate authority exists: a key, and a certificate that it signed for itself. Whoever holds
 * the key can make certificates that every builder of this CA obeys.
 *
 * Both live in the stack's state alone, the key as a secret. It puts nothing on a host, and delete removes
 * it from the state. With the option `protect: true` Pulumi refuses that. Its replacement
 * replaces every certificate that it signed.
 *
 * ```ts
 * const ca = new CertificateAuthority("builders", { organization: "Example" }, { protect: true });
 * ```
 */
export class CertificateAuthority extends pulumi.ComponentResource {
  /** PEM; not secret. */
  readonly certPem: pulumi.Output<string>;
  /** PEM; secret. */
  readonly privateKeyPem: pulumi.Output<string>;
  /** RFC 3339. */
  readonly validityStartTime: pulumi.Output<string>;
  /** RFC 3339. */
  readonly validityEndTime: pulumi.Output<string>;

  /** @throws {pulumi.ResourceError} for a validity that every update would renew. */
  constructor(
    name: string,
    args: CertificateAuthorityArgs = {},
    opts: pulumi.ComponentResourceOptions = {},
  ) {
    super("buildhosts:index:CertificateAuthority", name, {}, opts);
    const validityPeriodHours = args.validityHours ?? 87_600;
    const earlyRenewalHours = args.earlyRenewalHours ?? 8_760;
    requireRenewable(name, validityPeriodHours, earlyRenewalHours, this);

    const key = new tls.PrivateKey(`${name}-key`, keyArgs(args.algorithm), { parent: this });
    const certificate = new tls.SelfSignedCert(
      `${name}-certificate`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: args.commonName ?? name, organization: args.organization },
        validityPeriodHours,
        earlyRenewalHours,
        isCaCertificate: true,
        setSubjectKeyId: true,
        allowedUses: ["cert_signing", "crl_signing"],
      },
      { parent: this },
    );

    this.certPem = certificate.certPem;
    this.privateKeyPem = pulumi.secret(key.privateKeyPem);
    this.validityStartTime = certificate.validityStartTime;
    this.validityEndTime = certificate.validityEndTime;
    this.registerOutputs({ certPem: this.certPem });
  }
}

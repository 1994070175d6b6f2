import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { type KeyAlgorithm, keyArgs, requireRenewable } from "./certificates.ts";

export interface LeafCertificate {
  certPem: pulumi.Output<string>;
  /** Secret. */
  privateKeyPem: pulumi.Output<string>;
  validityStartTime: pulumi.Output<string>;
  validityEndTime: pulumi.Output<string>;
}

export interface LeafCertificateArgs {
  algorithm: KeyAlgorithm | undefined;
  caCertPem: pulumi.Input<string>;
  caPrivateKeyPem: pulumi.Input<string>;
  commonName: pulumi.Input<string>;
  organization: pulumi.Input<string> | undefined;
  dnsNames?: pulumi.Input<pulumi.Input<string>[]>;
  ipAddresses?: pulumi.Input<pulumi.Input<string>[]>;
  use: "server_auth" | "client_auth";
  validityHours: number | undefined;
  earlyRenewalHours: number | undefined;
}

/** The key, request and certificate of one leaf, as children of `parent`: `-key`, `-request`, `-certificate`. */
export function leafCertificate(
  name: string,
  args: LeafCertificateArgs,
  parent: pulumi.Resource,
): LeafCertificate {
  const validityPeriodHours = args.validityHours ?? 2_160;
  const earlyRenewalHours = args.earlyRenewalHours ?? 720;
  requireRenewable(name, validityPeriodHours, earlyRenewalHours);

  const key = new tls.PrivateKey(`${name}-key`, keyArgs(args.algorithm), { parent });
  const request = new tls.CertRequest(
    `${name}-request`,
    {
      privateKeyPem: key.privateKeyPem,
      subject: { commonName: args.commonName, organization: args.organization },
      dnsNames: args.dnsNames,
      ipAddresses: args.ipAddresses,
    },
    { parent },
  );
  const certificate = new tls.LocallySignedCert(
    `${name}-certificate`,
    {
      certRequestPem: request.certRequestPem,
      caCertPem: args.caCertPem,
      caPrivateKeyPem: args.caPrivateKeyPem,
      validityPeriodHours,
      earlyRenewalHours,
      setSubjectKeyId: true,
      allowedUses: ["digital_signature", args.use],
    },
    { parent },
  );
  return {
    certPem: certificate.certPem,
    privateKeyPem: pulumi.secret(key.privateKeyPem),
    validityStartTime: certificate.validityStartTime,
    validityEndTime: certificate.validityEndTime,
  };
}

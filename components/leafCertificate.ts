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
  /** Which key of this leaf it is: another number makes a new one. Default: 1. */
  keyNumber?: number | undefined;
}

/** The key, request and certificate of one leaf, as children of `parent`: `-key` (the second one is `-key-2`), `-request`, `-certificate`. */
export function leafCertificate(
  name: string,
  args: LeafCertificateArgs,
  parent: pulumi.Resource,
): LeafCertificate {
  const validityPeriodHours = args.validityHours ?? 8_760;
  const earlyRenewalHours = args.earlyRenewalHours ?? 720;
  requireRenewable(name, validityPeriodHours, earlyRenewalHours);

  const { keyNumber = 1 } = args;
  if (!Number.isInteger(keyNumber) || keyNumber < 1) {
    throw new Error(`${name}: keyNumber is ${keyNumber}; a whole number from 1 is needed`);
  }
  // The first one's name is without a number, as that of every key was before there was another.
  const keyName = keyNumber === 1 ? `${name}-key` : `${name}-key-${keyNumber}`;
  const key = new tls.PrivateKey(keyName, keyArgs(args.algorithm), { parent });
  const request = new tls.CertRequest(
    `${name}-request`,
    {
      privateKeyPem: key.privateKeyPem,
      subject: { commonName: args.commonName, organization: args.organization },
      dnsNames: args.dnsNames,
      ipAddresses: args.ipAddresses,
    },
    // A name for people, which nobody verifies: a host with another one keeps its certificate.
    { parent, ignoreChanges: ["subject.commonName"] },
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

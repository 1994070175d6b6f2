import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { type KeyAlgorithm, keyArgs, requireRenewable } from "./certificateArguments.ts";

export interface LeafCertificate {
  certPem: pulumi.Output<string>;
  /** Secret. */
  privateKeyPem: pulumi.Output<string>;
  validityStartTime: pulumi.Output<string>;
  validityEndTime: pulumi.Output<string>;
}

/** The arguments that a builder's certificate and a client's certificate share. */
export interface LeafCertificateArgs {
  /** Of the CA that signs: its certificate, PEM. */
  caCertPem: pulumi.Input<string>;
  /** Of the CA that signs: its key, PEM. */
  caPrivateKeyPem: pulumi.Input<string>;
  /** The name of the builder, or of the client. Default: the resource's name. */
  commonName?: pulumi.Input<string>;
  /** Default: none. */
  organization?: pulumi.Input<string>;
  /** Of the key. Default: `ECDSA` (P-256). */
  algorithm?: KeyAlgorithm;
  /** How long the certificate is valid, in hours. Default: 8760, a year. */
  validityHours?: number;
  /** How long before its end an update renews it, in hours. Default: 720, 30 days. */
  earlyRenewalHours?: number;
}

/** The arguments of only one of the two. */
interface LeafUse {
  use: "server_auth" | "client_auth";
  dnsNames?: pulumi.Input<pulumi.Input<string>[]>;
  ipAddresses?: pulumi.Input<pulumi.Input<string>[]>;
  /** Which key of this leaf it is: another number makes a new one. Default: 1. */
  keyNumber?: number | undefined;
}

/** The key, request and certificate of one leaf, as children of `parent`: `-key` (the second one is `-key-2`), `-request`, `-certificate`. */
export function leafCertificate(
  name: string,
  args: LeafCertificateArgs & LeafUse,
  parent: pulumi.Resource,
): LeafCertificate {
  const validityPeriodHours = args.validityHours ?? 8_760;
  const earlyRenewalHours = args.earlyRenewalHours ?? 720;
  requireRenewable(name, validityPeriodHours, earlyRenewalHours, parent);

  const { keyNumber = 1 } = args;
  if (!Number.isInteger(keyNumber) || keyNumber < 1) {
    throw new pulumi.ResourceError(
      `${name}: keyNumber is ${keyNumber}; a whole number from 1 is needed`,
      parent,
      true,
    );
  }
  // The first one's name is without a number, as that of every key was before there was another.
  const keyName = keyNumber === 1 ? `${name}-key` : `${name}-key-${keyNumber}`;
  const key = new tls.PrivateKey(keyName, keyArgs(args.algorithm), { parent });
  const request = new tls.CertRequest(
    `${name}-request`,
    {
      privateKeyPem: key.privateKeyPem,
      subject: { commonName: args.commonName ?? name, organization: args.organization },
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

import type { Resource } from "@pulumi/pulumi";
import type { CertificateAuthority } from "../components/certificateAuthority.ts";
import { renamed } from "../components/renamed.ts";
import { ServerCertificate } from "../components/serverCertificate.ts";
import type { CertificateConfig, CertificateNames } from "../config/stackConfig.ts";

/**
 * A server certificate for one builder, whatever kind of host it runs on.
 *
 * @param after what must be there first.
 */
export function builderCertificate(
  { name, certificateNames }: { name: string; certificateNames: CertificateNames },
  certificates: CertificateConfig,
  ca: CertificateAuthority,
  formerName?: string,
  after?: Promise<Resource>,
): ServerCertificate {
  const args = {
    caCertPem: ca.certPem,
    caPrivateKeyPem: ca.privateKeyPem,
    commonName: name,
    organization: certificates.organization,
    dnsNames: certificateNames.dnsNames,
    ipAddresses: certificateNames.ipAddresses,
    algorithm: certificates.algorithm,
    validityHours: certificates.validityHours,
    earlyRenewalHours: certificates.earlyRenewalHours,
    keyNumber: certificates.builderKeys[name],
  };
  const former = formerName === undefined ? undefined : `${formerName}-server`;
  const opts = after ? { dependsOn: after } : {};
  return new ServerCertificate(`${name}-server`, args, renamed(opts, former));
}

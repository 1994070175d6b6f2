import { CertificateAuthority } from "../components/certificateAuthority.ts";
import { ClientCertificate } from "../components/clientCertificate.ts";
import { HEALTH_CHECK } from "../config/certificates.ts";
import type { StackConfig } from "../config/stackConfig.ts";

/** The CA of a stack and everything about it that its builders and clients need. */
export interface StackCertificates {
  ca: CertificateAuthority;
  clients: Record<string, ClientCertificate>;
  /** The stack's own client, which asks a builder for its health after a change. */
  healthCheck: ClientCertificate;
}

/** One CA, a certificate for each client that the stack names, and one for the health checks. */
export function stackCertificates({ certificates, clients }: StackConfig): StackCertificates {
  const ca = new CertificateAuthority(
    "ca",
    {
      algorithm: certificates.algorithm,
      commonName: `${certificates.organization} builders`,
      organization: certificates.organization,
      validityHours: certificates.caValidityHours,
      earlyRenewalHours: certificates.caEarlyRenewalHours,
    },
    { protect: certificates.protectCa },
  );
  const client = (name: string) =>
    new ClientCertificate(`client-${name}`, {
      caCertPem: ca.certPem,
      caPrivateKeyPem: ca.privateKeyPem,
      commonName: name,
      organization: certificates.organization,
      algorithm: certificates.algorithm,
      validityHours: certificates.validityHours,
      earlyRenewalHours: certificates.earlyRenewalHours,
      keyNumber: certificates.clientKeys[name],
    });
  return {
    ca,
    clients: Object.fromEntries(clients.map((name) => [name, client(name)])),
    healthCheck: client(HEALTH_CHECK),
  };
}

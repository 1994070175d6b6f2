import type { Resource } from "@pulumi/pulumi";
import { CertificateAuthority } from "../components/certificateAuthority.ts";
import { ClientCertificate } from "../components/clientCertificate.ts";
import { renamed } from "../components/renamed.ts";
import { ServerCertificate } from "../components/serverCertificate.ts";
import { HEALTH_CHECK } from "../config/certificates.ts";
import { poolClient } from "../config/pools.ts";
import type { CertificateNames, StackConfig } from "../config/stackConfig.ts";

/** The CA of a stack and everything about it that its builders and clients need. */
export interface StackCertificates {
  ca: CertificateAuthority;
  clients: Record<string, ClientCertificate>;
  /** The stack's own client, which asks a builder for its health after a change. */
  healthCheck: ClientCertificate;
  /** The client of a pool, which asks its builders for their health all the time. */
  poolClient(pool: string): ClientCertificate;
  /** A certificate for a builder, whatever kind of host it runs on; `after` must be there first. */
  server(
    builder: string,
    names: CertificateNames,
    opts?: { formerName?: string; after?: Promise<Resource> },
  ): ServerCertificate;
}

/** One CA, a certificate for each client that the stack names, and one for the health checks. */
export function stackCertificates({ certificates, clients }: StackConfig): StackCertificates {
  const { leaf, clientKeys, builderKeys, protectCa: protect } = certificates;
  const ca = new CertificateAuthority("ca", certificates.ca, { protect });
  const signed = { ...leaf, caCertPem: ca.certPem, caPrivateKeyPem: ca.privateKeyPem };
  const client = (name: string) =>
    new ClientCertificate(`client-${name}`, {
      ...signed,
      commonName: name,
      keyNumber: clientKeys[name],
    });
  return {
    ca,
    clients: Object.fromEntries(clients.map((name) => [name, client(name)])),
    healthCheck: client(HEALTH_CHECK),
    poolClient: (pool) => client(poolClient(pool)),
    server: (builder, names, { formerName, after } = {}) =>
      new ServerCertificate(
        `${builder}-server`,
        { ...signed, ...names, commonName: builder, keyNumber: builderKeys[builder] },
        renamed(after ? { dependsOn: after } : {}, formerName && `${formerName}-server`),
      ),
  };
}

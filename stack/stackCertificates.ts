import { CertificateAuthority } from "../components/certificateAuthority.ts";
import { ClientCertificate } from "../components/clientCertificate.ts";
import { renamed } from "../components/renamed.ts";
import { ServerCertificate } from "../components/serverCertificate.ts";
import { HEALTH_CHECK } from "../config/certificateConfig.ts";
import { poolClient } from "../config/pools.ts";
import type { StackConfig } from "../config/stackConfig.ts";
import type { StackCertificates } from "../hosts/hostKind.ts";

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

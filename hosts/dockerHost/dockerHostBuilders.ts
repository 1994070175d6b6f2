import { BuilderContainer } from "../../components/builderContainer.ts";
import { dockerConnection, dockerProvider } from "../../components/container/connection.ts";
import { HostEmulation } from "../../components/hostEmulation.ts";
import type { Builder, StackCertificates } from "../hostKind.ts";
import type { Drift } from "../hostLook.ts";
import type { DockerHostConfig } from "./resolveDockerHost.ts";

/** The builders of a Docker host: one provider, and for each a container and a server certificate. */
export function dockerHostBuilders(
  { name: host, connection, emulation, builders }: DockerHostConfig,
  { ca, healthCheck, server }: StackCertificates,
  drift: Drift,
): Builder[] {
  const provider = dockerProvider(`${host}-docker`, dockerConnection(host, connection));
  const opts = { providers: [provider] };
  const emulated =
    emulation && new HostEmulation(`${host}-emulation`, { ...emulation, connection }, opts);
  return builders.map(({ name, certificateNames, ...args }) => {
    const { endpoint, platforms } = new BuilderContainer(
      name,
      {
        ...args,
        connection,
        emulated: emulated?.platforms,
        caCertPem: ca.certPem,
        certificate: server(name, certificateNames),
        healthCheck,
        ...(drift.has(name) && { mended: drift.get(name) as string }),
      },
      opts,
    );
    return { name, endpoint, platforms, serverName: args.serverName };
  });
}

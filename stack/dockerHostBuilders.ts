import { BuilderContainer } from "../components/builderContainer.ts";
import { type DaemonFile, withRegistryFiles } from "../components/buildkitd/registryFiles.ts";
import {
  type DockerConnectionArgs,
  dockerConnection,
  dockerProvider,
} from "../components/container/connection.ts";
import { HostEmulation } from "../components/hostEmulation.ts";
import type { DockerConnection, DockerHostConfig, StackConfig } from "../config/stackConfig.ts";
import type { Builder } from "./builder.ts";
import { builderCertificate } from "./builderCertificate.ts";
import type { StackCertificates } from "./stackCertificates.ts";

/** The builders of a Docker host: one provider, and for each a container and a server certificate. */
export function dockerHostBuilders(
  host: DockerHostConfig,
  { certificates }: StackConfig,
  { ca, healthCheck }: StackCertificates,
): Builder[] {
  const connection = { ...connectionArgs(host.connection), registryAuth: host.registryAuth };
  const provider = dockerProvider(`${host.name}-docker`, dockerConnection(host.name, connection));
  const emulated =
    host.emulation.length === 0
      ? []
      : new HostEmulation(
          `${host.name}-emulation`,
          {
            connection,
            platforms: host.emulation,
            image: host.emulationImage,
            abandon: host.abandon,
          },
          { providers: [provider] },
        ).platforms;
  return host.builders.map((builder) => {
    const pathOf = ({ name }: DaemonFile) => `/etc/buildkit/${name}`;
    const { settings, files } = withRegistryFiles(
      builder.buildkitd,
      builder.registryCertificates,
      pathOf,
    );
    const { endpoint, platforms } = new BuilderContainer(
      builder.name,
      {
        connection,
        image: builder.image,
        platform: host.platform,
        platforms: builder.platforms,
        emulated,
        caCertPem: ca.certPem,
        certificate: builderCertificate(builder, certificates, ca),
        healthCheck,
        serverName: builder.serverName,
        endpoint: builder.endpoint,
        containerName: builder.containerName,
        publish: builder.publish,
        rootless: builder.rootless,
        network: builder.network,
        ...(builder.cachePath === undefined
          ? { cacheVolume: builder.cacheVolume }
          : { cachePath: builder.cachePath }),
        adoptCache: builder.adoptCache,
        protectCache: builder.protectCache,
        removeCacheOnDelete: builder.removeCacheOnDelete,
        restart: builder.restart,
        memoryMb: builder.memoryMb,
        cpus: builder.cpus,
        labels: builder.labels,
        init: builder.init,
        networks: builder.networks.length > 0 ? builder.networks : undefined,
        environment: builder.environment,
        buildkitd: settings,
        files: files.map((file) => ({ ...file, path: pathOf(file) })),
        startSeconds: builder.startSeconds,
        abandon: host.abandon,
      },
      { providers: [provider] },
    );
    return { name: builder.name, endpoint, platforms, serverName: builder.serverName };
  });
}

function connectionArgs(connection: DockerConnection): DockerConnectionArgs {
  switch (connection.kind) {
    case "unix":
      return { url: connection.url };
    case "ssh": {
      const { url, hostKey, key } = connection;
      return { url, hostKey, privateKey: key.kind === "privateKey" ? key.privateKey : undefined };
    }
    case "tls": {
      const { url, caCertPem, certPem, privateKeyPem } = connection;
      return { url, tls: { caCertPem, certPem, privateKeyPem } };
    }
  }
}

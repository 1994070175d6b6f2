import { secret } from "@pulumi/pulumi";
import type { BuilderContainerArgs } from "../../components/builderContainer.ts";
import type {
  DockerConnectionArgs,
  RegistryAuthArgs,
} from "../../components/container/connection.ts";
import type { HostEmulationArgs } from "../../components/hostEmulation.ts";
import { hostFromUrl } from "../../components/socketAddress.ts";
import { isWildcard } from "../../config/addresses.ts";
import { certificateNames } from "../../config/certificateConfig.ts";
import { type Endpoint, endpointUrl } from "../../config/endpoint.ts";
import type { Findings } from "../../config/findings.ts";
import { type Machine, readPassword, readPem } from "../../config/machineFiles.ts";
import { readRegistryCertificates } from "../../config/registryCertificates.ts";
import { findSshKey } from "../../config/sshKey.ts";
import type { BuilderConfig } from "../../config/stackConfig.ts";
import { daemonEnvironment } from "../daemonEnvironment.ts";
import type { HostContext } from "../hostKind.ts";
import {
  type BuilderContainerInput,
  type DockerHostInput,
  parseDockerUrl,
  type RegistryAuthInput,
} from "./dockerHostSchema.ts";

export interface DockerHostConfig {
  name: string;
  connection: DockerConnectionArgs;
  /** Absent where the host emulates no other platform. */
  emulation?: Omit<HostEmulationArgs, "connection">;
  builders: ContainerConfig[];
}

/** A builder's name, the names in its certificate, and the arguments of its component without what others give it. */
export type ContainerConfig = BuilderConfig &
  Omit<
    BuilderContainerArgs,
    "connection" | "emulated" | "caCertPem" | "certificate" | "healthCheck" | "mended"
  >;

/** A Docker host with every default filled in; undefined if a key or a file is missing. */
export function resolveDockerHost(
  host: DockerHostInput,
  context: HostContext,
  findings: Findings,
): DockerHostConfig | undefined {
  const builders = host.builders.map((builder, index) =>
    resolveContainer(builder, host, context, findings.at("builders", index)),
  );
  const connection = dockerConnection(host, context, findings);
  const registryAuth = host.registryAuth.map((login, index) =>
    registryLogin(login, context.machine, findings.at("registryAuth", index)),
  );
  if (
    !connection ||
    !registryAuth.every((login) => login !== undefined) ||
    !builders.every((builder) => builder !== undefined)
  ) {
    return undefined;
  }
  const { name, emulation, emulationImage, abandon } = host;
  return {
    name,
    connection: { ...connection, registryAuth },
    ...(emulation.length > 0 && {
      emulation: { platforms: emulation, image: emulationImage, abandon },
    }),
    builders,
  };
}

function registryLogin(
  { address, username, passwordFile }: RegistryAuthInput,
  machine: Machine,
  findings: Findings,
): RegistryAuthArgs | undefined {
  const password = readPassword(passwordFile, machine, findings.at("passwordFile"));
  return password === undefined ? undefined : { address, username, password: secret(password) };
}

function dockerConnection(
  { docker: url, hostKey, ssh, tls }: DockerHostInput,
  { stackKey, machine }: HostContext,
  findings: Findings,
): DockerConnectionArgs | undefined {
  if (url.startsWith("unix:")) return { url };
  if (url.startsWith("ssh:")) {
    const key = ssh ? findSshKey(ssh, machine, findings.at("ssh")) : stackKey;
    return key && hostKey ? { url, hostKey, ...key } : undefined;
  }
  if (!tls) return undefined;
  const at = findings.at("tls");
  const caCertPem = readPem(tls.caFile, "certificate", machine, at.at("caFile"));
  const certPem = readPem(tls.certFile, "certificate", machine, at.at("certFile"));
  const privateKeyPem = readPem(tls.keyFile, "key", machine, at.at("keyFile"));
  return caCertPem && certPem && privateKeyPem
    ? { url, tls: { caCertPem, certPem, privateKeyPem: secret(privateKeyPem) } }
    : undefined;
}

/** The host's name for clients: that of `docker`, or this machine. */
export function hostOf({ docker }: Pick<DockerHostInput, "docker">): string {
  const url = parseDockerUrl(docker);
  return (url && hostFromUrl(url.hostname)) || "localhost";
}

export function publishOf(
  { publish }: BuilderContainerInput,
  { docker }: Pick<DockerHostInput, "docker">,
) {
  const everywhere = docker.startsWith("unix:") ? "127.0.0.1" : "0.0.0.0";
  return { address: publish.address ?? everywhere, port: publish.port };
}

export function containerEndpointOf(
  { endpoint, publish }: BuilderContainerInput,
  host: DockerHostInput,
): Endpoint {
  return endpoint ?? { host: hostOf(host), port: publish.port };
}

/** A renamed container goes on with the cache of its builder. */
export function cacheVolumeOf({ cacheVolume, name }: BuilderContainerInput): string {
  return cacheVolume ?? `${name}-cache`;
}

/** The builder's image. Default: upstream's image of the stack's BuildKit release. */
export function imageOf({ image, rootless }: BuilderContainerInput, buildkit: string): string {
  return image ?? `moby/buildkit:${buildkit}${rootless ? "-rootless" : ""}`;
}

function resolveContainer(
  builder: BuilderContainerInput,
  host: DockerHostInput,
  { releases, extraNames: namesOfStack, machine }: HostContext,
  findings: Findings,
): ContainerConfig | undefined {
  const registryCertificates = readRegistryCertificates(
    builder.registryCertificates,
    machine,
    findings.at("registryCertificates"),
  );
  if (!registryCertificates) return undefined;
  // The keys that become other arguments; the component has the rest under their own names.
  const {
    endpoint: _named,
    registryCertificates: _files,
    extraNames,
    proxies,
    openTelemetry,
    ...args
  } = builder;
  const { platform, emulation, abandon } = host;
  const endpoint = containerEndpointOf(builder, host);
  const publish = publishOf(builder, host);
  return {
    ...(args satisfies Pick<Partial<ContainerConfig>, keyof typeof args>),
    image: imageOf(builder, releases.versions.buildkit),
    containerName: builder.containerName ?? builder.name,
    publish,
    serverName: endpoint.host,
    endpoint: endpointUrl(endpoint),
    certificateNames: certificateNames([
      endpoint.host,
      hostOf(host),
      ...(isWildcard(publish.address) ? [] : [publish.address]),
      ...extraNames,
      ...namesOfStack(builder.name),
    ]),
    platform,
    platforms: builder.buildkitd.worker?.platforms ?? [...new Set([platform, ...emulation])],
    // A folder of the host takes the volume's place.
    cacheVolume: builder.cachePath === undefined ? cacheVolumeOf(builder) : undefined,
    environment: daemonEnvironment(proxies, openTelemetry),
    registryCertificates,
    abandon,
  };
}

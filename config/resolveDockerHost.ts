import { secret } from "@pulumi/pulumi";
import { socketAddress } from "../components/socketAddress.ts";
import { certificateNames } from "./certificates.ts";
import type { Findings } from "./problems.ts";
import { readRegistryCertificates } from "./registryCertificates.ts";
import { environment } from "./resolveBoard.ts";
import {
  type BuilderContainerInput,
  type DockerHostInput,
  parseDockerUrl,
  parseEndpoint,
  type RegistryAuthInput,
} from "./schema.ts";
import { findSshKey, type Machine, readPassword, readPem } from "./sshKey.ts";
import type {
  CertificateConfig,
  ContainerConfig,
  DockerConnection,
  DockerHostConfig,
  ListenAddress,
  RegistryAuth,
  SshKey,
} from "./stackConfig.ts";

/** What a Docker host takes from the rest of the stack. */
export interface DockerHostContext {
  /** The version of BuildKit, for builders that name no image. */
  buildkit: string;
  certificates: CertificateConfig;
  /** The key for hosts that name none; nothing where it cannot be had, which has been said already. */
  stackKey: SshKey | undefined;
  machine: Machine;
}

/** A Docker host with every default filled in; nothing where a key or a file cannot be found. */
export function resolveDockerHost(
  host: DockerHostInput,
  context: DockerHostContext,
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
  const { name, platform, emulation, emulationImage, abandon } = host;
  return { name, connection, registryAuth, platform, emulation, emulationImage, abandon, builders };
}

function registryLogin(
  { address, username, passwordFile }: RegistryAuthInput,
  machine: Machine,
  findings: Findings,
): RegistryAuth | undefined {
  const password = readPassword(passwordFile, machine, findings.at("passwordFile"));
  return password === undefined ? undefined : { address, username, password: secret(password) };
}

function dockerConnection(
  { docker: url, hostKey, ssh, tls }: DockerHostInput,
  { stackKey, machine }: DockerHostContext,
  findings: Findings,
): DockerConnection | undefined {
  if (url.startsWith("unix:")) return { kind: "unix", url };
  if (url.startsWith("ssh:")) {
    const key = ssh ? findSshKey(ssh, machine, findings.at("ssh")) : stackKey;
    return key && hostKey ? { kind: "ssh", url, hostKey, key } : undefined;
  }
  if (!tls) return undefined;
  const at = findings.at("tls");
  const caCertPem = readPem(tls.caFile, "certificate", machine, at.at("caFile"));
  const certPem = readPem(tls.certFile, "certificate", machine, at.at("certFile"));
  const privateKeyPem = readPem(tls.keyFile, "key", machine, at.at("keyFile"));
  return caCertPem && certPem && privateKeyPem
    ? { kind: "tls", url, caCertPem, certPem, privateKeyPem: secret(privateKeyPem) }
    : undefined;
}

/** Where clients find the host: what `docker` names, or this machine. */
export function hostOf({ docker }: Pick<DockerHostInput, "docker">): string {
  const hostname = parseDockerUrl(docker)?.hostname.replace(/^\[|\]$/g, "");
  return hostname || "localhost";
}

export function publishOf(
  { publish }: BuilderContainerInput,
  { docker }: Pick<DockerHostInput, "docker">,
): ListenAddress {
  const everywhere = docker.startsWith("unix:") ? "127.0.0.1" : "0.0.0.0";
  return { address: publish.address ?? everywhere, port: publish.port };
}

export function containerEndpointOf(builder: BuilderContainerInput, host: DockerHostInput): string {
  const address = { address: hostOf(host), port: builder.publish.port };
  return builder.endpoint ?? `tcp://${socketAddress(address)}`;
}

/** A renamed container goes on with the cache of its builder. */
export function cacheVolumeOf({ cacheVolume, name }: BuilderContainerInput): string {
  return cacheVolume ?? `${name}-cache`;
}

/** The stack's release of BuildKit in upstream's image, where a builder names no other. */
export function imageOf({ image, rootless }: BuilderContainerInput, buildkit: string): string {
  return image ?? `moby/buildkit:${buildkit}${rootless ? "-rootless" : ""}`;
}

function resolveContainer(
  builder: BuilderContainerInput,
  host: DockerHostInput,
  { buildkit, certificates, machine }: DockerHostContext,
  findings: Findings,
): ContainerConfig | undefined {
  const registryCertificates = readRegistryCertificates(
    builder.registryCertificates,
    machine,
    findings.at("registryCertificates"),
  );
  if (!registryCertificates) return undefined;
  const containerName = builder.containerName ?? builder.name;
  const endpoint = containerEndpointOf(builder, host);
  const serverName = parseEndpoint(endpoint)?.host ?? hostOf(host);
  const publish = publishOf(builder, host);
  const isWildcard = publish.address === "0.0.0.0" || publish.address === "::";
  const { extraNames } = certificates;
  return {
    name: builder.name,
    image: imageOf(builder, buildkit),
    containerName,
    rootless: builder.rootless,
    network: builder.network,
    publish,
    endpoint,
    serverName,
    certificateNames: certificateNames([
      serverName,
      hostOf(host),
      ...(isWildcard ? [] : [publish.address]),
      ...builder.extraNames,
      ...extraNames.dnsNames,
      ...extraNames.ipAddresses,
    ]),
    platforms: builder.buildkitd.worker?.platforms ?? [
      ...new Set([host.platform, ...host.emulation]),
    ],
    cacheVolume: cacheVolumeOf(builder),
    adoptCache: builder.adoptCache,
    cachePath: builder.cachePath,
    protectCache: builder.protectCache,
    removeCacheOnDelete: builder.removeCacheOnDelete,
    restart: builder.restart,
    memoryMb: builder.memoryMb,
    cpus: builder.cpus,
    labels: builder.labels,
    init: builder.init,
    networks: builder.networks,
    environment: environment(builder.proxies ?? {}, builder.openTelemetry),
    startSeconds: builder.startSeconds,
    buildkitd: builder.buildkitd,
    registryCertificates,
  };
}

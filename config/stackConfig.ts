import type { Input } from "@pulumi/pulumi";
import type { RegistryCertificate } from "../components/buildkitd/registryFiles.ts";
import type { BuildkitdSettings } from "../components/buildkitd/schema.ts";
import type { RepositoryWorkflowSet } from "../components/github/repositoryFiles.ts";

/**
 * A stack's configuration as the composition reads it: checked, complete, every default filled in,
 * virtual boards resolved to where they answer. Composing needs no further decision.
 */
export interface StackConfig {
  releases: ReleaseVersions;
  certificates: CertificateConfig;
  /** Names of the client certificates, in the order of the stack file. */
  clients: string[];
  boards: BoardConfig[];
  dockerHosts: DockerHostConfig[];
  /** Absent where the stack has nothing on GitHub. */
  github?: GithubConfig;
  /** What is accepted but should be known; one line each, path first. */
  warnings: string[];
}

/** Versions as their tags name them: with the leading `v`. */
export interface ReleaseVersions {
  buildkit: string;
  containerd: string;
  runc: string;
  rootlesskit: string;
  /** The stack's lock: sha256, 64 lower-case hex digits, by upstream's asset name. */
  checksums: Record<string, string>;
}

/** Where a board has its releases from. */
export type ReleaseSource =
  /** The board fetches `<mirror>/<owner>/<repo>/releases/download/<tag>/<asset>`; no slash at the end. */
  | { kind: "mirror"; mirror: string }
  /** This machine pushes files from `folder` (absolute), named as upstream's assets, over SSH. */
  | { kind: "push"; folder: string };

export type KeyAlgorithm = "ECDSA" | "ED25519";

export interface CertificateConfig {
  /** ECDSA means P-256. */
  algorithm: KeyAlgorithm;
  organization: string;
  caValidityHours: number;
  caEarlyRenewalHours: number;
  /** Of server and client certificates. */
  validityHours: number;
  earlyRenewalHours: number;
  /** Whether Pulumi refuses to delete the CA. */
  protectCa: boolean;
  /** By client, which key of it this is, where it is not the first. */
  clientKeys: Record<string, number>;
  /** DNS names and addresses added to every server certificate. */
  extraNames: CertificateNames;
}

export interface CertificateNames {
  dnsNames: string[];
  ipAddresses: string[];
}

export type Platform = "linux/amd64" | "linux/arm64" | "linux/riscv64";

export type Worker = "oci" | "containerd";

export type Network = "bridge" | "host";

/** Exactly one way to the private key. */
export type SshKey =
  /** The agent behind SSH_AUTH_SOCK, which the plugin finds itself: its path changes with every login. */
  | { kind: "agent" }
  /** The PEM text of a key, from a file or a secret: a Pulumi secret either way. */
  | { kind: "privateKey"; privateKey: Input<string> };

export interface SshConnection {
  host: string;
  port: number;
  user: string;
  /** `ssh-ed25519 AAAA…` or `ecdsa-sha2-nistp256 AAAA…`: type and base64, nothing else. */
  hostKey: string;
  key: SshKey;
  /** The host that connections go through. */
  jump?: SshConnection;
}

export interface ListenAddress {
  /** An IP address; IPv6 without brackets. */
  address: string;
  port: number;
}

export interface Proxies {
  http?: string;
  https?: string;
  no?: string[];
}

export interface BoardConfig {
  name: string;
  /** A board of the proving ground. */
  virtual: boolean;
  connection: SshConnection;
  platform: Platform;
  /** What the builder offers: `platform`, or `buildkitd.worker.platforms` where that is set. */
  platforms: string[];
  worker: Worker;
  network: Network;
  rootless: boolean;
  listen: ListenAddress;
  socketActivation: boolean;
  /** As clients reach it: `tcp://host:port`. */
  endpoint: string;
  /** Every name and address of the server certificate, without duplicates, the endpoint's host first. */
  certificateNames: CertificateNames;
  /** The host of `endpoint`, without brackets: what clients verify. */
  serverName: string;
  /** Where metrics are served, on loopback: `127.0.0.1:6060`. */
  metricsAddress?: string;
  /** Environment of buildkitd: HTTP_PROXY and the like, OTEL_*. */
  environment: Record<string, string>;
  proxies: Proxies;
  source: ReleaseSource;
  /** How long a restart waits for running builds. */
  drainSeconds: number;
  removeCacheOnDelete: boolean;
  /** The way out for a dead board: delete runs nothing on the host. */
  abandon: boolean;
  /** What it was called before; `project/stack/name` where it was another stack's. */
  formerName?: string | undefined;
  buildkitd: BuildkitdSettings;
  /** By registry's host. */
  registryCertificates: Record<string, RegistryCertificate>;
}

/** How to reach a Docker daemon. */
export type DockerConnection =
  | { kind: "unix"; url: string }
  | { kind: "ssh"; url: string; hostKey: string; key: SshKey }
  /** PEM texts. */
  | { kind: "tls"; url: string; caCertPem: string; certPem: string; privateKeyPem: Input<string> };

/** A login at a registry, for the images that a host pulls. */
export interface RegistryAuth {
  /** The registry's host. */
  address: string;
  username: string;
  password: Input<string>;
}

export interface DockerHostConfig {
  name: string;
  connection: DockerConnection;
  registryAuth: RegistryAuth[];
  platform: Platform;
  /** Other platforms that the host is made to emulate. */
  emulation: string[];
  emulationImage: string;
  /** The way out for a dead host: delete does nothing there. */
  abandon: boolean;
  builders: ContainerConfig[];
}

export interface ContainerConfig {
  name: string;
  image: string;
  containerName: string;
  rootless: boolean;
  network: Network;
  publish: ListenAddress;
  /** As clients reach it: `tcp://host:port`. */
  endpoint: string;
  certificateNames: CertificateNames;
  /** The host of `endpoint`, without brackets: what clients verify. */
  serverName: string;
  /** What the builder offers: the host's and what it emulates, or `buildkitd.worker.platforms`. */
  platforms: string[];
  cacheVolume: string;
  /** The volume is there before, and none of the stack's. */
  adoptCache: boolean;
  /** A folder of the host, in the volume's place. */
  cachePath?: string | undefined;
  protectCache: boolean;
  removeCacheOnDelete: boolean;
  restart: "no" | "on-failure" | "unless-stopped" | "always";
  memoryMb?: number;
  cpus?: number;
  labels: Record<string, string>;
  init: boolean;
  networks: string[];
  /** Environment of buildkitd: HTTP_PROXY and the like, which RUN steps get, too, and OTEL_*. */
  environment: Record<string, string>;
  startSeconds: number;
  buildkitd: BuildkitdSettings;
  /** By registry's host. */
  registryCertificates: Record<string, RegistryCertificate>;
}

export interface GithubConfig {
  owner: string;
  /** The API's address, with a slash at its end. */
  baseUrl: string;
  /** In the clear: it becomes a Pulumi secret where a resource gets it. */
  token: string;
  repositories: RepositoryConfig[];
  organizationSecrets?: { client: string; visibility: "all" | "private" } | undefined;
}

export interface RepositoryConfig {
  name: string;
  /** It is there already, and not the stack's. */
  existing: boolean;
  description?: string | undefined;
  topics?: string[] | undefined;
  visibility?: "public" | "private" | "internal" | undefined;
  deleteOnDestroy: boolean;
  requireShaPins: boolean;
  allowedActions?: string[] | undefined;
  protectDefaultBranch: boolean;
  defaultBranch: string;
  environment?: RepositoryEnvironmentConfig | undefined;
  /** Whose certificate its workflows get; one of the stack's clients. */
  client?: string | undefined;
  proposeWorkflows: boolean;
  workflows: RepositoryWorkflowSet;
}

export interface RepositoryEnvironmentConfig {
  name: string;
  branches?: string[] | undefined;
  reviewerUserIds?: number[] | undefined;
}

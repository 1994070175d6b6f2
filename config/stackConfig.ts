import type { BoardConnectionArgs, BuilderBoardArgs } from "../components/builderBoard.ts";
import type { BuilderContainerArgs } from "../components/builderContainer.ts";
import type { BuilderPoolArgs } from "../components/builderPool.ts";
import type { BuilderRepositoryArgs } from "../components/builderRepository.ts";
import type { CertificateAuthorityArgs } from "../components/certificateAuthority.ts";
import type { DockerConnectionArgs } from "../components/container/connection.ts";
import type { RepositoryWorkflowSet } from "../components/github/repositoryFiles.ts";
import type { HostEmulationArgs } from "../components/hostEmulation.ts";
import type { LeafCertificateArgs } from "../components/leafCertificate.ts";

/**
 * A stack's configuration as the composition reads it: checked, complete, every default filled in,
 * virtual boards resolved to where they answer. Composing needs no further decision: what is here of a host or a
 * certificate are the arguments of its component, but for what other components give it.
 */
export interface StackConfig {
  certificates: CertificateConfig;
  /** Names of the client certificates, in the order of the stack file. */
  clients: string[];
  boards: BoardConfig[];
  dockerHosts: DockerHostConfig[];
  pools: PoolConfig[];
  /** Absent where the stack has nothing on GitHub. */
  github?: GithubConfig;
  /** What is accepted but should be known; one line each, path first. */
  warnings: string[];
}

export interface CertificateConfig {
  ca: CertificateAuthorityArgs;
  /** Whether Pulumi refuses to delete the CA. */
  protectCa: boolean;
  /** What all server and client certificates have in common. */
  leaf: Omit<LeafCertificateArgs, "caCertPem" | "caPrivateKeyPem" | "commonName">;
  /** By client, which key of it this is, where it is not the first. */
  clientKeys: Record<string, number>;
  /** By builder, the same. */
  builderKeys: Record<string, number>;
}

/** Every name and address of a server certificate, without duplicates, the endpoint's host first. */
export interface CertificateNames {
  dnsNames: string[];
  ipAddresses: string[];
}

/** What every builder has beside the arguments of its component. */
interface BuilderConfig {
  name: string;
  certificateNames: CertificateNames;
}

export type BoardConfig = BuilderConfig &
  Omit<
    BuilderBoardArgs,
    "caCertPem" | "caValidityStartTime" | "caValidityEndTime" | "certificate" | "healthCheck"
  >;

/** The private key of an SSH connection; without one, the agent's are taken, which the plugin finds itself. */
export type SshKey = Pick<BoardConnectionArgs, "privateKey">;

export interface DockerHostConfig {
  name: string;
  connection: DockerConnectionArgs;
  /** Absent where the host emulates no other platform. */
  emulation?: Omit<HostEmulationArgs, "connection">;
  builders: ContainerConfig[];
}

export type ContainerConfig = BuilderConfig &
  Omit<
    BuilderContainerArgs,
    "connection" | "emulated" | "caCertPem" | "certificate" | "healthCheck"
  >;

/** `builders` with where the pool reaches each. */
export type PoolConfig = Omit<BuilderPoolArgs, "caCertPem" | "healthCheck" | "builders"> & {
  name: string;
  builders: { name: string; endpoint: string }[];
};

export interface GithubConfig {
  owner: string;
  /** The API's address, with a slash at its end. */
  baseUrl: string;
  /** In the clear: it becomes a Pulumi secret where a resource gets it. */
  token: string;
  repositories: RepositoryConfig[];
  organizationSecrets?: { client: string; visibility: "all" | "private" } | undefined;
}

export type RepositoryConfig = Omit<
  BuilderRepositoryArgs,
  "repository" | "workflowAccess" | "workflowsPropose"
> & {
  name: string;
  defaultBranch: string;
  /** Whose certificate its workflows get; one of the stack's clients. */
  client?: string | undefined;
  proposeWorkflows: boolean;
  workflows: RepositoryWorkflowSet;
};

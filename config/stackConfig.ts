import type { BuilderPoolArgs } from "../components/builderPool.ts";
import type { BuilderRepositoryArgs } from "../components/builderRepository.ts";
import type { CertificateAuthorityArgs } from "../components/certificateAuthority.ts";
import type { RepositoryWorkflowSet } from "../components/github/repositoryFiles.ts";
import type { LeafCertificateArgs } from "../components/leafCertificate.ts";
import type { HostConfigs } from "../hosts/kinds.ts";

/**
 * A stack's configuration as the composition reads it: checked and complete, with every default and with the addresses
 * of virtual machines. Composing decides nothing: a host or a certificate here is the arguments of its component, except
 * those that other components give it.
 */
export interface StackConfig extends HostConfigs {
  certificates: CertificateConfig;
  /** Names of the client certificates, in the order of the stack file. */
  clients: string[];
  pools: PoolConfig[];
  /** Whether hosts are looked at for changes that somebody made by hand. */
  driftCheck: boolean;
  /** Absent where the stack has nothing on GitHub. */
  github?: GithubConfig;
  /** Warnings, one line each, path first. */
  warnings: string[];
}

export interface CertificateConfig {
  ca: CertificateAuthorityArgs;
  /** Whether Pulumi refuses to delete the CA. */
  protectCa: boolean;
  /** The arguments that all server and client certificates share. */
  leaf: Omit<LeafCertificateArgs, "caCertPem" | "caPrivateKeyPem" | "commonName">;
  /** The number of a client's key, for clients that no longer have their first one. */
  clientKeys: Record<string, number>;
  /** The number of a builder's key, in the same way. */
  builderKeys: Record<string, number>;
}

/** Every name and address of a server certificate, without duplicates, the endpoint's host first. */
export interface CertificateNames {
  dnsNames: string[];
  ipAddresses: string[];
}

/** A builder's name and certificate, besides the arguments of its component. */
export interface BuilderConfig {
  name: string;
  certificateNames: CertificateNames;
}

/** The arguments of a pool's component without those that other components give it; `builders` with where it reaches each. */
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
  "repository" | "topics" | "workflowAccess" | "workflowsPropose"
> & {
  name: string;
  topics?: string[] | undefined;
  defaultBranch: string;
  /** Whose certificate its workflows get; one of the stack's clients. */
  client?: string | undefined;
  proposeWorkflows: boolean;
  workflows: RepositoryWorkflowSet;
};

/**
 * The settings of buildkitd that are the user's, key by key as BuildKit v0.34.2 reads them from
 * buildkitd.toml (`cmd/buildkitd/config/config.go`, `gcpolicy.go`, `util/resolver/config/config.go`),
 * under upstream's own names, so that upstream's documentation can be searched for them.
 *
 * Not here, because a board decides them elsewhere and one decision has one knob:
 * - `grpc.address`, `grpc.debugAddress`, `grpc.tls`: from the board's `listen`, `metrics` and certificates;
 * - `worker.*.enabled`, `worker.*.rootless`, `worker.oci.binary`, `worker.containerd.address`: from the
 *   board's `worker`, `rootless` and the releases;
 * - `networkMode`, `cniConfigPath`, `cniBinaryPath`: from the board's `network`;
 * - `debug`, `trace`, `gckeepstorage`, `keepBytes`: deprecated upstream; `userRemapUnsupported`:
 *   upstream's tests only; `securityDescriptor`, `hypervIsolation`: Windows only.
 */
export interface BuildkitdSettings {
  /**
   * Absolute path of the directory that keeps the build cache and all other state, on a disk.
   * Default: `/var/lib/buildkit`; `/var/lib/buildkit-rootless` where rootless.
   */
  root?: string;
  /** What a build may ask for beyond the sandbox. Default: none (`device` alone is on while CDI is). */
  "insecure-entitlements"?: Entitlement[];
  /** Sends the network traffic of every build through BuildKit's policy proxy. Default: false. */
  proxyNetwork?: boolean;
  /**
   * Absolute path of the directory whose files are added to the provenance of builds.
   * Default: `/etc/buildkit/provenance.d`.
   */
  provenanceEnvDir?: string;
  log?: LogSettings;
  dns?: DnsSettings;
  grpc?: GrpcSettings;
  otel?: OtelSettings;
  cdi?: CdiSettings;
  history?: HistorySettings;
  compaction?: CompactionSettings;
  /** Of the one worker that the board runs, `[worker.oci]` or `[worker.containerd]`. */
  worker?: WorkerSettings;
  /** By registry host as it stands in image names, for example `docker.io` or `registry.lan:5000`. */
  registry?: Record<string, RegistrySettings>;
  frontend?: FrontendSettings;
  system?: SystemSettings;
  cache?: CacheSettings;
}

/** A privilege that a build may ask for with `--allow`. */
export type Entitlement = "network.host" | "security.insecure" | "device";

export type LogFormat = "text" | "json";

export type LogLevel = "panic" | "fatal" | "error" | "warn" | "info" | "debug" | "trace";

/**
 * An amount of disk: bytes as an integer (`512000000`), a string with a unit (`"512MB"`; units are
 * powers of 1024, as upstream reads them), or a whole percentage of the file system (`"10%"`).
 */
export type DiskSpace = string | number;

/** A span of time: seconds as an integer (`172800`) or a Go duration (`"48h"`, `"1h30m"`). */
export type Duration = string | number;

/** `[log]` */
export interface LogSettings {
  /** Default: `text`. */
  format?: LogFormat;
  /** Default: `info`. */
  level?: LogLevel;
}

/** `[dns]`: written into the containers of `RUN` steps. Default: the host's resolv.conf, without loopback. */
export interface DnsSettings {
  /** Addresses of name servers; with `network: bridge` at least one that is IPv4 and not on loopback. */
  nameservers?: string[];
  /** resolv.conf options, for example `edns0`. */
  options?: string[];
  /** Domains that are tried for short names. */
  searchDomains?: string[];
}

/** `[grpc]`, without the addresses and TLS, which the board owns. */
export interface GrpcSettings {
  /** Numeric owner of the local socket. Default: the user buildkitd runs as. */
  uid?: number;
  /** Numeric group of the local socket, whose members may build without a certificate. Default: the daemon's. */
  gid?: number;
}

/** `[otel]` */
export interface OtelSettings {
  /** Absolute path of the socket on which BuildKit collects traces of build steps. Default: `/run/buildkit/otel-grpc.sock`. */
  socketPath?: string;
}

/** `[cdi]`: Container Device Interface. */
export interface CdiSettings {
  /** Default: false. */
  disabled?: boolean;
  /** Absolute paths. Default: `/etc/cdi`, `/var/run/cdi`, `/etc/buildkit/cdi`. */
  specDirs?: string[];
  /** Devices that builds may use without asking for the entitlement. Default: none. */
  autoAllowed?: string[];
}

/** `[history]`: records of finished builds. Default of the section left out: 50 entries. */
export interface HistorySettings {
  /** Records older than this are removed. Default: no limit by age. */
  maxAge?: Duration;
  /** Records kept; 0 records nothing. Default: 50, or no limit by number where only `maxAge` is set. */
  maxEntries?: number;
}

/** `[compaction]`: shrinks BuildKit's metadata databases; since v0.34. */
export interface CompactionSettings {
  /** Default: false. */
  enabled?: boolean;
  /** How long a database must rest first. Default: `1m`. */
  idleTimeout?: Duration;
  /** Attempts given up for arriving writers before one is forced. Default: 3. */
  maxRetry?: number;
  /** Committed writes between two checks. Default: 10000. */
  writesPerCheck?: number;
  /** Bytes a database must have before growth triggers a check. Default: 134217728. */
  sizeWatermark?: number;
  /** Growth after a compaction, in percent, that triggers the next check. Default: 100. */
  sizeGrowthPercent?: number;
  /** Reclaimable bytes that trigger compaction. Default: 268435456. */
  minReclaimBytes?: number;
  /** Reclaimable share, in percent, that triggers compaction. Default: 30. */
  minReclaimPercent?: number;
  /** Reclaimable share, in percent, below which nothing is compacted. Default: 10. */
  minReclaimPercentFloor?: number;
}

/**
 * `[worker.oci]` or `[worker.containerd]`. The keys of the first group hold for both; the last two
 * groups say which worker knows them.
 */
export interface WorkerSettings {
  /** Shown by `buildctl debug workers`, and usable as a filter. Default: none of one's own. */
  labels?: Record<string, string>;
  /** Replaces the detected list, for example to leave out emulation. Default: native and what binfmt_misc emulates. */
  platforms?: string[];
  /** oci: `auto`, `overlayfs`, `fuse-overlayfs`, `native`, `stargz`; containerd: one of its plugins. Default: `auto`; `overlayfs`. */
  snapshotter?: string;
  /** Automatic garbage collection of the build cache. Default: true. */
  gc?: boolean;
  /**
   * Cache that garbage collection always leaves; the cap, where it is the only one of the three amounts.
   * Default: the smaller of 10% and 10 GB; none, where one of the other two is set.
   */
  reservedSpace?: DiskSpace;
  /** Cap of the cache. Default: the smaller of 80% and 100 GB; none, where one of the other two is set. */
  maxUsedSpace?: DiskSpace;
  /** Free disk that garbage collection aims at. Default: 20%; none, where one of the other two is set. */
  minFreeSpace?: DiskSpace;
  /**
   * Replaces the four default policies, and with them what the three amounts above would do.
   * The first default policy cuts cache mounts, git checkouts and local sources that were not used
   * for 48 h to 512 MB, which suits kernel builds badly.
   */
  gcpolicy?: GcPolicy[];
  /** Network namespaces kept ready for `RUN` steps; only with `network: bridge`. Default: 0. */
  cniPoolSize?: number;
  /** The bridge that buildkitd makes, which no other program has; only with `network: bridge`. Default: `buildkit0`. */
  bridgeName?: string;
  /** IPv4 network of the bridge, a private one that is not used elsewhere near the board; only with `network: bridge`. Default: `10.10.0.0/16`. */
  bridgeSubnet?: string;
  /** An AppArmor profile that is loaded already. Default: none. */
  "apparmor-profile"?: string;
  /** Applies SELinux labels. Default: false. */
  selinux?: boolean;
  /** Build steps that run at the same time. Default: no limit. */
  "max-parallelism"?: number;
  /** Parent cgroup of all build containers. Default: the daemon's. */
  defaultCgroupParent?: string;

  /** oci only, and rootless only: runs steps in the daemon's PID namespace. Default: false. */
  noProcessSandbox?: boolean;
  /** oci only: absolute path of a proxy snapshotter's socket, without `unix://`. Default: none. */
  proxySnapshotterPath?: string;
  /** oci only, with `snapshotter: stargz`. */
  stargzSnapshotter?: StargzSnapshotterSettings;

  /** containerd only. Default: `buildkit`. */
  namespace?: string;
  /** containerd only. Default: `io.containerd.runc.v2`. */
  runtime?: ContainerdRuntimeSettings;
}

/** `[[worker.*.gcpolicy]]`, applied in order. */
export interface GcPolicy {
  /** Also clears internal and frontend records. Default: false. */
  all?: boolean;
  /**
   * What the policy is about, for example `type==exec.cachemount`; one match is enough, and a comma within one
   * means that both must hold. Types: `source.local`, `source.git.checkout`, `exec.cachemount`, `regular`, and
   * with `all` `frontend` and `internal`. Default: everything.
   */
  filters?: string[];
  /** What was used within this time stays, and is not bounded by this policy. Default: 0. */
  keepDuration?: Duration;
  /** Cache that the policy always leaves; the cap, where it is the only amount. Default: 0. */
  reservedSpace?: DiskSpace;
  /** Cap that the policy enforces. Default: none. */
  maxUsedSpace?: DiskSpace;
  /** Free disk that the policy aims at. Default: none. */
  minFreeSpace?: DiskSpace;
}

/** `[worker.containerd.runtime]` */
export interface ContainerdRuntimeSettings {
  /** Default: `io.containerd.runc.v2`, the only one with options here. */
  name?: string;
  /** Absolute path of the shim. Default: found by name on containerd's PATH. */
  path?: string;
  options?: RuncOptions;
}

/** Options of `io.containerd.runc.v2`; its `BinaryName` is the runc of the releases. */
export interface RuncOptions {
  /** Default: false. */
  NoPivotRoot?: boolean;
  /** Default: false. */
  NoNewKeyring?: boolean;
  /** Cgroup of the shim. Default: containerd's. */
  ShimCgroup?: string;
  /** runc's state directory. Default: `/run/containerd/runc`. */
  Root?: string;
  /** Default: false. */
  SystemdCgroup?: boolean;
}

/** Configuration of stargz-snapshotter v0.18.2, which BuildKit v0.34.2 embeds. Names and defaults are its own. */
export interface StargzSnapshotterSettings {
  /** `memory`, or empty for disk. */
  http_cache_type?: string;
  /** `memory`, or empty for disk. */
  filesystem_cache_type?: string;
  /** Seconds. Default: 120. */
  resolve_result_entry_ttl_sec?: number;
  /** Bytes. Default: 0. */
  prefetch_size?: number;
  /** Seconds. Default: 10. */
  prefetch_timeout_sec?: number;
  /** Bytes. Default: 0, which turns it off. */
  prefetch_async_size?: number;
  /** Turns prefetching off. Default: false. */
  noprefetch?: boolean;
  /** Leaves the rest of a layer until it is read. Default: false. */
  no_background_fetch?: boolean;
  /** Debug log of the file system. Default: false. */
  debug?: boolean;
  /** Mounts layers that carry nothing to verify them by. Default: false. */
  allow_no_verification?: boolean;
  /** Verifies no layer. Default: false. */
  disable_verification?: boolean;
  /** Background fetches at a time. Default: 2. */
  max_concurrency?: number;
  /** Collects no metrics. Default: false. */
  no_prometheus?: boolean;
  /** Logs the first access to each file. Default: false. */
  log_file_access?: boolean;
  blob?: StargzBlobSettings;
  directory_cache?: StargzDirectoryCacheSettings;
  fuse?: StargzFuseSettings;
}

/** How layers are fetched. */
export interface StargzBlobSettings {
  /** Seconds. Default: 60. */
  valid_interval?: number;
  /** Asks the registry before each use, as if `valid_interval` were 0. Default: false. */
  check_always?: boolean;
  /** Bytes. Default: 50000. */
  chunk_size?: number;
  /** Seconds. Default: 300. */
  fetching_timeout_sec?: number;
  /** Asks for one larger range instead of several. Default: false. */
  force_single_range_mode?: boolean;
  /** Bytes. Default: 0. */
  prefetch_chunk_size?: number;
  /** Default: 5. */
  max_retries?: number;
  /** Milliseconds. Default: 30. */
  min_wait_msec?: number;
  /** Milliseconds. Default: 300000. */
  max_wait_msec?: number;
}

/** The cache on disk. */
export interface StargzDirectoryCacheSettings {
  /** Default: 10. */
  max_lru_cache_entry?: number;
  /** Default: 10. */
  max_cache_fds?: number;
  /** Waits until the cache is on disk. Default: false. */
  sync_add?: boolean;
  /** Default: true. */
  direct?: boolean;
  /** Drops cached files from the page cache. Default: false. */
  fadv_dontneed?: boolean;
}

/** The FUSE file system. */
export interface StargzFuseSettings {
  /** Seconds. */
  attr_timeout?: number;
  /** Seconds. */
  entry_timeout?: number;
  /** FUSE passthrough, which reads local files faster. Default: false. */
  passthrough?: boolean;
  /** Bytes. Default: 419430400. */
  merge_buffer_size?: number;
  /** Default: 10. */
  merge_worker_count?: number;
}

/**
 * `[registry."host"]`, for images whose name begins with that host (`docker.io` where it names none). What is not
 * `mirrors` is about that host alone: a mirror's `http`, `insecure` and certificates stand under the mirror's own.
 */
export interface RegistrySettings {
  /** Tried in order before the registry itself: `host[:port][/path]`, no scheme. Default: none. */
  mirrors?: string[];
  /** Plain HTTP. Default: only for loopback names. */
  http?: boolean;
  /** HTTPS without verification of the certificate; together with `http` plain HTTP where HTTPS fails. Default: false. */
  insecure?: boolean;
  /** Absolute paths on the board of certificates to trust beside the system's. Default: none. */
  ca?: string[];
  /** Client certificates, by absolute paths on the board. Default: none. */
  keypair?: RegistryKeyPair[];
  /** Absolute paths of directories with *.crt, *.cert and *.key files. Default: none. */
  tlsconfigdir?: string[];
}

/** `[[registry."host".keypair]]` */
export interface RegistryKeyPair {
  /** Absolute path of the private key. */
  key: string;
  /** Absolute path of the certificate. */
  cert: string;
}

/** `[frontend]` */
export interface FrontendSettings {
  "dockerfile.v0"?: DockerfileFrontendSettings;
  "gateway.v0"?: GatewayFrontendSettings;
}

/** `[frontend."dockerfile.v0"]`: the Dockerfile frontend that buildkitd brings along. */
export interface DockerfileFrontendSettings {
  /** Default: true. */
  enabled?: boolean;
}

/** `[frontend."gateway.v0"]`: frontends from images, as `# syntax=` names them. */
export interface GatewayFrontendSettings {
  /** Default: true. */
  enabled?: boolean;
  /** Repositories, without tag, whose images may be frontends. Default: all. */
  allowedRepositories?: string[];
}

/** `[system]` */
export interface SystemSettings {
  /** How often emulated platforms are looked for. Default: `1h`. */
  platformsCacheMaxAge?: Duration;
  /** Connections to one registry at a time. Default: 4. */
  maxRegistryConcurrency?: number;
  /** How long a client may take to answer for credentials; 0 or less means for ever. Default: `60s`. */
  sessionAuthTimeout?: Duration;
}

/** `[cache]` */
export interface CacheSettings {
  gha?: GhaCacheSettings;
}

/** `[cache.gha]`: signatures on the GitHub Actions cache. */
export interface GhaCacheSettings {
  sign?: GhaCacheSignSettings;
  verify?: GhaCacheVerifySettings;
}

/** Signs what is exported. */
export interface GhaCacheSignSettings {
  /** A command, word by word, that reads the payload and writes its signature. */
  command: string[];
}

/** Verifies what is imported. */
export interface GhaCacheVerifySettings {
  /** Default: false. */
  required?: boolean;
  policy?: GhaCacheVerifyPolicy;
}

/** What a signature's certificate must carry; `*` matches anything. */
export interface GhaCacheVerifyPolicy {
  /** Signed timestamps that are needed. */
  timestampThreshold?: number;
  /** Entries in a transparency log that are needed. */
  tlogThreshold?: number;
  /** Issuer of the certificate itself. */
  certificateIssuer?: string;
  /** Who has signed: a URI or an address. */
  subjectAlternativeName?: string;
  /** Issuer of the OIDC token. */
  Issuer?: string;
  /** Build instructions that have signed. */
  BuildSignerURI?: string;
  /** Their digest. */
  BuildSignerDigest?: string;
  /** `github-hosted` or `self-hosted`. */
  RunnerEnvironment?: string;
  /** Repository that was built. */
  SourceRepositoryURI?: string;
  /** Commit that was built. */
  SourceRepositoryDigest?: string;
  /** Ref that was built. */
  SourceRepositoryRef?: string;
  /** Number of the repository. */
  SourceRepositoryIdentifier?: string;
  /** Owner of the repository. */
  SourceRepositoryOwnerURI?: string;
  /** Number of the owner. */
  SourceRepositoryOwnerIdentifier?: string;
  /** Workflow at the top of the run. */
  BuildConfigURI?: string;
  /** Its digest. */
  BuildConfigDigest?: string;
  /** Event that started the run. */
  BuildTrigger?: string;
  /** The run. */
  RunInvocationURI?: string;
  /** `public` or `private`. */
  SourceRepositoryVisibilityAtSigning?: string;
}

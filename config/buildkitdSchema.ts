import * as z from "zod";
import type { BuildkitdSettings } from "../components/buildkitd/settings.ts";
import {
  absolutePath,
  checkedText,
  flag,
  isDnsName,
  isIp,
  listOf,
  mapOf,
  oneOf,
  text,
  whole,
} from "./leaves.ts";
import { closed, expected } from "./problems.ts";

/**
 * `components/buildkitd/settings.ts` as a schema, key by key. Descriptions are not repeated here:
 * the JSON schema takes them from the docstrings there, by the name of the interface.
 */
function table<Shape extends z.ZodRawShape>(
  settingsInterface: string,
  shape: Shape,
  refused: Record<string, string> = {},
) {
  return closed(shape, refused).meta({ id: settingsInterface });
}

const bytes = whole("a whole number of bytes, 0 or more", 0);
const seconds = whole("a whole number of seconds, 0 or more", 0);
const count = whole("a whole number, 0 or more", 0);
const percent = whole("a whole number of percent from 1 to 100", 1, 100);
const positive = whole("a whole number, 1 or more", 1);
const nonEmpty = text("a text that is not empty and has no line break", /^[^\n\r\0]+$/);
const paths = listOf(absolutePath, "a list of absolute paths");

const space = expected(
  'an amount of disk: whole bytes (512000000), a text with a unit ("10GB", "512MB") or a share from "1%" to "100%"',
);

/** What `units.RAMInBytes` and the percentages of `DiskSpace.UnmarshalText` accept, without their oddities. */
const diskSpace = z.union(
  [
    z.int(space).min(1, space),
    z
      .string(space)
      .regex(/^(?=.*[1-9])(\d+(\.\d+)?([KMGTPkmgtp]([Ii]?[Bb])?|[Bb])|([1-9]\d?|100)%)$/, space),
  ],
  space,
);

const time = expected(
  'a span of time: whole seconds (172800) or a text with units ("48h", "1h30m")',
);

/** Go's durations, and whole seconds as a number. */
const duration = z.union(
  [z.int(time).min(0, time), z.string(time).regex(/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/, time)],
  time,
);

/** Anew for each table: a schema that two tables share would have one description in both. */
const spaces = () => ({
  reservedSpace: diskSpace.optional(),
  maxUsedSpace: diskSpace.optional(),
  minFreeSpace: diskSpace.optional(),
});

const buildPlatform = text(
  "a platform such as linux/riscv64 or linux/arm/v7",
  /^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9.]+)?$/,
);

const labels = mapOf(
  text("a label's name without blanks", /^[^\s"]+$/),
  z.string(expected("a text")),
  "a map from label to text",
);

const gcPolicy = table(
  "GcPolicy",
  {
    all: flag.optional(),
    filters: listOf(nonEmpty, "a list of filters").optional(),
    keepDuration: duration.optional(),
    ...spaces(),
  },
  { keepBytes: "upstream has replaced it; write reservedSpace" },
);

const runtime = table("ContainerdRuntimeSettings", {
  name: nonEmpty.optional(),
  path: absolutePath.optional(),
  options: table(
    "RuncOptions",
    {
      NoPivotRoot: flag.optional(),
      NoNewKeyring: flag.optional(),
      ShimCgroup: nonEmpty.optional(),
      Root: absolutePath.optional(),
      SystemdCgroup: flag.optional(),
    },
    { BinaryName: "it is the runc of buildhosts:releases.runc" },
  ).optional(),
});

const cacheKind = text("memory, or an empty text for disk", /^(memory|)$/);

const stargzSnapshotter = table(
  "StargzSnapshotterSettings",
  {
    http_cache_type: cacheKind.optional(),
    filesystem_cache_type: cacheKind.optional(),
    resolve_result_entry_ttl_sec: seconds.optional(),
    prefetch_size: bytes.optional(),
    prefetch_timeout_sec: seconds.optional(),
    prefetch_async_size: bytes.optional(),
    noprefetch: flag.optional(),
    no_background_fetch: flag.optional(),
    debug: flag.optional(),
    allow_no_verification: flag.optional(),
    disable_verification: flag.optional(),
    max_concurrency: count.optional(),
    no_prometheus: flag.optional(),
    log_file_access: flag.optional(),
    blob: table("StargzBlobSettings", {
      valid_interval: seconds.optional(),
      check_always: flag.optional(),
      chunk_size: bytes.optional(),
      fetching_timeout_sec: seconds.optional(),
      force_single_range_mode: flag.optional(),
      prefetch_chunk_size: bytes.optional(),
      max_retries: count.optional(),
      min_wait_msec: count.optional(),
      max_wait_msec: count.optional(),
    }).optional(),
    directory_cache: table("StargzDirectoryCacheSettings", {
      max_lru_cache_entry: count.optional(),
      max_cache_fds: count.optional(),
      sync_add: flag.optional(),
      direct: flag.optional(),
      fadv_dontneed: flag.optional(),
    }).optional(),
    fuse: table("StargzFuseSettings", {
      attr_timeout: seconds.optional(),
      entry_timeout: seconds.optional(),
      passthrough: flag.optional(),
      merge_buffer_size: bytes.optional(),
      merge_worker_count: count.optional(),
    }).optional(),
  },
  { resolve_result_entry: "deprecated upstream; write resolve_result_entry_ttl_sec" },
);

/** Names that the kernel refuses for an interface, that hardware and VPNs get, and that other programs give their bridges. */
const takenInterface = new RegExp(
  `^(${[
    "\\.{1,2}|all|default|lo",
    "(eth|end|wlan|wwan|usb|ib|can|bond|team|dummy|tun|tap|wg|ppp|tailscale)\\d+",
    "(en|wl|ww)(o|p|s|x)[0-9a-f][\\w.-]*",
    "(virbr|vnet|docker|podman|cni|lxcbr|lxdbr|incusbr)\\d+|docker_gwbridge|br-[0-9a-f]{12}",
    "veth[0-9a-f]+|flannel\\.\\d+|cilium_[\\w.-]*|cali[0-9a-f]{11}|kube-[\\w.-]*",
  ].join("|")})$`,
);

/** Networks that nobody on the internet has: a bridge in another one would hide the machines there. */
const privateNetworks = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "198.18.0.0/15",
] as const;

function isPrivateNetwork({ base, bits }: Subnet): boolean {
  return privateNetworks.some((text) => {
    const network = parseSubnet(text);
    if (!network || network.bits > bits) return false;
    return base >= network.base && base < network.base + 2 ** (32 - network.bits);
  });
}

const ownedByNetwork = "it follows from the board's network";

const worker = table(
  "WorkerSettings",
  {
    labels: labels.optional(),
    platforms: listOf(buildPlatform, "a list of platforms")
      .min(1, expected("at least one platform; leave the key out for detection"))
      .optional(),
    snapshotter: nonEmpty.optional(),
    gc: flag.optional(),
    ...spaces(),
    gcpolicy: listOf(gcPolicy, "a list of policies")
      .min(1, expected("at least one policy; write gc: false to turn garbage collection off"))
      .optional(),
    cniPoolSize: count.optional(),
    bridgeName: checkedText(
      "a network interface's name of at most 15 letters, digits and ._- that no hardware, VPN or other program's bridge has (lo, eth0, wlan0, tun0, docker0), such as buildkit0",
      (value) => /^[\w.-]{1,15}$/.test(value) && !takenInterface.test(value),
    ).optional(),
    bridgeSubnet: checkedText(
      `an IPv4 network whose host bits are zero, from /8 to /28, such as 10.10.0.0/16, within ${privateNetworks.join(", ")}`,
      (value) => {
        const subnet = parseSubnet(value);
        return (
          subnet !== undefined && subnet.bits >= 8 && subnet.bits <= 28 && isPrivateNetwork(subnet)
        );
      },
    ).optional(),
    "apparmor-profile": nonEmpty.optional(),
    selinux: flag.optional(),
    "max-parallelism": positive.optional(),
    defaultCgroupParent: nonEmpty.optional(),
    noProcessSandbox: flag.optional(),
    proxySnapshotterPath: absolutePath.optional(),
    stargzSnapshotter: stargzSnapshotter.optional(),
    namespace: text("a containerd namespace", /^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$/).optional(),
    runtime: runtime.optional(),
  },
  {
    gckeepstorage: "deprecated upstream; write reservedSpace",
    enabled: "it follows from the board's worker",
    rootless: "set rootless on the board",
    binary: "it is the runc of buildhosts:releases.runc",
    address: "it is the containerd that the board installs",
    networkMode: ownedByNetwork,
    cniConfigPath: ownedByNetwork,
    cniBinaryPath: ownedByNetwork,
    oci: "the board runs one worker; write its keys under worker itself",
    containerd: "the board runs one worker; write its keys under worker itself",
    userRemapUnsupported: "upstream has it for its own tests only",
    hypervIsolation: "it is for Windows",
  },
);

export const registryHost = text(
  "a registry's host as in image names, with a port where it has one, such as docker.io",
  /^[A-Za-z0-9.-]+(:\d+)?$/,
);

const registry = table("RegistrySettings", {
  mirrors: listOf(
    text(
      'a mirror as host[:port][/path] without a scheme; for plain HTTP set http: true under registry["<that host>"]',
      /^[A-Za-z0-9.-]+(:\d+)?(\/[\w./-]+)?$/,
    ),
    "a list of mirrors",
  ).optional(),
  http: flag.optional(),
  insecure: flag.optional(),
  ca: paths.optional(),
  keypair: listOf(
    table("RegistryKeyPair", {
      key: absolutePath.describe("Absolute path of the private key."),
      cert: absolutePath.describe("Absolute path of the certificate."),
    }),
    "a list of objects with key and cert",
  ).optional(),
  tlsconfigdir: paths.optional(),
});

const certificatePattern = nonEmpty.optional();

export const buildkitdSettings = table(
  "BuildkitdSettings",
  {
    root: checkedText(
      "an absolute path whose last part names buildkit, such as /mnt/nvme/buildkit, because a delete may empty it",
      (value) =>
        absolutePath.safeParse(value).success &&
        /buildkit[^/]*$/.test(value) &&
        value.split("/").length > 2,
    ).optional(),
    "insecure-entitlements": listOf(
      oneOf("network.host", "security.insecure", "device"),
      "a list of entitlements",
    ).optional(),
    proxyNetwork: flag.optional(),
    provenanceEnvDir: absolutePath.optional(),
    log: table("LogSettings", {
      format: oneOf("text", "json").optional(),
      level: oneOf("panic", "fatal", "error", "warn", "info", "debug", "trace").optional(),
    }).optional(),
    dns: table("DnsSettings", {
      nameservers: listOf(checkedText("an IP address", isIp), "a list of IP addresses").optional(),
      options: listOf(text("a resolv.conf option", /^\S+$/), "a list of options").optional(),
      searchDomains: listOf(checkedText("a domain", isDnsName), "a list of domains").optional(),
    }).optional(),
    grpc: table(
      "GrpcSettings",
      { uid: count.optional(), gid: count.optional() },
      {
        address: "it follows from the board's listen",
        debugAddress: "it follows from the board's metrics",
        tls: "its files are the certificates that the board installs",
        securityDescriptor: "it is for Windows",
      },
    ).optional(),
    otel: table("OtelSettings", { socketPath: absolutePath.optional() }).optional(),
    cdi: table("CdiSettings", {
      disabled: flag.optional(),
      specDirs: paths.min(1, expected("at least one path")).optional(),
      autoAllowed: listOf(nonEmpty, "a list of devices").optional(),
    }).optional(),
    history: table("HistorySettings", {
      maxAge: duration.optional(),
      maxEntries: count.optional(),
    }).optional(),
    compaction: table("CompactionSettings", {
      enabled: flag.optional(),
      idleTimeout: duration.optional(),
      maxRetry: count.optional(),
      writesPerCheck: positive.optional(),
      sizeWatermark: positive.optional(),
      sizeGrowthPercent: positive.optional(),
      minReclaimBytes: positive.optional(),
      minReclaimPercent: percent.optional(),
      minReclaimPercentFloor: percent.optional(),
    }).optional(),
    worker: worker.optional(),
    registry: mapOf(registryHost, registry, "a map from registry host to its settings").optional(),
    frontend: table("FrontendSettings", {
      "dockerfile.v0": table("DockerfileFrontendSettings", { enabled: flag.optional() }).optional(),
      "gateway.v0": table("GatewayFrontendSettings", {
        enabled: flag.optional(),
        allowedRepositories: listOf(
          text("a repository without tag", /^[a-z0-9.:-]+(\/[a-z0-9._-]+)*$/),
          "a list of repositories",
        ).optional(),
      }).optional(),
    }).optional(),
    system: table("SystemSettings", {
      platformsCacheMaxAge: duration.optional(),
      maxRegistryConcurrency: positive.optional(),
      sessionAuthTimeout: duration.optional(),
    }).optional(),
    cache: table("CacheSettings", {
      gha: table("GhaCacheSettings", {
        sign: table("GhaCacheSignSettings", {
          command: listOf(nonEmpty, "a command, word by word").min(
            1,
            expected("at least one word"),
          ),
        }).optional(),
        verify: table("GhaCacheVerifySettings", {
          required: flag.optional(),
          policy: table("GhaCacheVerifyPolicy", {
            timestampThreshold: count.optional(),
            tlogThreshold: count.optional(),
            certificateIssuer: certificatePattern,
            subjectAlternativeName: certificatePattern,
            Issuer: certificatePattern,
            BuildSignerURI: certificatePattern,
            BuildSignerDigest: certificatePattern,
            RunnerEnvironment: certificatePattern,
            SourceRepositoryURI: certificatePattern,
            SourceRepositoryDigest: certificatePattern,
            SourceRepositoryRef: certificatePattern,
            SourceRepositoryIdentifier: certificatePattern,
            SourceRepositoryOwnerURI: certificatePattern,
            SourceRepositoryOwnerIdentifier: certificatePattern,
            BuildConfigURI: certificatePattern,
            BuildConfigDigest: certificatePattern,
            BuildTrigger: certificatePattern,
            RunInvocationURI: certificatePattern,
            SourceRepositoryVisibilityAtSigning: certificatePattern,
          }).optional(),
        }).optional(),
      }).optional(),
    }).optional(),
  },
  {
    debug: "deprecated upstream; write log.level: debug",
    trace: "deprecated upstream; write log.level: trace",
    gc: "write worker.gc",
    reservedSpace: "write worker.reservedSpace",
    maxUsedSpace: "write worker.maxUsedSpace",
    minFreeSpace: "write worker.minFreeSpace",
    gcpolicy: "write worker.gcpolicy",
    labels: "write worker.labels",
    "max-parallelism": "write worker.max-parallelism",
  },
) satisfies z.ZodType<BuildkitdSettings>;

/** An IPv4 network: its first address as a number, and the length of its prefix. */
export interface Subnet {
  base: number;
  bits: number;
}

/** An IPv4 network, or nothing where the text is none or has host bits set. */
export function parseSubnet(value: string): Subnet | undefined {
  const match = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(value);
  const base = ipv4Number(match?.[1] ?? "");
  const bits = Number(match?.[2] ?? 33);
  if (base === undefined || bits > 32) return undefined;
  return base % 2 ** (32 - bits) === 0 ? { base, bits } : undefined;
}

/** Whether an IPv4 address lies in a network; false for anything that is not an IPv4 address. */
export function subnetHolds(subnet: Subnet, address: string): boolean {
  const value = ipv4Number(address);
  const size = 2 ** (32 - subnet.bits);
  return value !== undefined && value >= subnet.base && value < subnet.base + size;
}

function ipv4Number(address: string): number | undefined {
  const parts = address.split(".").map(Number);
  return parts.length === 4 &&
    parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255)
    ? parts.reduce((sum, part) => sum * 256 + part, 0)
    : undefined;
}

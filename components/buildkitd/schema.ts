import ipaddr from "ipaddr.js";
import * as z from "zod";
import { closed } from "../schema/closed.ts";
import { expected } from "../schema/expected.ts";
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
} from "../schema/values.ts";

/**
 * The settings of buildkitd that are the user's, key by key as BuildKit v0.34.2 reads them from buildkitd.toml
 * (`cmd/buildkitd/config/config.go`, `gcpolicy.go`, `util/resolver/config/config.go`), under upstream's own names, so that
 * upstream's documentation can be searched for them. Each is written here once: its type, the JSON schema of a stack
 * file and the reference follow. What is refused by name, a board decides elsewhere: one decision has one knob.
 */

/** One table of buildkitd.toml; the JSON schema has it under `id`. */
function table<Shape extends z.ZodRawShape>(
  id: string,
  description: string,
  shape: Shape,
  refused: Record<string, string> = {},
) {
  return closed(shape, refused).meta({ id, description });
}

const firstKnown = z.registry<{ version: string }>();

/**
 * A setting that BuildKit knows from `version` on, where that is newer than the oldest one accepted (from the config.go of
 * each release).
 */
function since<Schema extends z.ZodType>(version: string, schema: Schema): Schema {
  firstKnown.add(schema, { version });
  return schema;
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

/** The texts that `units.RAMInBytes` and the percentages of `DiskSpace.UnmarshalText` accept, without their oddities. */
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
  "`[[worker.*.gcpolicy]]`, applied in order.",
  {
    all: flag.optional().describe("Also clears internal and frontend records. Default: false."),
    filters: listOf(nonEmpty, "a list of filters")
      .optional()
      .describe(
        "What the policy is about, for example `type==exec.cachemount`; one match is enough, and a comma within one means that both must hold. Types: `source.local`, `source.git.checkout`, `exec.cachemount`, `regular`, and with `all` `frontend` and `internal`. Default: everything.",
      ),
    keepDuration: duration
      .optional()
      .describe(
        "What was used within this time stays, and is not bounded by this policy. Default: 0.",
      ),
    reservedSpace: since(
      "v0.17.0",
      diskSpace
        .optional()
        .describe(
          "Cache that the policy always leaves; the cap, where it is the only amount. Default: 0.",
        ),
    ),
    maxUsedSpace: since(
      "v0.17.0",
      diskSpace.optional().describe("Cap that the policy enforces. Default: none."),
    ),
    minFreeSpace: since(
      "v0.17.0",
      diskSpace.optional().describe("Free disk that the policy aims at. Default: none."),
    ),
  },
  { keepBytes: "upstream has replaced it; write reservedSpace" },
);

const runtime = table("ContainerdRuntimeSettings", "`[worker.containerd.runtime]`", {
  name: nonEmpty
    .optional()
    .describe("Default: `io.containerd.runc.v2`, the only one with options here."),
  path: absolutePath
    .optional()
    .describe("Absolute path of the shim. Default: found by name on containerd's PATH."),
  options: table(
    "RuncOptions",
    "Options of `io.containerd.runc.v2`; its `BinaryName` is the runc of the releases.",
    {
      NoPivotRoot: flag.optional().describe("Default: false."),
      NoNewKeyring: flag.optional().describe("Default: false."),
      ShimCgroup: nonEmpty.optional().describe("Cgroup of the shim. Default: containerd's."),
      Root: absolutePath
        .optional()
        .describe("runc's state directory. Default: `/run/containerd/runc`."),
      SystemdCgroup: flag.optional().describe("Default: false."),
    },
    { BinaryName: "it is the runc of buildhosts:releases.runc" },
  ).optional(),
});

const cacheKind = text("memory, or an empty text for disk", /^(memory|)$/);

const stargzSnapshotter = table(
  "StargzSnapshotterSettings",
  "Configuration of stargz-snapshotter v0.18.2, which BuildKit v0.34.2 embeds. Names and defaults are its own.",
  {
    http_cache_type: cacheKind.optional().describe("`memory`, or empty for disk."),
    filesystem_cache_type: cacheKind.optional().describe("`memory`, or empty for disk."),
    resolve_result_entry_ttl_sec: seconds.optional().describe("Seconds. Default: 120."),
    prefetch_size: bytes.optional().describe("Bytes. Default: 0."),
    prefetch_timeout_sec: seconds.optional().describe("Seconds. Default: 10."),
    prefetch_async_size: bytes.optional().describe("Bytes. Default: 0, which turns it off."),
    noprefetch: flag.optional().describe("Turns prefetching off. Default: false."),
    no_background_fetch: flag
      .optional()
      .describe("Leaves the rest of a layer until it is read. Default: false."),
    debug: flag.optional().describe("Debug log of the file system. Default: false."),
    allow_no_verification: flag
      .optional()
      .describe("Mounts layers that carry nothing to verify them by. Default: false."),
    disable_verification: flag.optional().describe("Verifies no layer. Default: false."),
    max_concurrency: count.optional().describe("Background fetches at a time. Default: 2."),
    no_prometheus: flag.optional().describe("Collects no metrics. Default: false."),
    log_file_access: flag
      .optional()
      .describe("Logs the first access to each file. Default: false."),
    blob: table("StargzBlobSettings", "How layers are fetched.", {
      valid_interval: seconds.optional().describe("Seconds. Default: 60."),
      check_always: flag
        .optional()
        .describe(
          "Asks the registry before each use, as if `valid_interval` were 0. Default: false.",
        ),
      chunk_size: bytes.optional().describe("Bytes. Default: 50000."),
      fetching_timeout_sec: seconds.optional().describe("Seconds. Default: 300."),
      force_single_range_mode: flag
        .optional()
        .describe("Asks for one larger range instead of several. Default: false."),
      prefetch_chunk_size: bytes.optional().describe("Bytes. Default: 0."),
      max_retries: count.optional().describe("Default: 5."),
      min_wait_msec: count.optional().describe("Milliseconds. Default: 30."),
      max_wait_msec: count.optional().describe("Milliseconds. Default: 300000."),
    }).optional(),
    directory_cache: table("StargzDirectoryCacheSettings", "The cache on disk.", {
      max_lru_cache_entry: count.optional().describe("Default: 10."),
      max_cache_fds: count.optional().describe("Default: 10."),
      sync_add: flag.optional().describe("Waits until the cache is on disk. Default: false."),
      direct: flag.optional().describe("Default: true."),
      fadv_dontneed: flag
        .optional()
        .describe("Drops cached files from the page cache. Default: false."),
    }).optional(),
    fuse: table("StargzFuseSettings", "The FUSE file system.", {
      attr_timeout: seconds.optional().describe("Seconds."),
      entry_timeout: seconds.optional().describe("Seconds."),
      passthrough: flag
        .optional()
        .describe("FUSE passthrough, which reads local files faster. Default: false."),
      merge_buffer_size: bytes.optional().describe("Bytes. Default: 419430400."),
      merge_worker_count: count.optional().describe("Default: 10."),
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

/** An IPv4 network: its first address, and the length of its prefix. */
export type Subnet = [base: ipaddr.IPv4, bits: number];

/** An IPv4 network, or nothing where the text is none or has host bits set. */
export function parseSubnet(value: string): Subnet | undefined {
  if (!ipaddr.IPv4.isValidCIDRFourPartDecimal(value)) return undefined;
  const [address, bits] = ipaddr.IPv4.parseCIDR(value);
  const base = ipaddr.IPv4.networkAddressFromCIDR(value);
  return address.match(base, 32) ? [base, bits] : undefined;
}

/** Whether an IPv4 address lies in a network; false for anything that is not an IPv4 address. */
export function subnetHolds(subnet: Subnet, address: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(address) && ipaddr.IPv4.parse(address).match(...subnet);
}

/** A network is as wide as its prefix says, so one within another has a prefix that is no shorter. */
function isPrivateNetwork([base, bits]: Subnet): boolean {
  return privateNetworks.some((text) => {
    const [network, networkBits] = ipaddr.IPv4.parseCIDR(text);
    return networkBits <= bits && base.match(network, networkBits);
  });
}

const ownedByNetwork = "it follows from the board's network";

const worker = table(
  "WorkerSettings",
  "`[worker.oci]` or `[worker.containerd]`. The keys of the first group hold for both; the last two groups say which worker knows them.",
  {
    labels: labels
      .optional()
      .describe(
        "Shown by `buildctl debug workers`, and usable as a filter. Default: none of one's own.",
      ),
    platforms: listOf(buildPlatform, "a list of platforms")
      .min(1, expected("at least one platform; leave the key out for detection"))
      .optional()
      .describe(
        "Replaces the detected list, for example to leave out emulation. Default: native and what binfmt_misc emulates.",
      ),
    snapshotter: nonEmpty
      .optional()
      .describe(
        "oci: `auto`, `overlayfs`, `fuse-overlayfs`, `native`, `stargz`; containerd: one of its plugins. Default: `auto`; `overlayfs`.",
      ),
    gc: flag.optional().describe("Automatic garbage collection of the build cache. Default: true."),
    reservedSpace: since(
      "v0.17.0",
      diskSpace
        .optional()
        .describe(
          "Cache that garbage collection always leaves; the cap, where it is the only one of the three amounts. Default: the smaller of 10% and 10 GB; none, where one of the other two is set.",
        ),
    ),
    maxUsedSpace: since(
      "v0.17.0",
      diskSpace
        .optional()
        .describe(
          "Cap of the cache. Default: the smaller of 80% and 100 GB; none, where one of the other two is set.",
        ),
    ),
    minFreeSpace: since(
      "v0.17.0",
      diskSpace
        .optional()
        .describe(
          "Free disk that garbage collection aims at. Default: 20%; none, where one of the other two is set.",
        ),
    ),
    gcpolicy: listOf(gcPolicy, "a list of policies")
      .min(1, expected("at least one policy; write gc: false to turn garbage collection off"))
      .optional()
      .describe(
        "Replaces the four default policies, and with them what the three amounts above would do. The first default policy cuts cache mounts, git checkouts and local sources that were not used for 48 h to 512 MB, which suits kernel builds badly.",
      ),
    cniPoolSize: count
      .optional()
      .describe(
        "Network namespaces kept ready for `RUN` steps; only with `network: bridge`. Default: 0.",
      ),
    bridgeName: checkedText(
      "a network interface's name of at most 15 letters, digits and ._- that no hardware, VPN or other program's bridge has (lo, eth0, wlan0, tun0, docker0), such as buildkit0",
      (value) => /^[\w.-]{1,15}$/.test(value) && !takenInterface.test(value),
    )
      .optional()
      .describe(
        "The bridge that buildkitd makes, which no other program has; only with `network: bridge`. Default: `buildkit0`.",
      ),
    bridgeSubnet: checkedText(
      `an IPv4 network whose host bits are zero, from /8 to /28, such as 10.10.0.0/16, within ${privateNetworks.join(", ")}`,
      (value) => {
        const subnet = parseSubnet(value);
        return (
          subnet !== undefined && subnet[1] >= 8 && subnet[1] <= 28 && isPrivateNetwork(subnet)
        );
      },
    )
      .optional()
      .describe(
        "IPv4 network of the bridge, a private one that is not used elsewhere near the board; only with `network: bridge`. Default: `10.10.0.0/16`.",
      ),
    "apparmor-profile": nonEmpty
      .optional()
      .describe("An AppArmor profile that is loaded already. Default: none."),
    selinux: flag.optional().describe("Applies SELinux labels. Default: false."),
    "max-parallelism": positive
      .optional()
      .describe("Build steps that run at the same time. Default: no limit."),
    defaultCgroupParent: nonEmpty
      .optional()
      .describe("Parent cgroup of all build containers. Default: the daemon's."),
    noProcessSandbox: flag
      .optional()
      .describe(
        "oci only, and rootless only: runs steps in the daemon's PID namespace. Default: false.",
      ),
    proxySnapshotterPath: absolutePath
      .optional()
      .describe(
        "oci only: absolute path of a proxy snapshotter's socket, without `unix://`. Default: none.",
      ),
    stargzSnapshotter: stargzSnapshotter
      .optional()
      .describe("oci only, with `snapshotter: stargz`."),
    namespace: text("a containerd namespace", /^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$/)
      .optional()
      .describe("containerd only. Default: `buildkit`."),
    runtime: runtime.optional().describe("containerd only. Default: `io.containerd.runc.v2`."),
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

const registry = table(
  "RegistrySettings",
  "`[registry.\"host\"]`, for images whose name begins with that host (`docker.io` where it names none). What is not `mirrors` is about that host alone: a mirror's `http`, `insecure` and certificates stand under the mirror's own.",
  {
    mirrors: listOf(
      text(
        'a mirror as host[:port][/path] without a scheme; for plain HTTP set http: true under registry["<that host>"]',
        /^[A-Za-z0-9.-]+(:\d+)?(\/[\w./-]+)?$/,
      ),
      "a list of mirrors",
    )
      .optional()
      .describe(
        "Tried in order before the registry itself: `host[:port][/path]`, no scheme. Default: none.",
      ),
    http: flag.optional().describe("Plain HTTP. Default: only for loopback names."),
    insecure: flag
      .optional()
      .describe(
        "HTTPS without verification of the certificate; together with `http` plain HTTP where HTTPS fails. Default: false.",
      ),
    ca: paths
      .optional()
      .describe(
        "Absolute paths on the board of certificates to trust beside the system's. Default: none.",
      ),
    keypair: listOf(
      table("RegistryKeyPair", '`[[registry."host".keypair]]`', {
        key: absolutePath.describe("Absolute path of the private key."),
        cert: absolutePath.describe("Absolute path of the certificate."),
      }),
      "a list of objects with key and cert",
    )
      .optional()
      .describe("Client certificates, by absolute paths on the board. Default: none."),
    tlsconfigdir: paths
      .optional()
      .describe("Absolute paths of directories with *.crt, *.cert and *.key files. Default: none."),
  },
);

const certificatePattern = nonEmpty.optional();

export const buildkitdSettings = table(
  "BuildkitdSettings",
  "buildkitd.toml as BuildKit v0.34.2 reads it, under upstream's own names.",
  {
    root: checkedText(
      "an absolute path whose last part names buildkit, such as /mnt/nvme/buildkit, because a delete may empty it",
      (value) =>
        absolutePath.safeParse(value).success &&
        /buildkit[^/]*$/.test(value) &&
        value.split("/").length > 2,
    )
      .optional()
      .describe(
        "Absolute path of the directory that keeps the build cache and all other state, on a disk. Default: `/var/lib/buildkit`; `/var/lib/buildkit-rootless` where rootless.",
      ),
    "insecure-entitlements": listOf(
      oneOf("network.host", "security.insecure", "device"),
      "a list of entitlements",
    )
      .optional()
      .describe(
        "What a build may ask for beyond the sandbox. Default: none (`device` alone is on while CDI is).",
      ),
    proxyNetwork: since(
      "v0.31.0",
      flag
        .optional()
        .describe(
          "Sends the network traffic of every build through BuildKit's policy proxy. Default: false.",
        ),
    ),
    provenanceEnvDir: since(
      "v0.25.0",
      absolutePath
        .optional()
        .describe(
          "Absolute path of the directory whose files are added to the provenance of builds. Default: `/etc/buildkit/provenance.d`.",
        ),
    ),
    log: table("LogSettings", "`[log]`", {
      format: oneOf("text", "json").optional().describe("Default: `text`."),
      level: oneOf("panic", "fatal", "error", "warn", "info", "debug", "trace")
        .optional()
        .describe("Default: `info`."),
    }).optional(),
    dns: table(
      "DnsSettings",
      "`[dns]`: written into the containers of `RUN` steps. Default: the host's resolv.conf, without loopback.",
      {
        nameservers: listOf(checkedText("an IP address", isIp), "a list of IP addresses")
          .optional()
          .describe(
            "Addresses of name servers; with `network: bridge` at least one that is IPv4 and not on loopback.",
          ),
        options: listOf(text("a resolv.conf option", /^\S+$/), "a list of options")
          .optional()
          .describe("resolv.conf options, for example `edns0`."),
        searchDomains: listOf(checkedText("a domain", isDnsName), "a list of domains")
          .optional()
          .describe("Domains that are tried for short names."),
      },
    ).optional(),
    grpc: table(
      "GrpcSettings",
      "`[grpc]`, without the addresses and TLS, which the board owns.",
      {
        uid: count
          .optional()
          .describe("Numeric owner of the local socket. Default: the user buildkitd runs as."),
        gid: count
          .optional()
          .describe(
            "Numeric group of the local socket, whose members may build without a certificate. Default: the daemon's.",
          ),
      },
      {
        address: "it follows from the board's listen",
        debugAddress: "it follows from the board's metrics",
        tls: "its files are the certificates that the board installs",
        securityDescriptor: "it is for Windows",
      },
    ).optional(),
    otel: table("OtelSettings", "`[otel]`", {
      socketPath: absolutePath
        .optional()
        .describe(
          "Absolute path of the socket on which BuildKit collects traces of build steps. Default: `/run/buildkit/otel-grpc.sock`.",
        ),
    }).optional(),
    cdi: since(
      "v0.20.0",
      table("CdiSettings", "`[cdi]`: Container Device Interface.", {
        disabled: flag.optional().describe("Default: false."),
        specDirs: paths
          .min(1, expected("at least one path"))
          .optional()
          .describe("Absolute paths. Default: `/etc/cdi`, `/var/run/cdi`, `/etc/buildkit/cdi`."),
        autoAllowed: listOf(nonEmpty, "a list of devices")
          .optional()
          .describe(
            "Devices that builds may use without asking for the entitlement. Default: none.",
          ),
      }).optional(),
    ),
    history: table(
      "HistorySettings",
      "`[history]`: records of finished builds. Default of the section left out: 50 entries.",
      {
        maxAge: duration
          .optional()
          .describe("Records older than this are removed. Default: no limit by age."),
        maxEntries: count
          .optional()
          .describe(
            "Records kept; 0 records nothing. Default: 50, or no limit by number where only `maxAge` is set.",
          ),
      },
    ).optional(),
    compaction: since(
      "v0.34.0",
      table(
        "CompactionSettings",
        "`[compaction]`: shrinks BuildKit's metadata databases; since v0.34.",
        {
          enabled: flag.optional().describe("Default: false."),
          idleTimeout: duration
            .optional()
            .describe("How long a database must rest first. Default: `1m`."),
          maxRetry: count
            .optional()
            .describe("Attempts given up for arriving writers before one is forced. Default: 3."),
          writesPerCheck: positive
            .optional()
            .describe("Committed writes between two checks. Default: 10000."),
          sizeWatermark: positive
            .optional()
            .describe(
              "Bytes a database must have before growth triggers a check. Default: 134217728.",
            ),
          sizeGrowthPercent: positive
            .optional()
            .describe(
              "Growth after a compaction, in percent, that triggers the next check. Default: 100.",
            ),
          minReclaimBytes: positive
            .optional()
            .describe("Reclaimable bytes that trigger compaction. Default: 268435456."),
          minReclaimPercent: percent
            .optional()
            .describe("Reclaimable share, in percent, that triggers compaction. Default: 30."),
          minReclaimPercentFloor: percent
            .optional()
            .describe(
              "Reclaimable share, in percent, below which nothing is compacted. Default: 10.",
            ),
        },
      ).optional(),
    ),
    worker: worker
      .optional()
      .describe("Of the one worker that the board runs, `[worker.oci]` or `[worker.containerd]`."),
    registry: mapOf(registryHost, registry, "a map from registry host to its settings")
      .optional()
      .describe(
        "By registry host as it stands in image names, for example `docker.io` or `registry.lan:5000`.",
      ),
    frontend: since(
      "v0.14.0",
      table("FrontendSettings", "`[frontend]`", {
        "dockerfile.v0": table(
          "DockerfileFrontendSettings",
          '`[frontend."dockerfile.v0"]`: the Dockerfile frontend that buildkitd brings along.',
          { enabled: flag.optional().describe("Default: true.") },
        ).optional(),
        "gateway.v0": table(
          "GatewayFrontendSettings",
          '`[frontend."gateway.v0"]`: frontends from images, as `# syntax=` names them.',
          {
            enabled: flag.optional().describe("Default: true."),
            allowedRepositories: listOf(
              text("a repository without tag", /^[a-z0-9.:-]+(\/[a-z0-9._-]+)*$/),
              "a list of repositories",
            )
              .optional()
              .describe("Repositories, without tag, whose images may be frontends. Default: all."),
          },
        ).optional(),
      }).optional(),
    ),
    system: since(
      "v0.14.0",
      table("SystemSettings", "`[system]`", {
        platformsCacheMaxAge: duration
          .optional()
          .describe("How often emulated platforms are looked for. Default: `1h`."),
        maxRegistryConcurrency: since(
          "v0.31.0",
          positive.optional().describe("Connections to one registry at a time. Default: 4."),
        ),
        sessionAuthTimeout: since(
          "v0.34.0",
          duration
            .optional()
            .describe(
              "How long a client may take to answer for credentials; 0 or less means for ever. Default: `60s`.",
            ),
        ),
      }).optional(),
    ),
    cache: since(
      "v0.27.0",
      table("CacheSettings", "`[cache]`", {
        gha: table("GhaCacheSettings", "`[cache.gha]`: signatures on the GitHub Actions cache.", {
          sign: table("GhaCacheSignSettings", "Signs what is exported.", {
            command: listOf(nonEmpty, "a command, word by word")
              .min(1, expected("at least one word"))
              .describe(
                "A command, word by word, that reads the payload and writes its signature.",
              ),
          }).optional(),
          verify: table("GhaCacheVerifySettings", "Verifies what is imported.", {
            required: flag.optional().describe("Default: false."),
            policy: table(
              "GhaCacheVerifyPolicy",
              "What a signature's certificate must carry; `*` matches anything.",
              {
                timestampThreshold: count.optional().describe("Signed timestamps that are needed."),
                tlogThreshold: count
                  .optional()
                  .describe("Entries in a transparency log that are needed."),
                certificateIssuer: certificatePattern.describe("Issuer of the certificate itself."),
                subjectAlternativeName: certificatePattern.describe(
                  "Who has signed: a URI or an address.",
                ),
                Issuer: certificatePattern.describe("Issuer of the OIDC token."),
                BuildSignerURI: certificatePattern.describe("Build instructions that have signed."),
                BuildSignerDigest: certificatePattern.describe("Their digest."),
                RunnerEnvironment: certificatePattern.describe("`github-hosted` or `self-hosted`."),
                SourceRepositoryURI: certificatePattern.describe("Repository that was built."),
                SourceRepositoryDigest: certificatePattern.describe("Commit that was built."),
                SourceRepositoryRef: certificatePattern.describe("Ref that was built."),
                SourceRepositoryIdentifier: certificatePattern.describe(
                  "Number of the repository.",
                ),
                SourceRepositoryOwnerURI: certificatePattern.describe("Owner of the repository."),
                SourceRepositoryOwnerIdentifier:
                  certificatePattern.describe("Number of the owner."),
                BuildConfigURI: certificatePattern.describe("Workflow at the top of the run."),
                BuildConfigDigest: certificatePattern.describe("Its digest."),
                BuildTrigger: certificatePattern.describe("Event that started the run."),
                RunInvocationURI: certificatePattern.describe("The run."),
                SourceRepositoryVisibilityAtSigning:
                  certificatePattern.describe("`public` or `private`."),
              },
            ).optional(),
          }).optional(),
        }).optional(),
      }).optional(),
    ),
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
);

/** By path, such as `worker.gcpolicy[].maxUsedSpace`, the first BuildKit with a setting: an older one silently ignores it. */
export const settingsSince: readonly (readonly [path: string, version: string])[] =
  versionsBelow(buildkitdSettings);

function versionsBelow(schema: z.core.$ZodType, path = ""): [string, string][] {
  const version = firstKnown.get(schema)?.version;
  const own: [string, string][] = version === undefined ? [] : [[path, version]];
  if (schema instanceof z.ZodOptional) return [...own, ...versionsBelow(schema.unwrap(), path)];
  if (schema instanceof z.ZodArray) return [...own, ...versionsBelow(schema.element, `${path}[]`)];
  if (!(schema instanceof z.ZodObject)) return own;
  const keys = Object.entries<z.core.$ZodType>(schema.shape);
  return [
    ...own,
    ...keys.flatMap(([key, value]) => versionsBelow(value, path === "" ? key : `${path}.${key}`)),
  ];
}

export type BuildkitdSettings = z.output<typeof buildkitdSettings>;
export type WorkerSettings = z.output<typeof worker>;
export type ContainerdRuntimeSettings = z.output<typeof runtime>;
export type GcPolicy = z.output<typeof gcPolicy>;
export type RegistrySettings = z.output<typeof registry>;
export type DiskSpace = z.output<typeof diskSpace>;
export type Duration = z.output<typeof duration>;

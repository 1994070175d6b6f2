// Translates the inputs of a container to the words of Docker's API.

import { readFile } from "node:fs/promises";
import type Docker from "dockerode";
import tar from "tar-stream";
import type {
  AttachedNetwork,
  ContainerInputs,
  ContainerVolume,
  Mount,
  Port,
  Upload,
} from "./containerInputs.ts";
import { labelMap } from "./dockerResource.ts";

const MEBIBYTE = 1024 * 1024;

export function createOptions(inputs: ContainerInputs): Docker.ContainerCreateOptions {
  const { healthcheck } = inputs;
  return {
    name: inputs.name,
    Image: inputs.image,
    ...(inputs.platform && { platform: inputs.platform }),
    Hostname: inputs.hostname ?? "",
    Domainname: inputs.domainname ?? "",
    Tty: inputs.tty,
    OpenStdin: inputs.stdinOpen,
    ...(inputs.stopSignal && { StopSignal: inputs.stopSignal }),
    ...(inputs.stopTimeout && { StopTimeout: inputs.stopTimeout }),
    ...(inputs.envs?.length && { Env: [...inputs.envs].sort() }),
    ...(inputs.command?.length && { Cmd: [...inputs.command] }),
    ...(inputs.entrypoints?.length && { Entrypoint: [...inputs.entrypoints] }),
    User: inputs.user ?? "",
    WorkingDir: inputs.workingDir ?? "",
    Labels: labelMap(inputs.labels),
    ExposedPorts: Object.fromEntries((inputs.ports ?? []).map((port) => [portKey(port), {}])),
    Volumes: Object.fromEntries(
      (inputs.volumes ?? []).flatMap(({ containerPath }) =>
        containerPath ? [[containerPath, {}]] : [],
      ),
    ),
    ...(healthcheck && {
      Healthcheck: {
        Test: [...(healthcheck.tests ?? [])],
        Interval: nanoseconds(healthcheck.interval),
        Timeout: nanoseconds(healthcheck.timeout),
        StartPeriod: nanoseconds(healthcheck.startPeriod),
        StartInterval: nanoseconds(healthcheck.startInterval),
        Retries: healthcheck.retries,
      },
    }),
    HostConfig: hostConfig(inputs),
  };
}

function hostConfig(inputs: ContainerInputs): Docker.HostConfig {
  const volumes = inputs.volumes ?? [];
  const { securityOpts = [], capabilities } = inputs;
  // The docker command takes this option itself; the daemon does not know it.
  const unconfined = securityOpts.includes("systempaths=unconfined");
  return {
    Privileged: inputs.privileged ?? false,
    PublishAllPorts: inputs.publishAllPorts ?? false,
    RestartPolicy: { Name: inputs.restart, MaximumRetryCount: inputs.maxRetryCount ?? 0 },
    AutoRemove: inputs.rm,
    ReadonlyRootfs: inputs.readOnly,
    Init: inputs.init ?? false,
    NetworkMode: inputs.networkMode,
    LogConfig: { Type: inputs.logDriver ?? "", Config: { ...inputs.logOpts } },
    PortBindings: portBindings(inputs.ports ?? []),
    Binds: volumes.flatMap(bind),
    VolumesFrom: volumes.flatMap(({ fromContainer }) => (fromContainer ? [fromContainer] : [])),
    Mounts: (inputs.mounts ?? []).map(mount),
    Tmpfs: { ...inputs.tmpfs },
    Devices: (inputs.devices ?? []).map(({ hostPath, containerPath, permissions }) => ({
      PathOnHost: hostPath,
      PathInContainer: containerPath || hostPath,
      CgroupPermissions: permissions,
    })),
    Ulimits: (inputs.ulimits ?? []).map(({ name, soft, hard }) => ({
      Name: name,
      Soft: soft,
      Hard: hard,
    })),
    ExtraHosts: (inputs.hosts ?? []).map(({ host, ip }) => `${host}:${ip}`),
    Dns: [...(inputs.dns ?? [])],
    DnsOptions: [...(inputs.dnsOpts ?? [])],
    DnsSearch: [...(inputs.dnsSearches ?? [])],
    CapAdd: fullNames(capabilities?.adds),
    CapDrop: fullNames(capabilities?.drops),
    SecurityOpt: securityOpts.filter((option) => option !== "systempaths=unconfined"),
    ...(unconfined && { MaskedPaths: [], ReadonlyPaths: [] }),
    ...resources(inputs),
    MemorySwap: swap(inputs.memorySwap),
    ...(inputs.shmSize && { ShmSize: inputs.shmSize * MEBIBYTE }),
    ...(inputs.cpus
      ? { NanoCpus: Math.round(Number(inputs.cpus) * 1e9) }
      : { CpuPeriod: inputs.cpuPeriod ?? 0, CpuQuota: inputs.cpuQuota ?? 0 }),
    ...(inputs.runtime && { Runtime: inputs.runtime }),
    ...(inputs.pidMode && { PidMode: inputs.pidMode }),
    ...(inputs.usernsMode && { UsernsMode: inputs.usernsMode }),
    ...(inputs.ipcMode && { IpcMode: inputs.ipcMode }),
    ...(inputs.cgroupnsMode && { CgroupnsMode: inputs.cgroupnsMode as "private" | "host" }),
    ...(inputs.cgroupParent && { CgroupParent: inputs.cgroupParent }),
    GroupAdd: [...(inputs.groupAdds ?? [])],
    Sysctls: { ...inputs.sysctls },
  };
}

/** The limits and the policy that a container that runs can be given anew. */
export function updateOptions(inputs: ContainerInputs) {
  return {
    ...resources(inputs),
    ...(inputs.memorySwap && { MemorySwap: swap(inputs.memorySwap) }),
    RestartPolicy: { Name: inputs.restart, MaximumRetryCount: inputs.maxRetryCount ?? 0 },
  };
}

/** Capabilities as docker's own client sends them; so a refresh finds them, whatever the program says. */
function fullNames(capabilities: readonly string[] = []): string[] {
  const names = capabilities.map((name) => name.toUpperCase());
  if (names.includes("ALL")) return ["ALL"];
  return names.map((name) => (name.startsWith("CAP_") ? name : `CAP_${name}`)).sort();
}

function resources(inputs: ContainerInputs) {
  return {
    Memory: (inputs.memory ?? 0) * MEBIBYTE,
    MemoryReservation: inputs.memoryReservation * MEBIBYTE,
    CpuShares: inputs.cpuShares ?? 0,
    CpusetCpus: inputs.cpuSet ?? "",
  };
}

function swap(mebibytes = 0): number {
  return mebibytes > 0 ? mebibytes * MEBIBYTE : mebibytes;
}

function portKey({ internal, protocol }: Port): string {
  return `${internal}/${protocol}`;
}

function portBindings(ports: readonly Port[]) {
  const bindings: { [port: string]: { HostIp: string; HostPort: string }[] } = {};
  for (const port of ports) {
    const key = portKey(port);
    bindings[key] = [
      ...(bindings[key] ?? []),
      { HostIp: port.ip, HostPort: String(port.external ?? 0) },
    ];
  }
  return bindings;
}

function bind(volume: ContainerVolume): string[] {
  const { containerPath, fromContainer, readOnly, selinuxRelabel } = volume;
  const source = volume.volumeName || volume.hostPath;
  if (!fromContainer === !containerPath) {
    throw new Error("volumes: each entry has either a containerPath or a fromContainer");
  }
  if (fromContainer || !source) return [];
  const mode = [readOnly ? "ro" : "rw", ...(selinuxRelabel ? [selinuxRelabel] : [])].join(",");
  return [`${source}:${containerPath}:${mode}`];
}

function mount({ type, source, target, readOnly, bindOptions }: Mount): Docker.MountSettings {
  return {
    Type: type as Docker.MountType,
    Source: source ?? "",
    Target: target,
    ReadOnly: readOnly ?? false,
    ...(bindOptions?.propagation && {
      BindOptions: { Propagation: bindOptions.propagation as Docker.MountPropagation },
    }),
  };
}

export function endpointOptions(network: AttachedNetwork) {
  return {
    Aliases: [...(network.aliases ?? [])],
    IPAMConfig: {
      ...(network.ipv4Address && { IPv4Address: network.ipv4Address }),
      ...(network.ipv6Address && { IPv6Address: network.ipv6Address }),
    },
  };
}

/** A tar archive of one file, for the container's root folder. */
export async function uploadArchive(upload: Upload): Promise<Buffer> {
  const { file, content, contentBase64, source, permissions, executable } = upload;
  const given = [content, contentBase64, source].filter(Boolean);
  if (given.length !== 1) {
    throw new Error(
      `upload of ${file}: one of content, contentBase64 and source must be set, not ${given.length}`,
    );
  }
  const bytes = source
    ? await readFile(source)
    : Buffer.from(content || (contentBase64 ?? ""), content ? "utf8" : "base64");
  const pack = tar.pack();
  const mode = permissions ? Number.parseInt(permissions, 8) : executable ? 0o744 : 0o644;
  pack.entry({ name: file, mode, mtime: new Date() }, bytes);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const NANOSECONDS: { readonly [unit: string]: number } = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's durations: `1m30s`, `1.5h`, `0`. */
export function nanoseconds(duration: string): number {
  let sum = 0;
  for (const [, amount, unit = ""] of duration.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(amount) * (NANOSECONDS[unit] ?? 0);
  }
  return Math.round(sum);
}

// Translates Docker's description of a container to the words of its resource.

import type Docker from "dockerode";
import type { PropertyMap, Value } from "../provider/values.ts";
import type { ContainerInputs } from "./containerInputs.ts";

const MEBIBYTE = 1024 * 1024;

/** Fields that the types of dockerode leave out. */
interface Inspected extends Docker.ContainerInspectInfo {
  readonly Platform: string;
  readonly Config: Docker.ContainerInspectInfo["Config"] & {
    readonly StopSignal?: string;
    readonly StopTimeout?: number;
    readonly Healthcheck?: Docker.HealthConfig;
  };
}

/** The state of a container of which `known` was known. */
export function stateOf(info: Docker.ContainerInspectInfo, known: ContainerInputs): PropertyMap {
  const { Config, HostConfig, NetworkSettings, State, Platform } = info as Inspected;
  const { Healthcheck } = Config;
  const state: { [name: string]: Value } = {
    name: info.Name.replace(/^\//, ""),
    rm: HostConfig.AutoRemove ?? false,
    readOnly: HostConfig.ReadonlyRootfs ?? false,
    // An image that was named by its id has no name in the container's configuration that stays.
    image: known.image.startsWith("sha256:") ? info.Image : Config.Image,
    hostname: Config.Hostname,
    domainname: Config.Domainname,
    command: Config.Cmd ?? [],
    entrypoints: [Config.Entrypoint ?? []].flat(),
    user: Config.User,
    workingDir: Config.WorkingDir,
    dns: HostConfig.Dns ?? [],
    dnsOpts: HostConfig.DnsOptions ?? [],
    dnsSearches: HostConfig.DnsSearch ?? [],
    hosts: (HostConfig.ExtraHosts ?? []).map((entry: string) => {
      const [host = "", ...ip] = entry.split(":");
      return { host, ip: ip.join(":") };
    }),
    publishAllPorts: HostConfig.PublishAllPorts ?? false,
    restart: HostConfig.RestartPolicy?.Name || "no",
    maxRetryCount: HostConfig.RestartPolicy?.MaximumRetryCount ?? 0,
    privileged: HostConfig.Privileged ?? false,
    securityOpts: HostConfig.SecurityOpt ?? [],
    tmpfs: HostConfig.Tmpfs ?? {},
    ulimits: (HostConfig.Ulimits ?? []).map(({ Name, Soft, Hard }) => ({
      name: Name ?? "",
      soft: Soft ?? 0,
      hard: Hard ?? 0,
    })),
    mounts: (HostConfig.Mounts ?? []).map((mount) => ({
      type: mount.Type,
      source: mount.Source ?? "",
      target: mount.Target,
      readOnly: mount.ReadOnly ?? false,
      ...(mount.BindOptions && {
        bindOptions: { propagation: mount.BindOptions.Propagation ?? "" },
      }),
    })),
    memory: Math.trunc((HostConfig.Memory ?? 0) / MEBIBYTE),
    memoryReservation: mebibytes(HostConfig.MemoryReservation),
    memorySwap: mebibytes(HostConfig.MemorySwap),
    shmSize: Math.trunc((HostConfig.ShmSize ?? 0) / MEBIBYTE),
    cpuShares: HostConfig.CpuShares ?? 0,
    cpuSet: HostConfig.CpusetCpus ?? "",
    logDriver: HostConfig.LogConfig?.Type ?? "",
    networkMode: HostConfig.NetworkMode ?? "",
    init: HostConfig.Init ?? false,
    runtime: HostConfig.Runtime ?? "",
    platform: Platform,
    tty: Config.Tty,
    stdinOpen: Config.OpenStdin,
    stopSignal: Config.StopSignal ?? "",
    stopTimeout: Config.StopTimeout ?? 0,
    pidMode: HostConfig.PidMode ?? "",
    usernsMode: HostConfig.UsernsMode ?? "",
    ipcMode: HostConfig.IpcMode ?? "",
    groupAdds: HostConfig.GroupAdd ?? [],
    sysctls: HostConfig.Sysctls ?? {},
    // What the image brings of these stands in the container's configuration too.
    envs: known.envs ?? [],
    labels: (known.labels ?? []).map(({ label, value }) => ({ label, value })),
    bridge: (NetworkSettings as { Bridge?: string }).Bridge ?? "",
    networkDatas: networkData(NetworkSettings.Networks),
  };
  if (HostConfig.CapAdd?.length || HostConfig.CapDrop?.length) {
    state.capabilities = { adds: HostConfig.CapAdd ?? [], drops: HostConfig.CapDrop ?? [] };
  }
  if (known.devices?.length) {
    const withPath = new Set(known.devices.filter((d) => d.containerPath).map((d) => d.hostPath));
    state.devices = (HostConfig.Devices ?? []).map((device: Docker.DeviceMapping) => ({
      hostPath: device.PathOnHost,
      permissions: device.CgroupPermissions,
      ...(withPath.has(device.PathOnHost) && { containerPath: device.PathInContainer }),
    }));
  }
  if (HostConfig.NanoCpus) state.cpus = cpus(HostConfig.NanoCpus);
  if (Object.keys(known.logOpts ?? {}).length > 0) {
    state.logOpts = HostConfig.LogConfig?.Config ?? {};
  }
  if (Healthcheck) {
    state.healthcheck = {
      tests: Healthcheck.Test ?? [],
      interval: goDuration(Healthcheck.Interval),
      timeout: goDuration(Healthcheck.Timeout),
      startPeriod: goDuration(Healthcheck.StartPeriod),
      startInterval: goDuration((Healthcheck as { StartInterval?: number }).StartInterval),
      retries: Healthcheck.Retries ?? 0,
    };
  }
  // A container that has ended publishes nothing; that says something of one that shall run only.
  if (State.Running || known.mustRun) state.ports = publishedPorts(NetworkSettings.Ports);
  if (!State.Running) {
    state.exitCode = State.ExitCode;
    // The state says what is the case, so that the next update starts what shall run.
    if (known.mustRun) state.mustRun = false;
  }
  return state;
}

function mebibytes(bytes = 0): number {
  return bytes > 0 ? Math.trunc(bytes / MEBIBYTE) : bytes;
}

/**
 * `1.5`, as the official plugin writes it: one zero for whole numbers below ten, none from there on
 * (`2.0`, `10.`). What the program says in other words is a change for ever.
 */
export function cpus(nano: number): string {
  const text = (nano / 1e9).toFixed(9);
  if (text.split("0").length - 1 === 9) return (nano / 1e9).toFixed(1);
  return text.replace(/0+$/, "");
}

function networkData(
  networks: Docker.NetworkInfo | { [name: string]: Docker.NetworkInfo } | undefined,
) {
  return Object.entries((networks ?? {}) as { [name: string]: Docker.NetworkInfo })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([networkName, data]) => ({
      networkName,
      ipAddress: data.IPAddress ?? "",
      ipPrefixLength: data.IPPrefixLen ?? 0,
      gateway: data.Gateway ?? "",
      globalIpv6Address: data.GlobalIPv6Address ?? "",
      globalIpv6PrefixLength: data.GlobalIPv6PrefixLen ?? 0,
      ipv6Gateway: data.IPv6Gateway ?? "",
      macAddress: data.MacAddress ?? "",
    }));
}

function publishedPorts(ports: Docker.ContainerInspectInfo["NetworkSettings"]["Ports"] | null) {
  return Object.entries(ports ?? {})
    .map(([key, bindings]) => {
      const [internal, protocol = "tcp"] = key.split("/");
      return { internal: Number(internal), protocol, bindings: bindings ?? [] };
    })
    .sort((a, b) => a.internal - b.internal)
    .flatMap(({ internal, protocol, bindings }) =>
      bindings.map(({ HostIp, HostPort }) => ({
        internal,
        external: Number(HostPort),
        ip: HostIp,
        protocol,
      })),
    );
}

/** A duration as Go writes it: `1m30s`, `1.5s`, `250ms`. */
export function goDuration(nanoseconds = 0): string {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`;
  const minutes = Math.floor(nanoseconds / 60e9);
  const hours = Math.floor(minutes / 60);
  const seconds = `${(nanoseconds - minutes * 60e9) / 1e9}s`;
  if (hours > 0) return `${hours}h${minutes % 60}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

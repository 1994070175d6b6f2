import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BuildkitdSettings } from "../buildkitd/schema.ts";
import { defaultBridge, renderBuildkitdToml } from "../buildkitd/toml.ts";
import { socketAddress } from "../socketAddress.ts";
import type { Files } from "./bundle.ts";

export interface BoardFilesInputs {
  worker: "oci" | "containerd";
  network: "bridge" | "host";
  rootless: boolean;
  listen: { address: string; port: number };
  socketActivation: boolean;
  metricsAddress: string | undefined;
  environment: Record<string, string>;
  settings: BuildkitdSettings;
  /** Names of the secret ones among the board's further files. Default: none. */
  secretFiles?: readonly string[];
}

/** The name of a further file among those of a configuration: buildkitd restarts when a `buildkitd.*` changes. */
export const stagedName = (name: string) => `buildkitd.${name}`;

/** Where a daemon reads a further file: systemd hands a rootless one a copy of what only root may read. */
export function boardFilePath(
  { name, isPublic }: { name: string; isPublic: boolean },
  rootless: boolean,
): string {
  return rootless && !isPublic
    ? `/run/credentials/buildkitd.service/${name}`
    : `${CONFIG_FOLDER}/${stagedName(name)}`;
}

/** Where the configuration in use is on a board, as `boardctl` places it. */
const CONFIG_FOLDER = "/usr/local/lib/buildhosts/current/config";

const unit = (name: string) => readFileSync(join(import.meta.dirname, "units", name), "utf8");

/** Where the board has `runc.sh`, whichever configuration is in use. */
const RUNC_OF_STEPS = `${CONFIG_FOLDER}/runc`;

/**
 * The configuration of a board, file by file: buildkitd.toml, its environment, and the units. A
 * drop-in is named after its unit, `UNIT__NAME.conf` for `UNIT.d/NAME.conf`.
 */
export function boardFiles(b: BoardFilesInputs): Files {
  const tcp = socketAddress(b.listen);
  const files: Files = {
    "buildkitd.toml": renderBuildkitdToml({
      settings: b.settings,
      worker: b.worker,
      network: b.network,
      rootless: b.rootless,
      addresses: [
        // `fd://` stands for the socket that systemd listens on.
        b.socketActivation ? "fd://" : `tcp://${tcp}`,
        "unix:///run/buildkit/buildkitd.sock",
      ],
      metricsAddress: b.metricsAddress,
      tls: {
        ca: "/etc/buildkit/ca.pem",
        cert: "/etc/buildkit/cert.pem",
        // The unit's LoadCredential hands the key to a daemon that may not read root's files.
        key: b.rootless ? "/run/credentials/buildkitd.service/key.pem" : "/etc/buildkit/key.pem",
      },
      // A rootless daemon has no protection that steps could inherit.
      runc: b.rootless ? "/usr/local/sbin/runc" : RUNC_OF_STEPS,
    }),
    "containerd.service": unit("containerd.service"),
    "buildkitd.service": unit(b.rootless ? "buildkitd-rootless.service" : "buildkitd.service"),
  };
  if (!b.rootless) files.runc = readFileSync(join(import.meta.dirname, "runc.sh"), "utf8");
  if (Object.keys(b.environment).length > 0) {
    files["buildkitd.env"] = renderEnvironment(b.environment);
  }
  if (b.network === "bridge" && !b.settings.proxyNetwork) {
    const subnet = b.settings.worker?.bridgeSubnet ?? defaultBridge.subnet;
    const bridge = b.settings.worker?.bridgeName ?? defaultBridge.name;
    files["buildkitd.service__run-steps.conf"] =
      refuseRunSteps("Service", subnet) + withoutIpv6(bridge);
    if (b.socketActivation) {
      files["buildkitd.socket__run-steps.conf"] = refuseRunSteps("Socket", subnet);
    }
  }
  if (b.worker === "containerd") {
    files["buildkitd.service__containerd-worker.conf"] = unit("containerd-worker.conf");
  }
  if (b.rootless && b.secretFiles?.length) {
    const credentials = b.secretFiles.map(
      (name) => `LoadCredential=${name}:${CONFIG_FOLDER}/${stagedName(name)}\n`,
    );
    files["buildkitd.service__files.conf"] = `[Service]\n${credentials.join("")}`;
  }
  if (b.socketActivation) {
    files["buildkitd.socket"] = unit("buildkitd.socket");
    files["buildkitd.socket__listen.conf"] = `[Socket]\nListenStream=${streamAddress(b.listen)}\n`;
    files["buildkitd.service__socket-activation.conf"] = unit("socket-activation.conf");
  }
  return files;
}

/**
 * RUN steps reach the board through their bridge's gateway, and so the daemon's port: a certificate that
 * leaked into a build would open it. The steps' own traffic is left alone, because runc puts them into
 * cgroups outside of the service's.
 */
function refuseRunSteps(section: "Service" | "Socket", subnet: string): string {
  return `# What RUN steps send to the daemon's port is dropped.\n[${section}]\nIPAddressDeny=${subnet}\n`;
}

/**
 * By IPv6, a step would reach the board at the bridge's link-local address, which no list of networks can tell
 * from that of a name server in the LAN. So the bridge, whose network is IPv4's alone, has no IPv6. It is made
 * here, before buildkitd would make it with it.
 */
function withoutIpv6(bridge: string): string {
  const settings = `/proc/sys/net/ipv6/conf/${bridge}`;
  return `# Nor is there IPv6 on their bridge, by which they would reach it as well.
ExecStartPre=/bin/sh -c '[ -e /sys/class/net/${bridge} ] || ip link add ${bridge} type bridge'
ExecStartPre=/bin/sh -c '[ ! -e ${settings} ] || echo 1 >${settings}/disable_ipv6'
`;
}

/**
 * As systemd listens where buildkitd would: Go takes either family's wildcard for both families, systemd does so for a
 * port alone.
 */
function streamAddress(listen: { address: string; port: number }): string {
  return ["0.0.0.0", "::"].includes(listen.address) ? `${listen.port}` : socketAddress(listen);
}

/** An EnvironmentFile of systemd (systemd.exec(5)): each value quoted, in the order of the names. */
export function renderEnvironment(environment: Record<string, string>): string {
  return Object.entries(environment)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, "\\$&")}"\n`)
    .join("");
}

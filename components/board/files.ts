import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BuildkitdSettings } from "../buildkitd/settings.ts";
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
      runc: "/usr/local/sbin/runc",
    }),
    "containerd.service": unit("containerd.service"),
    "buildkitd.service": unit(b.rootless ? "buildkitd-rootless.service" : "buildkitd.service"),
  };
  if (Object.keys(b.environment).length > 0) {
    files["buildkitd.env"] = renderEnvironment(b.environment);
  }
  if (b.network === "bridge" && !b.settings.proxyNetwork) {
    const subnet = b.settings.worker?.bridgeSubnet ?? defaultBridge.subnet;
    files["buildkitd.service__run-steps.conf"] = refuseRunSteps("Service", subnet);
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
    files["buildkitd.socket__listen.conf"] = `[Socket]\nListenStream=${tcp}\n`;
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

/** An EnvironmentFile of systemd (systemd.exec(5)): each value quoted, in the order of the names. */
export function renderEnvironment(environment: Record<string, string>): string {
  return Object.entries(environment)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, "\\$&")}"\n`)
    .join("");
}

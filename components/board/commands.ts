import { commandLine, commandLines } from "../shell.ts";
import { BOARDCTL } from "./boardctl.ts";
import type { Release } from "./releases.ts";

/** The network that buildkitd makes for RUN steps. */
export interface Bridge {
  /** The interface. */
  name: string;
  /** `10.10.0.0/16` */
  subnet: string;
}

/** What `boardctl preflight` checks. */
export interface Preflight {
  board: string;
  /** `user@host:port`, for the reader of a diff: the connection itself is secret. */
  address: string;
  /** `uname -m` of the platform. */
  machine: string;
  platform: string;
  network: string;
  rootless: boolean;
  /** BuildKit's, where the settings name one. */
  snapshotter: string | undefined;
  /** Seconds since 1970: the board's clock must not be before it. */
  clockAfter: number;
  /** The same: it must not be after it. */
  clockBefore: number | undefined;
  /** The cap of the cache in bytes; 0 where it is relative to the disk. */
  cacheBytes: number;
  cacheRoot: string;
  port: number;
  metricsPort: number | undefined;
  /** The network of RUN steps, where they have one. */
  bridge: Bridge | undefined;
  /** Of the script on standard input. */
  scriptId: string;
}

/**
 * The script comes on standard input, into a file of the connecting user, and is run from there. It
 * becomes root by itself, and puts itself in its place only when it found no problem.
 */
export function preflightCommand(p: Preflight): string {
  const check = commandLines('sh "$f" preflight', [
    ["--board", p.board, "--at", p.address],
    ["--machine", p.machine, "--platform", p.platform],
    ["--network", p.network, "--rootless", String(p.rootless)],
    ...(p.bridge ? [["--bridge", p.bridge.name, "--bridge-subnet", p.bridge.subnet]] : []),
    ...(p.snapshotter ? [["--snapshotter", p.snapshotter]] : []),
    ["--clock-after", String(p.clockAfter)],
    ...(p.clockBefore ? [["--clock-before", String(p.clockBefore)]] : []),
    ["--cache-bytes", String(p.cacheBytes), "--cache-root", p.cacheRoot],
    ["--port", String(p.port)],
    ...(p.metricsPort ? [["--metrics-port", String(p.metricsPort)]] : []),
    ["--script", p.scriptId],
  ]);
  return `f=$(mktemp) && base64 -d | gzip -d >"$f" && ${check}; s=$?; rm -f "$f"; exit $s`;
}

/** A release and where its file and its checksum come from. */
export interface ReleaseSource {
  release: Release;
  url: string;
  /** `sha256:…`, or the URL of the file that upstream publishes it in. */
  checksum: string;
}

/** `environment` is the daemon's: its proxies are those of the downloads, too. */
export function installCommand(
  sources: ReleaseSource[],
  environment: Record<string, string> = {},
): string {
  return commandLines(commandLine(BOARDCTL, "install"), [
    ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => {
      const value = environment[name];
      // curl reads http_proxy in lower case only.
      return value === undefined ? [] : [["--proxy", `${name.toLowerCase()}=${value}`]];
    }),
    ...sources.map(({ release, url, checksum }) => [
      release.component,
      release.version,
      url,
      checksum,
    ]),
  ]);
}

export function stageConfigCommand(id: string): string {
  return commandLine(BOARDCTL, "stage-config", id);
}

/** What `boardctl activate` puts to use, beside the certificates on its standard input. */
export interface Activation {
  releases: Array<{ component: string; version: string; sha256?: string }>;
  configId: string;
  /** Where the health check finds the daemon, and the name it verifies there. */
  checkAddress: string;
  serverName: string;
  drainSeconds: number;
  /** Where the cache is, and the interface of the bridge: for `uninstall` to know. */
  root: string;
  bridge: Bridge | undefined;
}

export function activateCommand(a: Activation): string {
  return commandLines(commandLine(BOARDCTL, "activate"), [
    ...a.releases.map(({ component, version, sha256 }) => [
      `--${component}`,
      sha256 ? `${version}@${sha256}` : version,
    ]),
    ["--config", a.configId],
    ["--check", a.checkAddress, "--server-name", a.serverName],
    ["--drain-seconds", String(a.drainSeconds)],
    ["--root", a.root, ...(a.bridge ? ["--bridge", a.bridge.name] : [])],
  ]);
}

/** Takes the services and files out of use; a board without boardctl has none. */
export function deactivateCommand(): string {
  return `[ ! -e ${BOARDCTL} ] || ${commandLine(BOARDCTL, "deactivate")}`;
}

/** Takes away all that was installed; the cache only when asked to. */
export function uninstallCommand(removeCache: boolean): string {
  const words = removeCache ? [BOARDCTL, "uninstall", "--remove-cache"] : [BOARDCTL, "uninstall"];
  return `[ ! -e ${BOARDCTL} ] || ${commandLine(...words)}`;
}

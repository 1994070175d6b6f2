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
  /** `project/stack`: whose boards are not taken over, and whose are. */
  stack: string;
  /** What the board was called before; `project/stack/name` where it was another stack's. */
  formerName: string | undefined;
  /** `user@host:port`, for the reader of a diff: the connection itself is secret. */
  address: string;
  /** `uname -m` of the platform. */
  machine: string;
  platform: string;
  network: string;
  rootless: boolean;
  /** BuildKit's, where the settings name one. */
  snapshotter: string | undefined;
  /** Whether steps are confined by SELinux. */
  selinux: boolean;
  /** Seconds since 1970: the board's clock must not be before it. */
  clockAfter: number;
  /** The same: it must not be after it. */
  clockBefore: number | undefined;
  /** The cap of the cache in bytes; 0 where it is relative to the disk. */
  cacheBytes: number;
  cacheRoot: string;
  /** Whether the settings give RUN steps name servers. */
  ownNameservers: boolean;
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
  const script = `f=$(mktemp) && base64 -d | gzip -d >"$f" && sh "$f" preflight "$@"; s=$?; rm -f "$f"; exit $s`;
  return commandLines(posix(script), [
    ["--board", p.board, "--at", p.address],
    ["--owner", p.stack],
    ...(p.formerName ? [["--former", p.formerName]] : []),
    ["--machine", p.machine, "--platform", p.platform],
    ["--network", p.network, "--rootless", String(p.rootless)],
    ...(p.bridge ? [["--bridge", p.bridge.name, "--bridge-subnet", p.bridge.subnet]] : []),
    ...(p.bridge && p.ownNameservers ? [["--nameservers", "own"]] : []),
    ...(p.snapshotter ? [["--snapshotter", p.snapshotter]] : []),
    ...(p.selinux ? [["--selinux", "true"]] : []),
    ["--clock-after", String(p.clockAfter)],
    ...(p.clockBefore ? [["--clock-before", String(p.clockBefore)]] : []),
    ["--cache-bytes", String(p.cacheBytes), "--cache-root", p.cacheRoot],
    ["--port", String(p.port)],
    ...(p.metricsPort ? [["--metrics-port", String(p.metricsPort)]] : []),
    ["--script", p.scriptId],
  ]);
}

/**
 * A script for sh as words of a login shell that may be another one: fish and csh read single quotes and what stands
 * behind them alike, as long as neither `'` nor `!` nor a line's end is within.
 */
export function posix(script: string): string {
  return commandLine("sh", "-c", script, "sh");
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

/**
 * Takes away all that was installed, if it is still this board's of this stack; the cache only when asked to. A
 * board without boardctl has nothing.
 */
export function uninstallCommand(owner: string, removeCache: boolean): string {
  return removal("uninstall", "--owner", owner, ...(removeCache ? ["--remove-cache"] : []));
}

/** The same, where nothing was ever put to use. */
export function withdrawCommand(owner: string): string {
  return removal("withdraw", "--owner", owner);
}

function removal(...words: string[]): string {
  return `${posix('if [ -e "$1" ]; then "$@"; fi')} ${commandLine(BOARDCTL, ...words)}`;
}

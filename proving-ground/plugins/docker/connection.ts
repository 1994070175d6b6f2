// Reaching a Docker daemon: by a socket, over TLS, or by the machine's own ssh.

import Docker from "dockerode";
import type { RegistryLogin } from "./registryLogin.ts";
import { sshAgent } from "./sshAgent.ts";

/** How a daemon is reached, and what it shows to registries. */
export interface Settings {
  /** `unix://`, `tcp://`, `http://`, `https://` or `ssh://`. */
  readonly host: string;
  /** Options for ssh, before the host's name. */
  readonly sshOpts: readonly string[];
  /** PEM texts: the daemon's authority, and the certificate and key to show it. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly registries: readonly RegistryLogin[];
}

export interface Daemon {
  readonly client: Docker;
  readonly registries: readonly RegistryLogin[];
  /** Asks the daemon whether it is there, once; throws an error that names the host. */
  reach(): Promise<void>;
}

const REACH_SECONDS = 30;

export function daemonOf(settings: Settings): Daemon {
  const client = new Docker(optionsOf(settings));
  let reached: Promise<void> | undefined;
  const ask = async () => {
    try {
      // The types of dockerode know no options here.
      const ping = client.ping.bind(client) as (options: object) => Promise<unknown>;
      await ping({ abortSignal: AbortSignal.timeout(REACH_SECONDS * 1000) });
    } catch (error) {
      reached = undefined;
      throw new Error(`docker host ${settings.host}: ${unreachable(error)}`);
    }
  };
  return {
    client,
    registries: settings.registries,
    reach: () => {
      reached ??= ask();
      return reached;
    },
  };
}

function optionsOf({ host, sshOpts, tls }: Settings): Docker.DockerOptions {
  // dockerode takes from DOCKER_HOST and its like what is not said here.
  const nothing = { host: undefined, port: undefined, socketPath: undefined, pathPrefix: "/" };
  const noTls = { ca: undefined, cert: undefined, key: undefined, timeout: undefined };
  const options = { ...nothing, ...noTls };
  const url = urlOf(host);
  switch (url.protocol) {
    case "unix:":
      return { ...options, protocol: "http", socketPath: url.pathname };
    case "ssh:":
      return {
        ...options,
        protocol: "http",
        // A name that is never looked up: what is sent to it goes over ssh.
        host: "docker.example.com",
        agent: sshAgent(url, sshOpts),
      } as Docker.DockerOptions;
    case "tcp:":
    case "http:":
    case "https:": {
      if (url.hostname === "") throw new Error(`docker host ${host}: names no host`);
      const secure = tls !== undefined || url.protocol === "https:";
      return {
        ...options,
        protocol: secure ? "https" : "http",
        host: url.hostname.replace(/^\[|\]$/g, ""),
        port: url.port || (secure ? 443 : 80),
        ...tls,
      };
    }
    default:
      throw new Error(
        `docker host ${host}: ${url.protocol}// is not supported; allowed: unix://, tcp://, http://, https://, ssh://`,
      );
  }
}

function urlOf(host: string): URL {
  try {
    return new URL(host);
  } catch {
    throw new Error(
      `docker host ${JSON.stringify(host)}: not a URL; write unix:///path, tcp://host:port or ssh://user@host`,
    );
  }
}

/** Why a daemon did not answer. */
function unreachable(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError" || error.name === "AbortError") {
    return `no answer within ${REACH_SECONDS} s`;
  }
  return `cannot be reached: ${reasonOf(error)}`;
}

/** The daemon's own words for a request that it refused, without dockerode's around them. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { json } = error as { json?: { message?: unknown } };
  if (typeof json?.message === "string") return json.message.trim();
  const message = error.message.replace(/^\(HTTP code \d+\) [^-]*- /, "").trim();
  return message || (error as NodeJS.ErrnoException).code || error.name;
}

/** Whether the daemon said that there is no such thing. */
export function isNotFound(error: unknown): boolean {
  return (error as { statusCode?: number } | null)?.statusCode === 404;
}

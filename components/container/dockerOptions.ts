import type Docker from "dockerode";
import { hostFromUrl } from "../socketAddress.ts";
import { sshAgent } from "./sshAgent.ts";

/** How a daemon is reached. */
export interface DaemonAddress {
  /** `unix://`, `tcp://`, `http://`, `https://` or `ssh://`. */
  readonly host: string;
  /** Options for ssh, before the host's name. */
  readonly sshOpts: readonly string[];
  /** PEM texts: the daemon's authority, and the certificate and key to show it. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** What dockerode needs to reach the daemon: the same socket, TLS or SSH client as the provider. */
export function dockerOptions({ host, sshOpts, tls }: DaemonAddress): Docker.DockerOptions {
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
        host: hostFromUrl(url.hostname),
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

// Reaching a Docker daemon: by a socket, over TLS, or by the machine's own ssh.

import Docker from "dockerode";
import { type DaemonAddress, dockerOptions } from "../../../components/container/dockerOptions.ts";
import type { RegistryLogin } from "./registryLogin.ts";

/** How a daemon is reached, and what it shows to registries. */
export interface Settings extends DaemonAddress {
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
  const client = new Docker(dockerOptions(settings));
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

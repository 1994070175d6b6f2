import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Scene, TestStack } from "./ground.ts";
import type { State } from "./state.ts";

/** What a client shows and what it believes; PEM. */
export interface Client {
  ca: string;
  cert: string;
  key: string;
  /** What the server's certificate must be for. Default: the board's address. */
  serverName?: string;
}

/** The client that every stack has. */
export function defaultClient(state: State): Client {
  const { certPem: cert = "" } = state.resource("client-default-certificate");
  const { privateKeyPem: key = "" } = state.resource("client-default-key");
  const { certPem: ca = "" } = state.resource("ca-certificate");
  return { ca, cert, key };
}

/** Asks the board's buildkitd for its workers over mutual TLS, from this machine; empty when it answered. */
export function handshake({ board, stack }: Scene, client: Client): Promise<string> {
  const { host, buildkitPort } = board.connection;
  const serverName = client.serverName ?? host;
  return handshakeAt(stack, `tcp://${host}:${buildkitPort}`, { ...client, serverName });
}

/** The same at any address. */
export async function handshakeAt(
  stack: TestStack,
  address: string,
  { ca, cert, key, serverName }: Client & { serverName: string },
): Promise<string> {
  const folder = await mkdtemp(join(stack.folder, "client-"));
  const flags: string[] = [];
  for (const [flag, text] of [
    ["--tlscacert", ca],
    ["--tlscert", cert],
    ["--tlskey", key],
  ] as const) {
    if (!text) continue;
    await writeFile(join(folder, flag), text, { mode: 0o600 });
    flags.push(flag, join(folder, flag));
  }
  const { exitCode, stderr } = await execa(
    stack.ground.buildctl,
    [
      ...["--addr", address, "--tlsservername", serverName],
      ...["--timeout", "20", ...flags, "debug", "workers"],
    ],
    { reject: false, timeout: 60_000 },
  );
  return exitCode === 0 ? "" : String(stderr).trim() || `exit ${exitCode}`;
}

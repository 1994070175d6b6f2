// Reaching a host over SSH: who it must be, how to log in, how often to try.

import { connect as connectTcp, isIPv6, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import ssh2, { type AuthMethod, type Client, type ParsedKey } from "ssh2";
import { sshKeyIn } from "../../../components/opensshKeys.ts";
import type { Log } from "../provider/plugin.ts";

/** A host to connect to, with the defaults filled in. */
export interface Host {
  readonly user: string;
  readonly password?: string;
  readonly host: string;
  readonly port: number;
  readonly privateKey?: string;
  readonly privateKeyPassword?: string;
  readonly agentSocketPath?: string;
  /** Attempts that may fail before it is an error; -1 for no end. */
  readonly dialErrorLimit: number;
  /** Seconds for the TCP connection of each attempt; 0 for no bound. */
  readonly perDialTimeout: number;
  /** A public key line. Without one, any host is believed. */
  readonly hostKey?: string;
}

export interface Connection extends Host {
  /** The host to go through. */
  readonly proxy?: Host;
}

export interface Dialled {
  readonly client: Client;
  close(): void;
}

/** Seconds for SSH's own handshake and the log-in, which an emulated board may need many of. */
const HANDSHAKE_SECONDS = 120;

/** A connection on which nothing is heard for this long is given up. */
const KEEPALIVE = { keepaliveInterval: 15_000, keepaliveCountMax: 8 };

/** Connects and logs in, trying again as the connection's limits allow. */
export async function dial(
  connection: Connection,
  log: Log,
  signal: AbortSignal,
): Promise<Dialled> {
  const { proxy } = connection;
  // A key that cannot be read and an agent that is gone are errors at once: no attempt would help.
  const login = await loginOf(connection);
  if (proxy === undefined) {
    const client = await retrying("Dial", connection.dialErrorLimit, log, signal, async () =>
      handshake(login, await tcp(connection)),
    );
    return { client, close: () => client.end() };
  }
  try {
    const proxyLogin = await loginOf(proxy);
    const bastion = await retrying("Dial proxy", proxy.dialErrorLimit, log, signal, async () =>
      handshake(proxyLogin, await tcp(proxy)),
    );
    try {
      const client = await retrying("Dial", connection.dialErrorLimit, log, signal, async () =>
        handshake(login, await forwarded(bastion, connection)),
      );
      const close = () => {
        client.end();
        bastion.end();
      };
      return { client, close };
    } catch (error) {
      bastion.end();
      throw error;
    }
  } catch (error) {
    throw new Error(`proxy: ${messageOf(error)}`);
  }
}

/** Up to `limit` failures are tried again, with pauses from 0.1 s that grow up to 5 s. */
async function retrying<T>(
  what: string,
  limit: number,
  log: Log,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  let pause = 100;
  for (let failed = 0; ; failed++) {
    try {
      return await attempt();
    } catch (error) {
      if (limit !== -1 && failed >= limit) {
        throw new Error(`after ${failed} failed attempts: ${messageOf(error)}`);
      }
      log.status(`${what} ${failed + 1}/${limit === -1 ? "inf" : limit} failed: retrying`);
    }
    await sleep(pause, undefined, { signal }).catch(() => {
      throw new Error("context canceled");
    });
    pause = Math.min(pause * 1.5, 5000);
  }
}

interface Login {
  readonly user: string;
  readonly hostKey?: { readonly type: string; readonly blob: Buffer };
  readonly methods: readonly (AuthMethod & { username: string })[];
}

/** Everything about logging in that can be known before an attempt. */
async function loginOf(host: Host): Promise<Login> {
  const username = host.user;
  const methods: (AuthMethod & { username: string })[] = [];
  if (host.privateKey !== undefined) {
    const key = privateKeyOf(host.privateKey, host.privateKeyPassword);
    methods.push({ type: "publickey", username, key } as (typeof methods)[number]);
  }
  const { password } = host;
  if (password !== undefined) {
    methods.push({ type: "password", username, password } as (typeof methods)[number]);
    const prompt = (_n: string, _i: string, _l: string, prompts: unknown[], answer: Answer) =>
      answer(prompts.map(() => password));
    methods.push({ type: "keyboard-interactive", username, prompt } as (typeof methods)[number]);
  }
  const agent = host.agentSocketPath ?? (process.env.SSH_AUTH_SOCK || undefined);
  if (agent !== undefined) {
    await reachAgent(agent);
    // The official plugin offers public keys only once: from a given key, or else from the agent.
    if (host.privateKey === undefined) {
      methods.push({ type: "agent", username, agent } as (typeof methods)[number]);
    }
  }
  return {
    user: username,
    methods,
    ...(host.hostKey !== undefined && { hostKey: hostKeyOf(host.hostKey) }),
  };
}

type Answer = (answers: string[]) => void;

function privateKeyOf(pem: string, passphrase: string | undefined): ParsedKey {
  try {
    return sshKeyIn(ssh2, pem, passphrase);
  } catch (error) {
    throw new Error(`connection.privateKey cannot be used: ${messageOf(error)}`);
  }
}

/** Reads the line of a public key file or of known_hosts; what stands before the key's type is skipped. */
function hostKeyOf(line: string): { type: string; blob: Buffer } {
  const words = line.trim().split(/\s+/);
  for (const [index, type] of words.entries()) {
    const blob = Buffer.from(words[index + 1] ?? "", "base64");
    // A key's bytes begin with the length and the name of its type.
    if (blob.length > 4 && blob.readUInt32BE() === type.length) {
      if (blob.subarray(4, 4 + type.length).toString() === type) return { type, blob };
    }
  }
  throw new Error("failed to parse host key: ssh: no key found");
}

async function reachAgent(path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connectTcp(path, () => {
      socket.end();
      resolve();
    });
    socket.on("error", (error: NodeJS.ErrnoException) =>
      reject(new Error(`dial unix ${path}: ${reasonOf(error)}`)),
    );
  });
}

async function tcp(host: Host): Promise<Socket> {
  const address = addressOf(host);
  return await new Promise((resolve, reject) => {
    // SSH is many small packets that are answered one by one: none of them must wait for the next.
    const socket = connectTcp({ host: host.host, port: host.port, noDelay: true });
    const timeout = setTimeout(
      () => socket.destroy(new Error("i/o timeout")),
      host.perDialTimeout * 1000,
    );
    if (host.perDialTimeout === 0) clearTimeout(timeout);
    const fail = (error: NodeJS.ErrnoException) => {
      clearTimeout(timeout);
      reject(new Error(`dial tcp ${address}: ${reasonOf(error)}`));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      clearTimeout(timeout);
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

async function forwarded(bastion: Client, host: Host): Promise<Duplex> {
  return await new Promise((resolve, reject) => {
    bastion.forwardOut("127.0.0.1", 0, host.host, host.port, (error, channel) => {
      if (error === undefined) resolve(channel);
      else reject(new Error(`dial tcp ${addressOf(host)} from the proxy: ${error.message}`));
    });
  });
}

async function handshake(login: Login, sock: Duplex): Promise<Client> {
  const { hostKey } = login;
  const client = new ssh2.Client();
  let mismatch = false;
  return await new Promise<Client>((resolve, reject) => {
    client.on("ready", () => resolve(client));
    client.on("close", () => reject(new Error("ssh: handshake failed: EOF")));
    // The listener stays: an error after the handshake must not end the plugin. It also closes the
    // connection, and that is what a running command is told.
    client.on("error", (error: Error & { level?: string }) => {
      // An agent that does not sign with one key may do so with the next.
      if (error.level === "agent") return;
      const reason = mismatch ? "ssh: host key mismatch" : handshakeReason(error, login);
      client.destroy();
      reject(new Error(`ssh: handshake failed: ${reason}`));
    });
    client.connect({
      sock,
      username: login.user,
      authHandler: login.methods.length > 0 ? [...login.methods] : ["none"],
      readyTimeout: HANDSHAKE_SECONDS * 1000,
      ...KEEPALIVE,
      ...(hostKey !== undefined && {
        algorithms: { serverHostKey: [hostKey.type as "ssh-ed25519"] },
        hostVerifier: (offered: Buffer) => {
          mismatch = !offered.equals(hostKey.blob);
          return !mismatch;
        },
      }),
    });
  });
}

function handshakeReason(error: Error & { level?: string }, login: Login): string {
  if (error.level !== "client-authentication") return error.message;
  const tried = [
    "none",
    ...login.methods.map(({ type }) => (type === "agent" ? "publickey" : type)),
  ];
  return (
    `ssh: unable to authenticate, attempted methods [${[...new Set(tried)].join(" ")}], ` +
    "no supported methods remain"
  );
}

function addressOf({ host, port }: Host): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** The system's own words for an error. */
function reasonOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return "connect: connection refused";
    case "EHOSTUNREACH":
      return "connect: no route to host";
    case "ENETUNREACH":
      return "connect: network is unreachable";
    case "ETIMEDOUT":
      return "connect: connection timed out";
    case "ENOTFOUND":
      return "lookup: no such host";
    case "ENOENT":
      return "connect: no such file or directory";
    default:
      return error.message;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

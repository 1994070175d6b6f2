import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import type { AnyAuthMethod, Client } from "ssh2";
import { sshKeyIn } from "../opensshKeys.ts";

/** A host with an SSH server, and who logs in there. */
export interface SshHost {
  host: string;
  port: number;
  user: string;
  /** `ssh-ed25519 AAAA…`; any other host is refused. */
  hostKey: string;
  /** PEM; without one, the keys of the agent behind SSH_AUTH_SOCK are offered. */
  privateKey?: string | undefined;
}

export interface SshTarget extends SshHost {
  /** The host that the connection goes through. */
  proxy?: SshHost | undefined;
}

/** How a command ended on a host. */
export interface SshRun {
  code: number | undefined;
  stdout: string;
  stderr: string;
}

/** Open connections to jump hosts, which sessions share: an SSH server lets in only so many at once that have not logged in. */
export class SshClients {
  readonly #proxies = new Map<string, Promise<Client>>();

  /**
   * Runs `command` there, `stdin` on its standard input, in one session. It ends after `boundMs` in every case.
   *
   * @throws one line: the host does not answer, has another key, lets nobody in with ours, or took longer.
   */
  async run(target: SshTarget, command: string, stdin: string, boundMs: number): Promise<SshRun> {
    const signal = AbortSignal.timeout(boundMs);
    const late = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () =>
        reject(new Error(`no end within ${Math.round(boundMs / 1000)} s`)),
      );
    });
    let client: Client | undefined;
    const run = (async () => {
      const socket = await this.#reach(target, signal);
      client = await logIn(target, socket);
      return await runOn(client, command, stdin);
    })();
    run.catch(() => {});
    try {
      return await Promise.race([run, late]);
    } finally {
      client?.end();
      // One that logs in only now is of no use any more.
      void run.then(() => client?.end()).catch(() => client?.destroy());
    }
  }

  /** Ends the connections to jump hosts. */
  close(): void {
    for (const proxy of this.#proxies.values())
      proxy.then((client) => client.end()).catch(() => {});
  }

  async #reach({ host, port, proxy }: SshTarget, signal: AbortSignal): Promise<Duplex> {
    if (!proxy) return tcp(host, port, signal);
    const key = JSON.stringify([proxy.user, proxy.host, proxy.port, proxy.hostKey]);
    let client = this.#proxies.get(key);
    if (!client) {
      client = tcp(proxy.host, proxy.port, signal).then((socket) => logIn(proxy, socket));
      this.#proxies.set(key, client);
    }
    const jump = await client.catch((error) => {
      throw new Error(`the jump host: ${error.message}`);
    });
    return new Promise((resolve, reject) => {
      jump.forwardOut("127.0.0.1", 0, host, port, (error, channel) => {
        if (error) reject(new Error(`the jump host does not reach it: ${error.message}`));
        else resolve(channel);
      });
    });
  }
}

function tcp(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    // SSH is many small packets that are answered one by one: none of them must wait for the next.
    const socket = connectTcp({ host, port, noDelay: true });
    signal.addEventListener("abort", () => socket.destroy());
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
  });
}

/** How long a host that accepted the connection may say nothing. An update waits longer for it, and says so. */
const MUTE_SECONDS = 8;

async function logIn(host: SshHost, sock: Duplex): Promise<Client> {
  // A stack without boards need not wait for it.
  const { default: ssh2 } = await import("ssh2");
  const client = new ssh2.Client();
  const [type = "", blob = ""] = host.hostKey.trim().split(/\s+/);
  const agent = process.env.SSH_AUTH_SOCK;
  const username = host.user;
  const methods: AnyAuthMethod[] = host.privateKey
    ? [{ type: "publickey", username, key: sshKeyIn(ssh2, host.privateKey) }]
    : agent
      ? [{ type: "agent", username, agent }]
      : [];
  let isOther = false;
  return new Promise<Client>((resolve, reject) => {
    const mute = setTimeout(() => {
      client.destroy();
      reject(new Error(`no SSH server spoke for ${MUTE_SECONDS} s`));
    }, MUTE_SECONDS * 1000);
    client.on("ready", () => resolve(client));
    client.on("close", () => {
      clearTimeout(mute);
      reject(new Error("it ended the connection"));
    });
    // The listener stays: an error later on must not end the program.
    client.on("error", (error: Error & { level?: string }) => {
      // An agent that does not sign with one key may do so with the next.
      if (error.level === "agent") return;
      client.destroy();
      if (isOther) reject(new Error("its host key is another one"));
      else if (error.level === "client-authentication")
        reject(new Error(`it lets '${username}' in with no key of ours`));
      else reject(error);
    });
    client.connect({
      sock,
      username,
      authHandler: methods,
      algorithms: { serverHostKey: [type as "ssh-ed25519"] },
      hostVerifier: (offered: Buffer) => {
        isOther = offered.toString("base64") !== blob;
        return !isOther;
      },
    });
    sock.once("data", () => clearTimeout(mute));
  });
}

function runOn(client: Client, command: string, stdin: string): Promise<SshRun> {
  return new Promise((resolve, reject) => {
    client.on("close", () => reject(new Error("it ended the connection")));
    client.exec(command, (error, channel) => {
      if (error) {
        reject(error);
        return;
      }
      const run: SshRun = { code: undefined, stdout: "", stderr: "" };
      channel.setEncoding("utf8");
      channel.stderr.setEncoding("utf8");
      channel.on("data", (text: string) => {
        run.stdout += text;
      });
      channel.stderr.on("data", (text: string) => {
        run.stderr += text;
      });
      channel.on("exit", (code: number | null) => {
        run.code = code ?? undefined;
      });
      channel.on("close", () => resolve(run));
      channel.on("error", reject);
      channel.end(stdin);
    });
  });
}

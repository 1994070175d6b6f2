import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { pipeline } from "node:stream";
import ssh2 from "ssh2";

/** How a command on the board ended. `code` is -1 when a signal ended it. */
export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Where an SSH server is and how to know it. */
export interface SshTarget {
  host: string;
  port: number;
  user: string;
  hostKey: string;
  identityFile: string;
}

/** One SSH connection that is opened at the first command and again after `close`. */
export interface SshSession {
  run(command: string, stdin?: string): Promise<CommandResult>;
  /** Serves the unix socket `remote` at the path `local` of this machine, until what is returned is called. */
  forward(local: string, remote: string): Promise<() => void>;
  close(): void;
}

/** An SSH session to `target`; nothing is dialled yet. A host key other than `hostKey` is refused. */
export function sshSession(target: SshTarget): SshSession {
  let connection: Promise<ssh2.Client> | undefined;
  const connected = () => {
    if (connection) return connection;
    const opening = dial(target);
    // Another may have been dialled by the time that this one is known to be closed.
    const forget = () => {
      if (connection === opening) connection = undefined;
    };
    opening.then((client) => client.once("close", forget), forget);
    connection = opening;
    return opening;
  };
  return {
    run: async (command, stdin) => execute(await connected(), command, stdin),
    async forward(local, remote) {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        const refuse = () => socket.destroy();
        socket.on("error", refuse);
        connected().then((client) => {
          client.openssh_forwardOutStreamLocal(remote, (error, channel) => {
            if (error) refuse();
            else pipeline(socket, channel, socket, refuse);
          });
        }, refuse);
      });
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(local, resolve);
      });
      return () => server.close();
    },
    close() {
      void connection?.then(
        (client) => client.destroy(),
        () => {},
      );
      connection = undefined;
    },
  };
}

async function dial({ host, port, user, hostKey, identityFile }: SshTarget): Promise<ssh2.Client> {
  const privateKey = await readFile(identityFile);
  const known = hostKey.split(" ")[1];
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    client.once("ready", () => resolve(client));
    // Kept for life: a board that loses its power must not end this process.
    client.on("error", reject);
    client.once("close", () => reject(new Error(`${host}:${port}: the connection was closed`)));
    client.connect({
      host,
      port,
      username: user,
      privateKey,
      algorithms: { serverHostKey: ["ssh-ed25519"] },
      hostVerifier: (key: Buffer) => key.toString("base64") === known,
      readyTimeout: 60_000,
      // An emulated board that shares its processors may say nothing for half a minute.
      keepaliveInterval: 15_000,
      keepaliveCountMax: 8,
    });
    // The handshake is many small packets; ssh2 leaves it to Nagle's algorithm to hold them back.
    client.setNoDelay(true);
  });
}

function execute(client: ssh2.Client, command: string, stdin?: string): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const lost = () => reject(new Error(`the connection was closed during: ${command}`));
    client.once("close", lost);
    client.exec(command, (error, channel) => {
      if (error) {
        client.off("close", lost);
        reject(error);
        return;
      }
      let stdout = "";
      let stderr = "";
      let code = -1;
      channel.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
      });
      channel.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      channel.on("exit", (status: number | null) => {
        code = status ?? -1;
      });
      channel.on("close", () => {
        client.off("close", lost);
        resolve({ code, stdout, stderr });
      });
      channel.end(stdin ?? "");
    });
  });
}

import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { type FileHandle, mkdir, open, stat } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import ssh2, { type Session, type SFTPWrapper } from "ssh2";
import { opensshPrivateKey, opensshPublicKey } from "../../components/opensshKeys.ts";

export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

export function keyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    privateKey: opensshPrivateKey(privateKey),
    publicKey: opensshPublicKey(publicKey).trim(),
  };
}

export interface SshServerOptions {
  readonly hostKey: KeyPair;
  /** Whoever logs in with this key may. */
  readonly clientKey: KeyPair;
  /** Environment variables that are accepted, as by AcceptEnv. */
  readonly acceptEnv?: readonly string[];
  /** Ends the connection instead of running a command. */
  readonly hangUp?: boolean;
}

export interface SshServer {
  readonly port: number;
  /** Commands that were run, in their order. */
  readonly commands: string[];
  /** Connections that reached the log-in or were given up before. */
  connections(): number;
  /** Connections that have not been closed. */
  open(): number;
  close(): Promise<void>;
}

/** An SSH server on loopback that runs commands with `sh`, forwards connections and serves SFTP. */
export async function startSshServer(options: SshServerOptions): Promise<SshServer> {
  const commands: string[] = [];
  const clients = new Set<ssh2.Connection>();
  const authorized = ssh2.utils.parseKey(options.clientKey.publicKey);
  if (authorized instanceof Error) throw authorized;
  let connections = 0;
  const server = new ssh2.Server({ hostKeys: [options.hostKey.privateKey] }, (client) => {
    connections++;
    clients.add(client);
    // Answers that wait for one another would make each connection take half a second.
    (client as unknown as ssh2.Client).setNoDelay(true);
    client.on("error", () => {});
    client.on("close", () => clients.delete(client));
    client.on("authentication", (context) => {
      const isKey =
        context.method === "publickey" && context.key.data.equals(authorized.getPublicSSH());
      if (isKey) context.accept();
      else context.reject(["publickey"]);
    });
    client.on("session", (accept) => {
      serveSession(accept(), commands, () => client.end(), options);
    });
    client.on("tcpip", (accept, reject, { destIP, destPort }) => {
      const socket = connect({ port: destPort, host: destIP, noDelay: true });
      socket.on("error", reject);
      socket.on("connect", () => {
        const channel = accept();
        channel.pipe(socket).pipe(channel);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    commands,
    connections: () => connections,
    open: () => clients.size,
    close: () => {
      for (const client of clients) client.end();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function serveSession(
  session: Session,
  commands: string[],
  hangUp: () => void,
  options: SshServerOptions,
): void {
  const env: Record<string, string> = {};
  session.on("env", (accept, reject, { key, val }) => {
    if (options.acceptEnv?.includes(key)) {
      env[key] = val;
      accept?.();
    } else {
      reject?.();
    }
  });
  session.on("exec", (accept, _reject, { command }) => {
    commands.push(command);
    const channel = accept();
    if (options.hangUp) {
      hangUp();
      return;
    }
    const child = spawn("sh", ["-c", command], { env: { PATH: process.env.PATH, ...env } });
    channel.pipe(child.stdin);
    child.stdin.on("error", () => {});
    child.stdout.on("data", (chunk) => channel.write(chunk));
    child.stderr.on("data", (chunk) => channel.stderr.write(chunk));
    child.on("close", (code, signal) => {
      if (signal === null) channel.exit(code ?? 0);
      else channel.exit(signal.replace(/^SIG/, ""), false, "");
      channel.end();
    });
  });
  session.on("sftp", (accept) => serveSftp(accept()));
}

const { STATUS_CODE } = ssh2.utils.sftp;

function serveSftp(sftp: SFTPWrapper): void {
  const handles = new Map<number, FileHandle>();
  const answer = (id: number, work: Promise<unknown>) =>
    work.then(
      () => sftp.status(id, STATUS_CODE.OK),
      (error: NodeJS.ErrnoException) =>
        sftp.status(
          id,
          error.code === "ENOENT" ? STATUS_CODE.NO_SUCH_FILE : STATUS_CODE.FAILURE,
          error.message,
        ),
    );
  sftp.on("STAT", (id, path) => {
    stat(path).then(
      ({ mode, size, uid, gid }) => sftp.attrs(id, { mode, size, uid, gid, atime: 0, mtime: 0 }),
      () => sftp.status(id, STATUS_CODE.NO_SUCH_FILE),
    );
  });
  sftp.on("MKDIR", (id, path) => void answer(id, mkdir(path)));
  sftp.on("OPEN", (id, path) => {
    open(path, "w").then(
      (handle) => {
        handles.set(handle.fd, handle);
        const name = Buffer.alloc(4);
        name.writeUInt32BE(handle.fd);
        sftp.handle(id, name);
      },
      () => sftp.status(id, STATUS_CODE.FAILURE),
    );
  });
  const fileOf = (handle: Buffer) => handles.get(handle.readUInt32BE());
  sftp.on("WRITE", (id, handle, offset, data) => {
    void answer(id, Promise.resolve(fileOf(handle)?.write(data, 0, data.length, offset)));
  });
  sftp.on("FSETSTAT", (id) => sftp.status(id, STATUS_CODE.OK));
  sftp.on("CLOSE", (id, handle) => void answer(id, Promise.resolve(fileOf(handle)?.close())));
}

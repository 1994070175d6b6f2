import { generateKeyPairSync } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { SshClients, type SshTarget } from "../../components/board/ssh.ts";
import { opensshPublicKey } from "../../components/opensshKeys.ts";
import { type KeyPair, keyPair, type SshServer, startSshServer } from "./sshServer.ts";

const [hostKey, jumpKey, clientKey, strange] = [keyPair(), keyPair(), keyPair(), keyPair()] as [
  KeyPair,
  KeyPair,
  KeyPair,
  KeyPair,
];
let host: SshServer;
let jump: SshServer;

beforeAll(async () => {
  host = await startSshServer({ hostKey, clientKey });
  jump = await startSshServer({ hostKey: jumpKey, clientKey });
  return () => Promise.all([host.close(), jump.close()]);
});

afterEach(() => vi.unstubAllEnvs());

const target = (differs: Partial<SshTarget> = {}): SshTarget => ({
  host: "127.0.0.1",
  port: host.port,
  user: "root",
  hostKey: hostKey.publicKey,
  privateKey: clientKey.privateKey,
  ...differs,
});
const jumpHost = () => ({
  ...target(),
  port: jump.port,
  hostKey: jumpKey.publicKey,
});

/** One session on clients of its own. */
async function run(to: SshTarget, command = "cat", stdin = "hello", boundMs = 5000) {
  const clients = new SshClients();
  try {
    return await clients.run(to, command, stdin, boundMs);
  } finally {
    clients.close();
  }
}

describe("a command over SSH", () => {
  test("gets its input, and gives its output and how it ended", async () => {
    expect(await run(target(), "cat; echo wrong >&2; exit 3")).toEqual({
      code: 3,
      stdout: "hello",
      stderr: "wrong\n",
    });
  });

  test("is let in with a key in PKCS #8, too", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
    const server = await startSshServer({
      hostKey,
      clientKey: { privateKey: pem, publicKey: opensshPublicKey(publicKey).trim() },
    });
    const { port } = server;
    expect((await run(target({ port, privateKey: pem }))).stdout).toBe("hello");
    await server.close();
  });

  test("goes through a jump host, one connection for all", async () => {
    const clients = new SshClients();
    const before = jump.connections();
    const runs = [1, 2, 3].map((n) =>
      clients.run(target({ proxy: jumpHost() }), "cat", `${n}`, 5000),
    );
    expect((await Promise.all(runs)).map(({ stdout }) => stdout)).toEqual(["1", "2", "3"]);
    expect(jump.connections() - before).toBe(1);
    clients.close();
    await vi.waitFor(() => expect(jump.open()).toBe(0));
  });

  test.each<[string, () => SshTarget, RegExp]>([
    [
      "another host key",
      () => target({ hostKey: strange.publicKey }),
      /^its host key is another one$/,
    ],
    [
      "a key that is not let in",
      () => target({ privateKey: strange.privateKey }),
      /^it lets 'root' in with no key of ours$/,
    ],
    ["a port where nobody listens", () => target({ port: 1 }), /ECONNREFUSED/],
    [
      "another key of the jump host",
      () => target({ proxy: { ...jumpHost(), hostKey: strange.publicKey } }),
      /^the jump host: its host key is another one$/,
    ],
    [
      "a jump host that does not reach it",
      () => target({ port: 1, proxy: jumpHost() }),
      /^the jump host does not reach it: /,
    ],
    [
      "no key and no agent",
      () => {
        vi.stubEnv("SSH_AUTH_SOCK", "");
        return target({ privateKey: undefined });
      },
      /^it lets 'root' in with no key of ours$/,
    ],
  ])("ends with one line for %s", async (_, to, line) => {
    await expect(run(to())).rejects.toThrow(line);
    await vi.waitFor(() => expect(host.open() + jump.open()).toBe(0));
  });

  test("ends within its bound where the host says nothing, or the command does not end", async () => {
    const sockets = new Set<Socket>();
    const mute = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
    const { port } = mute.address() as { port: number };
    await expect(run(target({ port }), "cat", "", 300)).rejects.toThrow("no end within 0 s");
    for (const socket of sockets) socket.destroy();
    mute.close();
    await expect(run(target(), "sleep 60", "", 1000)).rejects.toThrow("no end within 1 s");
    await vi.waitFor(() => expect(host.open()).toBe(0));
  });
});

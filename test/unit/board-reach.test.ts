import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ClientFiles, refusalAt } from "../../components/board/reach.ts";
import { reachedHook } from "../../components/reached.ts";
import { underMocks } from "./pulumiMocks.ts";

// As a client on the operator's machine finds a builder; that a firewall shows so, no test here can show.

const folder = mkdtempSync(join(tmpdir(), "buildhosts-reach-"));
let server: Server;
let port: number;
let client: ClientFiles;
const at = (name: string) => join(folder, name);
const pem = (name: string) => readFileSync(at(name), "utf8");

/** A certificate of itself, for itself: enough of a CA for one server and one client. */
async function certificate(name: string): Promise<void> {
  await execa("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "2", "-keyout", at(`${name}.key`), "-out", at(`${name}.crt`)],
    ...["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:board.lan,IP:127.0.0.1"],
  ]);
}

const listening = async (one: Server): Promise<number> => {
  await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
  return (one.address() as AddressInfo).port;
};

beforeAll(async () => {
  await Promise.all(["board", "client", "stranger"].map(certificate));
  const secure = createSecureServer({
    key: pem("board.key"),
    cert: pem("board.crt"),
    ca: pem("client.crt"),
    requestCert: true,
    rejectUnauthorized: true,
  });
  server = secure as unknown as Server;
  port = await listening(server);
  client = { ca: pem("board.crt"), cert: pem("client.crt"), key: pem("client.key") };
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

test.each(["board.lan", "127.0.0.1"])(
  "a client of the CA is let in, by the name %s",
  async (name) => {
    expect(await refusalAt(`tcp://127.0.0.1:${port}`, name, client)).toBeUndefined();
  },
);

test("another one's client is refused, though its handshake succeeds", async () => {
  const stranger = { ...client, cert: pem("stranger.crt"), key: pem("stranger.key") };
  expect(await refusalAt(`tcp://127.0.0.1:${port}`, "board.lan", stranger)).toMatch(
    /alert|ECONNRESET|ended the connection/,
  );
});

test("a certificate for another name, a port without a listener and a silent one are told apart", async () => {
  const endpoint = `tcp://127.0.0.1:${port}`;
  expect(await refusalAt(endpoint, "other.lan", client)).toContain("other.lan");
  const silent = createServer((socket) => socket.on("error", () => {}).resume());
  const silentPort = await listening(silent);
  const silence = await refusalAt(`tcp://127.0.0.1:${silentPort}`, "board.lan", client, 0.2);
  expect(silence).toBe("no answer within 0.2 s");
  await new Promise((resolve) => silent.close(resolve));
  expect(await refusalAt(`tcp://127.0.0.1:${silentPort}`, "board.lan", client)).toContain(
    "ECONNREFUSED",
  );
});

const hooksAt = async (at: number, preview = false) => {
  const hooks = () =>
    reachedHook("lab", {
      endpoint: `tcp://127.0.0.1:${at}`,
      serverName: "board.lan",
      caCertPem: client.ca,
      client: { certPem: client.cert, privateKeyPem: client.key },
    });
  return (await underMocks(hooks, { preview })).result;
};

test("a preview has no hook that only updates run", async () => {
  expect(await hooksAt(port, true)).toEqual([]);
});

test("after an update a builder that lets nobody in from here is warned about, and no other", async () => {
  const warned = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
  const ask = async (at: number) => {
    const hooks = await hooksAt(at);
    expect(hooks).toHaveLength(1);
    for (const hook of hooks) await hook.callback({} as pulumi.ResourceHookArgs);
  };
  try {
    await ask(port);
    expect(warned).not.toHaveBeenCalled();
    const closed = createServer();
    const nobody = await listening(closed);
    closed.close();
    await ask(nobody);
    expect(warned.mock.calls).toEqual([
      [
        `lab: buildkitd is healthy, but from this machine no client is let in at tcp://127.0.0.1:${nobody}: connect ECONNREFUSED 127.0.0.1:${nobody}. Clients elsewhere may meet the same: look for a firewall on its host or in between, and at endpoint`,
      ],
    ]);
  } finally {
    warned.mockRestore();
  }
});

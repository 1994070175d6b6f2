import "reflect-metadata"; // @peculiar/x509's dependency injection needs it first
import { createPrivateKey, generateKeyPairSync, webcrypto } from "node:crypto";
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { beforeAll, describe, expect, test } from "vitest";
import { type Client, defaultClient, handshake } from "./clients.ts";
import { provisioned, type Scene } from "./ground.ts";
import { type State, stateOf } from "./state.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY = 24 * 3600 * 1000;

let scene: Scene;
let state: State;
let right: Client;

beforeAll(async () => {
  scene = await provisioned();
  state = await stateOf(scene.stack);
  right = defaultClient(state);
  expect(await handshake(scene, right)).toBe("");
});

/** A certificate for client use, signed with `signingKey` in the name of the stack's CA. */
async function clientOf(signingKey: CryptoKey, notAfter: Date): Promise<Client> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const certificate = await X509CertificateGenerator.create({
    serialNumber: "01",
    subject: "CN=someone",
    issuer: "O=buildhosts, CN=buildhosts builders",
    notBefore: new Date(Date.now() - 2 * DAY),
    notAfter,
    publicKey: (await webcrypto.subtle.importKey("spki", spki, ALGORITHM, true, [
      "verify",
    ])) as CryptoKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])],
  });
  return {
    ca: right.ca,
    cert: certificate.toString("pem"),
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

async function signing(pem: string): Promise<CryptoKey> {
  const pkcs8 = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return (await webcrypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, false, [
    "sign",
  ])) as CryptoKey;
}

const caKey = () => signing(state.resource("ca-key").privateKeyPem ?? "");

describe("buildkitd answers a client with a certificate of the stack's CA, and refuses", () => {
  // The proof that it is the one difference of each case below that is refused.
  test("not one that was made here, by the stack's CA", async () => {
    const made = await clientOf(await caKey(), new Date(Date.now() + DAY));
    expect(await handshake(scene, made)).toBe("");
  });

  test.each<[string, () => Promise<Client>, RegExp]>([
    ["no certificate", async () => ({ ...right, cert: "", key: "" }), /certificate required/],
    [
      "an expired one",
      async () => clientOf(await caKey(), new Date(Date.now() - DAY)),
      /expired certificate|bad certificate/,
    ],
    [
      "one of another CA of the same name",
      async () => {
        const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
        const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
        return clientOf(await signing(pem), new Date(Date.now() + DAY));
      },
      /unknown certificate authority|bad certificate/,
    ],
    [
      "the server's own",
      async () => ({
        ca: right.ca,
        cert: state.resource("board-server-certificate").certPem ?? "",
        key: state.resource("board-server-key").privateKeyPem ?? "",
      }),
      /bad certificate|unsupported certificate/,
    ],
  ])("%s", async (_, client, says) => {
    expect(await handshake(scene, await client())).toMatch(says);
  });

  test("and is refused itself under a name that its certificate does not have", async () => {
    expect(await handshake(scene, { ...right, serverName: "builder.example.com" })).toMatch(
      /certificate is valid for .*, not builder\.example\.com|not valid for any names/,
    );
  });

  test("after all of which it still answers who may", async () => {
    expect(await handshake(scene, right)).toBe("");
  });
});

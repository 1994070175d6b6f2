import "reflect-metadata"; // @peculiar/x509's dependency injection needs it first
import { createPrivateKey, generateKeyPairSync, webcrypto } from "node:crypto";
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { type Client, defaultClient } from "./clients.ts";
import type { State } from "./state.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY = 24 * 3600 * 1000;

/** Who no builder lets in: a title, the client of a stack's builder of that name, what buildctl says then. */
export const refusedClients: readonly [
  string,
  (state: State, builder: string) => Promise<Client>,
  RegExp,
][] = [
  [
    "no certificate",
    async (state) => ({ ...defaultClient(state), cert: "", key: "" }),
    /certificate required/,
  ],
  [
    "an expired one",
    async (state) => clientOf(state, await caKey(state), new Date(Date.now() - DAY)),
    /expired certificate|bad certificate/,
  ],
  [
    "one of another CA of the same name",
    async (state) => {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
      return clientOf(state, await signing(pem), new Date(Date.now() + DAY));
    },
    /unknown certificate authority|bad certificate/,
  ],
  [
    "the server's own",
    async (state, builder) => ({
      ca: defaultClient(state).ca,
      cert: state.resource(`${builder}-server-certificate`).certPem ?? "",
      key: state.resource(`${builder}-server-key`).privateKeyPem ?? "",
    }),
    /bad certificate|unsupported certificate/,
  ],
];

/** Why a client refuses a builder under a name that its certificate does not have. */
export const wrongName: RegExp =
  /certificate is valid for .*, not builder\.example\.com|not valid for any names/;

/** A client that was made here, by the stack's CA, as `refusedClients` are but for what makes them refused. */
export async function goodClient(state: State): Promise<Client> {
  return clientOf(state, await caKey(state), new Date(Date.now() + DAY));
}

/** A certificate for client use, signed with `signingKey` in the name of the stack's CA. */
async function clientOf(state: State, signingKey: CryptoKey, notAfter: Date): Promise<Client> {
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
    ca: defaultClient(state).ca,
    cert: certificate.toString("pem"),
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

function caKey(state: State): Promise<CryptoKey> {
  return signing(state.resource("ca-key").privateKeyPem ?? "");
}

async function signing(pem: string): Promise<CryptoKey> {
  const pkcs8 = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return (await webcrypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, false, [
    "sign",
  ])) as CryptoKey;
}

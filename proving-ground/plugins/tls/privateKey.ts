import { createHash, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import {
  fingerprints,
  hasOpensshFormat,
  opensshPrivateKey,
  opensshPublicKey,
} from "../../../components/opensshKeys.ts";
import { type Algorithm, toPem } from "./keys.ts";
import { plannedResource } from "./plannedResource.ts";
import { PRIVATE_KEY } from "./shapes.ts";

interface PrivateKeyInputs {
  readonly algorithm: Algorithm;
  readonly rsaBits: number;
  readonly ecdsaCurve: keyof typeof CURVES;
}

const CURVES = { P224: "secp224r1", P256: "P-256", P384: "P-384", P521: "P-521" } as const;

/** `tls:index/privateKey:PrivateKey`: a key pair in every common format. */
export const privateKey = plannedResource<PrivateKeyInputs>({
  fields: PRIVATE_KEY,
  defaults: { rsaBits: 2048, ecdsaCurve: "P224" },
  updatable: [],
  computed: [
    "privateKeyOpenssh",
    "privateKeyPem",
    "privateKeyPemPkcs8",
    "publicKeyFingerprintMd5",
    "publicKeyFingerprintSha256",
    "publicKeyOpenssh",
    "publicKeyPem",
  ],
  secretOutputs: ["privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"],
  async create(inputs) {
    const { privateKey: key, publicKey } = await generate(inputs);
    const info = publicKey.export({ type: "spki", format: "der" });
    const pkcs8 = key.export({ type: "pkcs8", format: "pem" }).toString();
    const openssh = hasOpensshFormat(publicKey);
    const { md5, sha256 } = openssh ? fingerprints(publicKey) : { md5: "", sha256: "" };
    return {
      id: createHash("sha1").update(info).digest("hex"),
      outputs: {
        privateKeyOpenssh: openssh ? opensshPrivateKey(key) : "",
        privateKeyPem: traditionalPem(key) ?? pkcs8,
        privateKeyPemPkcs8: pkcs8,
        publicKeyFingerprintMd5: md5,
        publicKeyFingerprintSha256: sha256,
        publicKeyOpenssh: openssh ? opensshPublicKey(publicKey) : "",
        publicKeyPem: toPem("PUBLIC KEY", info),
        // The official plugin would else take this for the state of a version that had fewer formats.
        __meta: JSON.stringify({ schema_version: "1" }),
      },
    };
  },
});

async function generate({ algorithm, rsaBits, ecdsaCurve }: PrivateKeyInputs) {
  switch (algorithm) {
    case "RSA":
      return await promisify(generateKeyPair)("rsa", { modulusLength: rsaBits });
    case "ECDSA":
      return await promisify(generateKeyPair)("ec", { namedCurve: CURVES[ecdsaCurve] });
    case "ED25519":
      return await promisify(generateKeyPair)("ed25519", {});
  }
}

/** The format of the key's own algorithm, where it has one. */
function traditionalPem(key: KeyObject): string | undefined {
  switch (key.asymmetricKeyType) {
    case "rsa":
      return key.export({ type: "pkcs1", format: "pem" }).toString();
    case "ec":
      return key.export({ type: "sec1", format: "pem" }).toString();
    default:
      return undefined;
  }
}

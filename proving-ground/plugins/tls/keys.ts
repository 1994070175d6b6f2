import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";

export type Algorithm = "RSA" | "ECDSA" | "ED25519";

export interface PrivateKey {
  readonly key: KeyObject;
  readonly algorithm: Algorithm;
}

const ALGORITHMS: { readonly [type: string]: Algorithm } = {
  rsa: "RSA",
  ec: "ECDSA",
  ed25519: "ED25519",
};

/** The first block of a PEM text: what it says it is, and its bytes. */
export function firstPemBlock(pem: string): { label: string; der: Buffer; text: string } {
  const match = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/.exec(pem);
  if (match === null) throw new Error("no PEM block found");
  const [text, label = "", content = ""] = match;
  return { label, der: Buffer.from(content, "base64"), text };
}

/** Like `firstPemBlock`, and `label` is what it must say. */
export function pemBlock(pem: string, label: string): Buffer {
  const block = firstPemBlock(pem);
  if (block.label !== label) {
    throw new Error(`invalid PEM type: expected ${label}, got ${block.label}`);
  }
  return block.der;
}

/** `der` as a PEM block, with a line end at the end. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** Reads a private key that is PKCS #1, SEC 1 or PKCS #8 and not encrypted. */
export function readPrivateKey(pem: string): PrivateKey {
  const { label, text } = firstPemBlock(pem);
  if (!["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"].includes(label)) {
    throw new Error(`unsupported PEM type: ${label}`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    // What OpenSSL says of a broken key helps nobody.
    throw new Error(`the ${label} cannot be read`);
  }
  const algorithm = ALGORITHMS[key.asymmetricKeyType ?? ""];
  if (algorithm === undefined) {
    throw new Error(`unsupported private key type: ${key.asymmetricKeyType}`);
  }
  return { key, algorithm };
}

/** The public half, as the bytes of a SubjectPublicKeyInfo. */
export function publicKeyInfo(key: KeyObject): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createPublicKey(key as never).export({ type: "spki", format: "der" }));
}

// OpenSSH's formats for keys, which node:crypto does not write.

import {
  createHash,
  createPrivateKey,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import type ssh2 from "ssh2";

/** The names of an elliptic curve that SSH has, by its name in a JSON web key. */
const CURVES: { readonly [jwk: string]: string } = {
  "P-256": "nistp256",
  "P-384": "nistp384",
  "P-521": "nistp521",
};

/** Whether SSH has a name for keys of this kind; for those on the curve P-224 it has none. */
export function hasOpensshFormat(key: KeyObject): boolean {
  return key.asymmetricKeyDetails?.namedCurve !== "secp224r1";
}

/** The line of an authorized_keys file, with its line end and without a comment. */
export function opensshPublicKey(key: KeyObject): string {
  const blob = publicBlob(jwkOf(key));
  return `${typeOf(jwkOf(key))} ${blob.toString("base64")}\n`;
}

/** `aa:bb:…` and `SHA256:…`, as ssh-keygen shows them. */
export function fingerprints(key: KeyObject): { md5: string; sha256: string } {
  const blob = publicBlob(jwkOf(key));
  const md5 = createHash("md5")
    .update(blob)
    .digest("hex")
    .replace(/..(?!$)/g, "$&:");
  const sha256 = createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
  return { md5, sha256: `SHA256:${sha256}` };
}

/** An unencrypted private key as `ssh-keygen` writes it. */
export function opensshPrivateKey(key: KeyObject): string {
  const jwk = jwkOf(key);
  // Whoever decrypts a key compares these two, to know whether the passphrase was right.
  const checkInteger = randomBytes(4);
  const secrets = Buffer.concat([checkInteger, checkInteger, privateFields(jwk), string("")]);
  const padding = Buffer.from(Array.from({ length: -secrets.length & 7 }, (_, index) => index + 1));
  const content = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    string("none"), // cipher
    string("none"), // key derivation
    string(""), // its options
    uint32(1), // keys
    string(publicBlob(jwk)),
    string(Buffer.concat([secrets, padding])),
  ]);
  const lines = content.toString("base64").match(/.{1,64}/g) ?? [];
  const label = "OPENSSH PRIVATE KEY";
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/**
 * A private key for the SSH library, which the caller loads.
 *
 * @throws what that library says of the key, also where it is in PKCS #8, a form that it does not read, and broken.
 */
export function sshKeyIn(
  { utils: { parseKey } }: Pick<typeof ssh2, "utils">,
  pem: string,
  passphrase?: string,
): ssh2.ParsedKey {
  const parsed = parseKey(pem, passphrase);
  if (!(parsed instanceof Error)) return parsed;
  try {
    const key = createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) });
    const converted = parseKey(opensshPrivateKey(key));
    if (!(converted instanceof Error)) return converted;
  } catch {
    // What the SSH library said fits an SSH key better.
  }
  throw parsed;
}

function jwkOf(key: KeyObject): JsonWebKey {
  return key.export({ format: "jwk" });
}

function typeOf(jwk: JsonWebKey): string {
  if (jwk.kty === "RSA") return "ssh-rsa";
  return jwk.kty === "OKP" ? "ssh-ed25519" : `ecdsa-sha2-${curveOf(jwk)}`;
}

function curveOf(jwk: JsonWebKey): string {
  const curve = CURVES[jwk.crv ?? ""];
  if (curve === undefined) throw new Error(`SSH has no name for the curve ${jwk.crv}`);
  return curve;
}

function publicBlob(jwk: JsonWebKey): Buffer {
  const type = string(typeOf(jwk));
  switch (jwk.kty) {
    case "RSA":
      return Buffer.concat([type, integer(jwk.e), integer(jwk.n)]);
    case "OKP":
      return Buffer.concat([type, string(bytes(jwk.x))]);
    default:
      return Buffer.concat([type, string(curveOf(jwk)), string(point(jwk))]);
  }
}

function privateFields(jwk: JsonWebKey): Buffer {
  switch (jwk.kty) {
    case "RSA": {
      const numbers = [jwk.n, jwk.e, jwk.d, jwk.qi, jwk.p, jwk.q].map(integer);
      return Buffer.concat([string("ssh-rsa"), ...numbers]);
    }
    case "OKP": {
      const seedAndPublic = Buffer.concat([bytes(jwk.d), bytes(jwk.x)]);
      return Buffer.concat([publicBlob(jwk), string(seedAndPublic)]);
    }
    default:
      return Buffer.concat([publicBlob(jwk), integer(jwk.d)]);
  }
}

/** The uncompressed point of an elliptic curve's public key. */
function point(jwk: JsonWebKey): Buffer {
  return Buffer.concat([Buffer.from([4]), bytes(jwk.x), bytes(jwk.y)]);
}

function bytes(base64url: string | undefined): Buffer {
  return Buffer.from(base64url ?? "", "base64url");
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

function string(value: string | Buffer): Buffer {
  const content = Buffer.from(value as string);
  return Buffer.concat([uint32(content.length), content]);
}

/** SSH's mpint: no leading zeros but the one that keeps a high first bit from meaning a sign. */
function integer(base64url: string | undefined): Buffer {
  let content = bytes(base64url);
  while (content.length > 1 && content[0] === 0) content = content.subarray(1);
  return string((content[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), content]) : content);
}

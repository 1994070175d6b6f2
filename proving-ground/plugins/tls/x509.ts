// X.509 on @peculiar/x509, signed by node:crypto's keys. What goes into a certificate, and in which
// order, is what Go's crypto/x509 writes, as that is what the official plugin is made of.

import "reflect-metadata"; // @peculiar/x509's dependency injection needs it first
import { createHash, createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonNameParams,
  KeyUsagesExtension,
  Name,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { pemBlock, toPem } from "./keys.ts";
import { EXTENDED_KEY_USAGES, KEY_USAGES } from "./uses.ts";

export interface Subject {
  readonly commonName?: string;
  readonly country?: string;
  readonly emailAddress?: string;
  readonly locality?: string;
  readonly organization?: string;
  readonly organizationalUnit?: string;
  readonly postalCode?: string;
  readonly province?: string;
  readonly serialNumber?: string;
  readonly streetAddresses?: readonly string[];
}

export interface AlternativeNames {
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly uris?: readonly string[];
}

/** Whom a certificate is for. */
export interface Holder {
  readonly name: Name;
  readonly alternativeNames: AlternativeNames;
  /** The bytes of a SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
}

/** Who signs it. */
export interface Issuer {
  readonly name: Name;
  readonly key: KeyObject;
  /** In hexadecimal digits; nothing when the issuer's certificate names none. */
  readonly keyId?: string;
}

export interface CertificateAuthority extends Issuer {
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** Whether the certificate says that it is a CA's. */
  readonly isCa: boolean;
}

export interface Terms {
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly allowedUses: readonly string[];
  readonly isCaCertificate: boolean;
  readonly maxPathLength?: number;
  readonly setSubjectKeyId: boolean;
  /** For a self-signed certificate, whose issuer is its own. */
  readonly setAuthorityKeyId?: boolean;
}

export interface IssuedCertificate {
  /** In decimal digits. */
  readonly serialNumber: string;
  readonly pem: string;
}

/** A certificate of `holder`, signed by `issuer`. */
export async function issue(
  holder: Holder,
  issuer: Issuer,
  terms: Terms,
): Promise<IssuedCertificate> {
  const isEmpty = holder.name.toString() === "";
  if (terms.isCaCertificate && isEmpty) {
    throw new Error(
      "Invalid Certificate Subject: Must contain at least one Distinguished Name when creating Certificate Authority (CA)",
    );
  }
  const names = alternativeNames(holder.alternativeNames, isEmpty);
  const subjectKeyId =
    terms.isCaCertificate || terms.setSubjectKeyId ? keyIdOf(holder.publicKey) : undefined;
  const authorityKeyId = authorityKeyIdOf(holder, issuer, terms, subjectKeyId);
  const serialNumber = randomSerialNumber();
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber.toString("hex"),
    subject: holder.name,
    issuer: issuer.name,
    // A certificate's times have whole seconds only.
    notBefore: wholeSeconds(terms.notBefore),
    notAfter: wholeSeconds(terms.notAfter),
    publicKey: holder.publicKey,
    ...(await signing(issuer.key)),
    extensions: [
      ...keyUsages(terms.allowedUses),
      basicConstraints(terms),
      ...(subjectKeyId === undefined ? [] : [new SubjectKeyIdentifierExtension(subjectKeyId)]),
      ...(authorityKeyId === undefined
        ? []
        : [new AuthorityKeyIdentifierExtension(authorityKeyId)]),
      ...names,
    ],
  });
  return {
    serialNumber: BigInt(`0x${serialNumber.toString("hex")}`).toString(),
    pem: toPem("CERTIFICATE", new Uint8Array(certificate.rawData)),
  };
}

/** A certificate request, as DER. */
export async function request(
  subject: Subject,
  names: AlternativeNames,
  key: KeyObject,
): Promise<Buffer> {
  const name = nameOf(subject);
  const { signingKey, signingAlgorithm } = await signing(key);
  const publicKey = await importPublicKey(key);
  const made = await Pkcs10CertificateRequestGenerator.create({
    name,
    keys: { privateKey: signingKey, publicKey },
    signingAlgorithm,
    extensions: alternativeNames(names, name.toString() === ""),
  });
  return Buffer.from(made.rawData);
}

/** Whom a certificate request is for. */
export function holderOf(requestPem: string): Holder {
  const parsed = new Pkcs10CertificateRequest(
    new Uint8Array(pemBlock(requestPem, "CERTIFICATE REQUEST")),
  );
  const names = parsed.extensions.find(
    (extension) => extension instanceof SubjectAlternativeNameExtension,
  );
  const ofType = (type: string) =>
    names?.names.items.filter((name) => name.type === type).map((name) => name.value) ?? [];
  return {
    name: parsed.subjectName,
    alternativeNames: { dnsNames: ofType("dns"), ipAddresses: ofType("ip"), uris: ofType("url") },
    publicKey: new Uint8Array(parsed.publicKey.rawData),
  };
}

/** What a CA's certificate says of it, as one that signs with `key`. */
export function issuerOf(certificatePem: string, key: KeyObject): CertificateAuthority {
  const parsed = new X509Certificate(new Uint8Array(pemBlock(certificatePem, "CERTIFICATE")));
  const keyId = parsed.getExtension(SubjectKeyIdentifierExtension)?.keyId;
  return {
    name: parsed.subjectName,
    key,
    publicKey: new Uint8Array(parsed.publicKey.rawData),
    isCa: parsed.getExtension(BasicConstraintsExtension)?.ca === true,
    ...(keyId !== undefined && { keyId }),
  };
}

/** A distinguished name with its parts in Go's order. */
export function nameOf(subject: Subject): Name {
  const parts: [string, readonly (string | undefined)[]][] = [
    ["2.5.4.6", [subject.country]],
    ["2.5.4.10", [subject.organization]],
    ["2.5.4.11", [subject.organizationalUnit]],
    ["2.5.4.7", [subject.locality]],
    ["2.5.4.8", [subject.province]],
    ["2.5.4.9", subject.streetAddresses ?? []],
    ["2.5.4.17", [subject.postalCode]],
    ["2.5.4.3", [subject.commonName]],
    ["2.5.4.5", [subject.serialNumber]],
  ];
  const json: JsonNameParams = [];
  for (const [type, values] of parts) {
    const set = values.filter((value): value is string => !!value);
    if (set.length > 0) json.push({ [type]: set.map(directoryString) });
  }
  if (subject.emailAddress !== undefined) {
    json.push({ "1.2.840.113549.1.9.1": [{ ia5String: subject.emailAddress }] });
  }
  return new Name(json);
}

function directoryString(value: string): { printableString: string } | { utf8String: string } {
  return /^[A-Za-z0-9 '()+,./:=?-]*$/.test(value)
    ? { printableString: value }
    : { utf8String: value };
}

function alternativeNames(names: AlternativeNames, critical: boolean): Extension[] {
  const { dnsNames = [], ipAddresses = [], uris = [] } = names;
  for (const address of ipAddresses) {
    if (isIP(address) === 0) {
      throw new Error(`Invalid IP address: Failed to parse ${JSON.stringify(address)}`);
    }
  }
  for (const [what, value] of [
    ...dnsNames.map((name) => ["DNS name", name] as const),
    ...uris.map((uri) => ["URI", uri] as const),
  ]) {
    if (value === "" || !/^[ -~]+$/.test(value)) {
      throw new Error(`Invalid ${what}: ${JSON.stringify(value)} must be printable ASCII`);
    }
  }
  const all = [
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
    ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
    ...uris.map((value) => ({ type: "url" as const, value })),
  ];
  return all.length === 0 ? [] : [new SubjectAlternativeNameExtension(all, critical)];
}

function keyUsages(allowedUses: readonly string[]): Extension[] {
  const bits = allowedUses.map((use) => KEY_USAGES[use]).filter((bit) => bit !== undefined);
  const extended = allowedUses
    .map((use) => EXTENDED_KEY_USAGES[use])
    .filter((use) => use !== undefined);
  const flags = bits.reduce((sum, bit) => sum | (1 << bit), 0);
  return [
    ...(flags === 0 ? [] : [new KeyUsagesExtension(flags, true)]),
    ...(extended.length === 0 ? [] : [new ExtendedKeyUsageExtension(extended, false)]),
  ];
}

function basicConstraints({ isCaCertificate, maxPathLength = -1 }: Terms): Extension {
  if (!isCaCertificate && maxPathLength > 0) {
    throw new Error("Failed to create certificate: only CAs are allowed to specify maxPathLength");
  }
  const bounded = isCaCertificate && maxPathLength >= 0;
  return new BasicConstraintsExtension(isCaCertificate, bounded ? maxPathLength : undefined, true);
}

function authorityKeyIdOf(
  holder: Holder,
  issuer: Issuer,
  terms: Terms,
  subjectKeyId: string | undefined,
): string | undefined {
  if (holder.name.toString() !== issuer.name.toString()) return issuer.keyId;
  if (terms.setAuthorityKeyId !== true) return undefined;
  if (subjectKeyId === undefined) {
    throw new Error(
      "Invalid Certificate Authority: Could not determine Authority Key Identifier; setAuthorityKeyId needs setSubjectKeyId",
    );
  }
  return subjectKeyId;
}

/** SHA-1 of the public key, in the official plugin's reading of what the bytes of a key are. */
function keyIdOf(info: Uint8Array): string {
  const key = createPublicKey({ key: Buffer.from(info), format: "der", type: "spki" });
  const hash = createHash("sha1");
  switch (key.asymmetricKeyType) {
    case "rsa":
      return hash.update(key.export({ type: "pkcs1", format: "der" })).digest("hex");
    case "ed25519":
      // Its 32 bytes at the end, as an ASN.1 octet string.
      return hash
        .update(Buffer.from([4, 32]))
        .update(info.subarray(-32))
        .digest("hex");
    default: {
      // The uncompressed point at the end, twice as long as the curve's numbers.
      const numberLength = Math.ceil(curveBits(key) / 8);
      return hash.update(info.subarray(-(1 + 2 * numberLength))).digest("hex");
    }
  }
}

function curveBits(key: KeyObject): number {
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
  const bits = { secp224r1: 224, prime256v1: 256, secp384r1: 384, secp521r1: 521 }[curve];
  if (bits === undefined) throw new Error(`unsupported elliptic curve ${curve}`);
  return bits;
}

/** 127 random bits: positive, as a serial number must be, and never short. */
function randomSerialNumber(): Buffer {
  const serialNumber = randomBytes(16);
  serialNumber[0] = ((serialNumber[0] ?? 0) & 0x7f) | 0x40;
  return serialNumber;
}

function wholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

/** `key` as Web Crypto, which @peculiar/x509 signs with, takes it. */
async function signing(key: KeyObject) {
  const signingAlgorithm = algorithmOf(key);
  // Node.js and @peculiar/x509 each have their own declaration of the same class.
  const signingKey = key.toCryptoKey(signingAlgorithm, false, ["sign"]) as CryptoKey;
  return { signingKey, signingAlgorithm };
}

async function importPublicKey(key: KeyObject) {
  return createPublicKey(key as never).toCryptoKey(algorithmOf(key), true, ["verify"]) as CryptoKey;
}

function algorithmOf(key: KeyObject) {
  switch (key.asymmetricKeyType) {
    case "rsa":
      return { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    case "ed25519":
      return { name: "Ed25519" };
    default:
      switch (curveBits(key)) {
        case 256:
          return { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
        case 384:
          return { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" };
        case 521:
          return { name: "ECDSA", namedCurve: "P-521", hash: "SHA-512" };
        default:
          throw new Error(
            "the offline stand-in for the plugin tls cannot sign with a key on the curve P224; P256, P384 and P521 it can",
          );
      }
  }
}

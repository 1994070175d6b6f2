import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import ssh2 from "ssh2";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Resource } from "../../proving-ground/plugins/provider/plugin.ts";
import {
  type PropertyMap,
  reveal,
  Secret,
  UNKNOWN,
} from "../../proving-ground/plugins/provider/values.ts";
import { tls } from "../../proving-ground/plugins/tls/plugin.ts";

const START = new Date("2026-03-01T10:20:30.456Z");
const HOUR_MS = 60 * 60 * 1000;

const NEW = { name: "x", olds: {} };

/** Machines without it check the same by Node.js alone. */
const openssl = (await execa("openssl", ["version"], { reject: false })).exitCode === 0;

let now = START;
let warnings: string[] = [];

const plugin = tls(() => now);
const privateKey = resource("privateKey:PrivateKey");
const certRequest = resource("certRequest:CertRequest");
const selfSignedCert = resource("selfSignedCert:SelfSignedCert");
const locallySignedCert = resource("locallySignedCert:LocallySignedCert");

beforeEach(() => {
  now = START;
  warnings = [];
});

function resource(type: string): Resource {
  const found = plugin.resources[`tls:index/${type}`];
  if (found === undefined) throw new Error(`no resource ${type}`);
  return found;
}

/** A resource's state with its secrets in the clear, which is how the engine hands it back. */
async function create(of: Resource, inputs: PropertyMap, preview = false) {
  const { inputs: checked, failures } = of.check(inputs, NEW);
  expect(failures).toEqual([]);
  const log = { status() {}, error() {}, warning: (line: string) => warnings.push(line) };
  const signal = new AbortController().signal;
  const { id, state } = await of.create(checked, { name: "x", preview, log, signal });
  return { id, state, plain: reveal(state) as { readonly [name: string]: string } };
}

async function keyPem(inputs: PropertyMap): Promise<string> {
  return (await create(privateKey, inputs)).plain.privateKeyPem ?? "";
}

describe("a private key", () => {
  test.each([
    [{ algorithm: "RSA", rsaBits: 1024 }, "RSA PRIVATE KEY", "rsa", "ssh-rsa"],
    [{ algorithm: "ECDSA", ecdsaCurve: "P256" }, "EC PRIVATE KEY", "ec", "ecdsa-sha2-nistp256"],
    [{ algorithm: "ECDSA", ecdsaCurve: "P384" }, "EC PRIVATE KEY", "ec", "ecdsa-sha2-nistp384"],
    [{ algorithm: "ECDSA", ecdsaCurve: "P521" }, "EC PRIVATE KEY", "ec", "ecdsa-sha2-nistp521"],
    [{ algorithm: "ED25519" }, "PRIVATE KEY", "ed25519", "ssh-ed25519"],
  ])("of %j has the same key in every format", async (inputs, label, type, sshType) => {
    const { id, plain } = await create(privateKey, inputs);
    const key = createPrivateKey(plain.privateKeyPem ?? "");
    expect(plain.privateKeyPem).toContain(`-----BEGIN ${label}-----\n`);
    expect(key.asymmetricKeyType).toBe(type);
    expect(key.equals(createPrivateKey(plain.privateKeyPemPkcs8 ?? ""))).toBe(true);
    expect(createPublicKey(key).equals(createPublicKey(plain.publicKeyPem ?? ""))).toBe(true);
    const ssh = ssh2.utils.parseKey(plain.privateKeyOpenssh ?? "");
    if (ssh instanceof Error) throw ssh;
    expect(ssh.isPrivateKey()).toBe(true);
    expect(plain.publicKeyOpenssh).toBe(`${sshType} ${ssh.getPublicSSH().toString("base64")}\n`);
    expect(plain.publicKeyFingerprintMd5).toMatch(/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/);
    expect(plain.publicKeyFingerprintSha256).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    expect(id).toMatch(/^[0-9a-f]{40}$/);
  });

  test("on the curve P224, the default, has no format for SSH", async () => {
    const { plain } = await create(privateKey, { algorithm: "ECDSA" });
    expect(plain).toMatchObject({
      ecdsaCurve: "P224",
      privateKeyOpenssh: "",
      publicKeyOpenssh: "",
      publicKeyFingerprintMd5: "",
    });
  });

  test("is secret in each of its formats", async () => {
    const { state } = await create(privateKey, { algorithm: "ED25519" });
    const secrets = Object.keys(state).filter((name) => state[name] instanceof Secret);
    expect(secrets.sort()).toEqual(["privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"]);
  });

  test("is unknown in a preview, its defaults are not", async () => {
    const { id, state } = await create(privateKey, { algorithm: "ED25519" }, true);
    expect(id).toBe("");
    expect(state).toMatchObject({ privateKeyPem: UNKNOWN, id: UNKNOWN, rsaBits: 2048 });
  });

  test.each([
    [{}, "algorithm", "required, but not set"],
    [{ algorithm: "DSA" }, "algorithm", 'is "DSA"; allowed: RSA, ECDSA, ED25519'],
    [{ algorithm: "ECDSA", ecdsaCurve: "P255" }, "ecdsaCurve", 'is "P255"; allowed: P224'],
    [{ algorithm: "RSA", rsaBits: 512 }, "rsaBits", "is 512; the least is 1024"],
  ])("is refused when wrong: %j", (inputs, property, reason) => {
    const { failures } = privateKey.check(inputs as PropertyMap, NEW);
    expect(failures[0]?.property).toBe(property);
    expect(failures[0]?.reason).toContain(reason);
  });

  test("is another one whenever its inputs are", async () => {
    const inputs = { algorithm: "ECDSA", ecdsaCurve: "P256" };
    const { id, plain } = await create(privateKey, inputs);
    const diff = (news: PropertyMap) => [
      ...privateKey.diff({ id, inputs, state: plain }, news).replaces,
    ];
    expect(diff(inputs)).toEqual([]);
    expect(diff({ ...inputs, rsaBits: 2048 })).toEqual([]);
    expect(diff({ algorithm: "ECDSA" })).toEqual(["ecdsaCurve"]);
    expect(diff({ ...inputs, algorithm: "ED25519" })).toEqual(["algorithm"]);
  });
});

describe("a certificate", () => {
  const caInputs = {
    isCaCertificate: true,
    allowedUses: ["cert_signing", "crl_signing"],
    validityPeriodHours: 1000,
    subject: { commonName: "Test CA", organization: "O & Co" },
  };

  test.each([
    [{ algorithm: "ECDSA", ecdsaCurve: "P256" }],
    [{ algorithm: "ECDSA", ecdsaCurve: "P384" }],
    [{ algorithm: "ECDSA", ecdsaCurve: "P521" }],
    [{ algorithm: "ED25519" }],
    [{ algorithm: "RSA", rsaBits: 2048 }],
  ])("of a CA with %j signs others, and Node.js and OpenSSL verify them", async (algorithm) => {
    const caKey = await keyPem(algorithm);
    now = new Date();
    const ca = await create(selfSignedCert, {
      ...caInputs,
      privateKeyPem: caKey,
      maxPathLength: 0,
    });
    const leafKey = await keyPem(algorithm);
    const requested = await create(certRequest, {
      privateKeyPem: leafKey,
      subject: { commonName: "board" },
      dnsNames: ["board.local"],
      ipAddresses: ["10.0.0.7", "fe80::1"],
      uris: ["spiffe://board"],
    });
    const leaf = await create(locallySignedCert, {
      caCertPem: ca.plain.certPem ?? "",
      caPrivateKeyPem: caKey,
      certRequestPem: requested.plain.certRequestPem ?? "",
      allowedUses: ["digital_signature", "server_auth"],
      validityPeriodHours: 100,
    });
    const authority = new X509Certificate(ca.plain.certPem ?? "");
    const certificate = new X509Certificate(leaf.plain.certPem ?? "");

    expect(authority.ca).toBe(true);
    expect(authority.subject).toBe("O=O & Co\nCN=Test CA");
    expect(certificate.ca).toBe(false);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.checkIssued(authority)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(leafKey))).toBe(true);
    expect(certificate.subjectAltName).toBe(
      "DNS:board.local, IP Address:10.0.0.7, IP Address:FE80:0:0:0:0:0:0:1, URI:spiffe://board",
    );
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(BigInt(`0x${certificate.serialNumber}`).toString()).toBe(leaf.id);

    if (!openssl) return;
    const folder = await mkdtemp(join(tmpdir(), "certificates-"));
    await writeFile(join(folder, "ca"), ca.plain.certPem ?? "");
    await writeFile(join(folder, "leaf"), leaf.plain.certPem ?? "");
    await writeFile(join(folder, "request"), requested.plain.certRequestPem ?? "");
    const verify = ["verify", "-x509_strict", "-CAfile", "ca", "-purpose", "sslserver", "leaf"];
    expect((await execa("openssl", verify, { cwd: folder })).stdout).toBe("leaf: OK");
    await execa("openssl", ["req", "-in", "request", "-verify", "-noout"], { cwd: folder });
    const text = await execa("openssl", ["x509", "-in", "ca", "-noout", "-text"], { cwd: folder });
    expect(text.stdout).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(text.stdout).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/);
    await rm(folder, { recursive: true });
  });

  test("has each part of its subject", async () => {
    const { plain } = await create(selfSignedCert, {
      privateKeyPem: await keyPem({ algorithm: "ED25519" }),
      allowedUses: [],
      validityPeriodHours: 1,
      subject: {
        commonName: "Übung",
        country: "DE",
        emailAddress: "a@b.de",
        locality: "Ulm",
        organization: "#1",
        organizationalUnit: '"U"',
        postalCode: "1",
        province: "BW",
        serialNumber: "7",
        streetAddresses: ["A", "B"],
      },
    });
    expect(new X509Certificate(plain.certPem ?? "").subject.split("\n")).toEqual([
      "C=DE",
      "O=\\#1",
      'OU=\\"U\\"',
      "L=Ulm",
      "ST=BW",
      "street=A + street=B",
      "postalCode=1",
      "CN=Übung",
      "serialNumber=7",
      "emailAddress=a@b.de",
    ]);
  });

  test("has no name but alternative ones when it has no subject", async () => {
    const { plain } = await create(selfSignedCert, {
      privateKeyPem: await keyPem({ algorithm: "ED25519" }),
      allowedUses: ["client_auth"],
      validityPeriodHours: 1,
      dnsNames: ["a"],
    });
    const certificate = new X509Certificate(plain.certPem ?? "");
    expect([certificate.subject, certificate.subjectAltName]).toEqual([undefined, "DNS:a"]);
  });

  test("begins now and ends after its hours, to the second in it and exactly in the state", async () => {
    const { plain } = await create(selfSignedCert, {
      ...caInputs,
      privateKeyPem: await keyPem({ algorithm: "ED25519" }),
      validityPeriodHours: 30 * 365 * 24,
    });
    expect(plain.validityStartTime).toBe("2026-03-01T10:20:30.456Z");
    expect(plain.validityEndTime).toBe("2056-02-22T10:20:30.456Z");
    const { validFromDate, validToDate } = new X509Certificate(plain.certPem ?? "");
    expect(validFromDate.toISOString()).toBe("2026-03-01T10:20:30.000Z");
    expect(validToDate.toISOString()).toBe("2056-02-22T10:20:30.000Z");
  });

  test("has another positive serial number each time", async () => {
    const privateKeyPem = await keyPem({ algorithm: "ED25519" });
    const ids = new Set<string>();
    for (let round = 0; round < 20; round++) {
      ids.add((await create(selfSignedCert, { ...caInputs, privateKeyPem })).id);
    }
    expect(ids.size).toBe(20);
    for (const id of ids) expect(BigInt(id)).toBeGreaterThan(0n);
  });

  test("keeps keys secret and everything else readable", async () => {
    const privateKeyPem = await keyPem({ algorithm: "ED25519" });
    const { state } = await create(selfSignedCert, { ...caInputs, privateKeyPem });
    expect(Object.keys(state).filter((name) => state[name] instanceof Secret)).toEqual([
      "privateKeyPem",
    ]);
    const read = await selfSignedCert.read({ id: "x", inputs: { privateKeyPem }, state: {} });
    expect(read?.inputs.privateKeyPem).toBeInstanceOf(Secret);
  });

  test("is unknown in a preview, what follows from its inputs is not", async () => {
    const { state } = await create(selfSignedCert, { ...caInputs, privateKeyPem: UNKNOWN }, true);
    expect(state).toMatchObject({
      certPem: UNKNOWN,
      validityEndTime: UNKNOWN,
      maxPathLength: UNKNOWN,
      readyForRenewal: false,
      earlyRenewalHours: 0,
      privateKeyPem: new Secret(UNKNOWN),
    });
  });

  test("of somebody who is no CA gets a warning", async () => {
    const key = await keyPem({ algorithm: "ED25519" });
    const ca = await create(selfSignedCert, {
      ...caInputs,
      isCaCertificate: false,
      privateKeyPem: key,
    });
    const requested = await create(certRequest, { privateKeyPem: key });
    await create(locallySignedCert, {
      caCertPem: ca.plain.certPem ?? "",
      caPrivateKeyPem: key,
      certRequestPem: requested.plain.certRequestPem ?? "",
      allowedUses: [],
      validityPeriodHours: 1,
    });
    expect(warnings.join()).toContain("does not appear to be a valid Certificate Authority");
  });

  test("is not signed with a key that is not the CA's", async () => {
    const key = await keyPem({ algorithm: "ED25519" });
    const ca = await create(selfSignedCert, { ...caInputs, privateKeyPem: key });
    const requested = await create(certRequest, { privateKeyPem: key });
    const inputs = {
      caCertPem: ca.plain.certPem ?? "",
      caPrivateKeyPem: await keyPem({ algorithm: "ED25519" }),
      certRequestPem: requested.plain.certRequestPem ?? "",
      allowedUses: [],
      validityPeriodHours: 1,
    };
    await expect(create(locallySignedCert, inputs)).rejects.toThrow("is not that of caCertPem");
  });

  describe.each<[PropertyMap, string]>([
    [{ privateKeyPem: "hunter2" }, "Failed to parse private key PEM: no PEM block found"],
    [
      { privateKeyPem: "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n" },
      "Failed to parse private key PEM: the PRIVATE KEY cannot be read",
    ],
    [{ subject: {} }, "Must contain at least one Distinguished Name"],
    [{ ipAddresses: ["board"] }, 'Invalid IP address: Failed to parse "board"'],
    [{ dnsNames: ["büro"] }, 'Invalid DNS name: "büro" must be printable ASCII'],
    [{ isCaCertificate: false, maxPathLength: 1 }, "only CAs are allowed to specify maxPathLength"],
    [
      { isCaCertificate: false, setAuthorityKeyId: true },
      "Could not determine Authority Key Identifier",
    ],
  ])("with %j", (changes, message) => {
    test("is refused, and no key is said", async () => {
      const privateKeyPem = await keyPem({ algorithm: "ED25519" });
      const failing = create(selfSignedCert, { ...caInputs, privateKeyPem, ...changes });
      await expect(failing).rejects.toThrow(message);
      await expect(failing).rejects.not.toThrow("hunter2");
    });
  });

  test("is refused a use that there is not", () => {
    const { failures } = selfSignedCert.check(
      {
        ...caInputs,
        privateKeyPem: "x",
        allowedUses: ["server"],
      },
      NEW,
    );
    expect(failures[0]?.property).toBe("allowedUses[0]");
    expect(failures[0]?.reason).toMatch(/is "server"; allowed: .*server_auth/);
  });
});

describe("the renewal of a certificate", () => {
  const inputs = {
    privateKeyPem: "",
    allowedUses: ["server_auth"],
    validityPeriodHours: 100,
    earlyRenewalHours: 10,
  };
  let state: PropertyMap;

  beforeAll(async () => {
    now = START;
    inputs.privateKeyPem = await keyPem({ algorithm: "ED25519" });
    state = (await create(selfSignedCert, inputs)).plain;
  });

  const diffAfter = (hours: number, news: PropertyMap = inputs, of: PropertyMap = state) => {
    now = new Date(START.getTime() + hours * HOUR_MS);
    const { changes, replaces } = selfSignedCert.diff({ id: "x", inputs, state: of }, news);
    return { changed: [...changes.keys()], replaces: [...replaces] };
  };
  const due = { changed: ["readyForRenewal"], replaces: ["readyForRenewal"] };

  test("is due once the early hours have begun, and not before", () => {
    expect(diffAfter(0)).toEqual({ changed: [], replaces: [] });
    expect(diffAfter(89.999)).toEqual({ changed: [], replaces: [] });
    expect(diffAfter(90)).toEqual(due);
    expect(diffAfter(1000)).toEqual(due);
  });

  test("comes sooner or later when the early hours change, which alone replaces nothing", () => {
    expect(diffAfter(50, { ...inputs, earlyRenewalHours: 20 })).toEqual({
      changed: ["earlyRenewalHours"],
      replaces: [],
    });
    expect(diffAfter(85, { ...inputs, earlyRenewalHours: 20 })).toEqual({
      changed: ["earlyRenewalHours", "readyForRenewal"],
      replaces: ["readyForRenewal"],
    });
    expect(diffAfter(95, { ...inputs, earlyRenewalHours: 1 }).replaces).toEqual([]);
  });

  test("is seen by a refresh, and still replaces", async () => {
    now = new Date(START.getTime() + 95 * HOUR_MS);
    const read = await selfSignedCert.read({ id: "x", inputs, state });
    const refreshed = reveal(read?.state ?? {}) as PropertyMap;
    expect(refreshed.readyForRenewal).toBe(true);
    expect(diffAfter(95, inputs, refreshed)).toEqual(due);
    expect(diffAfter(50, inputs, refreshed)).toEqual({
      changed: ["readyForRenewal"],
      replaces: [],
    });
  });

  test("never ends when the early hours are all of them", async () => {
    now = START;
    const always = { ...inputs, earlyRenewalHours: 100 };
    const { plain } = await create(selfSignedCert, always);
    expect(plain.readyForRenewal).toBe(true);
    expect(diffAfter(0, always, plain)).toEqual(due);
  });

  test("keeps the certificate when only the early hours change", async () => {
    const { update } = selfSignedCert;
    const log = { status() {}, error() {}, warning() {} };
    const signal = new AbortController().signal;
    const request = { name: "x", preview: true, log, signal };
    const old = { id: "x", inputs, state: { ...state, __pulumi_raw_state_delta: "kept" } };
    const updated = await update(old, { ...inputs, earlyRenewalHours: 20 }, request);
    expect(updated).toEqual({
      ...old.state,
      earlyRenewalHours: 20,
      privateKeyPem: new Secret(inputs.privateKeyPem),
    });
  });

  test.each<[string, PropertyMap]>([
    ["privateKeyPem", { privateKeyPem: "another" }],
    ["validityPeriodHours", { validityPeriodHours: 101 }],
    ["allowedUses", { allowedUses: ["client_auth"] }],
    ["isCaCertificate", { isCaCertificate: true }],
    ["maxPathLength", { maxPathLength: 1 }],
    ["setSubjectKeyId", { setSubjectKeyId: true }],
    ["dnsNames", { dnsNames: ["a"] }],
    ["subject", { subject: { commonName: "a" } }],
  ])("comes at once with another %s", (name, change) => {
    expect(diffAfter(0, { ...inputs, ...change })).toEqual({ changed: [name], replaces: [name] });
  });

  test("waits while the early hours are unknown", () => {
    expect(diffAfter(95, { ...inputs, earlyRenewalHours: UNKNOWN })).toEqual({
      changed: ["earlyRenewalHours"],
      replaces: [],
    });
  });
});

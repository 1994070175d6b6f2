import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import * as exported from "../../components/index.ts";
import {
  BuilderBoard,
  type BuilderBoardArgs,
  CertificateAuthority,
  ClientCertificate,
  ServerCertificate,
} from "../../components/index.ts";
import { stackKeys } from "../../config/schema.ts";
import { settled, underMocks } from "./pulumiMocks.ts";

/** The SDK's mark of a secret among serialised inputs. */
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

const certificate = {
  certPem: "CERT",
  privateKeyPem: "SERVER KEY",
  validityStartTime: "2026-01-01T00:00:00Z",
  validityEndTime: "2026-04-01T00:00:00Z",
};

const board: BuilderBoardArgs = {
  connection: { host: "board.example.com", hostKey: "ssh-ed25519 AAAA", privateKey: "SSH KEY" },
  platform: "linux/riscv64",
  releases: { containerd: "v2.4.2", runc: "v1.5.2", buildkit: "v0.34.2" },
  caCertPem: "CA",
  caValidityStartTime: "2026-01-01T00:00:00Z",
  certificate,
  healthCheck: { certPem: "CLIENT CERT", privateKeyPem: "CLIENT KEY" },
  serverName: "board.example.com",
};

/** Whether the engine prints an error beside the resource that has the bad argument, and without a stack trace. */
const namesResource =
  (Component: abstract new (...args: never[]) => pulumi.Resource) => (error: unknown) =>
    pulumi.ResourceError.isInstance(error) &&
    error.resource instanceof Component &&
    error.hideStack === true;

describe("CertificateAuthority", () => {
  test("is a key and a certificate that may sign certificates", async () => {
    const { mocks, result } = await underMocks(() => new CertificateAuthority("ca"));
    expect(mocks.names()).toEqual([
      "buildhosts:index:CertificateAuthority ca",
      "tls:index/privateKey:PrivateKey ca-key",
      "tls:index/selfSignedCert:SelfSignedCert ca-certificate",
    ]);
    expect(mocks.inputs("ca-key")).toEqual({ algorithm: "ECDSA", ecdsaCurve: "P256" });
    expect(mocks.inputs("ca-certificate")).toMatchObject({
      isCaCertificate: true,
      setSubjectKeyId: true,
      allowedUses: ["cert_signing", "crl_signing"],
      validityPeriodHours: 87_600,
      earlyRenewalHours: 8_760,
      subject: { commonName: "ca" },
    });
    expect(await settled(result.certPem)).toEqual({
      value: "CERTIFICATE of ca-certificate",
      secret: false,
    });
    expect((await settled(result.privateKeyPem)).secret).toBe(true);
  });

  test("takes Ed25519 where it is chosen", async () => {
    const { mocks } = await underMocks(
      () => new CertificateAuthority("ca", { algorithm: "ED25519" }),
    );
    expect(mocks.inputs("ca-key")).toEqual({ algorithm: "ED25519" });
  });

  test.each([
    [100, 100],
    [100, 101],
    [100, -1],
    [100, 1.5],
  ])("refuses %i hours of validity with renewal %i hours ahead", async (validityHours, early) => {
    const made = () =>
      underMocks(() => new CertificateAuthority("ca", { validityHours, earlyRenewalHours: early }));
    await expect(made()).rejects.toThrow(
      `ca: earlyRenewalHours is ${early}; it must be from 0 to below validityHours (${validityHours}), or every update would renew the certificate`,
    );
    await expect(made()).rejects.toSatisfy(namesResource(CertificateAuthority));
  });
});

describe("ServerCertificate and ClientCertificate", () => {
  test("a server's has the builder's names and server use only", async () => {
    const { mocks, result } = await underMocks(
      () =>
        new ServerCertificate("board-1", {
          caCertPem: "CA",
          caPrivateKeyPem: "CA KEY",
          dnsNames: ["board-1.lan"],
          ipAddresses: ["192.0.2.1"],
        }),
    );
    expect(mocks.inputs("board-1-request")).toMatchObject({
      dnsNames: ["board-1.lan"],
      ipAddresses: ["192.0.2.1"],
      subject: { commonName: "board-1" },
    });
    expect(mocks.inputs("board-1-certificate")).toMatchObject({
      allowedUses: ["digital_signature", "server_auth"],
      validityPeriodHours: 8760,
      earlyRenewalHours: 720,
    });
    expect((await settled(result.privateKeyPem)).secret).toBe(true);
  });

  test("a client's has client use only and a name of its own", async () => {
    const { mocks, result } = await underMocks(
      () =>
        new ClientCertificate("client-ci", {
          caCertPem: "CA",
          caPrivateKeyPem: "CA KEY",
          commonName: "ci",
        }),
    );
    expect(mocks.inputs("client-ci-certificate")).toMatchObject({
      allowedUses: ["digital_signature", "client_auth"],
    });
    expect(mocks.inputs("client-ci-request")).toMatchObject({ subject: { commonName: "ci" } });
    expect((await settled(result.privateKeyPem)).secret).toBe(true);
  });
});

describe("a client's key", () => {
  const make = (keyNumber?: number) =>
    underMocks(
      () =>
        new ClientCertificate("client-ci", {
          caCertPem: "CA",
          caPrivateKeyPem: "CA KEY",
          ...(keyNumber !== undefined && { keyNumber }),
        }),
    );

  test.each([0, 1.5, -1])("has no number %d", async (keyNumber) => {
    await expect(make(keyNumber)).rejects.toThrow(
      `client-ci: keyNumber is ${keyNumber}; a whole number from 1 is needed`,
    );
    await expect(make(keyNumber)).rejects.toSatisfy(namesResource(ClientCertificate));
  });

  test.each([undefined, 1])("of the number %s is the one that stacks have had", async (number) => {
    const { mocks } = await make(number);
    expect(mocks.names()).toEqual([
      "buildhosts:index:ClientCertificate client-ci",
      "tls:index/certRequest:CertRequest client-ci-request",
      "tls:index/locallySignedCert:LocallySignedCert client-ci-certificate",
      "tls:index/privateKey:PrivateKey client-ci-key",
    ]);
  });

  test("of another number is new, and the certificate is for it", async () => {
    const { mocks, result } = await make(2);
    expect(mocks.names()).toEqual([
      "buildhosts:index:ClientCertificate client-ci",
      "tls:index/certRequest:CertRequest client-ci-request",
      "tls:index/locallySignedCert:LocallySignedCert client-ci-certificate",
      "tls:index/privateKey:PrivateKey client-ci-key-2",
    ]);
    expect(JSON.stringify(mocks.inputs("client-ci-request").privateKeyPem)).toContain(
      "KEY of client-ci-key-2",
    );
    expect((await settled(result.privateKeyPem)).value).toBe("KEY of client-ci-key-2");
  });
});

test("a leaf is valid as long by the component's default as by the stack file's", async () => {
  const { mocks } = await underMocks(
    () => new ClientCertificate("ci", { caCertPem: "CA", caPrivateKeyPem: "CA KEY" }),
  );
  const { validityHours, earlyRenewalHours } = stackKeys.certificates.parse({});
  expect(mocks.inputs("ci-certificate")).toMatchObject({
    validityPeriodHours: validityHours,
    earlyRenewalHours,
  });
});

describe("the example of each component", () => {
  const components = join(import.meta.dirname, "../../components");
  const classes = readFileSync(join(components, "index.ts"), "utf8");
  test.each([...classes.matchAll(/from "\.\/(\w+)\.ts"/g)].map(([, file]) => file))(
    "%s calls nothing that the package does not export",
    (file) => {
      const source = readFileSync(join(components, `${file}.ts`), "utf8");
      const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(source) ?? [];
      expect(example).toContain("new ");
      const called = [...example.matchAll(/(?<![.\w])(\w+)\(/g)].map(([, name]) => name);
      const known = [...Object.keys(exported), "readFileSync"];
      expect(called.filter((name) => !known.includes(name ?? ""))).toEqual([]);
    },
  );
});

describe("BuilderBoard", () => {
  test("is four steps, each one SSH session, and a removal that runs nothing before", async () => {
    const { mocks } = await underMocks(() => new BuilderBoard("board-1", board));
    expect(mocks.inputs("board-1.removal").create).toBeUndefined();
    expect(mocks.names()).toEqual([
      "buildhosts:index:BuilderBoard board-1",
      "command:remote:Command board-1-config",
      "command:remote:Command board-1-install",
      "command:remote:Command board-1-preflight",
      "command:remote:Command board-1-service",
      "command:remote:Command board-1.removal",
    ]);
  });

  test("a replaced step takes nothing away that is in use, and the cache never", async () => {
    const { mocks } = await underMocks(
      () => new BuilderBoard("board-1", { ...board, removeCacheOnDelete: true }),
    );
    const deletes = ["preflight", "install", "config", "service"].map(
      (role) => mocks.inputs(`board-1-${role}`).delete,
    );
    expect(deletes).toEqual([
      expect.stringMatching(/ withdraw --owner buildhosts\/test\/board-1$/),
      ...[undefined, undefined, undefined],
    ]);
    expect(mocks.inputs("board-1.removal").delete).toMatch(
      / uninstall --owner buildhosts\/test\/board-1 --remove-cache$/,
    );
  });

  test("a renamed board is the one that it was; one of another stack has no state here", async () => {
    const aliases = async (formerName: string) => {
      const { result } = await underMocks(
        () => new BuilderBoard("board-1", { ...board, formerName }),
      );
      const urns = (result as unknown as { __aliases: pulumi.Output<string>[] }).__aliases;
      return Promise.all(urns.map(async (urn) => (await settled(urn)).value));
    };
    expect(await aliases("old")).toEqual([
      "urn:pulumi:test::buildhosts::buildhosts:index:BuilderBoard::old",
    ]);
    expect(await aliases("other/stack/old")).toEqual([]);
  });

  test("no step has triggers, and each keeps its last output out of the environment", async () => {
    const { mocks } = await underMocks(() => new BuilderBoard("board-1", board));
    for (const role of ["preflight", "install", "config", "service"]) {
      const inputs = mocks.inputs(`board-1-${role}`);
      expect(inputs.triggers).toBeUndefined();
      expect(inputs.addPreviousOutputInEnv).toBe(false);
    }
  });

  test("keys go on standard input as secrets, and into no command", async () => {
    const { mocks } = await underMocks(() => new BuilderBoard("board-1", board));
    const stdin = JSON.stringify(mocks.inputs("board-1-service").stdin);
    expect(stdin).toContain(SECRET);
    expect(stdin).toContain("SERVER KEY");
    expect(stdin).toContain("CLIENT KEY");
    for (const { inputs } of mocks.registered) {
      const commands = JSON.stringify([inputs.create, inputs.update, inputs.delete]);
      expect(commands).not.toMatch(/KEY/);
    }
  });

  test("a version bump changes the installation and the service and nothing else", async () => {
    const before = await underMocks(() => new BuilderBoard("board-1", board));
    const after = await underMocks(
      () =>
        new BuilderBoard("board-1", {
          ...board,
          releases: { ...board.releases, buildkit: "v0.34.1" },
        }),
    );
    expect(changed(before.mocks.registered, after.mocks.registered)).toEqual([
      "board-1-install",
      "board-1-service",
    ]);
  });

  test("a changed setting changes the configuration and the service and nothing else", async () => {
    const before = await underMocks(() => new BuilderBoard("board-1", board));
    const after = await underMocks(
      () => new BuilderBoard("board-1", { ...board, buildkitd: { log: { level: "debug" } } }),
    );
    expect(changed(before.mocks.registered, after.mocks.registered)).toEqual([
      "board-1-config",
      "board-1-service",
    ]);
  });

  test("a renewed certificate changes the service and nothing else", async () => {
    const before = await underMocks(() => new BuilderBoard("board-1", board));
    const after = await underMocks(
      () =>
        new BuilderBoard("board-1", { ...board, certificate: { ...certificate, certPem: "NEW" } }),
    );
    expect(changed(before.mocks.registered, after.mocks.registered)).toEqual(["board-1-service"]);
  });

  test("a pushed release needs its checksum in the stack", async () => {
    await expect(
      underMocks(
        () =>
          new BuilderBoard("board-1", {
            ...board,
            releases: { ...board.releases, push: "/releases" },
          }),
      ),
    ).rejects.toThrow(
      "board-1: releases.checksums has no sha256 for containerd-2.4.2-linux-riscv64.tar.gz, which is pushed from /releases; add it",
    );
  });

  test("a platform that no board can have is refused", async () => {
    await expect(
      underMocks(() => new BuilderBoard("board-1", { ...board, platform: "windows/amd64" })),
    ).rejects.toThrow(
      "platform 'windows/amd64': boards are one of linux/amd64, linux/arm64, linux/riscv64",
    );
  });
});

function changed(
  before: { name: string; inputs: Record<string, unknown> }[],
  after: { name: string; inputs: Record<string, unknown> }[],
): string[] {
  const text = (all: typeof before) =>
    new Map(all.map(({ name, inputs }) => [name, JSON.stringify(inputs)]));
  const [old, now] = [text(before), text(after)];
  return [...now]
    .filter(([name, inputs]) => old.get(name) !== inputs)
    .map(([name]) => name)
    .sort();
}

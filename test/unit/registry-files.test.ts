import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterAll, describe, expect, test } from "vitest";
import { BuilderBoard, type BuilderBoardArgs } from "../../components/builderBoard.ts";
import { withRegistryFiles } from "../../components/buildkitd/registryFiles.ts";
import { readStackConfig } from "../../config/load.ts";
import { compose } from "../../stack/compose.ts";
import { type RecordingMocks, underMocks } from "./pulumiMocks.ts";

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
/** The SDK's mark of a secret among serialised inputs. */
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

const project = mkdtempSync(join(tmpdir(), "buildhosts-registry-files-"));
writeFileSync(join(project, "cert.pem"), CERTIFICATE);
writeFileSync(join(project, "key.pem"), KEY);
afterAll(() => rmSync(project, { recursive: true }));

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdndYS0p72mI5";
const both = { caFile: "cert.pem", certFile: "cert.pem", keyFile: "key.pem" };

/** What a stack of one board, or of one Docker host, asks the engine for. */
async function composed(
  board: object | undefined,
  builder: object | undefined,
): Promise<RecordingMocks> {
  const values = {
    "buildhosts:sshPrivateKey": KEY,
    ...(board && {
      "buildhosts:boards": JSON.stringify([
        { name: "lab", host: "lab.example.com", hostKey, platform: "riscv64", ...board },
      ]),
    }),
    ...(builder && {
      "buildhosts:dockerHosts": JSON.stringify([
        {
          name: "farm",
          docker: "unix:///var/run/docker.sock",
          platform: "amd64",
          builders: [
            { name: "box", image: `moby/buildkit:v0.34.2@sha256:${"a".repeat(64)}`, ...builder },
          ],
        },
      ]),
    }),
  };
  const config = readStackConfig(
    { values, secretKeys: ["buildhosts:sshPrivateKey"] },
    { projectDir: project, environment: {} },
  );
  const { mocks } = await underMocks(() => compose(config));
  return mocks;
}

/** A value of which the SDK may have made a secret. */
function plain(value: unknown): unknown {
  const isSecret = typeof value === "object" && value !== null && "value" in value;
  return isSecret ? value.value : value;
}

/** The files of a staged configuration, by name. */
function unbundled(text: string): Record<string, string> {
  const sections = text.split(/^==> (.+) <==\n/m).slice(1);
  return Object.fromEntries(
    sections.flatMap((name, index) =>
      index % 2 === 0 && name !== "end" ? [[name, sections[index + 1] ?? ""]] : [],
    ),
  );
}

function staged(mocks: RecordingMocks): Record<string, string> {
  return unbundled(String(plain(mocks.inputs("lab-config").stdin)));
}

const registryOf = (toml: string | undefined) => parse(toml ?? "").registry;

describe("the settings with certificates of registries", () => {
  const pathOf = ({ name }: { name: string }) => `/there/${name}`;

  test("are the same where there are none", () => {
    const settings = { registry: { "docker.io": { mirrors: ["mirror.lan"] } } };
    expect(withRegistryFiles(settings, {}, pathOf)).toEqual({ settings, files: [] });
  });

  test("keep what they say already, and name each file once", () => {
    const settings = {
      log: { level: "debug" },
      registry: {
        "a.lan:5000": { http: false, ca: ["/own.pem"], keypair: [{ cert: "/c", key: "/k" }] },
        "docker.io": { mirrors: ["a.lan:5000"] },
      },
    } as const satisfies Parameters<typeof withRegistryFiles>[0];
    const certificates = {
      "a.lan:5000": { caPem: "CA", certPem: "CERT", privateKeyPem: "KEY" },
      "b.lan": { caPem: "OTHER CA" },
    };
    expect(withRegistryFiles(structuredClone(settings), certificates, pathOf)).toEqual({
      settings: {
        log: { level: "debug" },
        registry: {
          "a.lan:5000": {
            http: false,
            ca: ["/own.pem", "/there/registry-a.lan_5000-ca.pem"],
            keypair: [
              { cert: "/c", key: "/k" },
              {
                cert: "/there/registry-a.lan_5000-cert.pem",
                key: "/there/registry-a.lan_5000-key.pem",
              },
            ],
          },
          "docker.io": { mirrors: ["a.lan:5000"] },
          "b.lan": { ca: ["/there/registry-b.lan-ca.pem"] },
        },
      },
      files: [
        { name: "registry-a.lan_5000-ca.pem", content: "CA", isPublic: true },
        { name: "registry-a.lan_5000-cert.pem", content: "CERT", isPublic: true },
        { name: "registry-a.lan_5000-key.pem", content: "KEY", isPublic: false },
        { name: "registry-b.lan-ca.pem", content: "OTHER CA", isPublic: true },
      ],
    });
  });
});

describe("a board", () => {
  const folder = "/usr/local/lib/buildhosts/current/config";

  test("without any has its configuration in the open", async () => {
    const mocks = await composed({}, undefined);
    expect(mocks.inputs("lab-config").stdin).toEqual(expect.any(String));
    expect(Object.keys(staged(mocks)).filter((name) => name.endsWith(".pem"))).toEqual([]);
  });

  test("gets a registry's authority with its configuration, in the open", async () => {
    const registryCertificates = { "registry.lan:5000": { caFile: "cert.pem" } };
    const mocks = await composed({ registryCertificates }, undefined);
    expect(mocks.inputs("lab-config").stdin).toEqual(expect.any(String));
    const files = staged(mocks);
    expect(files["buildkitd.registry-registry.lan_5000-ca.pem"]).toBe(CERTIFICATE);
    expect(registryOf(files["buildkitd.toml"])).toEqual({
      "registry.lan:5000": { ca: [`${folder}/buildkitd.registry-registry.lan_5000-ca.pem`] },
    });
  });

  test("gets a client's key as a secret", async () => {
    const mocks = await composed({ registryCertificates: { "registry.lan": both } }, undefined);
    expect(Object.values(mocks.inputs("lab-config").stdin as object)).toContain(SECRET);
    const create = [mocks.inputs("lab-config").create, mocks.inputs("lab-service").create];
    expect(create).toEqual([expect.any(String), expect.any(String)]);
    const files = staged(mocks);
    expect(files["buildkitd.registry-registry.lan-key.pem"]).toBe(KEY);
    expect(registryOf(files["buildkitd.toml"])).toEqual({
      "registry.lan": {
        ca: [`${folder}/buildkitd.registry-registry.lan-ca.pem`],
        keypair: [
          {
            cert: `${folder}/buildkitd.registry-registry.lan-cert.pem`,
            key: `${folder}/buildkitd.registry-registry.lan-key.pem`,
          },
        ],
      },
    });
    expect(files["buildkitd.service__files.conf"]).toBeUndefined();
  });

  test("that is rootless gets the key from systemd, as it cannot read root's", async () => {
    const mocks = await composed(
      { rootless: true, registryCertificates: { "registry.lan": both } },
      undefined,
    );
    const files = staged(mocks);
    expect(files["buildkitd.service__files.conf"]).toBe(
      `[Service]\nLoadCredential=registry-registry.lan-key.pem:${folder}/buildkitd.registry-registry.lan-key.pem\n`,
    );
    expect(registryOf(files["buildkitd.toml"])).toMatchObject({
      "registry.lan": {
        keypair: [{ key: "/run/credentials/buildkitd.service/registry-registry.lan-key.pem" }],
      },
    });
  });

  test.each(["toml", "env", "a/b.pem", "x.service", "x__y.conf", ""])(
    "has no further file of the name '%s'",
    async (name) => {
      const args: BuilderBoardArgs = {
        connection: { host: "lab.example.com", hostKey },
        platform: "linux/riscv64",
        releases: { containerd: "v2.4.2", runc: "v1.5.2", buildkit: "v0.34.2" },
        caCertPem: "CA",
        caValidityStartTime: "2026-01-01T00:00:00Z",
        certificate: {
          certPem: "CERT",
          privateKeyPem: "KEY",
          validityStartTime: "2026-01-01T00:00:00Z",
          validityEndTime: "2026-04-01T00:00:00Z",
        },
        healthCheck: { certPem: "CERT", privateKeyPem: "KEY" },
        serverName: "lab.example.com",
        files: [{ name, content: "" }],
      };
      await expect(underMocks(() => new BuilderBoard("lab", args))).rejects.toThrow(
        `lab: files[0].name is '${name}'; expected letters, digits and ._-, such as registry-ca.pem`,
      );
    },
  );
});

describe("a container", () => {
  test("gets a registry's certificates as files that its settings name", async () => {
    const mocks = await composed(undefined, { registryCertificates: { "registry.lan": both } });
    const uploads = plain(mocks.inputs("box-container").uploads) as Record<string, unknown>[];
    const files = uploads
      .filter(({ file }) => /registry-/.test(String(file)))
      .map(({ file, content, permissions }) => [file, content, permissions]);
    expect(files).toEqual([
      ["/etc/buildkit/registry-registry.lan-ca.pem", CERTIFICATE, "0644"],
      ["/etc/buildkit/registry-registry.lan-cert.pem", CERTIFICATE, "0644"],
      ["/etc/buildkit/registry-registry.lan-key.pem", KEY, "0600"],
    ]);
    const toml = uploads.find(({ file }) => file === "/etc/buildkit/buildkitd.toml");
    expect(registryOf(String(toml?.content))).toEqual({
      "registry.lan": {
        ca: ["/etc/buildkit/registry-registry.lan-ca.pem"],
        keypair: [
          {
            cert: "/etc/buildkit/registry-registry.lan-cert.pem",
            key: "/etc/buildkit/registry-registry.lan-key.pem",
          },
        ],
      },
    });
  });
});

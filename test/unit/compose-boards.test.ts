import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { boardctlId } from "../../components/board/boardctl.ts";
import { readStackConfig } from "../../config/load.ts";
import type { StackConfig } from "../../config/stackConfig.ts";
import { compose } from "../../stack/compose.ts";
import { type RecordingMocks, underMocks } from "./pulumiMocks.ts";

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdndYS0p72mI5";
const project = mkdtempSync(join(tmpdir(), "buildhosts-compose-"));
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
writeFileSync(join(project, "id"), privateKey.export({ type: "pkcs8", format: "pem" }).toString());
const pushed = {
  "buildkit-v0.34.2.linux-riscv64.tar.gz": "a".repeat(64),
  "containerd-2.4.2-linux-riscv64.tar.gz": "b".repeat(64),
  "rootlesskit-riscv64.tar.gz": "c".repeat(64),
  "runc.riscv64": "d".repeat(64),
};
mkdirSync(join(project, "assets"));
for (const asset of Object.keys(pushed)) writeFileSync(join(project, "assets", asset), "");
afterAll(() => rmSync(project, { recursive: true }));

const versions = {
  buildkit: "v0.34.2",
  containerd: "v2.4.2",
  runc: "v1.5.2",
  rootlesskit: "v3.0.2",
};

function read(board: object, releases: object = {}, certificates?: object): StackConfig {
  const one = { name: "lab", host: "lab.example.com", hostKey, platform: "riscv64", ...board };
  const values = {
    "buildhosts:releases": JSON.stringify({ ...versions, ...releases }),
    "buildhosts:ssh": JSON.stringify({ privateKeyFile: "id" }),
    "buildhosts:boards": JSON.stringify([one]),
    ...(certificates && { "buildhosts:certificates": JSON.stringify(certificates) }),
  };
  return readStackConfig({ values, secretKeys: [] }, { projectDir: project, environment: {} });
}

async function composed(...parameters: Parameters<typeof read>): Promise<RecordingMocks> {
  const { mocks, result } = await underMocks(() => compose(read(...parameters)));
  await result;
  return mocks;
}

/** Every command of a board's steps, without what another script changes. */
function commands(mocks: RecordingMocks): string {
  const names = ["lab-preflight", "lab-install", "lab-config", "lab-service", "lab.removal"];
  const steps = names.map((name) => {
    const { create, delete: onDelete } = mocks.inputs(name);
    return `${name}\n${create ? `${create}\n` : ""}${onDelete ? `on delete: ${onDelete}\n` : ""}`;
  });
  return steps.join("\n").replaceAll(boardctlId, "SCRIPT").replaceAll(project, "/project");
}

describe("a board of a stack", () => {
  test("is four steps and a removal, a certificate of its own, and nothing else beside the authority and the clients", async () => {
    const mocks = await composed({});
    expect(mocks.names().filter((name) => / lab/.test(name))).toEqual([
      "buildhosts:index:BuilderBoard lab",
      "buildhosts:index:ServerCertificate lab-server",
      "command:remote:Command lab-config",
      "command:remote:Command lab-install",
      "command:remote:Command lab-preflight",
      "command:remote:Command lab-service",
      "command:remote:Command lab.removal",
      "tls:index/certRequest:CertRequest lab-server-request",
      "tls:index/locallySignedCert:LocallySignedCert lab-server-certificate",
      "tls:index/privateKey:PrivateKey lab-server-key",
    ]);
    expect(commands(mocks)).toMatchSnapshot();
  });

  test("has no certificate before preflight has found the machine to be this board", async () => {
    const mocks = await composed({});
    const order = mocks.registered.map(({ name }) => name);
    expect(order.indexOf("lab-server-key")).toBeGreaterThan(order.indexOf("lab-preflight"));
  });

  test("gets a new key, and so does each client, when the stack counts its number up", async () => {
    const keys = { builderKeys: { lab: 2 }, clientKeys: { default: 3, "health-check": 4 } };
    const mocks = await composed({}, {}, keys);
    expect(mocks.names().filter((name) => name.includes("privateKey"))).toEqual([
      "tls:index/privateKey:PrivateKey ca-key",
      "tls:index/privateKey:PrivateKey client-default-key-3",
      "tls:index/privateKey:PrivateKey client-health-check-key-4",
      "tls:index/privateKey:PrivateKey lab-server-key-2",
    ]);
    expect(JSON.stringify(mocks.inputs("lab-server-request").privateKeyPem)).toContain(
      "KEY of lab-server-key-2",
    );
  });

  test("says to its steps all that they check and remember", async () => {
    const mocks = await composed({
      user: "builder",
      port: 2222,
      listen: { address: "::", port: 4321 },
      metrics: { port: 6060 },
      drainSeconds: 3600,
      removeCacheOnDelete: true,
      buildkitd: {
        root: "/srv/buildkit",
        worker: {
          snapshotter: "native",
          bridgeName: "builds0",
          bridgeSubnet: "10.77.0.0/24",
          gcpolicy: [{ maxUsedSpace: "1GB" }, { all: true, maxUsedSpace: "50GB" }],
        },
      },
    });
    expect(commands(mocks)).toMatchSnapshot();
  });

  test("gets each file of a rootless daemon pushed, where the stack pushes", async () => {
    const mocks = await composed({ rootless: true }, { push: "assets", checksums: pushed });
    const copies = mocks.names().filter((name) => name.includes("CopyToRemote"));
    expect(copies).toEqual([
      "command:remote:CopyToRemote lab-push-buildkit",
      "command:remote:CopyToRemote lab-push-containerd",
      "command:remote:CopyToRemote lab-push-rootlesskit",
      "command:remote:CopyToRemote lab-push-runc",
    ]);
    expect(mocks.inputs("lab-push-rootlesskit").remotePath).toBe(
      "/usr/local/lib/buildhosts/pushed/rootlesskit-riscv64.tar.gz",
    );
    expect(commands(mocks)).toMatchSnapshot();
  });
});

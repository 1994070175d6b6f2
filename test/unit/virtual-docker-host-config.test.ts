import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import ssh2 from "ssh2";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError } from "../../config/findings.ts";
import { readStackConfig } from "../../config/load.ts";
import { connectionFile } from "../../proving-ground/board/virtualBoard.ts";
import { dockerHostKind } from "../../proving-ground/docker/virtualDockerHost.ts";

let projectDir: string;
const key = ssh2.utils.generateKeyPairSync("ed25519");
const hostKey = key.public.split(" ").slice(0, 2).join(" ");

beforeEach(() => {
  projectDir = mkdtempSync(join(tmpdir(), "virtual-docker-host-"));
});
afterEach(() => rmSync(projectDir, { recursive: true }));

/** Writes the connection as the proving ground does. */
function start(): void {
  const identityFile = join(projectDir, "id_ed25519");
  writeFileSync(identityFile, key.private);
  const base = {
    platform: "linux/riscv64",
    host: "127.0.0.1",
    port: 20022,
    user: "root",
    hostKey,
    identityFile,
    buildkitPort: 21234,
    gateway: "10.0.2.2",
  } as const;
  const ports = new Map([22, 1234, ...dockerHostKind.ports].map((port) => [port, 20_000 + port]));
  const file = connectionFile(projectDir, "linux/riscv64", dockerHostKind);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(dockerHostKind.connection(base, ports, "/prepared")));
}

function hostsOf(builders: object[], host: object = {}) {
  const hosts = [{ name: "docker", virtual: true, platform: "riscv64", builders, ...host }];
  const values = { "buildhosts:dockerHosts": JSON.stringify(hosts) };
  return readStackConfig({ values, secretKeys: [] }, { projectDir, environment: {} }).dockerHosts;
}

function problemsOf(builders: object[], host: object = {}): string {
  try {
    hostsOf(builders, host);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "";
}

test("a virtual Docker host is reached over SSH, its builders at the ports that are forwarded", () => {
  start();
  const [host] = hostsOf([{ name: "one" }, { name: "two", publish: { port: 1235 } }]);
  expect(host?.connection).toMatchObject({
    url: "ssh://root@127.0.0.1:20022",
    hostKey,
    privateKey: expect.anything(),
  });
  expect(host?.builders).toMatchObject([
    {
      endpoint: "tcp://127.0.0.1:21234",
      publish: { address: "0.0.0.0", port: 1234 },
      serverName: "127.0.0.1",
    },
    { endpoint: "tcp://127.0.0.1:21235", publish: { address: "0.0.0.0", port: 1235 } },
  ]);
});

test("one of which the stack file does not say what it is, is what runs", () => {
  start();
  expect(hostsOf([{ name: "one" }], { platform: undefined })[0]?.builders[0]?.platform).toBe(
    "linux/riscv64",
  );
});

test("one that is not running is refused", () => {
  expect(problemsOf([{ name: "one" }], { platform: undefined })).toContain(
    "buildhosts:dockerHosts[0].virtual: the virtual linux/amd64 Docker host is not running; start it with npm run up, which runs Pulumi too.",
  );
  expect(problemsOf([{ name: "one" }])).toContain(
    "buildhosts:dockerHosts[0].virtual: the virtual linux/riscv64 Docker host is not running; start it with npm run up, which runs Pulumi too.",
  );
});

test.each([
  [
    "a port that is not forwarded",
    { publish: { port: 4321 } },
    "buildhosts:dockerHosts[0].builders[0].publish.port: received 4321, which leads nowhere: of a virtual Docker host, 1234, 1235, 1236 are forwarded.",
  ],
  [
    "an endpoint",
    { endpoint: "tcp://builder.example.com:1234" },
    "buildhosts:dockerHosts[0].builders[0].endpoint: a virtual machine has it from the proving ground; remove it.",
  ],
])("%s is refused", (_, builder, problem) => {
  start();
  expect(problemsOf([{ name: "one", ...builder }])).toContain(problem);
});

test("what only the proving ground knows cannot be said of a virtual host", () => {
  start();
  expect(problemsOf([{ name: "one" }], { docker: "ssh://root@docker.example.com" })).toContain(
    "buildhosts:dockerHosts[0].docker: not a key here: a virtual machine has it from the proving ground.",
  );
  expect(problemsOf([{ name: "one" }], { platform: "arm64" })).toContain(
    'buildhosts:dockerHosts[0].platform: received "arm64"',
  );
});

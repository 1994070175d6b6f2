import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigError, problemLine } from "../../config/findings.ts";
import { readStackConfig } from "../../config/load.ts";
import type { StackConfig } from "../../config/stackConfig.ts";

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdndYS0p72mI5";
const project = mkdtempSync(join(tmpdir(), "buildhosts-pools-"));
beforeAll(() => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(join(project, "id"), privateKey.export({ type: "pkcs8", format: "pem" }));
});
afterAll(() => rmSync(project, { recursive: true }));

const board = (name: string, more: object = {}) => ({
  ...{ name, host: `${name}.example.com`, hostKey, platform: "riscv64" },
  ...more,
});
const image = `haproxy:3.2-alpine@sha256:${"a".repeat(64)}`;
const dockerHost = {
  name: "lab",
  docker: "unix:///var/run/docker.sock",
  platform: "riscv64",
  builders: [{ name: "c" }],
};

function read(pools: unknown, more: object = {}): StackConfig {
  const stack = {
    ssh: { privateKeyFile: "id" },
    boards: [board("a"), board("b", { metrics: {} })],
    dockerHosts: [dockerHost],
    pools,
    ...more,
  };
  const values = Object.entries(stack).map(([key, value]) => [
    `buildhosts:${key}`,
    JSON.stringify(value),
  ]);
  return readStackConfig(
    { values: Object.fromEntries(values), secretKeys: [] },
    { projectDir: project, environment: {} },
  );
}

function problemsOf(pools: unknown, more: object = {}): string[] {
  try {
    read(pools, more);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(problemLine);
  }
}

const pool = (more: object = {}) => ({ name: "pool", on: "a", builders: ["a", "b"], ...more });

test("a pool on a board has every default, and its builders' certificates have its names", () => {
  const { pools, boards } = read([pool()]);
  expect(pools).toEqual([
    {
      name: "pool",
      connection: boards[0]?.connection,
      listen: { address: "0.0.0.0", port: 1235 },
      metrics: { address: "127.0.0.1", port: 8405 },
      drainSeconds: 600,
      abandon: false,
      domain: "pool.buildhosts.internal",
      endpoint: "tcp://a.example.com:1235",
      platforms: ["linux/riscv64"],
      builders: [
        { name: "a", endpoint: "tcp://a.example.com:1234" },
        { name: "b", endpoint: "tcp://b.example.com:1234" },
      ],
    },
  ]);
  expect(boards.map(({ certificateNames }) => certificateNames.dnsNames)).toEqual([
    ["a.example.com", "pool.buildhosts.internal", "*.pool.buildhosts.internal"],
    ["b.example.com", "pool.buildhosts.internal", "*.pool.buildhosts.internal"],
  ]);
});

test("a pool on a Docker host is on the daemon of that one, and may have builders elsewhere", () => {
  const { pools, dockerHosts } = read([
    pool({
      ...{ on: "lab", image, builders: ["c", "a"], domain: "builders.example.com" },
      ...{ listen: { port: 4000 }, endpoint: "tcp://lab.example.com:443" },
      ...{ endpoints: { a: "tcp://[2001:db8::1]:1234" }, drainSeconds: 60 },
    }),
  ]);
  expect(pools[0]).toMatchObject({
    ...{ docker: dockerHosts[0]?.connection, image, drainSeconds: 60 },
    endpoint: "tcp://lab.example.com:443",
    builders: [
      { name: "c", endpoint: "tcp://localhost:1234" },
      { name: "a", endpoint: "tcp://[2001:db8::1]:1234" },
    ],
  });
  expect(dockerHosts[0]?.builders[0]?.certificateNames.dnsNames).toEqual([
    ...["localhost", "builders.example.com", "*.builders.example.com"],
  ]);
});

test("a pool's platforms are those that each of its builders has", () => {
  const platforms = (...more: string[]) => ({
    buildkitd: { worker: { platforms: ["linux/riscv64", ...more] } },
  });
  const boards = [board("a", platforms("linux/amd64")), board("b", platforms("linux/arm64"))];
  expect(read([pool()], { boards }).pools[0]?.platforms).toEqual(["linux/riscv64"]);
});

test("a pool's client can get a new key", () => {
  const certificates = { clientKeys: { "pool-pool": 2 } };
  expect(read([pool()], { certificates }).certificates.clientKeys).toEqual({ "pool-pool": 2 });
});

test("a pool of one builder is accepted with a warning", () => {
  expect(read([pool({ builders: ["b"] })]).warnings).toContain(
    "buildhosts:pools[0].builders: is one builder alone: there is none to take its place.",
  );
});

describe("is refused:", () => {
  test.each<[string, unknown, ...string[]]>([
    ["no list", {}, "buildhosts:pools: received {}; expected a list of pools."],
    [
      "an unknown key",
      [pool({ builder: [] })],
      'buildhosts:pools[0].builder: unknown key; did you mean "builders"?',
    ],
    [
      "no builder",
      [pool({ builders: [] })],
      "buildhosts:pools[0].builders: received []; expected at least one builder.",
    ],
    [
      "builders that are none",
      [pool({ builders: ["a", "bb", "a"] })],
      'buildhosts:pools[0].builders[1]: received "bb", which is no builder of this stack; did you mean "b"?',
      'buildhosts:pools[0].builders[2]: received "a", which the list has already; remove one.',
    ],
    [
      "a machine that is none",
      [pool({ on: "elsewhere" })],
      'buildhosts:pools[0].on: received "elsewhere", which is no board and no Docker host of this stack; there is a, b, lab.',
    ],
    [
      "a builder's name, and another pool's name, ports and endpoint",
      [pool({ name: "b", builders: ["a", "b"] }), pool({ name: "b" })],
      'buildhosts:pools[0].name: received "b", which a builder or a host of this stack has; choose another.',
      'buildhosts:pools[1].name: received "b", which another pool has; choose another.',
      "buildhosts:pools[1].listen.port: received 1235, which the pool b has on a already; choose another.",
      "buildhosts:pools[1].metrics.port: received 8405, which the metrics of the pool b has on a already; choose another.",
      'buildhosts:pools[1].endpoint: is "tcp://a.example.com:1235", as that of b; clients could not tell the two apart.',
    ],
    [
      "ports that its board has",
      [pool({ on: "b", listen: { port: 1234 }, metrics: { port: 6060 } })],
      "buildhosts:pools[0].listen.port: received 1234, which buildkitd has on b already; choose another.",
      "buildhosts:pools[0].metrics.port: received 6060, which buildkitd's metrics has on b already; choose another.",
      'buildhosts:pools[0].endpoint: is "tcp://b.example.com:1234", as that of b; clients could not tell the two apart.',
    ],
    [
      "metrics for everybody",
      [pool({ metrics: { address: "0.0.0.0" } })],
      'buildhosts:pools[0].metrics.address: received "0.0.0.0"; expected a loopback address, because there is no authentication.',
    ],
    [
      "a domain of one label",
      [pool({ domain: "builders" })],
      'buildhosts:pools[0].domain: received "builders"; expected a DNS name of at least two labels, such as riscv64.builders.example.com, in lower case and without *.',
    ],
    [
      "an image on a board, and none on a Docker host, where a port needs root, too",
      [pool({ image }), pool({ name: "other", on: "lab", builders: ["c"], listen: { port: 443 } })],
      "buildhosts:pools[0].image: is for Docker hosts, and a is a board, which has the distribution's HAProxy; remove image.",
      "buildhosts:pools[1].image: is missing: lab is a Docker host; name an image of HAProxy by its digest, such as haproxy:3.2-alpine@sha256:<digest>.",
      "buildhosts:pools[1].listen.port: received 443; HAProxy has no root in its container, so only ports from 1024 can be listened on.",
    ],
    [
      "an image without its digest",
      [pool({ on: "lab", builders: ["c"], image: "haproxy:3.2" })],
      'buildhosts:pools[0].image: received "haproxy:3.2"; expected an image of HAProxy by its digest, such as haproxy:3.2-alpine@sha256:<digest>.',
    ],
    [
      "a builder whose address means the pool's own machine",
      [pool({ builders: ["a", "c"] })],
      "buildhosts:pools[0].builders[1]: c is reached at tcp://localhost:1234, which is a itself there; name in endpoints.c how a reaches it.",
    ],
    [
      "an endpoint of no builder of it",
      [pool({ endpoints: { lab: "tcp://lab.example.com:1234" } })],
      'buildhosts:pools[0].endpoints.lab: received "lab", which is no builder of this pool; there is a, b.',
    ],
    [
      "a loopback address to listen on",
      [pool({ listen: { address: "127.0.0.1" } })],
      'buildhosts:pools[0].listen.address: received "127.0.0.1", which no client reaches from elsewhere; name in endpoint what clients reach it by, or listen on 0.0.0.0.',
    ],
  ])("%s", (_, pools, ...lines) => {
    expect(problemsOf(pools)).toEqual(lines);
  });

  test("builders without a platform in common", () => {
    const boards = [board("a"), board("b", { platform: "arm64" })];
    expect(problemsOf([pool()], { boards })).toEqual([
      "buildhosts:pools[0].builders: have no platform in common (a: linux/riscv64; b: linux/arm64); make a pool for each platform.",
    ]);
  });

  test("a name that is a board's and a Docker host's", () => {
    const dockerHosts = [{ ...dockerHost, name: "a", builders: [{ name: "c" }] }];
    expect(problemsOf([pool()], { dockerHosts })).toContain(
      'buildhosts:pools[0].on: received "a", which a board and a Docker host are called; rename one of the two.',
    );
  });

  test("a client of the stack with the name of the pool's", () => {
    expect(problemsOf([pool()], { clients: ["pool-pool"] })).toEqual([
      'buildhosts:clients[0]: received "pool-pool", which is the stack\'s own client; choose another name.',
    ]);
  });
});

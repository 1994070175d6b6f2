import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { type Output, output, RunError, runtime } from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildkitdSettings } from "../../components/buildkitd/schema.ts";
import { ConfigError, problemLine } from "../../config/findings.ts";
import { loadConfig, readStackConfig } from "../../config/load.ts";
import type { Machine } from "../../config/machineFiles.ts";
import type { StackConfig } from "../../config/stackConfig.ts";
import type { BoardConfig } from "../../hosts/board/resolveBoard.ts";
import { everySetting } from "./everySetting.ts";
import { settled } from "./pulumiMocks.ts";

const ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdndYS0p72mI5";
const otherEd25519 =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFS/DqxrTDkI95ocnvlwVFVVs+LYrf0iHE6DTf+xejD4";
const ecdsa = [
  "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDC0yNbOSqmARal3r1SyM+4T0PDkmrMz3JYh1QuiqPY2twtB+frAflcvk8rUum13d9ZK4EQ+dGrChQ+XxsDj6uw=",
  "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBH+5y2LhaBOAwOhM1m/cnEa5ifTBh8xwRHRtkdTGHnyIuPk0WOrHTN4VUJXsU79HLJcIPxRt4XmIZA06Bdo6gvtNqSYSShTPsZloEBdIEs2IubZ/piL24vtgY35sNA/E+w==",
  "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAE/760kXALKXlZm8wzyrYLwo+ySUImQ6ET00aZ7XKQ4q1Ig89PfIOZT2js7NbB+C6NUe7qq9dhJiNsiQqF6C0JAowFglsXXMC+IJC0KhYhi4n+JjO5ZwFNWH00VIl7qJ4g4iYMzsACYNWBFCOLrskkxDwSdwSoLJDlpq+FoD2UNx1V/0g==",
];
const assets = [
  "buildkit-v0.34.2.linux-riscv64.tar.gz",
  "containerd-2.4.2-linux-riscv64.tar.gz",
  "runc.riscv64",
];
const lock = Object.fromEntries(assets.map((asset) => [asset, "a".repeat(64)]));

const project = mkdtempSync(join(tmpdir(), "buildhosts-config-"));
const agentSocket = join(project, "agent.sock");
const agent = createServer();
const machine: Machine = { projectDir: project, environment: { SSH_AUTH_SOCK: agentSocket } };

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();

beforeAll(async () => {
  const listening = Promise.withResolvers<void>();
  agent.listen(agentSocket, () => listening.resolve());
  await listening.promise;
  mkdirSync(join(project, "assets"));
  for (const asset of assets) writeFileSync(join(project, "assets", asset), "");
  mkdirSync(join(project, "empty"));
  writeFileSync(join(project, "id"), pem);
  mkdirSync(join(project, ".buildhosts/virtual-board"), { recursive: true });
  writeFileSync(
    join(project, ".buildhosts/virtual-board/riscv64.json"),
    JSON.stringify({
      platform: "linux/riscv64",
      host: "127.0.0.1",
      port: 40022,
      user: "root",
      hostKey: ed25519,
      identityFile: join(project, "id"),
      buildkitPort: 41234,
      gateway: "10.0.2.2",
    }),
  );
});

afterAll(() => {
  agent.close();
  rmSync(project, { recursive: true });
});

/** A stack's configuration, its keys without `buildhosts:`. */
type Stack = Record<string, unknown>;

/** What is wrong, by title: the stack, and the lines that say so. */
type Case = [title: string, stack: Stack, ...lines: string[]];

function read(stack: Stack, secretKeys: string[] = [], on: Machine = machine): StackConfig {
  const values = Object.entries(stack).map(([key, value]) => [
    `buildhosts:${key}`,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return readStackConfig({ values: Object.fromEntries(values), secretKeys }, on);
}

function problemsOf(stack: Stack, secretKeys: string[] = [], on: Machine = machine): string[] {
  try {
    read(stack, secretKeys, on);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => problemLine(problem).replaceAll(project, "/project"));
  }
}

const b = (board: object = {}) => ({
  name: "a",
  host: "a.example.com",
  hostKey: ed25519,
  platform: "riscv64",
  ...board,
});
/** A stack of one board. */
const one = (board: object = {}) => ({ boards: [b(board)] });
/** A stack of one board with settings of buildkitd. */
const set = (buildkitd: object, board: object = {}) => one({ buildkitd, ...board });
/** A stack of one board with settings of its worker. */
const w = (worker: object, board: object = {}) => set({ worker }, board);

const interfaceName =
  "a network interface's name of at most 15 letters, digits and ._- that no hardware, VPN or other program's bridge has (lo, eth0, wlan0, tun0, docker0), such as buildkit0";

function boardOf(stack: Stack): BoardConfig {
  const [board] = read(stack).boards;
  if (!board) throw new Error("no board");
  return board;
}

describe("keys", () => {
  test.each<Case>([
    [
      "an unknown key of the stack",
      { board: [], ...one() },
      "buildhosts:board: unknown key; did you mean buildhosts:boards?",
    ],
    [
      "an unknown key that resembles none",
      { colour: "red", ...one() },
      "buildhosts:colour: unknown key; known are releases, certificates, clients, ssh, sshPrivateKey, boards, dockerHosts, pools, driftCheck, github, githubToken.",
    ],
    [
      "an unknown key of a section",
      { releases: { buildkitt: "v0.34.2" }, ...one() },
      'buildhosts:releases.buildkitt: unknown key; did you mean "buildkit"?',
    ],
    [
      "an unknown key of a board",
      one({ hostkey: "x" }),
      'buildhosts:boards[0].hostkey: unknown key; did you mean "hostKey"?',
    ],
    [
      "an unknown key deep in a board",
      w({ gcpolicy: [{ keepduration: "48h" }] }),
      'buildhosts:boards[0].buildkitd.worker.gcpolicy[0].keepduration: unknown key; did you mean "keepDuration"?',
    ],
    [
      "a key that buildkitd does not have",
      set({ compaction: { threads: 4 } }),
      "buildhosts:boards[0].buildkitd.compaction.threads: unknown key; known here: enabled, idleTimeout, maxRetry, minReclaimBytes, minReclaimPercent, minReclaimPercentFloor, sizeGrowthPercent, sizeWatermark, writesPerCheck.",
    ],
    [
      "several unknown keys beside other faults",
      one({ prot: 22, usr: "root", rootless: true, network: "bridge" }),
      'buildhosts:boards[0].prot: unknown key; did you mean "port"?',
      'buildhosts:boards[0].usr: unknown key; did you mean "user"?',
      "buildhosts:boards[0].network: a rootless buildkitd has the host's network only; use host, or remove rootless.",
    ],
    [
      "a section that is not an object",
      { releases: "v0.34.2", ...one() },
      'buildhosts:releases: received "v0.34.2"; expected an object with some of: buildkit, containerd, runc, rootlesskit, mirror, push, checksums.',
    ],
    [
      "a list that is not one",
      { clients: "alice", ...one() },
      'buildhosts:clients: received "alice"; expected a list of names.',
    ],
    [
      "boards that are not a list",
      { boards: { a: {} } },
      'buildhosts:boards: received {"a":{}}; expected a list of boards.',
    ],
    [
      "a board that is not an object",
      { boards: ["a.example.com"] },
      'buildhosts:boards[0]: received "a.example.com"; expected a board, an object with at least name, host, hostKey and platform.',
    ],
    [
      "a section left empty",
      { certificates: null, ...one() },
      "buildhosts:certificates: received null; expected an object with some of: algorithm, organization, caValidityHours, caEarlyRenewalHours, validityHours, earlyRenewalHours, protectCa, clientKeys, builderKeys, extraNames.",
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("releases", () => {
  test.each<Case>([
    [
      "a version that YAML read as a number",
      { releases: { containerd: 2.4 }, ...one() },
      'buildhosts:releases.containerd: received 2.4; expected a release of containerd such as "v2.4.2", in quotes.',
    ],
    [
      "a version with two parts",
      { releases: { runc: "v1.5" }, ...one() },
      'buildhosts:releases.runc: received "v1.5"; expected a release of runc such as "v1.5.2", in quotes.',
    ],
    [
      "a branch for a version",
      { releases: { buildkit: "master" }, ...one() },
      'buildhosts:releases.buildkit: received "master"; expected a release of BuildKit such as "v0.34.2", in quotes.',
    ],
    [
      "a BuildKit without a bridge network",
      { releases: { buildkit: "v0.12.5" }, ...one() },
      'buildhosts:releases.buildkit: received "v0.12.5"; expected v0.13.0 or newer: older ones do not support networkMode bridge.',
    ],
    [
      "a containerd that is too old",
      { releases: { containerd: "1.6.36" }, ...one() },
      'buildhosts:releases.containerd: received "v1.6.36"; expected v1.7.0 or newer: older lines are long past their end.',
    ],
    [
      "a runc that is too old",
      { releases: { runc: "v1.0.3" }, ...one() },
      'buildhosts:releases.runc: received "v1.0.3"; expected v1.1.0 or newer: older lines are long past their end.',
    ],
    [
      "a mirror without a scheme",
      { releases: { mirror: "mirror.example.com" }, ...one() },
      'buildhosts:releases.mirror: received "mirror.example.com"; expected an http or https address without user, query and closing slash.',
    ],
    [
      "a mirror with a closing slash",
      { releases: { mirror: "https://mirror.example.com/" }, ...one() },
      'buildhosts:releases.mirror: received "https://mirror.example.com/"; expected an http or https address without user, query and closing slash.',
    ],
    [
      "a mirror with a password",
      { releases: { mirror: "https://me:hunter2@mirror.example.com" }, ...one() },
      'buildhosts:releases.mirror: received "https://(hidden)@mirror.example.com"; expected an http or https address without user, query and closing slash.',
    ],
    [
      "a mirror and pushed files",
      {
        releases: { mirror: "https://mirror.example.com", push: "assets", checksums: lock },
        ...one(),
      },
      "buildhosts:releases.push: does not go together with mirror; keep one of the two.",
    ],
    [
      "a folder to push that is not there",
      { releases: { push: "nowhere" }, ...one() },
      'buildhosts:releases.push: received "nowhere"; there is no such folder: /project/nowhere.',
    ],
    [
      "pushed files without checksums",
      { releases: { push: "assets" }, ...one() },
      'buildhosts:releases.checksums["buildkit-v0.34.2.linux-riscv64.tar.gz"]: missing; what is pushed is checked against the stack\'s lock only, so its sha256 must stand there.',
      'buildhosts:releases.checksums["containerd-2.4.2-linux-riscv64.tar.gz"]: missing; what is pushed is checked against the stack\'s lock only, so its sha256 must stand there.',
      'buildhosts:releases.checksums["runc.riscv64"]: missing; what is pushed is checked against the stack\'s lock only, so its sha256 must stand there.',
    ],
    [
      "a folder to push that lacks files",
      { releases: { push: "empty", checksums: lock }, ...one() },
      'buildhosts:releases.push: received "empty"; buildkit-v0.34.2.linux-riscv64.tar.gz is missing there.',
      'buildhosts:releases.push: received "empty"; containerd-2.4.2-linux-riscv64.tar.gz is missing there.',
      'buildhosts:releases.push: received "empty"; runc.riscv64 is missing there.',
    ],
    [
      "a checksum that is cut off",
      { releases: { checksums: { "runc.riscv64": "abc" } }, ...one() },
      'buildhosts:releases.checksums["runc.riscv64"]: received "abc"; expected a sha256, 64 hexadecimal digits.',
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("certificates", () => {
  test.each<Case>([
    [
      "an algorithm that is not offered",
      { certificates: { algorithm: "RSA" }, ...one() },
      'buildhosts:certificates.algorithm: received "RSA"; expected one of ECDSA, ED25519.',
    ],
    [
      "a validity that is no whole number",
      { certificates: { validityHours: 1.5 }, ...one() },
      "buildhosts:certificates.validityHours: received 1.5; expected a whole number of hours from 1 to 876000 (100 years).",
    ],
    [
      "a validity of no time",
      { certificates: { validityHours: 0 }, ...one() },
      "buildhosts:certificates.validityHours: received 0; expected a whole number of hours from 1 to 876000 (100 years).",
    ],
    [
      "a renewal that would never end",
      { certificates: { validityHours: 720, earlyRenewalHours: 720 }, ...one() },
      "buildhosts:certificates.earlyRenewalHours: received 720; expected less than validityHours (720), or every update would renew every certificate.",
    ],
    [
      "a certificate that outlives its CA",
      { certificates: { validityHours: 9000, caValidityHours: 8760 }, ...one() },
      "buildhosts:certificates.validityHours: received 9000; expected at most caValidityHours (8760): no certificate can outlive its CA.",
    ],
    [
      "a CA that would be renewed for ever",
      { certificates: { caValidityHours: 10000, caEarlyRenewalHours: 10000 }, ...one() },
      "buildhosts:certificates.caEarlyRenewalHours: received 10000; expected less than caValidityHours (10000), or every update would renew the CA and shut out every client.",
    ],
    [
      "a CA that would be renewed for ever by default",
      { certificates: { caValidityHours: 8760 }, ...one() },
      "buildhosts:certificates.caEarlyRenewalHours: follows validityHours 8760; expected less than caValidityHours (8760), or every update would renew the CA and shut out every client.",
    ],
    [
      "a CA renewed too late for what it signs",
      { certificates: { caEarlyRenewalHours: 24 }, ...one() },
      "buildhosts:certificates.caEarlyRenewalHours: received 24; expected at least validityHours (8760), or a certificate signed shortly before would outlive its CA.",
    ],
    [
      "a key's number that is none",
      { certificates: { clientKeys: { default: 0 } }, ...one() },
      "buildhosts:certificates.clientKeys.default: received 0; expected the number of a client's key, 1 for the first.",
    ],
    [
      "a key's number of no client",
      { certificates: { clientKeys: { defaults: 2, alice: 2, "health-check": 2 } }, ...one() },
      'buildhosts:certificates.clientKeys.defaults: is none of buildhosts:clients; did you mean "default"?',
      "buildhosts:certificates.clientKeys.alice: is none of buildhosts:clients; they are default, health-check.",
    ],
    [
      "a key's number of no builder",
      { certificates: { builderKeys: { a: 2, lab: 2 } }, ...one() },
      "buildhosts:certificates.builderKeys.lab: is no builder of this stack; they are a.",
    ],
    [
      "a key's number of a builder that cannot be read",
      { certificates: { builderKeys: { a: 2 } }, ...one({ platform: "sparc" }) },
      expect.stringMatching(/^buildhosts:boards\[0\]\.platform: /),
    ],
    [
      "an extra name that is none",
      { certificates: { extraNames: ["https://a"] }, ...one() },
      'buildhosts:certificates.extraNames[0]: received "https://a"; expected a DNS name, *.name or an IP address.',
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("clients", () => {
  test.each<Case>([
    [
      "no client",
      { clients: [], ...one() },
      "buildhosts:clients: received []; expected at least one name.",
    ],
    [
      "a client's name with a blank",
      { clients: ["alice b"], ...one() },
      'buildhosts:clients[0]: received "alice b"; expected a name of at most 40 lower-case letters, digits and hyphens that starts with a letter and ends with no hyphen.',
    ],
    [
      "a client twice",
      { clients: ["ci", "ci"], ...one() },
      'buildhosts:clients[1]: received "ci", which the list has already; remove one.',
    ],
    [
      "the name of the stack's own client",
      { clients: ["health-check"], ...one() },
      'buildhosts:clients[0]: received "health-check", which is the stack\'s own client; choose another name.',
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("board names and places", () => {
  test.each<Case>([
    [
      "a board without anything",
      { boards: [{}] },
      "buildhosts:boards[0].name: missing; expected a name of at most 40 lower-case letters, digits and hyphens that starts with a letter and ends with no hyphen.",
      "buildhosts:boards[0].host: missing; expected a host name or an IP address alone, without user, scheme, port or brackets.",
      "buildhosts:boards[0].hostKey: missing; expected the host's public key, as a line of known_hosts or of a .pub file (there: /etc/ssh/ssh_host_ed25519_key.pub).",
      "buildhosts:boards[0].platform: missing; expected one of linux/amd64, linux/arm64, linux/riscv64, amd64, arm64, riscv64.",
    ],
    [
      "a name in capitals",
      one({ name: "Board" }),
      'buildhosts:boards[0].name: received "Board"; expected a name of at most 40 lower-case letters, digits and hyphens that starts with a letter and ends with no hyphen.',
    ],
    [
      "a name of 41 characters",
      one({ name: "a".repeat(41) }),
      'buildhosts:boards[0].name: received "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; expected a name of at most 40 lower-case letters, digits and hyphens that starts with a letter and ends with no hyphen.',
    ],
    [
      "two boards of one name",
      { boards: [b(), b({ host: "b.example.com" })] },
      'buildhosts:boards[1].name: received "a", which boards[0] has already; choose another.',
    ],
    [
      "two boards on one machine",
      { boards: [b(), b({ name: "b", host: "A.example.com", listen: { port: 1235 } })] },
      "buildhosts:boards[1].host: is the same machine as boards[0]; remove one of the two.",
    ],
    [
      "two boards behind one endpoint",
      {
        boards: [
          b(),
          b({ name: "b", host: "b.example.com", endpoint: "tcp://a.example.com:1234" }),
        ],
      },
      'buildhosts:boards[1].endpoint: is "tcp://a.example.com:1234", as that of boards[0]; clients could not tell the two apart.',
    ],
    [
      "two boards behind one endpoint, in other words",
      {
        boards: [
          b({ host: "2001:db8::1" }),
          b({ name: "b", host: "b.example.com", endpoint: "tcp://[2001:DB8:0::1]:1234" }),
        ],
      },
      'buildhosts:boards[1].endpoint: is "tcp://[2001:DB8:0::1]:1234", as that of boards[0]; clients could not tell the two apart.',
    ],
    [
      "a user in the host",
      one({ host: "root@a.example.com" }),
      'buildhosts:boards[0].host: received "root@a.example.com"; expected a host name or an IP address alone, without user, scheme, port or brackets.',
    ],
    [
      "a port in the host",
      one({ host: "a.example.com:22" }),
      'buildhosts:boards[0].host: received "a.example.com:22"; expected a host name or an IP address alone, without user, scheme, port or brackets.',
    ],
    [
      "brackets around an IPv6 address",
      one({ host: "[2001:db8::1]" }),
      'buildhosts:boards[0].host: received "[2001:db8::1]"; expected a host name or an IP address alone, without user, scheme, port or brackets.',
    ],
    [
      "an IPv4 address with a part too many",
      one({ host: "192.0.2.1.5" }),
      'buildhosts:boards[0].host: received "192.0.2.1.5"; expected a host name or an IP address alone, without user, scheme, port or brackets.',
    ],
    [
      "a port out of range",
      one({ port: 70000 }),
      "buildhosts:boards[0].port: received 70000; expected a port, a whole number from 1 to 65535.",
    ],
    [
      "a port in quotes",
      one({ port: "22" }),
      'buildhosts:boards[0].port: received "22"; expected a port, a whole number from 1 to 65535.',
    ],
    [
      "a user that is none",
      one({ user: "root; reboot" }),
      'buildhosts:boards[0].user: received "root; reboot"; expected a user\'s name.',
    ],
    [
      "a platform that boards cannot have",
      one({ platform: "linux/arm/v7" }),
      'buildhosts:boards[0].platform: received "linux/arm/v7"; expected one of linux/amd64, linux/arm64, linux/riscv64, amd64, arm64, riscv64.',
    ],
    [
      "a jump host that is the board",
      one({ jump: { host: "a.example.com", hostKey: ed25519 } }),
      "buildhosts:boards[0].jump.host: is the board itself; remove jump.",
    ],
    [
      "a jump host without a host key",
      one({ jump: { host: "jump.example.com" } }),
      "buildhosts:boards[0].jump.hostKey: missing; expected the host's public key, as a line of known_hosts or of a .pub file (there: /etc/ssh/ssh_host_ed25519_key.pub).",
    ],
    [
      "an endpoint without a port",
      one({ endpoint: "tcp://a.example.com" }),
      'buildhosts:boards[0].endpoint: received "tcp://a.example.com"; expected tcp://<host>:<port>, an IPv6 address in brackets.',
    ],
    [
      "an endpoint of another scheme",
      one({ endpoint: "https://a.example.com:1234" }),
      'buildhosts:boards[0].endpoint: received "https://a.example.com:1234"; expected tcp://<host>:<port>, an IPv6 address in brackets.',
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("host keys", () => {
  test.each<Case>([
    [
      "no host key",
      one({ hostKey: undefined }),
      "buildhosts:boards[0].hostKey: missing; expected the host's public key, as a line of known_hosts or of a .pub file (there: /etc/ssh/ssh_host_ed25519_key.pub).",
    ],
    [
      "an RSA key",
      one({ hostKey: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB" }),
      'buildhosts:boards[0].hostKey: received "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB"; ssh-rsa is refused, because the provider would negotiate it with SHA-1; the host has one in /etc/ssh/ssh_host_ed25519_key.pub.',
    ],
    [
      "a security key's type",
      one({ hostKey: "sk-ssh-ed25519@openssh.com AAAA" }),
      'buildhosts:boards[0].hostKey: received "sk-ssh-ed25519@openssh.com AAAA"; keys of type sk-ssh-ed25519@openssh.com are refused; the host has one in /etc/ssh/ssh_host_ed25519_key.pub.',
    ],
    [
      "a fingerprint",
      one({ hostKey: "SHA256:9VnhdW8y5bJ4fWxtUkSGzaBZ9TVMrAz9uSlxh2Xy4R8" }),
      'buildhosts:boards[0].hostKey: received "SHA256:9VnhdW8y5bJ4fWxtUkSGzaBZ9TVMrAz9uSlxh2Xy4R8"; this is a fingerprint; the whole key is needed: the host has one in /etc/ssh/ssh_host_ed25519_key.pub.',
    ],
    [
      "a key that is cut off",
      one({ hostKey: ed25519.slice(0, 60) }),
      'buildhosts:boards[0].hostKey: received "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0"; the key is cut off or damaged; copy the whole line.',
    ],
    [
      "a key of another type than it says",
      one({ hostKey: ed25519.replace("ssh-ed25519", "ecdsa-sha2-nistp256") }),
      'buildhosts:boards[0].hostKey: received "ecdsa-sha2-nistp256 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdnd…; the key is cut off or damaged; copy the whole line.',
    ],
    [
      "two lines",
      one({ hostKey: `${ed25519}\n${ed25519}` }),
      'buildhosts:boards[0].hostKey: received "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdndYS0p72mI…; these are 2 lines; keep one, of type ssh-ed25519 where there is one.',
    ],
    [
      "a certificate authority's line",
      one({ hostKey: `@cert-authority *.example.com ${ed25519}` }),
      "buildhosts:boards[0].hostKey: received \"@cert-authority *.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQuf…; @cert-authority lines are not supported; the host's own key is needed: the host has one in /etc/ssh/ssh_host_ed25519_key.pub.",
    ],
    [
      "a private key by mistake, which is not shown",
      one({
        hostKey: "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----",
      }),
      "buildhosts:boards[0].hostKey: received a private key (not shown); this is a private key; the public one is needed: the host has one in /etc/ssh/ssh_host_ed25519_key.pub.",
    ],
    [
      "any other text",
      one({ hostKey: "see the wiki" }),
      'buildhosts:boards[0].hostKey: received "see the wiki"; no key type found; the host has one in /etc/ssh/ssh_host_ed25519_key.pub.',
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("what a board runs", () => {
  test.each<Case>([
    [
      "a worker that there is not",
      one({ worker: "docker" }),
      'buildhosts:boards[0].worker: received "docker"; expected one of oci, containerd.',
    ],
    [
      "a network that there is not",
      one({ network: "none" }),
      'buildhosts:boards[0].network: received "none"; expected one of bridge, host.',
    ],
    [
      "rootless with containerd",
      one({ rootless: true, worker: "containerd" }),
      "buildhosts:boards[0].worker: containerd does not run rootless here; use oci, or remove rootless.",
    ],
    [
      "rootless with a bridge",
      one({ rootless: true, network: "bridge" }),
      "buildhosts:boards[0].network: a rootless buildkitd has the host's network only; use host, or remove rootless.",
    ],
    [
      "rootless with socket activation",
      one({ rootless: true, socketActivation: true }),
      "buildhosts:boards[0].socketActivation: RootlessKit does not hand systemd's socket on; take rootless or socketActivation away.",
    ],
    [
      "rootless on a privileged port",
      one({ rootless: true, listen: { port: 443 } }),
      "buildhosts:boards[0].listen.port: received 443; without root only ports from 1024 can be listened on.",
    ],
    [
      "buildkitd on sshd's port",
      one({ listen: { port: 22 } }),
      "buildhosts:boards[0].listen.port: received 22, which sshd has already; choose another port.",
    ],
    [
      "metrics on buildkitd's port",
      one({ metrics: { port: 1234 } }),
      "buildhosts:boards[0].metrics.port: received 1234, which listen.port is already; choose another.",
    ],
    [
      "metrics for everyone",
      one({ metrics: { address: "0.0.0.0" } }),
      'buildhosts:boards[0].metrics.address: received "0.0.0.0"; expected a loopback address, because there is no authentication and pprof beside it.',
    ],
    [
      "a listen address that is a name",
      one({ listen: { address: "a.example.com" } }),
      'buildhosts:boards[0].listen.address: received "a.example.com"; expected an IP address, without brackets.',
    ],
    [
      "a loopback address that clients would be sent to",
      one({ listen: { address: "127.0.0.1" } }),
      'buildhosts:boards[0].listen.address: received "127.0.0.1", which no client reaches from elsewhere; name in endpoint what clients reach it by, or listen on 0.0.0.0.',
    ],
    [
      "an extra name with a blank",
      one({ extraNames: ["a b"] }),
      'buildhosts:boards[0].extraNames[0]: received "a b"; expected a DNS name, *.name or an IP address.',
    ],
    [
      "a proxy with a password, which is not shown",
      one({ proxies: { http: "http://me:hunter2@proxy.example.com:3128" } }),
      'buildhosts:boards[0].proxies.http: received "http://(hidden)@proxy.example.com:3128"; expected an http or https address without user and password, which would stand readable on the board and in the state.',
    ],
    [
      "a proxy exception with a comma",
      one({ proxies: { no: ["a,b"] } }),
      'buildhosts:boards[0].proxies.no[0]: received "a,b"; expected a host, domain or network.',
    ],
    [
      "OpenTelemetry without an endpoint",
      one({ openTelemetry: { serviceName: "lab" } }),
      "buildhosts:boards[0].openTelemetry: no endpoint; set endpoint, tracesEndpoint or metricsEndpoint.",
    ],
    [
      "a protocol that OTLP does not have here",
      one({ openTelemetry: { endpoint: "http://otel.example.com:4318", protocol: "http/json" } }),
      'buildhosts:boards[0].openTelemetry.protocol: received "http/json"; expected one of grpc, http/protobuf.',
    ],
    [
      "a drain of days",
      one({ drainSeconds: 86400 }),
      "buildhosts:boards[0].drainSeconds: received 86400; expected a whole number of seconds from 0 to 3600.",
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("buildkitd", () => {
  test.each<Case>([
    [
      "the deprecated debug",
      set({ debug: true }),
      "buildhosts:boards[0].buildkitd.debug: not a key here: deprecated upstream; write log.level: debug.",
    ],
    [
      "the deprecated gckeepstorage",
      w({ gckeepstorage: 102400 }),
      "buildhosts:boards[0].buildkitd.worker.gckeepstorage: not a key here: deprecated upstream; write reservedSpace.",
    ],
    [
      "the deprecated keepBytes",
      w({ gcpolicy: [{ keepBytes: "1GB" }] }),
      "buildhosts:boards[0].buildkitd.worker.gcpolicy[0].keepBytes: not a key here: upstream has replaced it; write reservedSpace.",
    ],
    [
      "an address of its own",
      set({ grpc: { address: ["tcp://0.0.0.0:1234"] } }),
      "buildhosts:boards[0].buildkitd.grpc.address: not a key here: it follows from the board's listen.",
    ],
    [
      "TLS of its own",
      set({ grpc: { tls: { ca: "/ca.pem" } } }),
      "buildhosts:boards[0].buildkitd.grpc.tls: not a key here: its files are the certificates that the board installs.",
    ],
    [
      "metrics past the board's key",
      set({ grpc: { debugAddress: "0.0.0.0:6060" } }),
      "buildhosts:boards[0].buildkitd.grpc.debugAddress: not a key here: it follows from the board's metrics.",
    ],
    [
      "a network mode of its own",
      w({ networkMode: "host" }),
      "buildhosts:boards[0].buildkitd.worker.networkMode: not a key here: it follows from the board's network.",
    ],
    [
      "a runc of its own",
      w({ binary: "crun" }),
      "buildhosts:boards[0].buildkitd.worker.binary: not a key here: it is the runc of buildhosts:releases.runc.",
    ],
    [
      "a table of one worker",
      w({ oci: { gc: true } }),
      "buildhosts:boards[0].buildkitd.worker.oci: not a key here: the board runs one worker; write its keys under worker itself.",
    ],
    [
      "gc at the top",
      set({ gc: true }),
      "buildhosts:boards[0].buildkitd.gc: not a key here: write worker.gc.",
    ],
    [
      "a size without a number",
      w({ maxUsedSpace: "lots" }),
      'buildhosts:boards[0].buildkitd.worker.maxUsedSpace: received "lots"; expected an amount of disk: whole bytes (512000000), a text with a unit ("10GB", "512MB") or a share from "1%" to "100%".',
    ],
    [
      "a size of nothing",
      w({ maxUsedSpace: "0GB" }),
      'buildhosts:boards[0].buildkitd.worker.maxUsedSpace: received "0GB"; expected an amount of disk: whole bytes (512000000), a text with a unit ("10GB", "512MB") or a share from "1%" to "100%".',
    ],
    [
      "a share of more than all",
      w({ reservedSpace: "120%" }),
      'buildhosts:boards[0].buildkitd.worker.reservedSpace: received "120%"; expected an amount of disk: whole bytes (512000000), a text with a unit ("10GB", "512MB") or a share from "1%" to "100%".',
    ],
    [
      "a time without a unit",
      w({ gcpolicy: [{ keepDuration: "48" }] }),
      'buildhosts:boards[0].buildkitd.worker.gcpolicy[0].keepDuration: received "48"; expected a span of time: whole seconds (172800) or a text with units ("48h", "1h30m").',
    ],
    [
      "a log level that there is not",
      set({ log: { level: "verbose" } }),
      'buildhosts:boards[0].buildkitd.log.level: received "verbose"; expected one of panic, fatal, error, warn, info, debug, trace.',
    ],
    [
      "an entitlement that there is not",
      set({ "insecure-entitlements": ["root"] }),
      'buildhosts:boards[0].buildkitd.insecure-entitlements[0]: received "root"; expected one of network.host, security.insecure, device.',
    ],
    [
      "a state directory that a delete must not empty",
      set({ root: "/var/lib" }),
      'buildhosts:boards[0].buildkitd.root: received "/var/lib"; expected an absolute path whose last part names buildkit, such as /mnt/nvme/buildkit, because a delete may empty it.',
    ],
    [
      "a relative path",
      set({ provenanceEnvDir: "provenance.d" }),
      'buildhosts:boards[0].buildkitd.provenanceEnvDir: received "provenance.d"; expected an absolute path in letters, digits and ._@+- (no ..).',
    ],
    [
      "a path that climbs",
      set({ otel: { socketPath: "/run/../etc/passwd" } }),
      'buildhosts:boards[0].buildkitd.otel.socketPath: received "/run/../etc/passwd"; expected an absolute path in letters, digits and ._@+- (no ..).',
    ],
    [
      "no parallelism",
      w({ "max-parallelism": 0 }),
      "buildhosts:boards[0].buildkitd.worker.max-parallelism: received 0; expected a whole number, 1 or more.",
    ],
    [
      "a name server by name",
      set({ dns: { nameservers: ["dns.example.com"] } }),
      'buildhosts:boards[0].buildkitd.dns.nameservers[0]: received "dns.example.com"; expected an IP address.',
    ],
    [
      "a mirror with a scheme",
      set({ registry: { "docker.io": { mirrors: ["https://mirror.example.com"] } } }),
      'buildhosts:boards[0].buildkitd.registry["docker.io"].mirrors[0]: received "https://mirror.example.com"; expected a mirror as host[:port][/path] without a scheme; for plain HTTP set http: true under registry["<that host>"].',
    ],
    ...["registry-1.docker.io", "index.docker.io", "hub.docker.com", "Docker.io"].map(
      (name): Case => [
        `Docker Hub as ${name}`,
        set({ registry: { [name]: { mirrors: ["mirror.lan"] } } }),
        `buildhosts:boards[0].buildkitd.registry["${name}"]: BuildKit looks Docker Hub up as docker.io, whatever host is contacted; write docker.io.`,
      ],
    ),
    [
      "a registry whose name no image can have",
      set({ registry: { registry: { http: true } } }),
      "buildhosts:boards[0].buildkitd.registry.registry: no image is looked up there: without a dot or a port, registry/image is an image of Docker Hub; write the host in full, or with its port.",
    ],
    [
      "plain HTTP for Docker Hub, which is meant for its mirror",
      set({ registry: { "docker.io": { mirrors: ["mirror.lan:5000/hub"], http: true } } }),
      'buildhosts:boards[0].buildkitd.registry["docker.io"].http: is about Docker Hub itself, which is not served over plain HTTP; for the mirror, move it to registry["mirror.lan:5000"].',
    ],
    [
      "plain HTTP for Docker Hub without a mirror",
      set({ registry: { "docker.io": { http: true } } }),
      'buildhosts:boards[0].buildkitd.registry["docker.io"].http: is about Docker Hub itself, which is not served over plain HTTP; remove it.',
    ],
    [
      "the daemon's own sockets for others",
      set({
        otel: { socketPath: "/var/run/buildkit/buildkitd.sock" },
        worker: { snapshotter: "x", proxySnapshotterPath: "/run/containerd/containerd.sock" },
      }),
      'buildhosts:boards[0].buildkitd.otel.socketPath: received "/var/run/buildkit/buildkitd.sock", which is buildkitd\'s own; choose another.',
      'buildhosts:boards[0].buildkitd.worker.proxySnapshotterPath: received "/run/containerd/containerd.sock", which is containerd\'s own; choose another.',
    ],
    [
      "a registry with a path",
      set({ registry: { "docker.io/library": { http: true } } }),
      'buildhosts:boards[0].buildkitd.registry["docker.io/library"]: received "docker.io/library"; expected a registry\'s host as in image names, with a port where it has one, such as docker.io.',
    ],
    [
      "a key pair without its certificate",
      set({ registry: { "docker.io": { keypair: [{ key: "/k.pem" }] } } }),
      'buildhosts:boards[0].buildkitd.registry["docker.io"].keypair[0].cert: missing; expected an absolute path in letters, digits and ._@+- (no ..).',
    ],
    [
      "a bridge network with host bits",
      w({ bridgeSubnet: "10.10.0.1/16" }),
      'buildhosts:boards[0].buildkitd.worker.bridgeSubnet: received "10.10.0.1/16"; expected an IPv4 network whose host bits are zero, from /8 to /28, such as 10.10.0.0/16, within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 198.18.0.0/15.',
    ],
    [
      "a bridge network that the board is in",
      w({}, { host: "10.10.3.4" }),
      "buildhosts:boards[0].buildkitd.worker.bridgeSubnet: the board's address 10.10.3.4 is in the bridge's network 10.10.0.0/16, which would cut the board off; choose a network that is free there.",
    ],
    [
      "a bridge's name that is too long",
      w({ bridgeName: "buildkit-of-the-lab" }),
      `buildhosts:boards[0].buildkitd.worker.bridgeName: received "buildkit-of-the-lab"; expected ${interfaceName}.`,
    ],
    [
      "bridge settings without a bridge",
      w({ cniPoolSize: 4 }, { network: "host" }),
      "buildhosts:boards[0].buildkitd.worker.cniPoolSize: has no effect with network host; remove it or set network: bridge.",
    ],
    [
      "containerd's settings for the oci worker",
      w({ namespace: "buildkit" }),
      "buildhosts:boards[0].buildkitd.worker.namespace: only the containerd worker has it, and this board's worker is oci; remove it or set worker: containerd.",
    ],
    [
      "the oci worker's settings for containerd",
      w({ proxySnapshotterPath: "/run/snapshotter.sock" }, { worker: "containerd" }),
      "buildhosts:boards[0].buildkitd.worker.proxySnapshotterPath: only the oci worker has it, and this board's worker is containerd; remove it or set worker: oci.",
    ],
    [
      "a snapshotter that the oci worker does not have",
      w({ snapshotter: "zfs" }),
      'buildhosts:boards[0].buildkitd.worker.snapshotter: received "zfs"; expected one of auto, overlayfs, fuse-overlayfs, native, stargz, or a name of one\'s own with proxySnapshotterPath.',
    ],
    [
      "a snapshotter that containerd does not have",
      w({ snapshotter: "auto" }, { worker: "containerd" }),
      'buildhosts:boards[0].buildkitd.worker.snapshotter: received "auto", which is no plugin of containerd; name one, such as overlayfs, or leave it out.',
    ],
    [
      "stargz settings without stargz",
      w({ stargzSnapshotter: { debug: true } }),
      "buildhosts:boards[0].buildkitd.worker.stargzSnapshotter: has no effect without snapshotter: stargz.",
    ],
    [
      "no process sandbox, though not rootless",
      w({ noProcessSandbox: true }),
      "buildhosts:boards[0].buildkitd.worker.noProcessSandbox: BuildKit allows it for rootless boards only.",
    ],
    [
      "runc's options for another runtime",
      w(
        { runtime: { name: "io.containerd.kata.v2", options: { SystemdCgroup: true } } },
        { worker: "containerd" },
      ),
      "buildhosts:boards[0].buildkitd.worker.runtime.options: are those of io.containerd.runc.v2, not of io.containerd.kata.v2.",
    ],
    [
      "platforms without the board's own",
      w({ platforms: ["linux/amd64"] }),
      'buildhosts:boards[0].buildkitd.worker.platforms: received ["linux/amd64"]; the board\'s own linux/riscv64 must be among them.',
    ],
    [
      "limits while garbage collection is off",
      w({ gc: false, maxUsedSpace: "10GB" }),
      "buildhosts:boards[0].buildkitd.worker.gc: is false, so maxUsedSpace would have no effect; keep one of the two.",
    ],
    [
      "policies beside the amounts that they replace",
      w({ reservedSpace: "1GB", gcpolicy: [{ all: true }] }),
      "buildhosts:boards[0].buildkitd.worker.gcpolicy: replaces what reservedSpace would do; write that into the policies.",
    ],
    [
      "more reserved than allowed",
      w({ reservedSpace: "20GB", maxUsedSpace: "10GB" }),
      'buildhosts:boards[0].buildkitd.worker.reservedSpace: received "20GB", which is more than maxUsedSpace, "10GB".',
    ],
    [
      "more reserved than allowed in a policy",
      w({ gcpolicy: [{ reservedSpace: "60%", maxUsedSpace: "50%" }] }),
      'buildhosts:boards[0].buildkitd.worker.gcpolicy[0].reservedSpace: received "60%", which is more than maxUsedSpace, "50%".',
    ],
    [
      "a compaction whose floor is above its threshold",
      set({ compaction: { minReclaimPercentFloor: 40 } }),
      "buildhosts:boards[0].buildkitd.compaction.minReclaimPercentFloor: received 40; expected at most minReclaimPercent, 30.",
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("a cache's folder is refused", () => {
  test.each([
    ["/run/buildkit", "/run is in memory, and gone after a boot"],
    ["/var/run/buildkit", "/var/run is in memory, and gone after a boot"],
    ["/dev/shm/buildkit", "/dev is in memory, and gone after a boot"],
    ["/tmp/buildkit", "/tmp is cleaned by systemd-tmpfiles, below a daemon that runs"],
    ["/var/tmp/buildkit", "/var/tmp is cleaned by systemd-tmpfiles, below a daemon that runs"],
    ["/etc/buildkit", "/etc is the system's"],
    ["/usr/bin/buildkit", "/usr/bin is the system's"],
    ["/usr/local/bin/buildkitd", "/usr/local/bin is for programs and units"],
    [
      "/usr/local/lib/buildhosts/buildkit",
      "/usr/local/lib/buildhosts is where buildhosts keeps what it installs",
    ],
    ["/var/lib/docker/buildkit", "/var/lib/docker is another daemon's"],
  ])("%s", (root, reason) => {
    expect(problemsOf(set({ root }))).toEqual([
      `buildhosts:boards[0].buildkitd.root: received "${root}"; ${reason}: name a folder on a disk, such as /var/lib/buildkit or /mnt/nvme/buildkit.`,
    ]);
  });

  test.each(["/var/lib/buildkit", "/mnt/nvme/buildkit", "/runner/buildkit", "/srv/tmp/buildkit-1"])(
    "but not %s",
    (root) => {
      expect(read(set({ root })).warnings).toEqual([]);
    },
  );
});

describe("the bridge of RUN steps", () => {
  test.each([
    "lo",
    "eth0",
    "end1",
    "enp3s0",
    "wlan0",
    "wlp2s0",
    "docker0",
    "docker_gwbridge",
    "br-0123456789ab",
    "virbr0",
    "veth12ab",
    "tailscale0",
    "wg0",
    "cni0",
    "all",
    "default",
    ".",
    "..",
  ])("may not be called %s", (bridgeName) => {
    expect(problemsOf(w({ bridgeName }))).toEqual([
      `buildhosts:boards[0].buildkitd.worker.bridgeName: received "${bridgeName}"; expected ${interfaceName}.`,
    ]);
  });

  test.each(["buildkit0", "br0", "builds0", "br-builds", "ether-builds", "lo-builds"])(
    "may be called %s",
    (bridgeName) => {
      expect(problemsOf(w({ bridgeName }))).toEqual([]);
    },
  );

  test.each([
    "127.0.0.0/8",
    "224.0.0.0/8",
    "240.0.0.0/8",
    "169.254.0.0/16",
    "8.0.0.0/8",
    "172.0.0.0/8",
    "192.0.0.0/8",
    "100.0.0.0/8",
    "203.0.112.0/20",
    "10.0.0.0/7",
  ])("may not have the addresses %s", (bridgeSubnet) => {
    expect(problemsOf(w({ bridgeSubnet }))).toEqual([
      `buildhosts:boards[0].buildkitd.worker.bridgeSubnet: received "${bridgeSubnet}"; expected an IPv4 network whose host bits are zero, from /8 to /28, such as 10.10.0.0/16, within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 198.18.0.0/15.`,
    ]);
  });

  test.each([
    "10.0.0.0/8",
    "10.255.255.240/28",
    "172.31.0.0/16",
    "192.168.7.0/24",
    "100.127.0.0/16",
    "198.19.0.0/16",
  ])("may have the addresses %s", (bridgeSubnet) => {
    expect(problemsOf(w({ bridgeSubnet }))).toEqual([]);
  });

  const overlap = (what: string, network = "10.10.0.0/16") =>
    `buildhosts:boards[0].buildkitd.worker.bridgeSubnet: ${what}, is in the bridge's network ${network}, so the daemon would look for it among the RUN steps; choose a network that is free there.`;
  test.each<Case>([
    [
      "the mirror of releases",
      {
        releases: { mirror: "https://10.10.0.5/releases" },
        ...one({ buildkitd: { worker: { gc: true } } }),
      },
      overlap("buildhosts:releases.mirror, 10.10.0.5"),
    ],
    [
      "proxies",
      one({ proxies: { http: "http://10.10.1.1:3128", https: "http://10.10.1.2:3128" } }),
      overlap("proxies.http, 10.10.1.1"),
      overlap("proxies.https, 10.10.1.2"),
    ],
    [
      "a name server",
      set({ dns: { nameservers: ["192.0.2.53", "10.10.0.53"] } }),
      overlap("buildkitd.dns.nameservers[1], 10.10.0.53"),
    ],
    [
      "collectors",
      one({
        openTelemetry: {
          endpoint: "http://10.10.0.1:4317",
          tracesEndpoint: "http://10.10.0.2:4317",
          metricsEndpoint: "http://10.10.0.3:4317",
        },
      }),
      overlap("openTelemetry.endpoint, 10.10.0.1"),
      overlap("openTelemetry.tracesEndpoint, 10.10.0.2"),
      overlap("openTelemetry.metricsEndpoint, 10.10.0.3"),
    ],
    [
      "a registry and a mirror of one",
      set({
        registry: {
          "10.10.0.7:5000": { http: true },
          "docker.io": { mirrors: ["10.10.0.8:5000/hub"] },
        },
      }),
      overlap('buildkitd.registry["10.10.0.7:5000"], 10.10.0.7'),
      overlap('buildkitd.registry["docker.io"].mirrors[0], 10.10.0.8'),
    ],
    [
      "a jump host and the board's own address",
      w(
        { bridgeSubnet: "192.168.0.0/16" },
        {
          listen: { address: "192.168.1.4" },
          endpoint: "tcp://b.example.com:1234",
          jump: { host: "192.168.1.1", hostKey: otherEd25519 },
        },
      ),
      overlap("listen.address, 192.168.1.4", "192.168.0.0/16"),
      overlap("jump.host, 192.168.1.1", "192.168.0.0/16"),
    ],
  ])("may not hold the address of %s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });

  test("may hold them on another network, or where there is no bridge", () => {
    const proxies = { http: "http://10.10.1.1:3128" };
    expect(problemsOf(w({ bridgeSubnet: "172.30.0.0/16" }, { proxies }))).toEqual([]);
    expect(problemsOf(one({ proxies, network: "host" }))).toEqual([]);
  });

  test.each<Case>([
    [
      "on loopback",
      set({ dns: { nameservers: ["127.0.0.53"] } }),
      'buildhosts:boards[0].buildkitd.dns.nameservers[0]: received "127.0.0.53", which is on loopback, where a RUN step on the bridge finds itself alone; name an IPv4 address of the network.',
    ],
    [
      "with IPv6 addresses",
      set({ dns: { nameservers: ["::1", "fd00::53"] } }),
      'buildhosts:boards[0].buildkitd.dns.nameservers[0]: received "::1", which is on loopback, where a RUN step on the bridge finds itself alone; name an IPv4 address of the network.',
      'buildhosts:boards[0].buildkitd.dns.nameservers[1]: received "fd00::53", which is an IPv6 address, and the bridge of RUN steps has IPv4 only; name an IPv4 address of the network.',
    ],
  ])("has no name servers %s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });

  test("is needed for that: on the host's network a loopback name server answers", () => {
    expect(
      problemsOf(set({ dns: { nameservers: ["127.0.0.53", "fd00::53"] } }, { network: "host" })),
    ).toEqual([]);
  });
});

describe("filters of garbage collection are refused", () => {
  const syntax =
    "expected a condition such as type==source.local, with ==, != or ~=, or several with commas, which must all hold; with another one each garbage collection ends in an error, and removes nothing";
  const both =
    "a comma means that both must hold, and no record is both; write two filters, of which one is enough";
  const types =
    "the types are source.local, source.git.checkout, exec.cachemount, frontend, internal, regular";
  test.each([
    ["type=source.local", syntax],
    ["type===source.local", syntax],
    ["type==", syntax],
    ["type==source.local,", syntax],
    ["type==source.local ", syntax],
    ["type==/source.local/", syntax],
    ["=source.local", syntax],
    ["until>24h", syntax],
    ["type==source.local,type==exec.cachemount", both],
    ["mutable,immutable", both],
    ["type==regular,type!=regular", both],
    ["type==exec.cachemounts", "no record has such a type; write exec.cachemount"],
    ["type==cache", `no record has such a type; ${types}`],
    ["type~=^source\\.http", `no record has such a type; ${types}`],
    [
      "kind==regular",
      "garbage collection does not know kind of a record; it knows id, description, type, mutable, immutable, shared, private",
    ],
    [
      "inuse",
      "garbage collection does not know inuse of a record; it knows id, description, type, mutable, immutable, shared, private",
    ],
    ["mutable==true", "mutable has no value; write mutable alone"],
    [
      "type==frontend",
      "a policy without all: true leaves all internal, frontend and shared records alone; set all: true, or remove the filter",
    ],
    [
      "shared",
      "a policy without all: true leaves all internal, frontend and shared records alone; set all: true, or remove the filter",
    ],
  ])("%s", (filter, refusal) => {
    const filters = ["type==regular", filter];
    expect(problemsOf(w({ gcpolicy: [{ maxUsedSpace: "1GB" }, { filters }] }))).toEqual([
      `buildhosts:boards[0].buildkitd.worker.gcpolicy[1].filters[1]: received ${JSON.stringify(filter)}; ${refusal}.`,
    ]);
  });

  test.each([
    ["type==source.local"],
    ["type == source.local"],
    ['type=="source.local"'],
    ["type!=regular"],
    ["type~=^source", "type~=/^source/", "type~=|cachemount$|"],
    ["type==exec.cachemount,mutable,private"],
    ["id==abc", "description~=apt"],
  ])("but not %s", (...filters) => {
    expect(problemsOf(w({ gcpolicy: [{ filters, maxUsedSpace: "1GB" }] }))).toEqual([]);
  });

  test("but not of what a policy with all: true reaches", () => {
    const filters = ["type==frontend", "type==internal", "shared"];
    expect(problemsOf(w({ gcpolicy: [{ all: true, filters, maxUsedSpace: "1GB" }] }))).toEqual([]);
  });
});

describe("virtual boards", () => {
  test.each<Case>([
    [
      "one that is not running",
      { boards: [{ name: "v", virtual: true, platform: "arm64" }] },
      "buildhosts:boards[0].virtual: the virtual linux/arm64 board is not running; start it with npm run up, which runs Pulumi too.",
    ],
    [
      "one of an architecture that there is not",
      { boards: [{ name: "v", virtual: true, platform: "s390x" }] },
      'buildhosts:boards[0].platform: received "s390x"; expected one of linux/amd64, linux/arm64, linux/riscv64, amd64, arm64, riscv64.',
    ],
    [
      "one with a host",
      { boards: [{ name: "v", virtual: true, platform: "riscv64", host: "a.example.com" }] },
      "buildhosts:boards[0].host: not a key here: a virtual machine has it from the proving ground.",
    ],
    [
      "two of one architecture",
      {
        boards: [
          { name: "v", virtual: true, platform: "riscv64" },
          { name: "w", virtual: true, platform: "linux/riscv64" },
        ],
      },
      "buildhosts:boards[1].platform: is the same machine as boards[0]; remove one of the two.",
    ],
    [
      "one that is virtual in quotes",
      { boards: [{ name: "v", virtual: "true", platform: "riscv64" }] },
      'buildhosts:boards[0].virtual: received "true"; expected true or false.',
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });
});

describe("a good stack", () => {
  test("of one board has every default filled in", () => {
    expect(read(one())).toEqual({
      certificates: {
        ca: {
          algorithm: "ECDSA",
          organization: "buildhosts",
          commonName: "buildhosts builders",
          validityHours: 87600,
          earlyRenewalHours: 8760,
        },
        protectCa: false,
        leaf: {
          algorithm: "ECDSA",
          organization: "buildhosts",
          validityHours: 8760,
          earlyRenewalHours: 720,
        },
        clientKeys: {},
        builderKeys: {},
      },
      clients: ["default"],
      boards: [
        {
          name: "a",
          connection: {
            host: "a.example.com",
            port: 22,
            user: "root",
            hostKey: ed25519,
          },
          platform: "linux/riscv64",
          platforms: ["linux/riscv64"],
          worker: "oci",
          network: "bridge",
          rootless: false,
          listen: { address: "0.0.0.0", port: 1234 },
          socketActivation: false,
          endpoint: "tcp://a.example.com:1234",
          serverName: "a.example.com",
          certificateNames: { dnsNames: ["a.example.com"], ipAddresses: [] },
          metricsAddress: undefined,
          environment: {},
          releases: {
            buildkit: "v0.34.2",
            containerd: "v2.4.2",
            runc: "v1.5.2",
            rootlesskit: "v3.2.0",
            checksums: {},
            mirror: "https://github.com",
          },
          drainSeconds: 600,
          removeCacheOnDelete: false,
          abandon: false,
          buildkitd: {},
          registryCertificates: {},
        },
      ],
      dockerHosts: [],
      pools: [],
      driftCheck: true,
      warnings: [],
    } satisfies StackConfig);
  });

  test("as Pulumi.yaml's defaults make it has no board, and says so", () => {
    const stack = {
      releases: {},
      certificates: {},
      clients: ["default"],
      ssh: {},
      sshPrivateKey: "",
      boards: [],
    };
    expect(read(stack)).toMatchObject({
      boards: [],
      warnings: ["buildhosts:boards: there is none, so the stack has no builder."],
    });
  });

  test("may say everything there is to say of a board", () => {
    const board = boardOf(
      one({
        port: 2222,
        user: "builder",
        platform: "linux/arm64",
        jump: { host: "192.0.2.1", user: "hop", hostKey: otherEd25519 },
        worker: "containerd",
        network: "host",
        listen: { address: "2001:db8::2", port: 4321 },
        socketActivation: true,
        endpoint: "tcp://[2001:db8::2]:443",
        extraNames: ["builder.lan", "*.builders.lan", "198.51.100.7", "builder.lan"],
        proxies: {
          http: "http://proxy.lan:3128",
          https: "http://proxy.lan:3128",
          no: ["lan", "10.0.0.0/8"],
        },
        metrics: { address: "::1", port: 9000 },
        openTelemetry: {
          tracesEndpoint: "http://otel.lan:4318",
          protocol: "http/protobuf",
          serviceName: "lab",
          resourceAttributes: { "deployment.environment": "lab 1,2" },
          ignoreErrors: true,
        },
        drainSeconds: 0,
        removeCacheOnDelete: true,
        abandon: true,
        buildkitd: { worker: { platforms: ["linux/arm64", "linux/arm/v7"] } },
      }),
    );
    expect(board.connection).not.toHaveProperty("privateKey");
    expect(board.connection.proxy).not.toHaveProperty("privateKey");
    expect(board).toMatchObject({
      connection: {
        port: 2222,
        user: "builder",
        proxy: { host: "192.0.2.1", port: 22, user: "hop", hostKey: otherEd25519 },
      },
      platform: "linux/arm64",
      platforms: ["linux/arm64", "linux/arm/v7"],
      listen: { address: "2001:db8::2", port: 4321 },
      endpoint: "tcp://[2001:db8::2]:443",
      serverName: "2001:db8::2",
      certificateNames: {
        dnsNames: ["a.example.com", "builder.lan", "*.builders.lan"],
        ipAddresses: ["2001:db8::2", "198.51.100.7"],
      },
      metricsAddress: "[::1]:9000",
      environment: {
        HTTP_PROXY: "http://proxy.lan:3128",
        HTTPS_PROXY: "http://proxy.lan:3128",
        NO_PROXY: "lan,10.0.0.0/8",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://otel.lan:4318",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
        OTEL_SERVICE_NAME: "lab",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=lab%201%2C2",
        OTEL_IGNORE_ERROR: "true",
      },
      drainSeconds: 0,
      removeCacheOnDelete: true,
      abandon: true,
    });
  });

  test("puts the stack's extra names into every board's certificate", () => {
    expect(
      boardOf({ certificates: { extraNames: ["pool.lan", "192.0.2.9"] }, ...one() }),
    ).toMatchObject({
      certificateNames: { dnsNames: ["a.example.com", "pool.lan"], ipAddresses: ["192.0.2.9"] },
    });
  });

  test.each([
    ["a.example.com", "tcp://a.example.com:1234"],
    ["192.0.2.1", "tcp://192.0.2.1:1234"],
    ["2001:db8::1", "tcp://[2001:db8::1]:1234"],
  ])("reaches %s at %s", (host, endpoint) => {
    expect(boardOf(one({ host }))).toMatchObject({ endpoint, serverName: host });
  });

  test.each(["riscv64", "arm64", "amd64"])("may leave linux/ out of linux/%s", (short) => {
    const platform = `linux/${short}`;
    expect(boardOf(one({ platform: short })).platform).toBe(platform);
    expect(boardOf(one({ platform })).platform).toBe(platform);
  });

  test("may leave the v out of versions", () => {
    const releases = {
      buildkit: "0.33.0",
      containerd: "2.3.5",
      runc: "1.4.4",
      rootlesskit: "3.1.0",
    };
    expect(read({ releases, ...one() })).toMatchObject({
      boards: [
        {
          releases: {
            buildkit: "v0.33.0",
            containerd: "v2.3.5",
            runc: "v1.4.4",
            rootlesskit: "v3.1.0",
          },
        },
      ],
      warnings: [],
    });
  });

  test("may fetch from a mirror, or push files that are locked", () => {
    const mirror = { mirror: "https://mirror.example.com/releases" };
    const fetching = boardOf({ releases: mirror, ...one() }).releases;
    expect(fetching).toMatchObject(mirror);
    expect(fetching).not.toHaveProperty("push");
    const push = { push: "assets", checksums: lock };
    const pushed = boardOf({ releases: push, ...one() }).releases;
    expect(pushed).toMatchObject({ push: join(project, "assets"), checksums: lock });
    expect(pushed).not.toHaveProperty("mirror");
  });

  test("that is rootless is on the host's network", () => {
    expect(boardOf(one({ rootless: true }))).toMatchObject({ rootless: true, network: "host" });
  });

  test("may have every setting of the worker that a board runs", () => {
    const {
      noProcessSandbox: _n,
      namespace: _s,
      runtime: _r,
      gcpolicy,
      ...oci
    } = everySetting.worker;
    const { reservedSpace: _a, maxUsedSpace: _b, minFreeSpace: _c, ...withPolicies } = oci;
    const {
      snapshotter: _d,
      proxySnapshotterPath: _e,
      stargzSnapshotter: _f,
      ...both
    } = withPolicies;
    const { namespace, runtime: containerdRuntime } = everySetting.worker;
    for (const stack of [
      set({ ...everySetting, worker: oci }),
      w({ ...withPolicies, gcpolicy }),
      w({ ...both, namespace, runtime: containerdRuntime }, { worker: "containerd" }),
      w({ noProcessSandbox: true }, { rootless: true }),
    ]) {
      expect(problemsOf(stack)).toEqual([]);
    }
  });

  test("may have the registries of BuildKit's own example, and of a mirror's own settings", () => {
    for (const registry of [
      { "docker.io": { mirrors: ["yourmirror.local:5000", "core.harbor.domain/proxy.docker.io"] } },
      { "registry.lan:5000": { http: true, insecure: true } },
      { "docker.io": { http: true, insecure: true } },
      { "docker.io": { mirrors: ["mirror"] }, mirror: { http: true } },
      { "quay.io": { mirrors: ["registry-1.docker.io"] }, "registry-1.docker.io": {} },
      { localhost: { http: false }, "registry:5000": {} },
    ]) {
      expect(read(set({ registry })).warnings).toEqual([]);
    }
  });

  test("of several boards keeps their order", () => {
    const boards = [b(), b({ name: "b", host: "b.example.com", hostKey: otherEd25519 })];
    expect(read({ boards })).toMatchObject({
      boards: [{ name: "a" }, { name: "b" }],
      warnings: [],
    });
  });
});

describe("certificates of registries", () => {
  const certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const at = "buildhosts:boards[0].registryCertificates";
  beforeAll(() => writeFileSync(join(project, "ca.pem"), certificate));

  test.each<Case>([
    [
      "that name nothing",
      one({ registryCertificates: { "registry.lan": {} } }),
      `${at}["registry.lan"]: names no file; set caFile, or certFile and keyFile, or remove it.`,
    ],
    [
      "that are half a pair",
      one({
        registryCertificates: { "a.lan": { certFile: "ca.pem" }, "b.lan:5000": { keyFile: "id" } },
      }),
      `${at}["a.lan"].keyFile: missing; a client's certificate and its key go together.`,
      `${at}["b.lan:5000"].certFile: missing; a client's certificate and its key go together.`,
    ],
    [
      "that are not there, or something else",
      one({
        registryCertificates: {
          "registry.lan": { caFile: "none", certFile: "id", keyFile: "ca.pem" },
        },
      }),
      `${at}["registry.lan"].keyFile: received "ca.pem"; this is no private key in PEM form, from -----BEGIN to -----END.`,
      `${at}["registry.lan"].caFile: received "none"; the file cannot be read (ENOENT): /project/none.`,
      `${at}["registry.lan"].certFile: received "id"; this is no certificate in PEM form, from -----BEGIN to -----END.`,
    ],
    [
      "of a host that BuildKit never looks up",
      one({ registryCertificates: { "registry-1.docker.io": { caFile: "ca.pem" } } }),
      `${at}["registry-1.docker.io"]: BuildKit looks Docker Hub up as docker.io, whatever host is contacted; write docker.io.`,
    ],
    [
      "of a host with a scheme",
      one({ registryCertificates: { "https://registry.lan": { caFile: "ca.pem" } } }),
      `${at}["https://registry.lan"]: received "https://registry.lan"; expected a registry's host as in image names, with a port where it has one, such as docker.io.`,
    ],
  ])("%s are refused", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });

  test("are read from this machine, the key as a secret", async () => {
    const files = { caFile: "ca.pem", certFile: "ca.pem", keyFile: "id" };
    const { registryCertificates } = boardOf(
      one({ registryCertificates: { "registry.lan:5000": files } }),
    );
    const { privateKeyPem = "", ...others } = registryCertificates?.["registry.lan:5000"] ?? {};
    expect(others).toEqual({ caPem: certificate, certPem: certificate });
    expect(await settled(output(privateKeyPem))).toEqual({ value: pem, secret: true });
  });
});

describe("a host key is accepted", () => {
  const hashed = "|1|A7bTjEKo6m/UXx3c0qZTj6JMMqU=|WLDvExOD5OP9Eg/XHJmiB3ytsUc=";
  test.each([
    ["as type and key", ed25519, ed25519],
    ["as a public-key file with a comment", `${ed25519} root@board\n`, ed25519],
    ["as a line of known_hosts", `board.lan,192.0.2.1 ${ed25519}`, ed25519],
    ["as a line of known_hosts with a port", `[board.lan]:2222 ${ed25519}`, ed25519],
    ["as a hashed line of known_hosts", `${hashed} ${ed25519}`, ed25519],
    [
      "below ssh-keyscan's remark",
      `# board.lan:22 SSH-2.0-OpenSSH_10.0\nboard.lan ${ed25519}`,
      ed25519,
    ],
    ...ecdsa.map((key): [string, string, string] => [`of type ${key.split(" ")[0]}`, key, key]),
  ])("%s", (_, text, hostKey) => {
    expect(boardOf(one({ hostKey: text })).connection.hostKey).toBe(hostKey);
  });
});

describe("the SSH key", () => {
  const noAgent: Machine = { projectDir: project, environment: {} };
  const deadAgent: Machine = {
    projectDir: project,
    environment: { SSH_AUTH_SOCK: "/nowhere/agent.sock" },
  };
  const otherWays =
    "start one and ssh-add your key, or set ssh.privateKeyFile, or run: pulumi config set --secret buildhosts:sshPrivateKey < path.";

  test("is the agent's by default, and without an agent the ways are named", () => {
    expect(problemsOf(one(), [], noAgent)).toEqual([
      `buildhosts:ssh.agent: there is no SSH agent: SSH_AUTH_SOCK is not set; ${otherWays}`,
    ]);
    expect(problemsOf(one(), [], deadAgent)).toEqual([
      `buildhosts:ssh.agent: there is no SSH agent: no agent listens at SSH_AUTH_SOCK, "/nowhere/agent.sock"; ${otherWays}`,
    ]);
  });

  test("needs no agent where every board brings its own", () => {
    expect(problemsOf(one({ ssh: { privateKeyFile: "id" } }), [], noAgent)).toEqual([]);
  });

  test("from a file is a secret with the file's text", async () => {
    for (const path of [
      "id",
      join(project, "id"),
      `~/${relative(homedir(), join(project, "id"))}`,
    ]) {
      const { connection } = boardOf({ ssh: { privateKeyFile: path }, ...one() });
      expect(await secretOf(connection)).toBe(pem);
    }
  });

  test("from the stack is a secret", async () => {
    const config = read({ sshPrivateKey: pem, ...one() }, ["buildhosts:sshPrivateKey"], noAgent);
    expect(await secretOf(config.boards[0]?.connection)).toBe(pem);
  });

  test("of a jump host is the board's, or its own", async () => {
    const hop = { host: "jump.example.com", hostKey: otherEd25519 };
    const own = boardOf(one({ jump: { ...hop, ssh: { privateKeyFile: "id" } } })).connection;
    expect(own).not.toHaveProperty("privateKey");
    expect(await secretOf(own.proxy)).toBe(pem);
    const shared = boardOf(one({ ssh: { privateKeyFile: "id" }, jump: hop })).connection;
    expect(await secretOf(shared.proxy)).toBe(pem);
  });

  test("of a file fails with a dead agent around, which the provider would dial", () => {
    expect(problemsOf({ ssh: { privateKeyFile: "id" }, ...one() }, [], deadAgent)).toEqual([
      'buildhosts:ssh: no agent listens at SSH_AUTH_SOCK, "/nowhere/agent.sock", and Pulumi\'s command provider fails on that even if it needs no agent; run: unset SSH_AUTH_SOCK.',
    ]);
  });

  const passphrase =
    "the key has a passphrase, and buildhosts cannot ask for it; use ssh.agent, or a key without a passphrase.";
  const aes = { cipher: "aes-256-cbc", passphrase: "canary" };
  const openSsh = (cipher: string, keyType = "ssh-ed25519") => {
    const number = (value: number) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return bytes;
    };
    const string = (text: string) => Buffer.concat([number(text.length), Buffer.from(text)]);
    const publicKey = string(keyType);
    const text = Buffer.concat([
      Buffer.from("openssh-key-v1\0"),
      ...[cipher, "none", ""].map(string),
      number(1),
      number(publicKey.length),
      publicKey,
    ]);
    return `-----BEGIN OPENSSH PRIVATE KEY-----\n${text.toString("base64")}\n-----END OPENSSH PRIVATE KEY-----\n`;
  };
  test.each([
    ["a public key", ed25519, "this is the public key; the private one is needed."],
    ["another file", "canary", "this is no private key in PEM form, from -----BEGIN to -----END."],
    [
      "half a key",
      "-----BEGIN PRIVATE KEY-----\ncanary",
      "this is no private key in PEM form, from -----BEGIN to -----END.",
    ],
    [
      "a key with a passphrase (PKCS#8)",
      privateKey.export({ type: "pkcs8", format: "pem", ...aes }).toString(),
      passphrase,
    ],
    [
      "a key with a passphrase (SEC1)",
      privateKey.export({ type: "sec1", format: "pem", ...aes }).toString(),
      passphrase,
    ],
    ["a key with a passphrase (OpenSSH)", openSsh("aes256-ctr"), passphrase],
    [
      "a security key",
      openSsh("none", "sk-ssh-ed25519@openssh.com"),
      "this is the handle of a security key, which works by the agent only; use ssh.agent.",
    ],
  ])("is refused where it is %s, without showing it", (_, text, refusal) => {
    writeFileSync(join(project, "unfit"), text);
    const fromFile = problemsOf({ ssh: { privateKeyFile: "unfit" }, ...one() });
    expect(fromFile).toEqual([`buildhosts:ssh.privateKeyFile: received "unfit"; ${refusal}`]);
    const fromStack = problemsOf({ sshPrivateKey: text, ...one() }, ["buildhosts:sshPrivateKey"]);
    expect(fromStack).toEqual([`buildhosts:sshPrivateKey: ${refusal}`]);
  });

  const sec1 = privateKey.export({ type: "sec1", format: "pem" }).toString();
  const certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  test.each([
    [
      "below OpenSSL's parameters of the curve",
      `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${sec1}`,
      sec1,
    ],
    [
      "below the attributes of PKCS#12",
      `Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n${pem}`,
      pem,
    ],
    ["beside its certificate", `${certificate}${pem}${certificate}`, pem],
    ["alone, as it is", `\n${pem}\n`, `\n${pem}\n`],
  ])("is found %s", async (_, text, key) => {
    writeFileSync(join(project, "exported"), text);
    const { connection } = boardOf({ ssh: { privateKeyFile: "exported" }, ...one() });
    expect(await secretOf(connection)).toBe(key);
    const config = read({ sshPrivateKey: text, ...one() }, ["buildhosts:sshPrivateKey"], noAgent);
    expect(await secretOf(config.boards[0]?.connection)).toBe(key);
  });

  test("without a passphrase is accepted in OpenSSH's form", () => {
    writeFileSync(join(project, "openssh"), openSsh("none"));
    expect(problemsOf({ ssh: { privateKeyFile: "openssh" }, ...one() })).toEqual([]);
  });

  test.each<Case>([
    [
      "a file that is not there",
      { ssh: { privateKeyFile: "none" }, ...one() },
      'buildhosts:ssh.privateKeyFile: received "none"; the file cannot be read (ENOENT): /project/none.',
    ],
    [
      "a board's file that is not there",
      one({ ssh: { privateKeyFile: "none" } }),
      'buildhosts:boards[0].ssh.privateKeyFile: received "none"; the file cannot be read (ENOENT): /project/none.',
    ],
    [
      "two ways at once",
      { ssh: { agent: true, privateKeyFile: "id" }, ...one() },
      "buildhosts:ssh.agent: does not go together with privateKeyFile; keep one of the two.",
    ],
    [
      "no agent by a switch",
      { ssh: { agent: false }, ...one() },
      "buildhosts:ssh.agent: received false; expected true; leave the key out to use another way.",
    ],
    [
      "a key in plain text among the settings",
      { ssh: { privateKey: pem }, ...one() },
      "buildhosts:ssh.privateKey: not a key here: a secret has a key of its own; run: pulumi config set --secret buildhosts:sshPrivateKey < path.",
    ],
    [
      "a key in the stack that is not secret",
      { sshPrivateKey: pem, ...one() },
      "buildhosts:sshPrivateKey: is not secret: the key stands readable in the stack file. Make a new key, and run: pulumi config set --secret buildhosts:sshPrivateKey < path",
    ],
  ])("refuses %s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });

  test("refuses a secret and a file at once", () => {
    const stack = { ssh: { privateKeyFile: "id" }, sshPrivateKey: pem, ...one() };
    expect(problemsOf(stack, ["buildhosts:sshPrivateKey"])).toEqual([
      "buildhosts:ssh: does not go together with buildhosts:sshPrivateKey; keep one way.",
    ]);
  });
});

async function secretOf(connection: BoardConfig["connection"] | undefined): Promise<unknown> {
  if (connection?.privateKey === undefined) return undefined;
  const output = connection.privateKey as Output<string> & {
    isSecret: Promise<boolean>;
    promise(): Promise<string>;
  };
  expect(await output.isSecret).toBe(true);
  return output.promise();
}

describe("a virtual board", () => {
  const virtual = (board: object = {}) => ({
    boards: [{ name: "v", virtual: true, platform: "riscv64", ...board }],
  });

  test("is what runs, where the stack file does not say what it is", () => {
    const board = boardOf({ boards: [{ name: "v", virtual: true }] });
    expect([board.platform, board.platforms]).toEqual(["linux/riscv64", ["linux/riscv64"]]);
  });

  test("is where the proving ground says, and fetches upstream without its mirror", async () => {
    const board = boardOf(virtual());
    expect(board).toMatchObject({
      connection: { host: "127.0.0.1", port: 40022, user: "root", hostKey: ed25519 },
      listen: { address: "0.0.0.0", port: 1234 },
      endpoint: "tcp://127.0.0.1:41234",
      serverName: "127.0.0.1",
      certificateNames: { dnsNames: [], ipAddresses: ["127.0.0.1"] },
      releases: { mirror: "https://github.com" },
    });
    expect(await secretOf(board.connection)).toBe(pem);
  });

  test("fetches from the proving ground's mirror, unless the stack names one", () => {
    const port = join(project, ".buildhosts/mirror.port");
    writeFileSync(port, "48080");
    expect(boardOf(virtual()).releases.mirror).toBe("http://10.0.2.2:48080");
    const releases = { mirror: "https://mirror.example.com" };
    expect(boardOf({ releases, ...virtual() }).releases.mirror).toBe(releases.mirror);
    rmSync(port);
  });

  test("may be reached as another user, and needs no agent", () => {
    const config = read(virtual({ user: "builder" }), [], { projectDir: project, environment: {} });
    expect(config.boards[0]?.connection.user).toBe("builder");
  });
});

describe("a warning is given for", () => {
  test.each<Case>([
    [
      "the versions that the seeds of this project name",
      {
        releases: { buildkit: "v0.22.0", containerd: "2.1.1", runc: "v1.3.0" },
        ...one(),
      },
      "buildhosts:releases.buildkit: is v0.22.0: known security holes are open below v0.31.2.",
      "buildhosts:releases.containerd: is v2.1.1: known security holes are open below v2.3.5, and the 2.1 line is past its end.",
      "buildhosts:releases.runc: is v1.3.0: known security holes are open below v1.4.4, and in v1.5 below v1.5.2.",
    ],
    [
      "a runc of the newest line below its fix",
      { releases: { runc: "v1.5.1" }, ...one() },
      "buildhosts:releases.runc: is v1.5.1: known security holes are open below v1.4.4, and in v1.5 below v1.5.2.",
    ],
    [
      "a lock on something that no board installs",
      { releases: { checksums: { ...lock, "runc.arm64": "b".repeat(64) } }, ...one() },
      `buildhosts:releases.checksums["runc.arm64"]: locks nothing: no board installs it. Boards install ${assets.join(", ")}.`,
    ],
    [
      "a mirror whose checksums anyone on the way could change",
      { releases: { mirror: "http://mirror.example.com" }, ...one() },
      `buildhosts:releases.mirror: is not encrypted, and the checksums come from it too; lock ${assets.join(", ")} in releases.checksums.`,
    ],
    [
      "the host's network",
      one({ network: "host" }),
      "buildhosts:boards[0].network: RUN steps share the board's network: they can reach the daemon's port and everything else on its loopback.",
    ],
    [
      "the host's network with metrics on it",
      one({ rootless: true, metrics: {} }),
      "buildhosts:boards[0].rootless: RUN steps share the board's network: they can reach the daemon's port, the metrics and pprof and everything else on its loopback.",
    ],
    [
      "entitlements that undo the sandbox",
      set({ "insecure-entitlements": ["security.insecure", "network.host"] }),
      "buildhosts:boards[0].buildkitd.insecure-entitlements: security.insecure lets any client become root on the board.",
      "buildhosts:boards[0].buildkitd.insecure-entitlements: network.host lets a build reach the daemon's port and the board's loopback.",
    ],
    [
      "a cache without a limit",
      w({ gc: false }),
      "buildhosts:boards[0].buildkitd.worker.gc: nothing limits the build cache: it grows until the disk is full.",
    ],
    [
      "policies of which none bounds the cache",
      w({
        gcpolicy: [
          { keepDuration: "336h", reservedSpace: "80GB" },
          { keepDuration: "336h", maxUsedSpace: "80GB" },
          { filters: ["type==regular"], maxUsedSpace: "80GB" },
        ],
      }),
      "buildhosts:boards[0].buildkitd.worker.gcpolicy: nothing bounds the cache: keepDuration keeps what was used lately, however much it is, and filters leave the rest alone; add a last policy without both, such as { all: true, maxUsedSpace: 80GB }.",
    ],
    [
      "a cache that shrinks though there is room",
      w({ minFreeSpace: "20GB", reservedSpace: "10GB" }),
      "buildhosts:boards[0].buildkitd.worker.minFreeSpace: stands without maxUsedSpace, and then each garbage collection removes what was used longest ago, even where the disk has room; set maxUsedSpace too.",
    ],
    [
      "policies by which it shrinks",
      w({
        gcpolicy: [
          { keepDuration: "48h", minFreeSpace: "10%" },
          { minFreeSpace: "10%", maxUsedSpace: "80GB" },
        ],
      }),
      "buildhosts:boards[0].buildkitd.worker.gcpolicy[0].minFreeSpace: stands without maxUsedSpace, and then each garbage collection removes what was used longest ago, even where the disk has room; set maxUsedSpace too.",
    ],
    [
      "policies that throw everything away",
      w({ gcpolicy: [{ all: true }, { keepDuration: "0s" }, {}] }),
      ...[0, 1, 2].map(
        (index) =>
          `buildhosts:boards[0].buildkitd.worker.gcpolicy[${index}]: has neither an amount of disk nor a keepDuration, so each garbage collection removes all that it is about and no build uses; set maxUsedSpace.`,
      ),
    ],
    [
      "flags that are about a registry, and perhaps meant for its mirror",
      set({
        registry: {
          "docker.io": { mirrors: ["mirror.lan:5000"], insecure: true },
          "registry.lan": { mirrors: ["other.lan"], http: true },
          "said.lan": { mirrors: ["registry.lan"], http: true, insecure: true },
        },
      }),
      'buildhosts:boards[0].buildkitd.registry["docker.io"].insecure: is about docker.io itself, not about its mirrors; for a mirror set insecure: true under registry["mirror.lan:5000"].',
      'buildhosts:boards[0].buildkitd.registry["registry.lan"].http: is about registry.lan itself, not about its mirrors; for a mirror set http: true under registry["other.lan"].',
    ],
    [
      "a registry with capitals",
      set({ registry: { "Registry.LAN": {} } }),
      'buildhosts:boards[0].buildkitd.registry["Registry.LAN"]: is looked up for images that are written so, with capitals; for others write "registry.lan".',
    ],
    [
      "a cache below /usr",
      set({ root: "/usr/local/lib/buildkit" }),
      'buildhosts:boards[0].buildkitd.root: is "/usr/local/lib/buildkit": /usr is for what is installed, read-only on some systems, and seldom has room for a cache.',
    ],
    [
      "name servers that RUN steps do not all reach",
      set({ dns: { nameservers: ["127.0.0.53", "192.0.2.53", "fd00::53"] } }),
      "buildhosts:boards[0].buildkitd.dns.nameservers[0]: 127.0.0.53 is on loopback, where a RUN step on the bridge finds itself alone: they cannot ask it, and go on to the next.",
      "buildhosts:boards[0].buildkitd.dns.nameservers[2]: fd00::53 is an IPv6 address, and the bridge of RUN steps has IPv4 only: they cannot ask it, and go on to the next.",
    ],
    [
      "a board that is given up",
      one({ abandon: true }),
      "buildhosts:boards[0].abandon: deleting this board from the stack will leave everything on it as it is; its certificate stays valid until it ends.",
    ],
    [
      "settings that the pinned BuildKit is too old for",
      {
        releases: { buildkit: "v0.32.2" },
        ...set({ compaction: { enabled: true }, system: { sessionAuthTimeout: "60s" } }),
      },
      "buildhosts:boards[0].buildkitd.compaction: BuildKit v0.32.2 silently ignores it; it needs v0.34.0 or newer.",
      "buildhosts:boards[0].buildkitd.system.sessionAuthTimeout: BuildKit v0.32.2 silently ignores it; it needs v0.34.0 or newer.",
    ],
    [
      "a policy's amount that the pinned BuildKit is too old for",
      {
        releases: { buildkit: "v0.16.0" },
        ...w({ gcpolicy: [{ keepDuration: "48h" }, { maxUsedSpace: "10GB" }] }),
      },
      "buildhosts:releases.buildkit: is v0.16.0: known security holes are open below v0.31.2.",
      "buildhosts:boards[0].buildkitd.worker.gcpolicy[1].maxUsedSpace: BuildKit v0.16.0 silently ignores it; it needs v0.17.0 or newer.",
    ],
    [
      "names of multicast DNS, which clients do not ask for",
      one({
        host: "visionfive.local",
        endpoint: "tcp://builder.local:1234",
        jump: { host: "jump.local", hostKey: otherEd25519 },
      }),
      ...[
        ["host", "visionfive.local"],
        ["jump.host", "jump.local"],
        ["endpoint", "builder.local"],
      ].map(
        ([key, name]) =>
          `buildhosts:boards[0].${key}: ${name} looks like a name of multicast DNS: buildctl, buildx and Pulumi's plugins ask DNS servers alone. Unless one knows it, write the address here, and the name in extraNames.`,
      ),
    ],
    [
      "a proxy that RUN steps do not reach",
      one({ proxies: { http: "http://127.0.0.1:3128", https: "http://[::1]:3128" } }),
      "buildhosts:boards[0].proxies.http: \"http://127.0.0.1:3128\" is on the board's loopback: buildkitd reaches it, and RUN steps on the bridge do not; name an address of the board's network if builds shall use it.",
      "buildhosts:boards[0].proxies.https: \"http://[::1]:3128\" is on the board's loopback: buildkitd reaches it, and RUN steps on the bridge do not; name an address of the board's network if builds shall use it.",
    ],
    [
      "two boards with one host key",
      { boards: [b(), b({ name: "b", host: "b.example.com" })] },
      "buildhosts:boards[1].hostKey: is that of boards[0] too: the same machine twice, or a copied disk, whose host key should be made anew.",
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(read(stack).warnings).toEqual(lines);
  });
});

describe("secrets", () => {
  test("may stand in no other key, because that would be shown", () => {
    expect(problemsOf(one({ host: "canary" }), ["buildhosts:boards"])).toEqual([
      "buildhosts:boards: is a secret; only buildhosts:sshPrivateKey and buildhosts:githubToken may be secrets. Set it again without --secret.",
    ]);
  });

  test("do not appear in errors, wherever they were put by mistake", () => {
    const key = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";
    const stack = {
      ...set(
        { registry: { "docker.io": { mirrors: ["https://me:canary@mirror.example.com"] } } },
        { host: key, hostKey: key, proxies: { http: "http://me:canary@proxy:1" } },
      ),
      clients: [key],
      ssh: { privateKeyFile: key },
      sshPrivateKey: "canary",
      releases: { mirror: "https://canary@mirror.example.com", checksums: { x: key } },
    };
    const problems = problemsOf(stack, ["buildhosts:sshPrivateKey"]);
    expect(problems.length).toBeGreaterThan(7);
    expect(problems.join("\n")).not.toContain("canary");
  });
});

describe("the error", () => {
  test("has one line where one thing is wrong", () => {
    expect(() => read(one({ port: 0 }))).toThrow(
      /^buildhosts:boards\[0\]\.port: received 0; expected a port, a whole number from 1 to 65535\.$/,
    );
  });

  test("lists everything at once, the unknown keys beside what they hide", () => {
    expect(() =>
      read({ clients: [], ...one({ prot: 22, network: "bridge", rootless: true }) }),
    ).toThrow(
      [
        "3 problems in the stack's configuration:",
        "- buildhosts:clients: received []; expected at least one name.",
        '- buildhosts:boards[0].prot: unknown key; did you mean "port"?',
        "- buildhosts:boards[0].network: a rootless buildkitd has the host's network only; use host, or remove rootless.",
      ].join("\n"),
    );
  });

  test("is one that the engine prints without a stack trace", () => {
    expect(RunError.isInstance(new ConfigError([]))).toBe(true);
  });
});

test("loadConfig reads what the engine hands over, other namespaces aside", () => {
  runtime.setAllConfig(
    {
      "buildhosts:sshPrivateKey": pem,
      "buildhosts:boards": JSON.stringify([b()]),
      "pulumi:tags": "{}",
      "aws:region": "nowhere",
    },
    ["buildhosts:sshPrivateKey"],
  );
  const { SSH_AUTH_SOCK: socket } = process.env;
  delete process.env.SSH_AUTH_SOCK;
  try {
    expect(loadConfig(project).boards).toMatchObject([
      { name: "a", connection: { privateKey: expect.anything() } },
    ]);
  } finally {
    if (socket !== undefined) process.env.SSH_AUTH_SOCK = socket;
    runtime.setAllConfig({});
  }
});

test("every setting of buildkitd is accepted as it is", () => {
  expect(buildkitdSettings.parse(everySetting)).toEqual(everySetting);
});

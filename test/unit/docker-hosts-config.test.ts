import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { output } from "@pulumi/pulumi";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError, problemLine } from "../../config/findings.ts";
import { readStackConfig } from "../../config/load.ts";
import type { Machine } from "../../config/machineFiles.ts";
import type { StackConfig } from "../../config/stackConfig.ts";
import type { DockerHostConfig } from "../../hosts/dockerHost/resolveDockerHost.ts";
import { settled } from "./pulumiMocks.ts";

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdndYS0p72mI5";
const digest = `sha256:${"a".repeat(64)}`;
const image = `moby/buildkit:v0.34.2@${digest}`;

const project = mkdtempSync(join(tmpdir(), "buildhosts-docker-config-"));
const machine: Machine = { projectDir: project, environment: {} };
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
writeFileSync(join(project, "id"), pem);
const certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
writeFileSync(join(project, "cert.pem"), certificate);

afterAll(() => rmSync(project, { recursive: true }));

type Stack = Record<string, unknown>;

function read(stack: Stack, environment: Machine["environment"] = {}): StackConfig {
  const values = Object.entries(stack).map(([key, value]) => [
    `buildhosts:${key}`,
    JSON.stringify(value),
  ]);
  return readStackConfig(
    { values: Object.fromEntries(values), secretKeys: [] },
    { ...machine, environment },
  );
}

function problemsOf(stack: Stack, environment: Machine["environment"] = {}): string[] {
  try {
    read(stack, environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => problemLine(problem).replaceAll(project, "/project"));
  }
}

const b = (builder: object = {}) => ({ name: "builder", image, ...builder });
const local = (host: object = {}) => ({
  name: "here",
  docker: "unix:///var/run/docker.sock",
  platform: "amd64",
  builders: [b()],
  ...host,
});
const ssh = (host: object = {}) =>
  local({
    name: "far",
    docker: "ssh://root@far.example.com:2222",
    hostKey,
    ssh: { privateKeyFile: "id" },
    ...host,
  });
const tcp = (host: object = {}) =>
  local({
    name: "tls",
    docker: "tcp://tls.example.com:2376",
    tls: { caFile: "cert.pem", certFile: "cert.pem", keyFile: "id" },
    ...host,
  });
const one = (host: object) => ({ dockerHosts: [host] });
/** A stack of one local host with one builder. */
const w = (builder: object) => one(local({ builders: [b(builder)] }));

function hostOf(stack: Stack): DockerHostConfig {
  const [host] = read(stack).dockerHosts;
  if (!host) throw new Error("no host");
  return host;
}

describe("a good Docker host", () => {
  test("has every default filled in", () => {
    expect(read(one(local()))).toMatchObject({ boards: [], warnings: [] });
    expect(hostOf(one(local()))).toEqual({
      name: "here",
      connection: { url: "unix:///var/run/docker.sock", registryAuth: [] },
      builders: [
        {
          name: "builder",
          image,
          containerName: "builder",
          rootless: false,
          network: "host",
          publish: { address: "127.0.0.1", port: 1234 },
          endpoint: "tcp://localhost:1234",
          serverName: "localhost",
          certificateNames: { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] },
          platform: "linux/amd64",
          platforms: ["linux/amd64"],
          abandon: false,
          cacheVolume: "builder-cache",
          adoptCache: false,
          cachePath: undefined,
          protectCache: false,
          removeCacheOnDelete: false,
          restart: "unless-stopped",
          memoryMb: undefined,
          cpus: undefined,
          labels: {},
          init: false,
          networks: [],
          environment: {},
          startSeconds: 120,
          buildkitd: {},
          registryCertificates: {},
        },
      ],
    });
  });

  test("is reached by SSH, and its builder where it is", () => {
    const { connection, builders } = hostOf(one(ssh()));
    expect(connection).toMatchObject({
      url: "ssh://root@far.example.com:2222",
      hostKey,
      privateKey: expect.anything(),
    });
    expect(builders[0]).toMatchObject({
      publish: { address: "0.0.0.0", port: 1234 },
      endpoint: "tcp://far.example.com:1234",
      serverName: "far.example.com",
    });
  });

  test("is reached over TLS by three files, the key a secret", () => {
    const { connection } = hostOf(one(tcp()));
    expect(connection).toMatchObject({
      url: "tcp://tls.example.com:2376",
      tls: { caCertPem: certificate, certPem: certificate },
    });
    expect(JSON.stringify(connection)).not.toContain("PRIVATE KEY");
  });

  test("is reached over TLS by one file with all of it, whose key is in the open nowhere", async () => {
    const sec1 = privateKey.export({ type: "sec1", format: "pem" }).toString();
    const parameters =
      "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    writeFileSync(join(project, "all.pem"), `Bag Attributes\n${parameters}${sec1}${certificate}`);
    const { connection } = hostOf(
      one(tcp({ tls: { caFile: "cert.pem", certFile: "all.pem", keyFile: "all.pem" } })),
    );
    const { privateKeyPem, ...others } = connection.tls ?? {};
    expect(others).toEqual({ caCertPem: certificate, certPem: certificate });
    expect(await settled(output(privateKeyPem))).toEqual({ value: sec1, secret: true });
  });

  test("has several builders, each with a name, a port and a cache of its own", () => {
    const builders = [b({ name: "owner-one" }), b({ name: "owner-two", publish: { port: 1235 } })];
    expect(
      hostOf(one(local({ builders }))).builders.map(({ endpoint, cacheVolume }) => [
        endpoint,
        cacheVolume,
      ]),
    ).toEqual([
      ["tcp://localhost:1234", "owner-one-cache"],
      ["tcp://localhost:1235", "owner-two-cache"],
    ]);
  });

  test("offers what it emulates", () => {
    const stack = one(local({ emulation: ["linux/riscv64", "linux/arm64"] }));
    const { emulation, builders } = hostOf(stack);
    expect(emulation).toEqual({
      platforms: ["linux/riscv64", "linux/arm64"],
      image: expect.stringMatching(/^tonistiigi\/binfmt:qemu-v[\d.]+@sha256:[0-9a-f]{64}$/),
      abandon: false,
    });
    expect(builders[0]?.platforms).toEqual(["linux/amd64", "linux/riscv64", "linux/arm64"]);
  });

  test("takes the stack's BuildKit where a builder names no image, and warns once of missing digests", () => {
    const tagged = (name: string, port: number, rootless: boolean) => ({
      ...b({ name, publish: { port }, rootless }),
      image: undefined,
    });
    const builders = [tagged("one", 1234, false), tagged("two", 1235, true)];
    const more = [tagged("three", 1236, true), b({ name: "pinned", publish: { port: 1237 } })];
    const stack = {
      ...one(local({ builders: [...builders, ...more] })),
      releases: { buildkit: "v0.34.1" },
    };
    expect(hostOf(stack).builders[1]?.image).toBe("moby/buildkit:v0.34.1-rootless");
    expect(read(stack).warnings).toEqual([
      "buildhosts:dockerHosts: the image of one, two, three has no digest, so what the registry serves at the first pull is what runs; pin it: image: moby/buildkit:v0.34.1@sha256:<digest>, image: moby/buildkit:v0.34.1-rootless@sha256:<digest>.",
    ]);
  });

  test("has logins at registries, with the password from a file", () => {
    const login = { address: "ghcr.io", username: "alice", passwordFile: "password" };
    writeFileSync(join(project, "password"), "let me in\n");
    const { connection } = hostOf(one(local({ registryAuth: [login] })));
    const [found, ...others] = connection.registryAuth ?? [];
    expect(others).toEqual([]);
    expect(found).toMatchObject({ address: "ghcr.io", username: "alice" });
    expect(JSON.stringify(found)).not.toContain("let me in");
  });

  test("keeps a builder's cache when its container gets another name", () => {
    const { containerName, cacheVolume } =
      hostOf(w({ containerName: "buildkitd" })).builders[0] ?? {};
    expect([containerName, cacheVolume]).toEqual(["buildkitd", "builder-cache"]);
  });

  test("takes proxies and telemetry as the daemon's environment", () => {
    const stack = w({
      proxies: { http: "http://proxy.lan:3128", no: [".lan", "10.0.0.0/8"] },
      openTelemetry: { endpoint: "http://otel.lan:4317" },
    });
    expect(hostOf(stack).builders[0]?.environment).toEqual({
      HTTP_PROXY: "http://proxy.lan:3128",
      NO_PROXY: ".lan,10.0.0.0/8",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel.lan:4317",
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    });
  });

  test("may have its image and its network in any way that goes together", () => {
    for (const builder of [
      { image: `moby/buildkit@${digest}`, rootless: true },
      { image: "docker.io/moby/buildkit:master-rootless", rootless: true },
      { image: "ghcr.io/example/buildkit:v0.1.0", rootless: true },
      { image: "moby/buildkit:v0.34.2-ubuntu", network: "bridge" },
      { proxies: { http: "http://127.0.0.1:3128" }, networks: ["host"] },
      { buildkitd: { dns: { nameservers: ["127.0.0.11"] } } },
    ]) {
      expect(problemsOf(w(builder))).toEqual([]);
    }
  });

  test("is warned about where its files, its image or its names may not be what they seem", () => {
    const own = `ghcr.io/example/builder:v1@${digest}`;
    const registry = { "registry.lan": { ca: ["/etc/ca.pem"] } };
    const worker = {
      "apparmor-profile": "buildkit",
      snapshotter: "x",
      proxySnapshotterPath: "/run/x.sock",
    };
    const stack = {
      dockerHosts: [
        ssh({
          docker: "ssh://root@farm.local",
          builders: [
            b({ image: own, buildkitd: { registry } }),
            b({
              name: "copy",
              image: `registry.lan/moby/buildkit:v0.34.2@${digest}`,
              rootless: true,
              publish: { port: 1235 },
              endpoint: "tcp://copy.local:1235",
            }),
            b({ name: "armored", publish: { port: 1236 }, buildkitd: { worker } }),
            b({
              name: "inward",
              publish: { port: 1237 },
              openTelemetry: { endpoint: "http://127.0.0.1:4317" },
              buildkitd: { registry: { "docker.io": { mirrors: ["localhost:5000"] } } },
            }),
          ],
        }),
        ssh({ name: "near", docker: "ssh://root@192.0.2.1", builders: [b({ name: "near" })] }),
      ],
    };
    const inward =
      "is on loopback, and the container's is its own, where nothing listens but buildkitd: name an address of the host, or set networks: [host].";
    const multicast =
      "looks like a name of multicast DNS: buildctl, buildx and Pulumi's plugins ask DNS servers alone. Unless one knows it, write the address here, and the name in extraNames.";
    expect(read(stack).warnings).toEqual([
      "buildhosts:dockerHosts[1].hostKey: is that of dockerHosts[0] too: the same machine twice, or a copied disk, whose host key should be made anew.",
      `buildhosts:dockerHosts[0].builders[0].buildkitd.registry["registry.lan"].ca[0]: "/etc/ca.pem" must be in the image ${own}: nothing else puts it into the container.`,
      `buildhosts:dockerHosts[0].builders[1].image: received "registry.lan/${image.slice(0, 66)}…, whose daemon needs root, and rootless is true; take registry.lan/moby/buildkit:v0.34.2-rootless with its own digest, or remove rootless.`,
      'buildhosts:dockerHosts[0].builders[2].buildkitd.worker.apparmor-profile: load "buildkit" in the kernel of the Docker host; buildhosts does not.',
      'buildhosts:dockerHosts[0].builders[2].buildkitd.worker.proxySnapshotterPath: "/run/x.sock" must be a socket of a program in the image: nothing else listens in the container, and without it the daemon does not become healthy.',
      `buildhosts:dockerHosts[0].docker: farm.local ${multicast}`,
      `buildhosts:dockerHosts[0].builders[1].endpoint: copy.local ${multicast}`,
      `buildhosts:dockerHosts[0].builders[3]: openTelemetry.endpoint, 127.0.0.1, ${inward}`,
      `buildhosts:dockerHosts[0].builders[3]: buildkitd.registry["docker.io"].mirrors[0], localhost, ${inward}`,
    ]);
  });

  test("an old BuildKit and open entitlements are accepted with a warning", () => {
    const stack = w({
      image: `moby/buildkit:v0.22.0@${digest}`,
      buildkitd: { "insecure-entitlements": ["security.insecure"], worker: { gc: false } },
    });
    expect(read(stack).warnings).toEqual([
      "buildhosts:dockerHosts[0].builders[0].image: is v0.22.0: known security holes are open below v0.31.2.",
      "buildhosts:dockerHosts[0].builders[0].buildkitd.insecure-entitlements: security.insecure lets any client become root on the host.",
      "buildhosts:dockerHosts[0].builders[0].buildkitd.worker.gc: nothing limits the build cache: it grows until the disk is full.",
    ]);
  });
});

describe("refused:", () => {
  test.each<[title: string, stack: Stack, ...lines: string[]]>([
    [
      "an unknown key of a host",
      one(local({ dockr: 1 })),
      'buildhosts:dockerHosts[0].dockr: unknown key; did you mean "docker"?',
    ],
    [
      "an unknown key of a builder",
      w({ memory: 5 }),
      'buildhosts:dockerHosts[0].builders[0].memory: unknown key; did you mean "memoryMb"?',
    ],
    [
      "privileged, which is not a key",
      w({ privileged: true }),
      "buildhosts:dockerHosts[0].builders[0].privileged: not a key here: a container is privileged unless rootless: true.",
    ],
    [
      "a way to a daemon that the provider does not know",
      one(local({ docker: "http://here" })),
      'buildhosts:dockerHosts[0].docker: received "http://here"; expected unix://<path of the socket>, ssh://<user>@<host>[:<port>] or tcp://<host>:<port>.',
    ],
    [
      "a password in it, which is not shown",
      one(ssh({ docker: "ssh://root:hunter2@far.example.com" })),
      'buildhosts:dockerHosts[0].docker: received "ssh://(hidden)@far.example.com"; expected unix://<path of the socket>, ssh://<user>@<host>[:<port>] or tcp://<host>:<port>.',
    ],
    [
      "ssh:// without a host key",
      one(ssh({ hostKey: undefined })),
      "buildhosts:dockerHosts[0].hostKey: missing; expected the host's public key (there: /etc/ssh/ssh_host_ed25519_key.pub), because docker is ssh://.",
    ],
    [
      "a local socket with a host key, a login and TLS",
      one(
        local({
          hostKey,
          ssh: { privateKeyFile: "id" },
          tls: { caFile: "cert.pem", certFile: "cert.pem", keyFile: "id" },
        }),
      ),
      "buildhosts:dockerHosts[0].hostKey: is about ssh://, and docker is not; remove it.",
      "buildhosts:dockerHosts[0].ssh: is about ssh://, and docker is not; remove it.",
      "buildhosts:dockerHosts[0].tls: is about tcp://, and docker is not; remove it.",
    ],
    [
      "tcp:// without TLS",
      one(tcp({ tls: undefined })),
      "buildhosts:dockerHosts[0].tls: missing; expected caFile, certFile and keyFile, all three: without them, anybody on the network can act as the daemon or become root there.",
    ],
    [
      "two parts of three",
      one(tcp({ tls: { certFile: "cert.pem", keyFile: "id" } })),
      "buildhosts:dockerHosts[0].tls.caFile: missing; expected a path.",
    ],
    [
      "files that are not there, or something else",
      one(tcp({ tls: { caFile: "no.pem", certFile: "id", keyFile: "cert.pem" } })),
      'buildhosts:dockerHosts[0].tls.caFile: received "no.pem"; the file cannot be read (ENOENT): /project/no.pem.',
      'buildhosts:dockerHosts[0].tls.certFile: received "id"; this is no certificate in PEM form, from -----BEGIN to -----END.',
      'buildhosts:dockerHosts[0].tls.keyFile: received "cert.pem"; this is no private key in PEM form, from -----BEGIN to -----END.',
    ],
    [
      "no builder",
      one(local({ builders: [] })),
      "buildhosts:dockerHosts[0].builders: received []; expected at least one builder.",
    ],
    [
      "hosts that are no list",
      { dockerHosts: {} },
      "buildhosts:dockerHosts: received {}; expected a list of Docker hosts.",
    ],
    [
      "the host's own platform, emulated",
      one(local({ emulation: ["linux/amd64"] })),
      'buildhosts:dockerHosts[0].emulation: received "linux/amd64", which is the host\'s own; remove it.',
    ],
    [
      "a bridge without root, and a place for the cache",
      w({
        image: `moby/buildkit:v0.34.2-rootless@${digest}`,
        rootless: true,
        network: "bridge",
        buildkitd: { root: "/mnt/nvme/buildkit" },
      }),
      "buildhosts:dockerHosts[0].builders[0].network: a rootless buildkitd supports only its container's network; use host.",
      "buildhosts:dockerHosts[0].builders[0].buildkitd.root: the cache is in the volume; name that by cacheVolume, or a folder of the host by cachePath.",
    ],
    [
      "a cache that is never deleted, to be deleted or protected",
      w({ adoptCache: true, removeCacheOnDelete: true, protectCache: true }),
      "buildhosts:dockerHosts[0].builders[0].protectCache: received true beside adoptCache: true, which is never deleted and not the stack's; remove one of the two.",
      "buildhosts:dockerHosts[0].builders[0].removeCacheOnDelete: received true beside adoptCache: true, which is never deleted and not the stack's; remove one of the two.",
    ],
    [
      "a cache in a folder and in a volume",
      w({ cachePath: "/mnt/nvme/buildkit", cacheVolume: "cache" }),
      'buildhosts:dockerHosts[0].builders[0].cacheVolume: received "cache" beside cachePath "/mnt/nvme/buildkit", which is never deleted and no volume; remove one of the two.',
    ],
    [
      "a folder that is none",
      w({ cachePath: "cache" }),
      'buildhosts:dockerHosts[0].builders[0].cachePath: received "cache"; expected an absolute path of the host, such as /mnt/nvme/buildkit.',
    ],
    [
      "a container's name that is kept for those that wait to come back",
      w({ containerName: "buildkitd-previous" }),
      "buildhosts:dockerHosts[0].builders[0].containerName: the container's name ends in -previous, as do the names of those that wait to come back; choose another.",
    ],
    [
      "a login without a password, and one at no registry",
      one(
        local({
          registryAuth: [
            { address: "ghcr.io", username: "alice", passwordFile: "cert.pem" },
            { address: "https://ghcr.io", username: "alice", passwordFile: "no" },
          ],
        }),
      ),
      "buildhosts:dockerHosts[0].registryAuth[1].address: received \"https://ghcr.io\"; expected a registry's host as it stands in an image's name, such as ghcr.io.",
    ],
    [
      "a login with a file that is no password",
      one(
        local({
          registryAuth: [{ address: "ghcr.io", username: "alice", passwordFile: "cert.pem" }],
        }),
      ),
      'buildhosts:dockerHosts[0].registryAuth[0].passwordFile: received "cert.pem"; expected a file with one line, the password.',
    ],
    [
      "a bridge's settings without a bridge",
      w({ buildkitd: { worker: { bridgeName: "br1" } } }),
      "buildhosts:dockerHosts[0].builders[0].buildkitd.worker.bridgeName: has no effect with network host; remove it or set network: bridge.",
    ],
    [
      "a setting of containerd's worker",
      w({ buildkitd: { worker: { namespace: "x" } } }),
      "buildhosts:dockerHosts[0].builders[0].buildkitd.worker.namespace: only the containerd worker has it, and this builder's worker is oci; remove it.",
    ],
    [
      "a far host's loopback without an endpoint",
      one(ssh({ builders: [b({ publish: { address: "127.0.0.1" } })] })),
      'buildhosts:dockerHosts[0].builders[0].publish.address: received "127.0.0.1", which no client reaches from elsewhere; name in endpoint what clients reach it by, or publish on 0.0.0.0.',
    ],
    [
      "telemetry without an endpoint",
      w({ openTelemetry: {} }),
      "buildhosts:dockerHosts[0].builders[0].openTelemetry: no endpoint; set endpoint, tracesEndpoint or metricsEndpoint.",
    ],
    [
      "limits and labels that Docker would not take",
      w({ memoryMb: 1.5, cpus: 0, labels: { "buildhosts.builder": "x" }, restart: "never" }),
      'buildhosts:dockerHosts[0].builders[0].restart: received "never"; expected one of no, on-failure, unless-stopped, always.',
      "buildhosts:dockerHosts[0].builders[0].memoryMb: received 1.5; expected a whole number of megabytes from 64.",
      "buildhosts:dockerHosts[0].builders[0].cpus: received 0; expected a number of processors from 0.01, such as 1.5.",
      'buildhosts:dockerHosts[0].builders[0].labels["buildhosts.builder"]: received "buildhosts.builder"; expected a label\'s name that does not start with buildhosts.',
    ],
    [
      "two builders of one name, on one port",
      one(local({ builders: [b(), b()] })),
      'buildhosts:dockerHosts[0].builders[1].name: received "builder", which dockerHosts[0].builders[0] has already; choose another.',
      "buildhosts:dockerHosts[0].builders[1].publish.port: received 1234, which dockerHosts[0].builders[0] has already; choose another.",
    ],
    [
      "a board's name, and a host twice",
      {
        ssh: { privateKeyFile: "id" },
        boards: [{ name: "builder", host: "a.example.com", hostKey, platform: "riscv64" }],
        dockerHosts: [
          local(),
          local({ builders: [b({ name: "other", publish: { port: 1235 } })] }),
        ],
      },
      'buildhosts:dockerHosts[0].builders[0].name: received "builder", which boards[0] has already; choose another.',
      'buildhosts:dockerHosts[1].name: received "here", which dockerHosts[0] has already; choose another.',
      'buildhosts:dockerHosts[1].docker: received "unix:///var/run/docker.sock", which dockerHosts[0] has already; name the builders of one host in one entry.',
    ],
    [
      "a Docker host twice, however its socket is written",
      {
        dockerHosts: [
          local(),
          local({
            name: "again",
            docker: "unix:///run/docker.sock",
            builders: [b({ name: "other", publish: { port: 1235 } })],
          }),
        ],
      },
      'buildhosts:dockerHosts[1].docker: received "unix:///run/docker.sock", which dockerHosts[0] has already; name the builders of one host in one entry.',
    ],
    [
      "a Docker host twice, however SSH is told",
      {
        dockerHosts: [
          ssh({ docker: "ssh://root@far.example.com" }),
          ssh({
            name: "again",
            docker: "ssh://builder@FAR.example.com:22",
            builders: [b({ name: "other", publish: { port: 1235 } })],
          }),
        ],
      },
      'buildhosts:dockerHosts[1].docker: received "ssh://(hidden)@FAR.example.com:22", which dockerHosts[0] has already; name the builders of one host in one entry.',
    ],
    [
      "one endpoint for a board and a container",
      {
        ssh: { privateKeyFile: "id" },
        boards: [{ name: "board", host: "far.example.com", hostKey, platform: "riscv64" }],
        dockerHosts: [ssh({ docker: "ssh://root@FAR.example.com" })],
      },
      'buildhosts:dockerHosts[0].builders[0].endpoint: received "tcp://FAR.example.com:1234", which boards[0] has already; clients could not tell the two apart.',
    ],
    [
      "one endpoint for two containers, as a name and as an address",
      {
        dockerHosts: [
          local(),
          ssh({ builders: [b({ name: "other", endpoint: "tcp://[::1]:1234" })] }),
        ],
      },
      'buildhosts:dockerHosts[1].builders[0].endpoint: received "tcp://[::1]:1234", which dockerHosts[0].builders[0] has already; clients could not tell the two apart.',
    ],
    [
      "an image with root for a builder without",
      w({ rootless: true }),
      `buildhosts:dockerHosts[0].builders[0].image: received "${image.slice(0, 79)}…, whose daemon needs root, and rootless is true; take moby/buildkit:v0.34.2-rootless with its own digest, or remove rootless.`,
    ],
    [
      "an image without root for a builder with it",
      w({ image: "docker.io/moby/buildkit:rootless" }),
      'buildhosts:dockerHosts[0].builders[0].image: received "docker.io/moby/buildkit:rootless", whose daemon has no root, and rootless is false; take docker.io/moby/buildkit:latest with its own digest, or set rootless: true.',
    ],
    [
      "an image that no tag calls rootless for a builder without root",
      w({ image: "moby/buildkit", rootless: true }),
      'buildhosts:dockerHosts[0].builders[0].image: received "moby/buildkit", whose daemon needs root, and rootless is true; take moby/buildkit:rootless with its own digest, or remove rootless.',
    ],
    [
      "a bridge that the image does not know",
      w({ image: "moby/buildkit:v0.12.5", network: "bridge" }),
      'buildhosts:dockerHosts[0].builders[0].image: received "moby/buildkit:v0.12.5"; network bridge exists since v0.13.0: take a newer one, or network: host.',
    ],
    [
      "a proxy on the container's own loopback",
      w({ proxies: { http: "http://127.0.0.1:3128", https: "http://localhost:3128" } }),
      'buildhosts:dockerHosts[0].builders[0].proxies.http: received "http://127.0.0.1:3128"; the container\'s loopback is its own, where no proxy listens: name an address of the host, or set networks: [host].',
      'buildhosts:dockerHosts[0].builders[0].proxies.https: received "http://localhost:3128"; the container\'s loopback is its own, where no proxy listens: name an address of the host, or set networks: [host].',
    ],
    [
      "name servers and a proxy that the bridge keeps steps from",
      w({
        network: "bridge",
        proxies: { http: "http://10.10.0.9:3128" },
        buildkitd: { dns: { nameservers: ["127.0.0.11"] } },
      }),
      "buildhosts:dockerHosts[0].builders[0].buildkitd.worker.bridgeSubnet: proxies.http, 10.10.0.9, is in the bridge's network 10.10.0.0/16, so the daemon would look for it among the RUN steps; choose a network that is free there.",
      'buildhosts:dockerHosts[0].builders[0].buildkitd.dns.nameservers[0]: received "127.0.0.11", which is on loopback, where a RUN step on the bridge finds itself alone; name an IPv4 address of the network.',
    ],
    [
      "certificates of a registry that cannot be read",
      w({ registryCertificates: { "registry.lan": { caFile: "none.pem" }, registry: {} } }),
      "buildhosts:dockerHosts[0].builders[0].registryCertificates.registry: no image is looked up there: without a dot or a port, registry/image is an image of Docker Hub; write the host in full, or with its port.",
      'buildhosts:dockerHosts[0].builders[0].registryCertificates["registry.lan"].caFile: received "none.pem"; the file cannot be read (ENOENT): /project/none.pem.',
      "buildhosts:dockerHosts[0].builders[0].registryCertificates.registry: names no file; set caFile, or certFile and keyFile, or remove it.",
    ],
    [
      "files that are in no container",
      w({
        buildkitd: {
          provenanceEnvDir: "/srv/provenance.d",
          cdi: { specDirs: ["/etc/cdi"] },
          registry: {
            "registry.lan": {
              ca: ["/etc/ssl/certs/ca-certificates.crt", "/etc/buildkit/registry-ca.pem"],
              keypair: [{ key: "/k.pem", cert: "/c.pem" }],
              tlsconfigdir: ["/etc/docker/certs.d/registry.lan"],
            },
          },
        },
      }),
      ...[
        ['registry["registry.lan"].ca[1]', "/etc/buildkit/registry-ca.pem"],
        ['registry["registry.lan"].keypair[0].cert', "/c.pem"],
        ['registry["registry.lan"].keypair[0].key', "/k.pem"],
        ['registry["registry.lan"].tlsconfigdir[0]', "/etc/docker/certs.d/registry.lan"],
      ].map(
        ([path, file]) =>
          `buildhosts:dockerHosts[0].builders[0].buildkitd.${path}: received "${file}", which is not in BuildKit's image, and nothing puts it into the container; name files of this machine in registryCertificates["registry.lan"].`,
      ),
      ...[
        ["provenanceEnvDir", "/srv/provenance.d"],
        ["cdi.specDirs[0]", "/etc/cdi"],
      ].map(
        ([path, file]) =>
          `buildhosts:dockerHosts[0].builders[0].buildkitd.${path}: received "${file}", which is not in BuildKit's image, and nothing puts it into the container; remove it, or have it in an image of your own.`,
      ),
    ],
    [
      "what Docker has and a builder has otherwise, or not at all",
      w({
        gpus: "all",
        volumes: ["/etc/ssl/certs:/etc/ssl/certs:ro"],
        metrics: {},
        extraHosts: ["registry.lan:192.0.2.1"],
        env: {},
        ports: [],
        cacheVolume: "/mnt/nvme/buildkit",
      }),
      'buildhosts:dockerHosts[0].builders[0].cacheVolume: received "/mnt/nvme/buildkit"; expected a volume\'s name of letters, digits and _.- that starts with a letter or digit; a folder of the host is named by cachePath.',
      ...[
        [
          "gpus",
          "a container gets no devices of its host; a board can hand them to builds by buildkitd.cdi, so make the machine one of buildhosts:boards",
        ],
        [
          "volumes",
          "a container has its cache alone, in the volume of cacheVolume or the host's folder of cachePath; certificates of registries come by registryCertificates",
        ],
        [
          "metrics",
          "a container publishes the daemon's port alone, and metrics have no authentication; send them by openTelemetry.metricsEndpoint",
        ],
        [
          "extraHosts",
          "build steps read names from DNS alone; name a server that knows them in buildkitd.dns.nameservers",
        ],
        ["env", "write proxies or openTelemetry, which become its environment"],
        ["ports", "write publish"],
      ].map(
        ([key, reason]) =>
          `buildhosts:dockerHosts[0].builders[0].${key}: not a key here: ${reason}.`,
      ),
    ],
    [
      "one volume for two builders",
      one(
        local({
          builders: [
            b({ cacheVolume: "cache" }),
            b({ name: "b", cacheVolume: "cache", publish: { port: 1235 } }),
          ],
        }),
      ),
      'buildhosts:dockerHosts[0].builders[1].cacheVolume: received "cache", which dockerHosts[0].builders[0] has already; choose another.',
    ],
    [
      "an image reference with a tag cut off",
      w({ image: "moby/buildkit@sha256:abc" }),
      'buildhosts:dockerHosts[0].builders[0].image: received "moby/buildkit@sha256:abc"; expected an image reference, such as moby/buildkit:v0.34.2@sha256:<digest>.',
    ],
  ])("%s", (_, stack, ...lines) => {
    expect(problemsOf(stack)).toEqual(lines);
  });

  test("an environment that the provider would follow instead of the stack", () => {
    const environment = { DOCKER_CONTEXT: "other", DOCKER_HOST: "tcp://elsewhere:2375" };
    expect(problemsOf(one(local()), environment)).toEqual([
      "buildhosts:dockerHosts: the environment sets DOCKER_CONTEXT, and Pulumi's docker provider would follow that instead of the stack; run: unset DOCKER_CONTEXT",
    ]);
    expect(problemsOf(one(local()), { DOCKER_HOST: "tcp://elsewhere:2375" })).toEqual([]);
  });
});

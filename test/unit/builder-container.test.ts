import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "smol-toml";
import { afterAll, describe, expect, test } from "vitest";
import { withDocker } from "../../components/container/client.ts";
import { containerFiles } from "../../components/container/files.ts";
import { plainText, tellingLines } from "../../components/container/handOver.ts";
import { failureLine } from "../../components/container/hooks.ts";
import { isForgottenAtBoot } from "../../components/container/podman.ts";
import {
  BuilderContainer,
  type BuilderContainerArgs,
  HostEmulation,
} from "../../components/index.ts";
import { docker } from "../../proving-ground/plugins/docker/plugin.ts";
import type { PropertyMap } from "../../proving-ground/plugins/provider/values.ts";
import { type Registered, settled, underMocks } from "./pulumiMocks.ts";

/** The SDK's mark of a secret among serialised inputs. */
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

const folder = mkdtempSync(join(tmpdir(), "buildhosts-container-"));
afterAll(() => rmSync(folder, { recursive: true }));

const certificate = {
  certPem: "CERT",
  privateKeyPem: "SERVER KEY",
  validityStartTime: "2026-01-01T00:00:00Z",
  validityEndTime: "2026-04-01T00:00:00Z",
};

const args: BuilderContainerArgs = {
  connection: { url: "unix:///var/run/docker.sock" },
  image: "moby/buildkit:v0.34.2",
  platform: "linux/amd64",
  caCertPem: "CA",
  certificate,
  serverName: "docker-1.example.com",
};

/** What says whose they are. */
const marks = [
  { label: "buildhosts.builder", value: "docker-1" },
  { label: "buildhosts.stack", value: "buildhosts/test" },
];

const make = (more: Partial<BuilderContainerArgs> = {}) =>
  underMocks(() => new BuilderContainer("docker-1", { ...args, ...more }));

/** The inputs of the container, when the component has these arguments. */
async function containerOf(more: Partial<BuilderContainerArgs> = {}) {
  return (await make(more)).mocks.inputs("docker-1-container");
}

describe("BuilderContainer", () => {
  test("is an image, a volume and a container by a provider of its own", async () => {
    const { mocks, result } = await make();
    expect(mocks.names()).toEqual([
      "buildhosts:index:BuilderContainer docker-1",
      "docker:index/container:Container docker-1-container",
      "docker:index/remoteImage:RemoteImage docker-1-image",
      "docker:index/volume:Volume docker-1-cache",
      "pulumi:providers:docker docker-1-docker",
    ]);
    expect(mocks.inputs("docker-1-image")).toEqual({
      name: "moby/buildkit:v0.34.2",
      keepLocally: true,
    });
    expect(mocks.inputs("docker-1-cache")).toEqual({ name: "docker-1-cache", labels: marks });
    expect((await settled(result.endpoint)).value).toBe("tcp://docker-1.example.com:1234");
    expect((await settled(result.platforms)).value).toEqual(["linux/amd64"]);
  });

  test("runs the very image that was pulled, with the whole of its configuration", async () => {
    const { uploads: _, ...inputs } = await containerOf();
    expect(inputs).toEqual({
      name: "docker-1",
      image: "sha256 of docker-1-image",
      command: ["--config", "/etc/buildkit/buildkitd.toml"],
      privileged: true,
      volumes: [{ volumeName: "docker-1-cache", containerPath: "/var/lib/buildkit" }],
      ports: [{ internal: 1234, external: 1234, ip: "0.0.0.0" }],
      envs: [],
      labels: marks,
      restart: "unless-stopped",
      destroyGraceSeconds: 30,
      healthcheck: {
        tests: [
          "CMD",
          "buildctl",
          "--addr",
          "unix:///run/buildkit/buildkitd.sock",
          "debug",
          "workers",
        ],
        interval: "30s",
        timeout: "10s",
        startPeriod: "2m0s",
        retries: 3,
      },
      wait: true,
      waitTimeout: 120,
    });
  });

  test("hands its arguments on", async () => {
    expect(
      await containerOf({
        containerName: "buildkitd",
        publish: { address: "192.0.2.1", port: 8443 },
        restart: "always",
        memoryMb: 2048,
        cpus: 1.5,
        labels: { team: "lab" },
        networks: ["builders"],
        environment: { OTEL_SERVICE_NAME: "builder", OTEL_EXPORTER_OTLP_ENDPOINT: "http://o:4317" },
        startSeconds: 300,
      }),
    ).toMatchObject({
      name: "buildkitd",
      ports: [{ internal: 1234, external: 8443, ip: "192.0.2.1" }],
      restart: "always",
      memory: 2048,
      memorySwap: -1,
      cpus: "1.5",
      labels: [...marks, { label: "team", value: "lab" }],
      networksAdvanced: [{ name: "builders" }],
      envs: ["OTEL_EXPORTER_OTLP_ENDPOINT=http://o:4317", "OTEL_SERVICE_NAME=builder"],
      waitTimeout: 300,
    });
  });

  test.each([
    [0.5, "0.5"],
    [2, "2.0"],
    [10, "10."],
  ])("limits it to %d processors in the provider's own words", async (cpus, limit) => {
    expect(await containerOf({ cpus })).toMatchObject({ cpus: limit });
  });

  test("without root has exactly the security options that it needs, and its image's places", async () => {
    const inputs = await containerOf({ rootless: true });
    expect(inputs.privileged).toBeUndefined();
    expect(inputs.securityOpts).toEqual([
      "apparmor=unconfined",
      "seccomp=unconfined",
      "systempaths=unconfined",
    ]);
    expect(inputs.volumes).toEqual([
      { volumeName: "docker-1-cache", containerPath: "/home/user/.local/share/buildkit" },
    ]);
    expect(JSON.stringify(inputs.healthcheck)).toContain(
      "unix:///run/user/1000/buildkit/buildkitd.sock",
    );
  });

  test("is healthy only if buildkitd offers what the host emulates", async () => {
    const { mocks, result } = await make({ emulated: ["linux/riscv64", "linux/arm64"] });
    expect(mocks.inputs("docker-1-container").healthcheck).toMatchObject({
      tests: [
        "CMD-SHELL",
        expect.stringMatching(
          /^w=\$\(buildctl --addr unix:\/\/\/run\/buildkit\/buildkitd\.sock debug workers\) && /,
        ),
      ],
    });
    expect((await settled(result.platforms)).value).toEqual([
      "linux/amd64",
      "linux/riscv64",
      "linux/arm64",
    ]);
  });

  test.each([
    ["both", "linux/amd64,linux/riscv64,linux/arm64", 0, ""],
    ["one of them", "linux/amd64,linux/riscv64", 1, "buildkitd does not offer linux/arm64\n"],
    ["nothing, because it does not answer", undefined, 1, ""],
  ])("its health check says so where buildkitd offers %s", async (_, offered, status, stdout) => {
    const { healthcheck } = await containerOf({ emulated: ["linux/riscv64", "linux/arm64"] });
    const [kind, command] = (healthcheck as { tests: [string, string] }).tests;
    expect(kind).toBe("CMD-SHELL");
    const bin = mkdtempSync(join(folder, "bin-"));
    const says = offered === undefined ? "exit 1" : `echo 'abc123 ${offered}'`;
    writeFileSync(join(bin, "buildctl"), `#!/bin/sh\n${says}\n`, { mode: 0o755 });
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const check = spawnSync("sh", ["-c", command], { env, encoding: "utf8" });
    expect(check).toMatchObject({ status, stdout });
  });

  test.each([
    [10, "5s", "10s"],
    [28, "7s", "28s"],
    [60, "15s", "1m0s"],
    [119, "29s", "1m59s"],
    [3600, "30s", "1h0m0s"],
  ])(
    "that has %d s to start is asked in time for that: every %s",
    async (startSeconds, interval, startPeriod) => {
      const { healthcheck } = await containerOf({ startSeconds });
      expect(healthcheck).toMatchObject({ interval, startPeriod });
    },
  );

  test("that runs is not replaced for being asked less often, but for being asked something else", async () => {
    const { mocks } = await make();
    const { uploads: _, ...inputs } = mocks.inputs("docker-1-container") as PropertyMap;
    const options = mocks.options.get("docker-1-container");
    const standIn = docker().resources["docker:index/container:Container"];
    const checked = (news: PropertyMap) =>
      standIn?.check(news, { name: "c", olds: {} }).inputs ?? {};
    /** What an update would do to a container that was made with that health check. */
    const diff = (former: object) => {
      const healthcheck = { ...(inputs.healthcheck as PropertyMap), ...former };
      const old = checked({ ...inputs, healthcheck });
      const news = ignoring(old, checked(inputs), options?.ignoreChanges ?? []);
      return standIn?.diff({ id: "c0ffee", inputs: old, state: old }, news).changes;
    };
    // What the releases before this one gave.
    const frequent = { interval: "10s", startPeriod: "30s" };
    expect(diff(frequent)).toEqual(new Map([...NEVER_MADE]));
    const another = diff({ ...frequent, tests: ["CMD", "true", "", "", "", ""] });
    expect([...(another?.keys() ?? [])].filter((path) => !NEVER_MADE.has(path))).toEqual([
      "healthcheck.tests[1]",
      "healthcheck.tests[2]",
      "healthcheck.tests[3]",
      "healthcheck.tests[4]",
      "healthcheck.tests[5]",
    ]);
    expect(options?.replaceOnChanges).toEqual(["healthcheck", "init"]);
  });

  test("keys and certificates are secret uploads, and in nothing else", async () => {
    const { uploads, ...rest } = await containerOf();
    // The SDK's mocks know no secret inside of a list: one makes all of it secret.
    const secret = uploads as Record<string, unknown>;
    const files = secret.value as { file: string; content: string; permissions: string }[];
    expect(Object.values(secret)).toContain(SECRET);
    expect(files.map(({ file, permissions }) => `${file} ${permissions}`)).toEqual([
      "/etc/buildkit/buildkitd.toml 0600",
      "/etc/buildkit/ca.pem 0600",
      "/etc/buildkit/cert.pem 0600",
      "/etc/buildkit/key.pem 0600",
    ]);
    expect(files.slice(1).map(({ content }) => content)).toEqual(["CA", "CERT", "SERVER KEY"]);
    expect(JSON.stringify(rest)).not.toMatch(/KEY|CERT/);
  });

  test("has the caller's files beside its own, and their contents are secret", async () => {
    const { uploads, ...rest } = await containerOf({
      files: [
        { path: "/etc/buildkit/registry-ca.pem", content: "REGISTRY CA" },
        { path: "/etc/ssl/certs/ca-certificates.crt", content: "BUNDLE", isPublic: true },
      ],
    });
    const secret = uploads as Record<string, unknown>;
    const files = secret.value as { file: string; content: string; permissions: string }[];
    expect(Object.values(secret)).toContain(SECRET);
    expect(files.slice(4)).toEqual([
      { file: "/etc/buildkit/registry-ca.pem", content: "REGISTRY CA", permissions: "0600" },
      { file: "/etc/ssl/certs/ca-certificates.crt", content: "BUNDLE", permissions: "0644" },
    ]);
    expect(JSON.stringify(rest)).not.toMatch(/REGISTRY CA|BUNDLE/);
  });

  test.each([
    ["ca.pem", "expected the absolute path of a file in the container"],
    ["/etc/../ca.pem", "expected the absolute path of a file in the container"],
    ["/etc/certs/", "expected the absolute path of a file in the container"],
    ["/etc/buildkit/key.pem", "which the container has already; choose another"],
    ["/etc/first.pem", "which the container has already; choose another"],
  ])("has no file of the caller's at %s", async (path, fault) => {
    const files = [
      { path: "/etc/first.pem", content: "1" },
      { path, content: "2" },
    ];
    await expect(make({ files })).rejects.toThrow(`docker-1: files[1].path is '${path}'; ${fault}`);
  });

  test("has an init where that is asked for", async () => {
    expect(await containerOf({ init: true })).toMatchObject({ init: true });
    expect(await containerOf()).not.toHaveProperty("init");
  });

  test("a new version changes the image and the container, and nothing else", async () => {
    const before = await make();
    const after = await make({ image: "moby/buildkit:v0.34.1" });
    // Of the container the mocks see nothing: its image is what the pull brings.
    expect(changed(before.mocks.registered, after.mocks.registered)).toEqual(["docker-1-image"]);
  });

  test.each<[string, Partial<BuilderContainerArgs>]>([
    ["a renewed certificate", { certificate: { ...certificate, certPem: "NEW" } }],
    ["another port", { publish: { port: 1235 } }],
    ["another limit", { memoryMb: 512 }],
  ])("%s changes the container and nothing else", async (_, more) => {
    const before = await make();
    const after = await make(more);
    expect(changed(before.mocks.registered, after.mocks.registered)).toEqual([
      "docker-1-container",
    ]);
  });

  test("a changed setting changes the container, and the component says which: the container's files are secret", async () => {
    const before = await make();
    const after = await make({ buildkitd: { log: { level: "debug" } } });
    expect(changed(before.mocks.registered, after.mocks.registered)).toEqual([
      "docker-1",
      "docker-1-container",
    ]);
    const component = after.mocks.registered.find(({ name }) => name === "docker-1");
    expect(component?.inputs).toEqual({ buildkitd: { log: { level: "debug" } } });
  });

  test.each<[Partial<BuilderContainerArgs>, object]>([
    [{}, {}],
    [{ buildkitd: {}, rootless: false, removeCacheOnDelete: false }, {}],
    [
      { rootless: true, removeCacheOnDelete: true },
      { rootless: true, removeCacheOnDelete: true },
    ],
  ])("of the arguments %j, the component shows what is not as by default", async (more, shown) => {
    const { mocks } = await make(more);
    expect(mocks.registered.find(({ name }) => name === "docker-1")?.inputs).toEqual(shown);
  });

  test.each<[string, Partial<BuilderContainerArgs>, object]>([
    [
      "a volume that was there before",
      { cacheVolume: "theirs", adoptCache: true },
      { volumeName: "theirs", containerPath: "/var/lib/buildkit" },
    ],
    [
      "a folder of the host",
      { cachePath: "/mnt/nvme/buildkit" },
      { hostPath: "/mnt/nvme/buildkit", containerPath: "/var/lib/buildkit" },
    ],
  ])("has its cache in %s, which is no resource that could be deleted", async (_, more, volume) => {
    const { mocks } = await make(more);
    expect(mocks.names().filter((name) => name.includes("Volume"))).toEqual([]);
    expect(mocks.inputs("docker-1-container").volumes).toEqual([volume]);
  });

  test.each<[Partial<BuilderContainerArgs>, string]>([
    [
      { adoptCache: true, removeCacheOnDelete: true },
      "docker-1: removeCacheOnDelete is true beside adoptCache: true, which is never deleted and not the stack's; remove one of the two",
    ],
    [
      { cachePath: "/mnt/cache", cacheVolume: "v" },
      "docker-1: cacheVolume is v beside cachePath '/mnt/cache', which is never deleted and no volume; remove one of the two",
    ],
    [
      { cachePath: "cache" },
      "docker-1: cachePath is 'cache'; expected an absolute path of the host, or cacheVolume for the name of a volume",
    ],
  ])("does not keep its cache by %j", async (more, message) => {
    await expect(make(more)).rejects.toThrow(message);
  });

  test("makes what takes a place before it deletes what had it, the cache above all", async () => {
    const { mocks } = await make();
    // The official plugin would delete first, because each has its name from here.
    for (const role of ["cache", "container"]) {
      expect(mocks.options.get(`docker-1-${role}`)).toMatchObject({ deleteBeforeReplace: false });
    }
  });

  test.each<[string, BuilderContainerArgs["connection"], string]>([
    [
      "ssh:// without a host key",
      { url: "ssh://root@docker-1" },
      "docker-1: ssh://root@docker-1 needs hostKey, the host's public key; the host has it in /etc/ssh/ssh_host_ed25519_key.pub",
    ],
    [
      "tcp:// without TLS",
      { url: "tcp://docker-1:2375" },
      "docker-1: tcp://docker-1:2375 needs tls with caCertPem, certPem and privateKeyPem; without it, anybody on the network can act as the daemon or become root there",
    ],
    [
      "anything else",
      { url: "docker-1" },
      "docker-1: url is 'docker-1'; expected unix://<path>, ssh://<user>@<host> or tcp://<host>:<port>",
    ],
  ])("%s is refused", async (_, connection, message) => {
    await expect(make({ connection })).rejects.toThrow(message);
  });

  test("proxies that the script of build steps could not hand on are refused", async () => {
    await expect(make({ environment: { HTTP_PROXY: 'http://a"b' } })).rejects.toThrow(
      "docker-1: environment.HTTP_PROXY has a quote, a backslash or a blank; write it without",
    );
  });
});

describe("the connection", () => {
  test("by SSH is checked strictly, and the state has no key and no path of this machine", async () => {
    const sshFolder = join(folder, "ssh");
    const { mocks } = await make({
      connection: {
        url: "ssh://builder@[2001:db8::1]:2222",
        hostKey: "ssh-ed25519 AAAA",
        privateKey: "PRIVATE KEY",
        sshFolder,
      },
    });
    const provider = mocks.registered.find(({ type }) => type === "pulumi:providers:docker");
    expect(provider?.inputs).toEqual({
      host: "ssh://builder@[2001:db8::1]:2222",
      sshOpts: JSON.stringify(["-F", `${sshFolder}/ssh_config`]),
    });
    const text = (file: string) => readFileSync(join(sshFolder, file), "utf8");
    expect(text("known_hosts")).toBe("[2001:db8::1]:2222 ssh-ed25519 AAAA\n");
    expect(text("id")).toBe("PRIVATE KEY\n");
    expect(text("ssh_config").split("\n")).toEqual([
      "# Written by buildhosts at each run.",
      `UserKnownHostsFile "${sshFolder}/known_hosts"`,
      "GlobalKnownHostsFile /dev/null",
      "StrictHostKeyChecking yes",
      "HostKeyAlgorithms ssh-ed25519",
      "BatchMode yes",
      "ConnectTimeout 20",
      "ServerAliveInterval 15",
      "ServerAliveCountMax 4",
      `IdentityFile "${sshFolder}/id"`,
      "IdentitiesOnly yes",
      "IdentityAgent none",
      "",
    ]);
    expect(text(".gitignore")).toBe("*\n");
    for (const file of ["known_hosts", "id", "ssh_config"]) {
      expect(statSync(join(sshFolder, file)).mode & 0o777).toBe(0o600);
    }
  });

  test("by SSH leaves no key of before, where the agent has it now", async () => {
    const sshFolder = join(folder, "to-agent");
    const connection = {
      url: "ssh://root@192.0.2.1",
      hostKey: "ssh-ed25519 AAAA",
      sshFolder,
    };
    await make({ connection: { ...connection, privateKey: "PRIVATE KEY" } });
    expect(readFileSync(join(sshFolder, "id"), "utf8")).toBe("PRIVATE KEY\n");
    await make({ connection });
    expect(readdirSync(sshFolder).sort()).toEqual([".gitignore", "known_hosts", "ssh_config"]);
    expect(readFileSync(join(sshFolder, "ssh_config"), "utf8")).not.toContain("IdentityFile");
  });

  test("has logins at registries, which are secrets", async () => {
    const registryAuth = [{ address: "ghcr.io", username: "alice", password: "let me in" }];
    const { mocks } = await make({ connection: { ...args.connection, registryAuth } });
    const provider = mocks.registered.find(({ type }) => type === "pulumi:providers:docker");
    const secret = provider?.inputs.registryAuth as Record<string, unknown>;
    expect(Object.values(secret)).toEqual(
      expect.arrayContaining([SECRET, JSON.stringify(registryAuth)]),
    );
  });

  test("over TLS keeps the key a secret", async () => {
    const { mocks } = await make({
      connection: {
        url: "tcp://docker-1:2376",
        tls: { caCertPem: "CA", certPem: "CERT", privateKeyPem: "TLS KEY" },
      },
    });
    const provider = mocks.registered.find(({ type }) => type === "pulumi:providers:docker");
    expect(provider?.inputs).toMatchObject({
      host: "tcp://docker-1:2376",
      caMaterial: "CA",
      certMaterial: "CERT",
    });
    expect(JSON.stringify(provider?.inputs.keyMaterial)).toContain(SECRET);
  });
});

describe("the files in a container", () => {
  const base = { network: "host", rootless: false, proxies: false, settings: {} } as const;

  test("make buildkitd listen with mutual TLS and on its socket", () => {
    const [toml, ...others] = containerFiles(base);
    expect(others).toEqual([]);
    expect(parse(toml?.content ?? "")).toEqual({
      root: "/var/lib/buildkit",
      grpc: {
        address: ["tcp://0.0.0.0:1234", "unix:///run/buildkit/buildkitd.sock"],
        tls: {
          ca: "/etc/buildkit/ca.pem",
          cert: "/etc/buildkit/cert.pem",
          key: "/etc/buildkit/key.pem",
        },
      },
      worker: {
        oci: { enabled: true, networkMode: "host" },
        containerd: { enabled: false },
      },
    });
  });

  test("can be read by a daemon without root", () => {
    const [toml] = containerFiles({ ...base, rootless: true });
    expect(toml?.permissions).toBe("0644");
    expect(parse(toml?.content ?? "")).toMatchObject({
      root: "/home/user/.local/share/buildkit",
      worker: { oci: { rootless: true } },
    });
  });

  test("put a script before runc where build steps have proxies", () => {
    const files = containerFiles({ ...base, proxies: true });
    expect(files.map(({ file, permissions }) => [file, permissions])).toEqual([
      ["/etc/buildkit/buildkitd.toml", "0600"],
      ["/etc/buildkit/runc-with-proxies", "0755"],
    ]);
    expect(parse(files[0]?.content ?? "")).toMatchObject({
      worker: { oci: { binary: "/etc/buildkit/runc-with-proxies" } },
    });
  });
});

describe("the script before runc", () => {
  const script = join(import.meta.dirname, "../../components/container/runc-with-proxies.sh");

  /** What is in a step's environment after the script, and what runc was called with. */
  function step(environment: Record<string, string>, own: string[], ...words: string[]) {
    const bin = join(folder, "bin");
    const bundle = join(folder, "bundle");
    for (const path of [bin, bundle]) mkdirSync(path, { recursive: true });
    writeFileSync(join(bin, "buildkit-runc"), '#!/bin/sh\nprintf "%s\\n" "$@"\n');
    chmodSync(join(bin, "buildkit-runc"), 0o755);
    const config = join(bundle, "config.json");
    const args = ["/bin/sh", "-c", 'echo \'{"x":1,"env":["A=1"]}\''];
    writeFileSync(
      config,
      JSON.stringify({ process: { user: { uid: 0 }, args, env: own, cwd: "/" } }),
    );
    const output = execFileSync("sh", [script, ...words, "--bundle", bundle, "id"], {
      env: { PATH: `${bin}:${process.env.PATH}`, ...environment },
      encoding: "utf8",
    });
    const { process: made } = JSON.parse(readFileSync(config, "utf8"));
    expect(made.args).toEqual(args);
    return { env: made.env as string[], called: output.trim().split("\n"), bundle };
  }

  test("adds what the daemon has, in both cases, and calls runc as it was called", () => {
    const environment = { HTTP_PROXY: "http://p:1/a&b|c", no_proxy: ".lan,10.0.0.0/8" };
    const { env, called, bundle } = step(environment, ["PATH=/bin"], "--log", "x", "run");
    expect(env).toEqual([
      "NO_PROXY=.lan,10.0.0.0/8",
      "no_proxy=.lan,10.0.0.0/8",
      "HTTP_PROXY=http://p:1/a&b|c",
      "http_proxy=http://p:1/a&b|c",
      "PATH=/bin",
    ]);
    expect(called).toEqual(["--log", "x", "run", "--bundle", bundle, "id"]);
  });

  test.each(["HTTP_PROXY=", "http_proxy=http://own:1"])(
    "leaves what the client, the image or the Dockerfile has set: %s",
    (own) => {
      const { env } = step({ HTTP_PROXY: "http://p:1" }, ["PATH=/bin", own], "run");
      expect(env).toEqual(["PATH=/bin", own]);
    },
  );
});

describe("HostEmulation", () => {
  const emulation = {
    connection: { url: "unix:///var/run/docker.sock" },
    platforms: ["linux/riscv64", "linux/arm/v7"],
    image: "tonistiigi/binfmt:qemu-v10.2.3",
  };

  test("the end of a container's log is shown without the stack traces in it", () => {
    const trace = [
      "github.com/moby/buildkit/cmd/buildkitd/main.go:495",
      "runtime.main",
      "\truntime/proc.go:290",
      "runtime.goexit",
      "\truntime/asm_riscv64.s:630",
    ];
    const log = ["starting", "buildkitd: no such snapshotter", "main.main", ...trace, ""].join(
      "\n",
    );
    expect(tellingLines(log.repeat(2))).toEqual([
      "starting",
      "buildkitd: no such snapshotter",
      "starting",
      "buildkitd: no such snapshotter",
    ]);
    const long = Array.from({ length: 30 }, (_, index) => `line ${index}`).join("\n");
    expect(tellingLines(long)).toHaveLength(10);
    expect(tellingLines(long).at(-1)).toBe("line 29");
  });

  test("is one privileged container that ends by itself", async () => {
    const { mocks } = await underMocks(() => new HostEmulation("here-emulation", emulation));
    expect(mocks.names()).toEqual([
      "buildhosts:index:HostEmulation here-emulation",
      "docker:index/container:Container here-emulation-container",
      "docker:index/remoteImage:RemoteImage here-emulation-image",
      "pulumi:providers:docker here-emulation-docker",
    ]);
    expect(mocks.inputs("here-emulation-container")).toEqual({
      name: "here-emulation",
      image: "sha256 of here-emulation-image",
      command: ["--install", "riscv64,arm"],
      privileged: true,
      volumes: [
        {
          hostPath: "/proc/sys/fs/binfmt_misc",
          containerPath: "/mnt/binfmt_misc",
          readOnly: true,
        },
      ],
      attach: true,
      logs: true,
      mustRun: false,
      restart: "no",
    });
  });

  test("of another image leaves its host's builders as they are in a preview", async () => {
    const { mocks } = await underMocks(
      () => {
        const { platforms } = new HostEmulation("here-emulation", emulation);
        return new BuilderContainer("docker-1", { ...args, emulated: platforms });
      },
      { preview: true },
    );
    expect(mocks.inputs("docker-1-container").healthcheck).toMatchObject({
      tests: ["CMD-SHELL", expect.stringContaining("linux/riscv64")],
    });
  });
});

test.each([
  ["4.3.1", "unless-stopped", true],
  ["5.4.2", "unless-stopped", true],
  ["5.8.1", "unless-stopped", true],
  ["5.8.2", "unless-stopped", false],
  ["6.0.0-dev", "unless-stopped", false],
  ["5.4.2", "always", false],
  ["5.4.2", "no", false],
])(
  "Podman %s leaves a container that restarts %s alone at boot: %s",
  (version, restart, forgets) => {
    expect(isForgottenAtBoot(version, restart)).toBe(forgets);
  },
);

describe("a failed update says in its last line", () => {
  const never = { log: [], state: "not started: ", hasStarted: false, container: "buildkitd" };
  const ran = { ...never, hasStarted: true, state: "running, unhealthy" };
  const denied = "OCI runtime create failed: operation not permitted";
  const say = (
    error: string,
    outcome: Parameters<typeof failureLine>[2],
    rootless = false,
  ): string => failureLine("docker-1", error, outcome, { rootless, startSeconds: 120 });

  test.each<[string, string, Parameters<typeof failureLine>[2], string]>([
    [
      "what runs again",
      "container failed to be in healthy state",
      { ...ran, log: ["buildkitd: bad config"], previous: "healthy" },
      "  buildkitd: bad config\ndocker-1: the new container was not healthy after 120 s (running, unhealthy); what ran before runs again and is healthy",
    ],
    [
      "that the port is taken",
      "Unable to start container: Bind for 0.0.0.0:1234 failed: port is already allocated",
      { ...never, previous: "none" },
      "docker-1: the new container could not be started: the port is taken on the host; stop what has it, or choose another publish.port; nothing ran before, so the update removed it again",
    ],
    [
      "that docker-init is missing, which the daemon may ask for by itself",
      'OCI runtime create failed: exec: "docker-init": executable file not found in $PATH: permission denied',
      { ...never, previous: "healthy" },
      "docker-1: the new container could not be started: the host's Docker has no docker-init, which init: true asks for, of the builder or of the daemon (daemon.json); install it there (tini, as docker-init in the daemon's PATH), or ask for none; what ran before runs again and is healthy",
    ],
    [
      "that privileges are missing",
      denied,
      { ...never, previous: "unhealthy" },
      "docker-1: the new container could not be started: the host's daemon may not run privileged containers; give it that right, or set rootless with a rootless image; what ran before was put back and is not healthy either: docker logs buildkitd",
    ],
    [
      "what the last health check said of one that ran, whatever its words",
      "not healthy within 120 s; the last check said: dial unix: permission denied",
      { ...ran, previous: "none" },
      "docker-1: the new container was not healthy after 120 s (running, unhealthy); nothing ran before, so the update removed it again",
    ],
    [
      "the daemon's own words where the reason is not known",
      "container docker-1:\n  no space left on device",
      { ...never, previous: "none" },
      "docker-1: the new container could not be started: container docker-1: no space left on device; nothing ran before, so the update removed it again",
    ],
  ])("%s", (_, error, outcome, line) => {
    expect(say(error, outcome)).toBe(line);
  });

  test("nothing of privileges where the container has none", () => {
    expect(say(denied, { ...never, previous: "none" }, true)).toBe(
      `docker-1: the new container could not be started: ${denied}; nothing ran before, so the update removed it again`,
    );
  });
});

test("a daemon that never answers is given up, with a line that names it", async () => {
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const url = new URL(`tcp://127.0.0.1:${port}`);
  const connection = { url, provider: {}, sshOptions: pulumi.output([]) };
  try {
    const asked = withDocker(connection, (docker) => docker.listContainers(), 0.1);
    await expect(asked).rejects.toThrow(
      `docker host tcp://127.0.0.1:${port}: no answer within 0.1 s`,
    );
  } finally {
    silent.close();
  }
});

test("a log without a terminal is its frames put together", () => {
  const frame = (text: string) =>
    Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
  expect(plainText(Buffer.concat([frame("one\n"), frame("two\n")]))).toBe("one\ntwo\n");
});

/** What the state of a container that was never made has not. */
const NEVER_MADE = new Map([
  ["entrypoints", "add"],
  ["networkDatas", "add"],
]);

/** `news` as the engine hands them on: what is ignored is as it was. */
function ignoring(old: PropertyMap, news: PropertyMap, paths: string[]): PropertyMap {
  const result = structuredClone(news) as Record<string, Record<string, unknown>>;
  for (const [top = "", below] of paths.map((path) => path.split("."))) {
    const before = old[top] as Record<string, unknown> | undefined;
    if (below) Object.assign(result[top] ?? {}, { [below]: before?.[below] });
    else if (before) result[top] = before;
    else delete result[top];
  }
  return result as PropertyMap;
}

function changed(before: Registered[], after: Registered[]): string[] {
  const old = new Map(before.map(({ name, inputs }) => [name, JSON.stringify(inputs)]));
  return after
    .filter(({ name, inputs }) => old.get(name) !== JSON.stringify(inputs))
    .map(({ name }) => name);
}

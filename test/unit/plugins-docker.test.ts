import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { sshArguments } from "../../components/container/sshAgent.ts";
import { nanoseconds, uploadArchive } from "../../proving-ground/plugins/docker/containerCreate.ts";
import type { ContainerInputs } from "../../proving-ground/plugins/docker/containerInputs.ts";
import { cpus, goDuration, stateOf } from "../../proving-ground/plugins/docker/containerRead.ts";
import { daemonOf } from "../../proving-ground/plugins/docker/daemonOf.ts";
import { docker } from "../../proving-ground/plugins/docker/plugin.ts";
import { registryOf } from "../../proving-ground/plugins/docker/registryLogin.ts";
import { repositoryAndTag } from "../../proving-ground/plugins/docker/remoteImage.ts";
import { inputsFound } from "../../proving-ground/plugins/provider/plan.ts";
import type { Diff, Resource } from "../../proving-ground/plugins/provider/plugin.ts";
import {
  type PropertyMap,
  reveal,
  Secret,
  UNKNOWN,
} from "../../proving-ground/plugins/provider/values.ts";
import { tls } from "../../proving-ground/plugins/tls/plugin.ts";
import { keyPair, type SshServer, startSshServer } from "./sshServer.ts";

const NEW = { name: "builder", olds: {} };

const plugin = docker();
const container = resource("container:Container");
const volume = resource("volume:Volume");
const remoteImage = resource("remoteImage:RemoteImage");

function resource(type: string): Resource {
  const found = plugin.resources[`docker:index/${type}`];
  if (found === undefined) throw new Error(`no resource ${type}`);
  return found;
}

function checked(of: Resource, inputs: PropertyMap, olds: PropertyMap = {}): PropertyMap {
  const { inputs: result, failures } = of.check(inputs, { name: "builder", olds });
  expect(failures).toEqual([]);
  return result;
}

describe("a container's inputs", () => {
  test("are given the defaults that the official plugin gives, which are noted", () => {
    expect(checked(container, { image: "moby/buildkit", name: "b" })).toEqual({
      __defaults: [
        "containerReadRefreshTimeoutMilliseconds",
        "mustRun",
        "networkMode",
        "removeVolumes",
        "restart",
        "start",
        "waitTimeout",
      ],
      containerReadRefreshTimeoutMilliseconds: 15_000,
      image: "moby/buildkit",
      mustRun: true,
      name: "b",
      networkMode: "bridge",
      removeVolumes: true,
      restart: "no",
      start: true,
      waitTimeout: 60,
    });
  });

  test("are given defaults in their lists and objects too", () => {
    const inputs = checked(container, {
      image: "i",
      name: "b",
      ports: [{ internal: 1234 }],
      healthcheck: { tests: ["CMD", "true"], interval: "1m30s" },
      uploads: [{ file: "/f", content: "c" }],
    });
    expect(inputs.ports).toEqual([
      { __defaults: ["ip", "protocol"], internal: 1234, ip: "0.0.0.0", protocol: "tcp" },
    ]);
    expect(inputs.healthcheck).toEqual({
      __defaults: ["startInterval", "startPeriod", "timeout"],
      tests: ["CMD", "true"],
      interval: "1m30s",
      timeout: "0s",
      startPeriod: "0s",
      startInterval: "0s",
    });
    expect(inputs.uploads).toEqual([{ __defaults: [], file: "/f", content: "c" }]);
  });

  test.each([
    [{ image: UNKNOWN }, []],
    [{}, [["image", "required, but not set"]]],
    [
      { image: "i", restart: "sometimes" },
      [["restart", 'is "sometimes"; allowed: no, on-failure, always, unless-stopped']],
    ],
    [{ image: "i", memory: -1 }, [["memory", "is -1; the least is 0"]]],
    [{ image: "i", memory: "64m" }, [["memory", "must be a number, not a string"]]],
    [
      { image: "i", uploads: [{ file: "/f", content: "c", permissions: "600" }] },
      [["uploads[0].permissions", "does not match ^0[0-7]{3}$"]],
    ],
    [
      { image: "i", volumes: [{ hostPath: "data", containerPath: "/d" }] },
      [["volumes[0].hostPath", "does not match"]],
    ],
    [{ image: "i", healthcheck: { interval: "soon" } }, [["healthcheck.interval", "does not"]]],
    [{ image: "i", cpus: "half" }, [["cpus", "does not match"]]],
    [
      { image: "i", gpus: "all" },
      [["gpus", "the offline stand-in for the plugin docker 5.0.0 does not have this input"]],
    ],
    [{ image: "i", volume: "v" }, [["volume", "unknown input; the inputs are name, image"]]],
  ] as [PropertyMap, [string, string][]][])("that are %j are refused as %j", (inputs, expected) => {
    const { failures } = container.check(inputs, NEW);
    expect(failures.map(({ property }) => property)).toEqual(expected.map(([name]) => name));
    for (const [index, [, reason]] of expected.entries()) {
      expect(failures[index]?.reason).toContain(reason);
    }
  });
});

describe("a name that the program does not give", () => {
  test.each([
    ["a container", container, { image: "i" }],
    ["a volume", volume, {}],
  ])("is made for %s, and kept", (_, of, inputs) => {
    const first = checked(of, inputs);
    expect(first.name).toMatch(/^builder-[0-9a-f]{7}$/);
    expect(first.__defaults).toContain("name");
    expect(checked(of, inputs, first).name).toBe(first.name);
    // A name that was given is no default that could be kept.
    expect(checked(of, inputs, { name: "mine", __defaults: [] }).name).not.toBe("mine");
  });

  test("is not made for an image", () => {
    expect(remoteImage.check({}, NEW).failures).toEqual([
      { property: "name", reason: "required, but not set" },
    ]);
  });
});

const UPLOADS = [
  { file: "/etc/buildkit/buildkitd.toml", content: "debug = true", permissions: "0600" },
  { file: "/etc/buildkit/tls/key.pem", content: "key", permissions: "0600" },
];

const INPUTS: PropertyMap = {
  name: "b",
  image: "sha256:aa",
  restart: "unless-stopped",
  privileged: true,
  command: ["--addr", "tcp://0.0.0.0:1234"],
  envs: ["B=2", "A=1"],
  labels: [
    { label: "z", value: "1" },
    { label: "a", value: "2" },
  ],
  ports: [{ internal: 1234, external: 1234, ip: "127.0.0.1" }],
  uploads: UPLOADS,
  volumes: [{ volumeName: "cache", containerPath: "/var/lib/buildkit" }],
  healthcheck: { tests: ["CMD", "true"], interval: "10s", retries: 3 },
  memory: 512,
  memorySwap: 1024,
  cpus: "1.5",
  tmpfs: { "/tmp": "size=1m" },
  mounts: [{ type: "bind", source: "/a", target: "/a" }],
};

/** A container as Docker describes it that was made of `INPUTS`. */
function inspected(changes: { running?: boolean } = {}): Docker.ContainerInspectInfo {
  const { running = true } = changes;
  return {
    Id: "c0ffee",
    Name: "/b",
    Image: "sha256:aa",
    Platform: "linux",
    State: { Running: running, ExitCode: running ? 0 : 137 },
    Config: {
      Image: "sha256:aa",
      Hostname: "c0ffee",
      Domainname: "",
      Cmd: ["--addr", "tcp://0.0.0.0:1234"],
      Entrypoint: ["buildkitd"],
      User: "",
      WorkingDir: "",
      Tty: false,
      OpenStdin: false,
      Env: ["B=2", "A=1", "PATH=/bin"],
      Healthcheck: { Test: ["CMD", "true"], Interval: 10e9, Retries: 3 },
    },
    HostConfig: {
      NetworkMode: "bridge",
      RestartPolicy: { Name: "unless-stopped", MaximumRetryCount: 0 },
      Privileged: true,
      Memory: 512 * 1024 * 1024,
      MemorySwap: 1024 * 1024 * 1024,
      NanoCpus: 1.5e9,
      ShmSize: 64 * 1024 * 1024,
      SecurityOpt: ["label=disable"],
      Tmpfs: { "/tmp": "size=1m" },
      Mounts: [{ Type: "bind", Source: "/a", Target: "/a" }],
      LogConfig: { Type: "json-file", Config: {} },
      Init: false,
      Runtime: "runc",
      IpcMode: "private",
    },
    NetworkSettings: {
      Ports: running ? { "1234/tcp": [{ HostIp: "127.0.0.1", HostPort: "1234" }] } : {},
      Networks: { bridge: { IPAddress: "172.17.0.2", IPPrefixLen: 16, Gateway: "172.17.0.1" } },
    },
  } as unknown as Docker.ContainerInspectInfo;
}

/** The state of it, and its inputs. */
function made(changes: { running?: boolean } = {}): { inputs: PropertyMap; state: PropertyMap } {
  const inputs = checked(container, { ...INPUTS, securityOpts: ["label=disable"] });
  const known = inputs as unknown as ContainerInputs;
  return { inputs, state: { ...inputs, ...stateOf(inspected(changes), known) } };
}

function diff(change: PropertyMap, old = made()): Diff {
  const program: PropertyMap = { ...INPUTS, securityOpts: ["label=disable"], ...change };
  const set = Object.entries(program).filter(([, value]) => value !== null);
  const news = checked(container, Object.fromEntries(set), old.inputs);
  return container.diff({ id: "c0ffee", ...old }, news);
}

describe("a change of a container", () => {
  test.each([
    ["nothing", {}],
    ["the order of envs", { envs: ["A=1", "B=2"] }],
    ["the order of uploads", { uploads: [...UPLOADS].reverse() }],
    ["the order of labels", { labels: [...(INPUTS.labels as PropertyMap[])].reverse() }],
    // What the daemon or the image has chosen stays when the program no longer says it.
    ["envs to none", { envs: null }],
    ["labels to none", { labels: null }],
    ["the command to none", { command: null }],
    ["the health check to none", { healthcheck: null }],
    ["security options to none", { securityOpts: null }],
    ["what is nothing anyway", { publishAllPorts: false, user: "", memoryReservation: 0, dns: [] }],
    ["a port to any", { ports: [{ internal: 1234, ip: "127.0.0.1" }] }],
  ] as [string, PropertyMap][])("of %s is none", (_, change) => {
    expect(diff(change).changes).toEqual(new Map());
  });

  test.each([
    ["image", { image: "sha256:bb" }, "update"],
    ["image", { image: UNKNOWN }, "update"],
    ["name", { name: "c" }, "update"],
    ["command", { command: ["--debug", "tcp://0.0.0.0:1234"] }, "update"],
    ["envs", { envs: ["A=1"] }, "update"],
    ["labels", { labels: [{ label: "z", value: "2" }] }, "update"],
    ["uploads", { uploads: [] }, "delete"],
    ["uploads", { uploads: [{ ...UPLOADS[0], content: "debug = false" }, UPLOADS[1]] }, "update"],
    ["uploads", { uploads: [{ ...UPLOADS[0], content: UNKNOWN }, UPLOADS[1]] }, "update"],
    ["ports", { ports: [{ internal: 1234, external: 1235, ip: "127.0.0.1" }] }, "update"],
    ["privileged", { privileged: false }, "delete"],
    ["securityOpts", { securityOpts: ["seccomp=unconfined"] }, "update"],
    ["cpus", { cpus: null }, "delete"],
    [
      "volumes",
      { volumes: [{ volumeName: "other", containerPath: "/var/lib/buildkit" }] },
      "update",
    ],
    ["mounts", { mounts: null }, "delete"],
    ["networkMode", { networkMode: "host" }, "update"],
    ["logOpts", { logOpts: { "max-size": "1m" } }, "add"],
    ["hostname", { hostname: "h" }, "update"],
  ] as [string, PropertyMap, string][])("of %s to %j makes a new one", (name, change) => {
    const { changes, replaces, deleteBeforeReplace } = diff(change);
    expect([...changes.keys()].map((path) => path.split(/[.[]/)[0])).toContain(name);
    expect([...replaces]).toEqual([...changes.keys()]);
    expect(deleteBeforeReplace).toBe(true);
  });

  test.each([
    ["restart", { restart: "always" }],
    ["restart", { restart: null }],
    ["memory", { memory: 1024 }],
    ["memory", { memory: null }],
    ["tmpfs", { tmpfs: { "/tmp": "size=2m" } }],
    // kreuzwerker/terraform-provider-docker#988: called an update, and nothing is done.
    ["healthcheck", { healthcheck: { tests: ["CMD", "false"], interval: "10s", retries: 3 } }],
    ["mounts", { mounts: [{ type: "bind", source: "/b", target: "/a" }] }],
    ["init", { init: true }],
    ["wait", { wait: true }],
    ["destroyGraceSeconds", { destroyGraceSeconds: 30 }],
    ["mustRun", { mustRun: false }],
  ] as [string, PropertyMap][])("of %s to %j keeps it", (name, change) => {
    const { changes, replaces } = diff(change);
    expect([...changes.keys()].map((path) => path.split(/[.[]/)[0])).toContain(name);
    expect([...replaces]).toEqual([]);
  });

  test("is seen for ever where the daemon chooses the swap and the program does not", () => {
    expect(diff({ memorySwap: null })).toMatchObject({
      changes: new Map([["memorySwap", "delete"]]),
      replaces: new Set(),
    });
  });

  test("is a new one after a create that failed, when the program leaves the entrypoint to the image", () => {
    const { inputs } = made();
    const { changes, replaces } = diff({}, { inputs, state: inputs });
    expect(changes).toEqual(
      new Map([
        ["entrypoints", "add"],
        ["networkDatas", "add"],
      ]),
    );
    expect([...replaces]).toEqual(["entrypoints"]);
  });
});

describe("a volume that becomes another", () => {
  test("goes before the new one comes where it has a name from the program", () => {
    const change = { driver: "other" };
    const replacement = (old: PropertyMap, now: PropertyMap) => {
      const inputs = checked(volume, old);
      const news = checked(volume, now, inputs);
      return volume.diff({ id: "old", inputs, state: inputs }, news);
    };
    for (const now of [{ name: "a", ...change }, { name: "b" }, { name: "b", ...change }]) {
      expect(replacement({ name: "a" }, now)).toMatchObject({ deleteBeforeReplace: true });
    }
    expect(replacement({}, { name: "b" })).toMatchObject({ deleteBeforeReplace: true });
    // A name that was made differs from the next one.
    expect(replacement({}, change)).toMatchObject({
      replaces: new Set(Object.keys(change)),
      deleteBeforeReplace: false,
    });
  });

  test("comes first where an image has no name of its own making", () => {
    const inputs = checked(remoteImage, { name: "moby/buildkit:v1" });
    const news = checked(remoteImage, { name: "moby/buildkit:v2" }, inputs);
    expect(remoteImage.diff({ id: "old", inputs, state: inputs }, news)).toMatchObject({
      replaces: new Set(["name"]),
      deleteBeforeReplace: false,
    });
  });
});

describe("a container, when it is looked at,", () => {
  test("is as it was made", () => {
    const { inputs, state } = made();
    expect(state).toMatchObject({
      memory: 512,
      memorySwap: 1024,
      cpus: "1.5",
      entrypoints: ["buildkitd"],
      envs: ["B=2", "A=1"],
      ports: [{ internal: 1234, external: 1234, ip: "127.0.0.1", protocol: "tcp" }],
      networkDatas: [{ networkName: "bridge", ipAddress: "172.17.0.2" }],
      healthcheck: { interval: "10s", timeout: "0s", retries: 3 },
    });
    expect(inputsFound(inputs, state, {})).toEqual(inputs);
  });

  test("and has stopped, is not running in the state, so that the next update makes a new one", () => {
    const { inputs, state } = made({ running: false });
    expect(state).toMatchObject({ mustRun: false, exitCode: 137, ports: [] });
    const { changes, replaces } = diff({}, { inputs, state });
    expect(changes).toEqual(
      new Map([
        ["mustRun", "update"],
        ["ports", "add"],
      ]),
    );
    expect([...replaces]).toEqual(["ports"]);
  });

  test("and may have stopped, keeps its ports", () => {
    const known = { ...INPUTS, mustRun: false } as unknown as ContainerInputs;
    const state = stateOf(inspected({ running: false }), known);
    expect(state).not.toHaveProperty("ports");
    expect(state).not.toHaveProperty("mustRun");
    expect(state.exitCode).toBe(137);
  });
});

test.each([
  ["10s", 10e9, "10s"],
  ["90s", 90e9, "1m30s"],
  ["1.5h", 5400e9, "1h30m0s"],
  ["1500ms", 1.5e9, "1.5s"],
  ["250ms", 250e6, "250ms"],
  ["0s", 0, "0s"],
])("the duration %s is %d ns, and is read as %s", (text, nano, read) => {
  expect(nanoseconds(text)).toBe(nano);
  expect(goDuration(nano)).toBe(read);
});

test.each([
  [0.5, "0.5"],
  [1.5, "1.5"],
  [0.25, "0.25"],
  [2, "2.0"],
  [10, "10."],
])("%d CPUs are read as %s", (count, read) => {
  expect(cpus(count * 1e9)).toBe(read);
  expect(checked(container, { image: "i", cpus: read }).cpus).toBe(read);
});

describe("an image's name", () => {
  test.each([
    ["moby/buildkit:v0.34.2", "moby/buildkit", "v0.34.2", "registry-1.docker.io"],
    ["buildkit", "buildkit", "latest", "registry-1.docker.io"],
    ["localhost:5000/buildkit", "localhost:5000/buildkit", "latest", "localhost:5000"],
    ["ghcr.io/o/b:v1@sha256:0aF", "ghcr.io/o/b", "sha256:0aF", "ghcr.io"],
    ["moby/buildkit@sha256:aa", "moby/buildkit", "sha256:aa", "registry-1.docker.io"],
  ])("%s is pulled as %s %s from %s", (name, fromImage, tag, registry) => {
    expect(repositoryAndTag(name)).toEqual({ fromImage, tag });
    expect(registryOf(name)).toBe(registry);
  });
});

describe("an upload", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "upload-"));
    await writeFile(join(folder, "source"), "from a file");
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each([
    [{ content: "text", permissions: "0600" }, "-rw-------", "text"],
    [{ contentBase64: "dGV4dA==" }, "-rw-r--r--", "text"],
    [{ source: "source", executable: true }, "-rwxr--r--", "from a file"],
  ])("of %j is a file with its mode in an archive", async (upload, mode, content) => {
    const source = "source" in upload && { source: join(folder, upload.source) };
    const archive = await uploadArchive({
      file: "/etc/f",
      executable: false,
      ...upload,
      ...source,
    });
    const tar = (...args: string[]) =>
      execFileSync("tar", ["-P", ...args, "-f", "-"], { input: archive }).toString();
    expect(tar("-tv")).toMatch(new RegExp(`^${mode} .* /etc/f\n$`));
    expect(tar("-xO")).toBe(content);
  });

  test.each([
    [{}, "0"],
    [{ content: "a", source: "b" }, "2"],
  ])("of %j is refused", async (upload, count) => {
    await expect(uploadArchive({ file: "/f", executable: false, ...upload })).rejects.toThrow(
      `upload of /f: one of content, contentBase64 and source must be set, not ${count}`,
    );
  });
});

describe("the provider's configuration", () => {
  const configuration = plugin.configuration;
  if (configuration === undefined) throw new Error("no configuration");

  test("keeps what registries are shown secret", () => {
    const registryAuth = JSON.stringify([{ address: "localhost:5000", password: "hunter2" }]);
    const { inputs, failures } = configuration.check({ host: "unix:///s", registryAuth });
    expect(failures).toEqual([]);
    expect(inputs).toEqual({ host: "unix:///s", registryAuth: new Secret(registryAuth) });
  });

  test.each([
    [{ sshOpts: "-v" }, "sshOpts", "must be a list, as JSON"],
    [{ sshOpts: '["-v",1]' }, "sshOpts[1]", "must be a string, not a number"],
    [{ registryAuth: "[{}]" }, "registryAuth[0].address", "required, but not set"],
    [{ context: "desktop" }, "context", "does not take this; give host"],
    [{ hosts: "unix:///s" }, "hosts", "unknown input"],
  ])("%j is refused", (inputs, property, reason) => {
    const { failures } = configuration.check(inputs as PropertyMap);
    expect(failures).toHaveLength(1);
    expect(failures[0]?.property).toBe(property);
    expect(failures[0]?.reason).toContain(reason);
  });

  test.each([
    [{ host: "unix:///gone.sock" }, "unix:///gone.sock: cannot be reached: connect ENOENT"],
    [{ host: "tcp://127.0.0.1:1" }, "tcp://127.0.0.1:1: cannot be reached: connect ECONNREFUSED"],
    [
      { host: "tcp://h:1", caMaterial: "x", certMaterial: "y" },
      "tcp://h:1: caMaterial, certMaterial and keyMaterial must all be given, or none of them",
    ],
    [
      { host: "tcp://127.0.0.1:1", caMaterial: "x", certMaterial: "y", keyMaterial: "hunter2" },
      "tcp://127.0.0.1:1: cannot be reached: error:",
    ],
    [{ host: "builder" }, 'docker host "builder": not a URL; write unix:///path'],
    [{ host: "ftp://h" }, "ftp:// is not supported; allowed: unix://"],
    [{ host: "ssh://u:hunter2@h" }, "ssh:// takes no password; use a key"],
  ])("%j is one clear error", async (inputs, message) => {
    const error = await configuration.configure(inputs as unknown as PropertyMap).then(
      () => undefined,
      (thrown: Error) => thrown.message,
    );
    expect(error).toContain(message);
    expect(error).not.toContain("hunter2");
    expect(error).not.toContain("\n");
  });
});

describe("ssh", () => {
  test.each([
    ["ssh://h", [], ["-o", "ConnectTimeout=30", "-T", "--", "h"], []],
    [
      "ssh://u@h:2222",
      ["-o", "ConnectTimeout=3", "-T"],
      ["-o", "ConnectTimeout=3", "-T", "-l", "u", "-p", "2222", "--", "h"],
      [],
    ],
    [
      "ssh://[fe80::1]/run/d.sock",
      ["-T"],
      ["-T", "-o", "ConnectTimeout=30", "--", "fe80::1"],
      ["--host", "unix:///run/d.sock"],
    ],
  ])("for %s and %j is run with what docker would run it with", (url, options, args, socket) => {
    expect(sshArguments(new URL(url), options)).toEqual([
      ...args,
      ...["docker", ...socket, "system", "dial-stdio"],
    ]);
  });
});

/** What a daemon says first of all. */
const answerPing = (_: unknown, response: { end(text: string): void }) => response.end("OK");

describe("a daemon over ssh", () => {
  const hostKey = keyPair();
  const clientKey = keyPair();
  let folder: string;
  let server: SshServer;
  let options: string[];
  const daemon = createHttpServer(answerPing);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-ssh-"));
    await new Promise<void>((resolve) => daemon.listen(join(folder, "docker.sock"), resolve));
    // What the docker command does on the host, as far as it is asked to.
    const dial = `#!${process.execPath}
const [, , ...args] = process.argv;
if (args.slice(-2).join(" ") !== "system dial-stdio") process.exit(64);
const socket = require("node:net").connect(args[1].replace("unix://", ""));
process.stdin.pipe(socket).pipe(process.stdout);
socket.on("end", () => process.exit());
`;
    await writeFile(join(folder, "docker"), dial, { mode: 0o755 });
    vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
    vi.stubEnv("SSH_AUTH_SOCK", "");
    await writeFile(join(folder, "key"), clientKey.privateKey, { mode: 0o600 });
    await writeFile(join(folder, "other"), keyPair().privateKey, { mode: 0o600 });
  });

  beforeEach(async () => {
    server = await startSshServer({ hostKey, clientKey });
    await knownAs(hostKey.publicKey);
    options = [
      ...["-F", "none", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes"],
      ...["-o", `UserKnownHostsFile=${join(folder, "known_hosts")}`],
    ];
  });

  afterEach(() => server.close());

  afterAll(async () => {
    vi.unstubAllEnvs();
    daemon.close();
    await rm(folder, { recursive: true });
  });

  const knownAs = (publicKey: string) =>
    writeFile(join(folder, "known_hosts"), `[127.0.0.1]:${server.port} ${publicKey}\n`);

  const reach = async (key: string) => {
    await chmod(join(folder, key), 0o600);
    const host = `ssh://builder@127.0.0.1:${server.port}${folder}/docker.sock`;
    const sshOpts = [...options, "-i", join(folder, key)];
    const reached = daemonOf({ host, sshOpts, registries: [] });
    return { reached, outcome: await reached.reach().catch((error: Error) => error.message) };
  };

  test("is reached by the machine's own ssh, and one connection serves request after request", async () => {
    const { reached, outcome } = await reach("key");
    expect(outcome).toBeUndefined();
    await reached.client.ping();
    expect(server.commands).toEqual([
      `docker --host unix://${folder}/docker.sock system dial-stdio`,
    ]);
  });

  test("is reached by another connection once it has closed one that was idle, as Podman does", async () => {
    const { reached } = await reach("key");
    daemon.closeIdleConnections();
    await vi.waitFor(() => expect(server.open()).toBe(0), { timeout: 10_000 });
    await reached.client.ping();
    expect(server.commands).toHaveLength(2);
  });

  test("that shows another host key is one clear error, and nothing is run", async () => {
    await knownAs(keyPair().publicKey);
    const { outcome } = await reach("key");
    expect(outcome).toContain(`docker host ssh://builder@127.0.0.1:${server.port}`);
    expect(outcome).toContain("Host key verification failed.");
    expect(outcome).not.toContain("\n");
    expect(server.commands).toEqual([]);
    expect(server.connections()).toBe(1);
  });

  test("that refuses the key is one clear error, and asks nobody for a password", async () => {
    const { outcome } = await reach("other");
    expect(outcome).toMatch(
      /cannot be reached: ssh ended with exit status 255: .*Permission denied/,
    );
    expect(server.commands).toEqual([]);
  });
});

describe("a daemon over TLS", () => {
  let server: Server;
  let host: string;
  const authority = { isCaCertificate: true, allowedUses: ["cert_signing"] };

  const made = async (type: string, inputs: PropertyMap) => {
    const found = tls().resources[`tls:index/${type}`];
    if (found === undefined) throw new Error(type);
    const { inputs: complete } = found.check(inputs, NEW);
    const log = { status() {}, warning() {}, error() {} };
    const signal = new AbortController().signal;
    const { state } = await found.create(complete, { name: "x", preview: false, log, signal });
    return reveal(state) as { readonly [name: string]: string };
  };
  const key = async () =>
    (await made("privateKey:PrivateKey", { algorithm: "ECDSA", ecdsaCurve: "P256" }))
      .privateKeyPem ?? "";
  const newAuthority = async () => {
    const privateKeyPem = await key();
    const subject = { commonName: "authority" };
    const validityPeriodHours = 1;
    const inputs = { privateKeyPem, subject, validityPeriodHours, ...authority };
    const { certPem = "" } = await made("selfSignedCert:SelfSignedCert", inputs);
    return { privateKeyPem, certPem };
  };
  type Authority = Awaited<ReturnType<typeof newAuthority>>;
  const leaf = async (ca: Authority, use: string) => {
    const privateKeyPem = await key();
    const { certRequestPem = "" } = await made("certRequest:CertRequest", {
      privateKeyPem,
      subject: { commonName: use },
      ipAddresses: ["127.0.0.1"],
    });
    const { certPem = "" } = await made("locallySignedCert:LocallySignedCert", {
      certRequestPem,
      caPrivateKeyPem: ca.privateKeyPem,
      caCertPem: ca.certPem,
      validityPeriodHours: 1,
      allowedUses: [use],
    });
    return { ca: ca.certPem, cert: certPem, key: privateKeyPem };
  };
  let ca: Authority;

  beforeAll(async () => {
    ca = await newAuthority();
    const served = await leaf(ca, "server_auth");
    server = createHttpsServer({ ...served, requestCert: true }, answerPing);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    host = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => {
    server.close();
  });

  const reach = (material: { ca: string; cert: string; key: string }) =>
    daemonOf({ host, sshOpts: [], registries: [], tls: material })
      .reach()
      .catch((error: Error) => error.message);

  test("is reached with a certificate of its authority", async () => {
    expect(await reach(await leaf(ca, "client_auth"))).toBeUndefined();
  });

  test("of another authority is not believed", async () => {
    const foreign = await newAuthority();
    expect(await reach({ ...(await leaf(ca, "client_auth")), ca: foreign.certPem })).toContain(
      `docker host ${host}: cannot be reached: `,
    );
  });

  test("is not asked without TLS when the program gives TLS, whatever DOCKER_HOST says", async () => {
    vi.stubEnv("DOCKER_HOST", "unix:///nowhere.sock");
    expect(await reach(await leaf(ca, "client_auth"))).toBeUndefined();
    vi.unstubAllEnvs();
  });
});

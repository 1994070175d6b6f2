import { type ChildProcess, spawn } from "node:child_process";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb.js";
import service from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import emptyMessages from "google-protobuf/google/protobuf/empty_pb.js";
import structMessages from "google-protobuf/google/protobuf/struct_pb.js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Engine } from "../../runtime/engine/engine.ts";
import { areUsersOwn, ensurePlugins } from "../../runtime/plugins.ts";
import type { Progress } from "../../runtime/progress.ts";
import { keyPair, startSshServer } from "./sshServer.ts";

const COMMAND = "plugins/resource-command-v1.2.1/pulumi-resource-command";
const TLS = "plugins/resource-tls-v5.5.1/pulumi-resource-tls";

let home: string;
let notes: string[];

const log: Progress = {
  note: (line) => notes.push(line),
  step: (_title, work) => work(),
};

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "pulumi-home-"));
  notes = [];
  // Not the home of whoever runs the tests.
  vi.stubEnv("PULUMI_HOME", join(home, "none"));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

/** An engine whose `plugin install` does what `script` says; PULUMI_HOME and `$4 $5` say what for. */
async function engineThat(script: string): Promise<Engine> {
  const pulumi = join(home, "pulumi");
  await writeFile(pulumi, `#!/bin/sh\nset -e\necho asked >>"$PULUMI_HOME/asked"\n${script}\n`);
  await chmod(pulumi, 0o755);
  return { pulumi, version: "3.259.0", origin: "installed", env: {} };
}

const OFFLINE = 'echo "warning: Error downloading plugin: Get: dial tcp: no such host" >&2; exit 1';
const ONLINE = `
f="$PULUMI_HOME/plugins/resource-$4-v$5"
mkdir -p "$f" && head -c 70000 /dev/zero >"$f/pulumi-resource-$4"`;

/** Of a stack that has nothing on GitHub. */
const ensured = (engine: Engine, home: string) =>
  ensurePlugins(engine, home, log, { github: false });

async function asked(): Promise<number> {
  return (await readFile(join(home, "asked"), "utf8").catch(() => "")).split("\n").length - 1;
}

describe("the plugins", () => {
  test("are the stand-ins where the official ones cannot be had, and one line says why", async () => {
    const plugins = await ensured(await engineThat(OFFLINE), home);
    expect(plugins).toEqual([
      { name: "command", version: "1.2.1", origin: "stand-in" },
      { name: "docker", version: "5.0.0", origin: "stand-in" },
      { name: "github", version: "6.15.0", origin: "built" },
      { name: "tls", version: "5.5.1", origin: "stand-in" },
    ]);
    expect(notes).toEqual([
      "plugins command 1.2.1, docker 5.0.0, tls 5.5.1 are the offline stand-ins: the official ones cannot be had (no such host)",
    ]);
    expect((await stat(join(home, TLS))).mode & 0o777).toBe(0o755);
  });

  test("are the official ones where they can be had", async () => {
    const plugins = await ensured(await engineThat(ONLINE), home);
    expect(plugins.map(({ origin }) => origin)).toEqual([
      "official",
      "official",
      "official",
      "official",
    ]);
    expect(notes).toEqual([]);
  });

  test("share a home in which the engine cannot make its log, unless it is asked for", async () => {
    const engine = await engineThat(OFFLINE);
    const logs = join(home, "logs");
    const isFile = async () => (await stat(logs)).isFile();
    // As an earlier version left it.
    await mkdir(logs);
    await writeFile(join(logs, "pulumi-1.log"), "");
    await ensured(engine, home);
    expect(await isFile()).toBe(true);
    await ensured(engine, home);
    expect(await isFile()).toBe(true);

    vi.stubEnv("BUILDHOSTS_DEBUG_SDK", "1");
    await ensured(engine, home);
    await expect(isFile()).rejects.toThrow("ENOENT");
    await mkdir(logs);
    await ensured(engine, home);
    expect(await isFile()).toBe(false);
  });

  test("are asked for again only after a day", async () => {
    const offline = await engineThat(OFFLINE);
    await ensured(offline, home);
    await ensured(offline, home);
    expect(await asked()).toBe(4);

    const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
    await utimes(join(home, COMMAND), yesterday, yesterday);
    const plugins = await ensured(await engineThat(ONLINE), home);
    expect(plugins.map(({ origin }) => origin)).toEqual([
      "official",
      "stand-in",
      "built",
      "stand-in",
    ]);
  });

  test("that are official already are left alone", async () => {
    await ensured(await engineThat(ONLINE), home);
    const plugins = await ensured(await engineThat(OFFLINE), home);
    expect(plugins.map(({ origin }) => origin)).toEqual([
      "official",
      "official",
      "official",
      "official",
    ]);
    expect(await asked()).toBe(4);
  });

  test("are those that the user has installed, without asking", async () => {
    const own = join(home, "own");
    await mkdir(own);
    vi.stubEnv("PULUMI_HOME", own);
    await ensured(await engineThat(ONLINE), own);
    const other = join(home, "other");
    const plugins = await ensured(await engineThat(OFFLINE), other);
    expect(plugins.map(({ origin }) => origin)).toEqual([
      "official",
      "official",
      "official",
      "official",
    ]);
    expect((await stat(join(other, COMMAND))).size).toBe(70_000);
    expect(await areUsersOwn()).toBe(true);
    // The engine skips a folder that is a link; the file in it may be one.
    expect((await lstat(join(other, COMMAND, ".."))).isDirectory()).toBe(true);
    expect(await readlink(join(other, COMMAND))).toBe(join(own, COMMAND));
  });

  test("are the user's where a link of an earlier version leads to them, and stand-ins once they are gone", async () => {
    const own = join(home, "own");
    await mkdir(own);
    vi.stubEnv("PULUMI_HOME", own);
    const offline = await engineThat(OFFLINE);
    await ensured(await engineThat(ONLINE), own);
    const other = join(home, "other");
    await mkdir(join(other, "plugins"), { recursive: true });
    await symlink(join(own, COMMAND, ".."), join(other, COMMAND, ".."), "dir");
    await ensured(await engineThat(OFFLINE), other);
    expect((await lstat(join(other, COMMAND, ".."))).isDirectory()).toBe(true);
    expect((await stat(join(own, COMMAND))).size).toBe(70_000);

    await rm(join(own, COMMAND));
    expect(await areUsersOwn()).toBe(false);
    const plugins = await ensured(offline, other);
    expect(plugins.map(({ origin }) => origin)).toEqual([
      "stand-in",
      "official",
      "official",
      "official",
    ]);
  });

  test("get launchers with the paths of this clone, whatever stood in them", async () => {
    const offline = await engineThat(OFFLINE);
    await ensured(offline, home);
    const launcher = await readFile(join(home, COMMAND), "utf8");
    await writeFile(join(home, COMMAND), launcher.replaceAll(process.cwd(), "/gone"));
    await ensured(offline, home);
    expect(await readFile(join(home, COMMAND), "utf8")).toBe(launcher);
    expect(launcher).toContain(`node='${process.execPath}'`);
    expect(launcher).not.toMatch(/@[A-Z_]+@/);
  });
});

describe("a stand-in, once started", () => {
  const logged: string[] = [];
  let engine: grpc.Server;
  let launchers: string;
  let child: ChildProcess;
  let plugin: InstanceType<typeof service.ResourceProviderClient>;

  beforeAll(async () => {
    home = launchers = await mkdtemp(join(tmpdir(), "pulumi-home-"));
    notes = [];
    await ensured(await engineThat(OFFLINE), launchers);
    engine = new grpc.Server();
    engine.addService(engineService.EngineService, {
      log: (call: grpc.ServerUnaryCall<LogRequest, unknown>, done: grpc.sendUnaryData<unknown>) => {
        const { urn, message, ephemeral } = call.request.toObject();
        logged.push(`${urn.split("::").at(-1)} ${message}${ephemeral ? " (status)" : ""}`);
        done(null, new emptyMessages.Empty());
      },
    });
    const insecure = grpc.ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve) =>
      engine.bindAsync("127.0.0.1:0", insecure, (_error, bound) => resolve(bound)),
    );
    child = spawn(join(launchers, COMMAND), ["--logtostderr", "-v=9", `127.0.0.1:${port}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const served = await new Promise<string>((resolve) => child.stdout?.once("data", resolve));
    plugin = new service.ResourceProviderClient(
      `127.0.0.1:${String(served).trim()}`,
      grpc.credentials.createInsecure(),
    );
  });

  afterAll(async () => {
    plugin.close();
    child.kill();
    engine.forceShutdown();
    await rm(launchers, { recursive: true });
  });

  const SIGNATURE = "4dabf18193072939515e22adb298388d";
  const SECRET = "1b47061264138c4ac30d75fd1eb44270";
  const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
  const urnOf = (type: string) => `urn:pulumi:dev::project::my:Component$${type}::parent::child`;
  const struct = structMessages.Struct.fromJavaScript;

  test("says that it is the official plugin's version", async () => {
    const info = await new Promise((resolve) =>
      plugin.getPluginInfo(new emptyMessages.Empty(), (_error, answer) =>
        resolve(answer.getVersion()),
      ),
    );
    expect(info).toBe("1.2.1");
  });

  test("keeps secrets and unknown values on their way", async () => {
    const request = new messages.CheckRequest();
    request.setUrn(urnOf("command:remote:Command"));
    const stdin = { [SIGNATURE]: SECRET, value: "hunter2" };
    const connection = { [SIGNATURE]: SECRET, value: UNKNOWN };
    request.setNews(struct({ connection, create: UNKNOWN, stdin, environment: null }));
    const inputs = await new Promise((resolve) =>
      plugin.check(request, (_error, answer) => resolve(answer.getInputs()?.toJavaScript())),
    );
    expect(inputs).toEqual({ connection, create: UNKNOWN, stdin });
  });

  test("finds no change in inputs that the program has ignored", async () => {
    const request = new messages.DiffRequest();
    request.setUrn(urnOf("command:remote:Command"));
    const before = struct({ create: "one", stdin: "in" });
    request.setOlds(before);
    request.setOldInputs(before);
    request.setNews(struct({ create: "two", triggers: ["b"], stdin: "in" }));
    const diff = () =>
      new Promise((resolve) =>
        plugin.diff(request, (_error, answer) =>
          resolve([answer.getChanges(), answer.getDiffsList(), answer.getReplacesList()]),
        ),
      );
    const { DIFF_SOME, DIFF_NONE } = messages.DiffResponse.DiffChanges;
    expect(await diff()).toEqual([DIFF_SOME, ["create", "triggers"], ["triggers"]]);
    request.setIgnorechangesList(["triggers"]);
    expect(await diff()).toEqual([DIFF_SOME, ["create"], []]);
    request.setIgnorechangesList(["triggers", "create"]);
    expect(await diff()).toEqual([DIFF_NONE, [], []]);
  });

  test("shows what a command prints beside its resource before it is done", async () => {
    const request = new messages.CreateRequest();
    request.setUrn(urnOf("command:remote:Command"));
    const [hostKey, clientKey] = [keyPair(), keyPair()];
    const host = await startSshServer({ hostKey, clientKey });
    const connection = {
      host: "127.0.0.1",
      port: host.port,
      privateKey: clientKey.privateKey,
      hostKey: hostKey.publicKey,
      // The defaults, which a check fills in.
      user: "root",
      dialErrorLimit: 10,
      perDialTimeout: 15,
    };
    request.setProperties(struct({ connection, create: "echo one; echo two" }));
    await new Promise((resolve) => plugin.create(request, resolve));
    await host.close();
    expect(logged).toEqual(["child one (status)", "child two (status)"]);
  });

  test("refuses what the official plugin has and it has not, and names the way out", async () => {
    const request = new messages.CheckRequest();
    request.setUrn(urnOf("command:remote:CopyFile"));
    const details = await new Promise((resolve) =>
      plugin.check(request, (error) => resolve(error?.details)),
    );
    expect(details).toBe(
      "the offline stand-in for the plugin command 1.2.1 does not have the resource command:remote:CopyFile; " +
        "with internet, `pulumi plugin install resource command 1.2.1` gets the plugin that does",
    );
  });
});

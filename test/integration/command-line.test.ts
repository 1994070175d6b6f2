import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { thisMachine } from "../../runtime/golang.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { type Client, clientOf } from "./building.ts";
import { makeClone, removeClone } from "./clone.ts";
import { provisioned, type Scene } from "./ground.ts";
import { eventually, on } from "./onBoard.ts";
import { goodClient, refusedClients } from "./refusedClients.ts";
import { stateOf } from "./state.ts";

let scene: Scene;
let client: Client;
/** The clone in which the commands run; they know the board's stack by its file and its state alone. */
let clone: string;
/** PATH without a docker, unless a test puts one before it. */
let bin: string;
/** docker and buildx of Debian. */
let docker: string;

beforeAll(async () => {
  scene = await provisioned();
  client = await clientOf(scene.stack);
  clone = await makeClone();
  await writeFile(join(clone, "Pulumi.test.yaml"), await readFile(scene.stack.configFile));
  await writeFile(join(clone, "Pulumi.other.yaml"), await readFile(scene.stack.configFile));
  bin = await mkdtemp(join(scene.stack.folder, "bin-"));
  for (const program of ["sh", "uname", "getconf", "ldd", "node", "git"]) {
    const { stdout } = await execa("sh", ["-c", `command -v ${program}`], { reject: false });
    if (stdout) await symlink(stdout, join(bin, program)).catch(() => {});
  }
  docker = await dockerWithBuildx();
});

afterAll(async () => {
  await removeClone(clone);
});

/** A folder for PATH with docker, and one with its configuration, where docker looks for buildx. */
async function dockerWithBuildx(): Promise<string> {
  const names = ["docker-cli", "docker-buildx"];
  const debian = { suite: "trixie", architecture: thisMachine.goarch, names };
  const unpacked = await ensureUnpacked(debian, log);
  const place = await mkdtemp(join(scene.stack.folder, "docker-"));
  await mkdir(join(place, "bin"));
  await symlink(join(unpacked, "usr/bin/docker"), join(place, "bin", "docker"));
  await mkdir(join(place, "config", "cli-plugins"), { recursive: true });
  await symlink(
    join(unpacked, "usr/libexec/docker/cli-plugins/docker-buildx"),
    join(place, "config", "cli-plugins", "docker-buildx"),
  );
  return place;
}

/** As `npx buildhosts <args>` in the clone does it. */
async function buildhosts(args: string[], env: Record<string, string> = {}) {
  const { ground, folder } = scene.stack;
  const started = performance.now();
  const { exitCode, stdout, stderr } = await execa(
    process.execPath,
    [join("commands", "buildhosts.mjs"), ...args],
    {
      cwd: clone,
      env: {
        ...ground.env,
        PATH: bin,
        HOME: join(folder, "home"),
        BUILDHOSTS_CACHE:
          process.env.BUILDHOSTS_CACHE ?? join(String(process.env.HOME), ".cache/buildhosts"),
        PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
        ...env,
      },
      extendEnv: false,
      stdin: "ignore",
      reject: false,
      timeout: 300_000,
    },
  );
  const lines = stderr.trimEnd().split("\n");
  const seconds = (performance.now() - started) / 1000;
  return { code: exitCode, stdout, stderr, seconds, lastLine: lines.at(-1) };
}

const json = async (args: string[]) => {
  const { stdout, stderr, code } = await buildhosts([...args, "--json"]);
  if (stdout === "") throw new Error(`${code}: ${stderr}`);
  return JSON.parse(stdout);
};
const withDocker = () => ({
  PATH: `${join(docker, "bin")}:${bin}`,
  DOCKER_CONFIG: join(docker, "config"),
});
const runDocker = (...args: string[]) =>
  execa("docker", args, { env: { ...withDocker() }, all: true, reject: false });
const endpoint = () => {
  const { host, buildkitPort } = scene.board.connection;
  return `tcp://${host}:${buildkitPort}`;
};

/** Gives the stack's outputs other builders, as an update would. */
async function withBuilders(builders: { name: string; endpoint: string }[]): Promise<void> {
  const { stack } = scene;
  const { output } = await stack.pulumi(["stack", "export"]);
  const state = JSON.parse(output);
  const root = state.deployment.resources.find(
    ({ type }: { type: string }) => type === "pulumi:pulumi:Stack",
  );
  root.outputs.builders = builders.map((one) => ({ ...one, platforms: ["linux/amd64"] }));
  const { host } = scene.board.connection;
  root.outputs.buildctl = builders.map(() => `buildctl --tlsservername ${host}`);
  const file = join(stack.folder, "state.json");
  await writeFile(file, JSON.stringify(state));
  const { code, output: said } = await stack.pulumi(["stack", "import", "--file", file]);
  if (code !== 0) throw new Error(said);
}

describe("status", () => {
  test("shows a builder, and is well", async () => {
    const { code, stdout, stderr } = await buildhosts(["status", "--stack", "test"]);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^BUILDER +STATE +BUILDKIT +WORKERS +PLATFORMS +CACHE +FREE +BUILDS +DRIFT +CERTIFICATE DAYS$/m,
    );
    expect(stdout).toMatch(
      /^board +ready \([\d.]+ m?s\) +v0\.34\.2 +1 +linux\/amd64 .* of [\d.]+ .B +[\d.]+ .B, \d+k +0 +none +36\d, client 36\d, CA \d+$/m,
    );
    // Nobody has asked for colours in a pipe.
    expect(stdout).not.toContain("\u001b");
  });

  test("tells what somebody changed on the host, and that it needs attention", async () => {
    await on(scene.board, "chmod 644 /etc/buildkit/key.pem");
    const { code, stdout, stderr } = await buildhosts(["status", "--stack", "test"]);
    await on(scene.board, "chmod 600 /etc/buildkit/key.pem");
    expect(code, stderr).toBe(3);
    expect(stdout).toMatch(/^board +attention .* 1 change +/m);
    expect(stderr).toMatch(
      /^! board: drift: \/etc\/buildkit\/key\.pem has the mode 644 of root, not 600 of root, since .*; run: buildhosts up --stack test$/m,
    );
  });

  test("of ten builders takes little longer than of one", async () => {
    const builders = Array.from({ length: 10 }, (_, i) => ({
      name: `b${i}`,
      endpoint: endpoint(),
    }));
    const { builders: before } = (await scene.stack.outputs()) as { builders: typeof builders };
    // The better of two, as the tests' other board wants a processor as well.
    const best = async () => {
      const runs = [];
      for (const _ of [1, 2]) runs.push(await buildhosts(["status", "--stack", "test"]));
      return runs.reduce((a, b) => (a.seconds < b.seconds ? a : b));
    };
    const one = await best();
    await withBuilders(builders);
    const ten = await best();
    log.note(
      `status took ${one.seconds.toFixed(2)} s of one builder, ${ten.seconds.toFixed(2)} s of ten`,
    );
    expect(ten.stdout.match(/ready/g)).toHaveLength(10);
    expect(ten.code).toBe(0);
    expect(ten.seconds).toBeLessThan(2 * one.seconds);
    await withBuilders(before);
  });
});

describe("builds", () => {
  test("has what ran, with its log, and what failed, with its error", async () => {
    expect((await client.build({ noCache: true })).code).toBe(0);
    const broken = join(scene.stack.folder, "Dockerfile.broken");
    await writeFile(broken, 'FROM scratch\nCOPY busybox /busybox\nRUN ["/busybox", "false"]\n');
    expect((await client.build({ dockerfile: broken })).code).not.toBe(0);
    const { builds } = await json(["builds", "--stack", "test"]);
    // Before them are those of the health check.
    expect(builds.slice(0, 2)).toMatchObject([
      { builder: "board", state: "failed", error: expect.stringContaining("exit code: 1") },
      {
        builder: "board",
        state: "done",
        error: null,
        steps: { cached: 0, total: expect.any(Number) },
      },
    ]);
    const [failed, done] = builds;
    const { stdout } = await buildhosts([
      "builds",
      "logs",
      done.ref.slice(0, 12),
      "--stack",
      "test",
    ]);
    expect(stdout).toMatch(/^#\d+ \[2\/2\] RUN /m);
    expect(stdout).toMatch(/^#\d+ built on x86_64$/m);
    expect(stdout).toMatch(/^#\d+ DONE [\d.]+s$/m);
    const told = await buildhosts(["builds", "logs", failed.ref, "--stack", "test"]);
    expect(told.stdout).toMatch(/^ERROR: .*exit code: 1/m);
    expect(told.code).toBe(0);
  });

  test("has what runs", async () => {
    const slow = join(scene.stack.folder, "Dockerfile.slow");
    await writeFile(slow, 'FROM scratch\nCOPY busybox /busybox\nRUN ["/busybox", "sleep", "20"]\n');
    const build = client.build({ dockerfile: slow });
    await eventually("the build to be told", 15, async () => {
      const { builds } = await json(["builds", "--running", "--stack", "test"]);
      return builds.length === 1 && builds[0].state === "running";
    });
    const { builders } = await json(["status", "--stack", "test"]);
    expect(builders[0].runningBuilds).toBe(1);
    await build;
  });

  test("knows no build of another name", async () => {
    const { code, stderr } = await buildhosts(["builds", "logs", "nothing", "--stack", "test"]);
    expect(stderr).toBe(
      "✗ build 'nothing': no builder of stack 'test' remembers it; see: buildhosts builds",
    );
    expect(code).toBe(2);
  });
});

describe("the cache", () => {
  test("is counted by kinds", async () => {
    const { stdout, code } = await buildhosts(["du", "--stack", "test"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^board +regular +\d+ +[\d.]+ .?B +[\d.]+ .?B$/m);
    expect(stdout).toMatch(/^board +total +\d+ /m);
    const verbose = await buildhosts(["du", "board", "--verbose", "--stack", "test"]);
    expect(verbose.stdout).toMatch(/^board +\w{20,} +source\.local /m);
  });

  test("is not pruned unasked", async () => {
    const { code, stderr } = await buildhosts(["prune", "--stack", "test"]);
    expect(stderr).toBe(
      "✗ prune asks before it deletes, and standard input is no terminal; add --yes",
    );
    expect(code).toBe(2);
  });

  test("keeps what is young, and says so", async () => {
    const { stdout, code } = await buildhosts([
      "prune",
      "--yes",
      "--older-than",
      "1h",
      "--stack",
      "test",
    ]);
    expect(stdout).toMatch(
      /^board: freed nothing: .*\d+ records? \([\d.]+ .?B\): used in the last 1 h 0 min/m,
    );
    expect(code).toBe(0);
  });

  test("keeps what fits in --keep-storage, and says so", async () => {
    const { stdout } = await buildhosts([
      "prune",
      "--yes",
      "--keep-storage",
      "20GB",
      "--stack",
      "test",
    ]);
    expect(stdout).toMatch(
      /^board: freed nothing: the cache has .*, which is less than --keep-storage 20\.0 GB$/m,
    );
  });

  test("is pruned, and there is nothing left to prune", async () => {
    const first = await buildhosts(["prune", "board", "--yes", "--all", "--stack", "test"]);
    expect(first.stdout).toMatch(/^board: freed [\d.]+ .?B in \d+ records?$/m);
    const second = await buildhosts(["prune", "board", "--yes", "--all", "--stack", "test"]);
    expect(second.stdout).toBe("board: freed nothing: the cache is empty");
  });
});

describe("doctor", () => {
  test("finds all well on the board, runs a step there, and leaves nothing in its cache", async () => {
    const { stdout, code } = await buildhosts(["doctor", "board", "--stack", "test"]);
    expect(stdout).toMatch(/^✓ a step of a build: an image was built and its step ran in /m);
    expect(stdout).toMatch(/^✓ speed: 100 MB into the cache in .*, [\d.]+ .B\/s$/m);
    expect(stdout.split("\n").filter((line) => !line.startsWith("✓"))).toEqual([]);
    expect(code).toBe(0);
    const { builders } = await json(["du", "--stack", "test"]);
    expect(builders[0].bytes).toBeLessThan(1e6);
  });

  test.each(refusedClients.slice(1))("says why the board refuses %s", async (_, make) => {
    const { stack } = scene;
    const state = await stateOf(stack);
    const { ca, cert, key } = await make(state, "board");
    const { Control } = await import("../../commands/lib/control.ts");
    const { walk } = await import("../../commands/lib/reach.ts");
    const { host, buildkitPort: port } = scene.board.connection;
    const target = { name: "board", host, port, serverName: host };
    const findings = await walk(target, { ca, cert, key }, 10_000);
    expect(findings.at(-1)).toMatchObject({
      check: "the client's rights",
      state: "failed",
      seen: expect.stringMatching(/^the builder (says that|does not know|refuses)/),
    });
    const good = await goodClient(state);
    const control = new Control(target, { ca: good.ca, cert: good.cert, key: good.key });
    expect(await control.version()).toBe("v0.34.2");
    control.close();
  });

  test("knows no builder of another name", async () => {
    const { code, stderr } = await buildhosts(["doctor", "bord", "--stack", "test"]);
    expect(stderr).toBe("✗ builder 'bord': stack 'test' has no such builder (it has: board)");
    expect(code).toBe(2);
  });
});

describe("connect", () => {
  const files = () => join(clone, ".buildhosts", "clients", "test", "default");

  test("without docker writes the files, and says how buildctl is used", async () => {
    const { code, stdout, stderr } = await buildhosts(["connect", "--stack", "test"]);
    expect(stderr).toContain(
      "! no buildx builder was made: there is no docker on PATH; buildctl needs none",
    );
    expect(stderr).toMatch(/^ +board: built an image in [\d.]+ m?s$/m);
    expect(code).toBe(0);
    for (const file of ["ca.pem", "cert.pem", "key.pem"])
      expect((await stat(join(files(), file))).mode & 0o777).toBe(0o600);
    const [exported = "", buildctl = ""] = stdout
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
    // Both lines as they are, but for what is built.
    const asked = buildctl.replace(/ build --frontend .*/, " debug workers");
    const path = `${join(scene.stack.ground.buildctl, "..")}:${process.env.PATH}`;
    const run = await execa("sh", ["-c", `${exported}\n${asked}`], { env: { PATH: path } });
    expect(run.stdout).toContain("linux/amd64");
  });

  test("for nerdctl makes a buildctl that has the certificates", async () => {
    const path = `${join(scene.stack.ground.buildctl, "..")}:${bin}`;
    const { stdout, code } = await buildhosts(["connect", "--nerdctl", "--stack", "test"], {
      PATH: path,
    });
    expect(code).toBe(0);
    const line = stdout.trim().split("\n").at(-1)?.trim() ?? "";
    expect(line).toMatch(/ nerdctl build \.$/);
    // nerdctl itself asks the same question first.
    const asked = line.replace("nerdctl build .", `buildctl --addr=${endpoint()} debug workers`);
    const run = await execa("sh", ["-c", asked], { env: { PATH: path } });
    expect(run.stdout).toContain("linux/amd64");
    const without = await buildhosts(["connect", "--nerdctl", "--stack", "test"]);
    expect(without.lastLine).toBe("✗ nerdctl needs buildctl, and there is none on PATH");
    expect(without.code).toBe(5);
  });

  test("makes a buildx builder that builds, and mends it", async () => {
    const first = await buildhosts(["connect", "--stack", "test"], withDocker());
    expect(first.code, first.stderr).toBe(0);
    expect(first.stderr).toContain("buildx builder 'buildhosts': added node board (linux/amd64)");
    expect(first.stderr).toMatch(/buildx builder 'buildhosts': built an image in /);
    expect(first.stdout).toContain(
      "docker buildx build --builder buildhosts --platform linux/amd64 .",
    );
    const { all } = await runDocker("buildx", "inspect", "buildhosts");
    expect(all).toMatch(/^Status: +running$/m);

    // By hand: a node too many, and another endpoint.
    await runDocker(
      "buildx",
      "create",
      "--name",
      "buildhosts",
      "--node",
      "board",
      "tcp://127.0.0.1:1",
    );
    await rm(join(files(), "key.pem"));
    const second = await buildhosts(["connect", "--stack", "test"], withDocker());
    expect(second.code, second.stderr).toBe(0);
    expect(second.stderr).toContain("buildx builder 'buildhosts': wrote node board (linux/amd64)");
    const { stdout } = await runDocker("buildx", "ls");
    expect(stdout.match(/tcp:/g)).toHaveLength(1);
    expect(stdout).toContain(endpoint());
  });

  test("leaves a dead builder out with a warning, takes its node out, and puts it back", async () => {
    const live = { name: "board", endpoint: endpoint() };
    // buildx has each endpoint once.
    const { buildkitPort } = scene.board.connection;
    await withBuilders([live, { name: "second", endpoint: `tcp://localhost:${buildkitPort}` }]);
    const both = await buildhosts(["connect", "--stack", "test"], withDocker());
    expect(both.code, both.stderr).toBe(0);
    expect((await runDocker("buildx", "ls")).stdout).toContain("second");
    await withBuilders([live, { name: "second", endpoint: "tcp://127.0.0.1:1" }]);
    const { code, stderr } = await buildhosts(["connect", "--stack", "test"], withDocker());
    expect(stderr).toMatch(
      /^! second is left out: port: 127\.0\.0\.1:1: ECONNREFUSED; nothing listens there/m,
    );
    expect(stderr).toContain("buildx builder 'buildhosts': took node second out");
    expect(code).toBe(3);
    expect((await runDocker("buildx", "ls")).stdout).not.toContain("second");
    await withBuilders([live]);
  });

  test("touches no builder of somebody else's, and says what to do about a damaged one", async () => {
    const instances = join(docker, "config", "buildx", "instances");
    await runDocker(
      "buildx",
      "create",
      "--name",
      "theirs",
      "--driver",
      "remote",
      "tcp://127.0.0.1:1",
    );
    const before = await readFile(join(instances, "theirs"), "utf8");
    const theirs = await buildhosts(
      ["connect", "--name", "theirs", "--stack", "test"],
      withDocker(),
    );
    expect(theirs.lastLine).toMatch(
      /^✗ buildx builder 'theirs': it is not this stack's: its node 'theirs0' \(tcp:\/\/127\.0\.0\.1:1\) has no client of this stack; choose another name/,
    );
    expect(theirs.code).toBe(1);
    const removed = await buildhosts(
      ["connect", "--remove", "--name", "theirs", "--stack", "test"],
      withDocker(),
    );
    expect(removed.code).toBe(1);
    expect(await readFile(join(instances, "theirs"), "utf8")).toBe(before);
    await runDocker("buildx", "rm", "theirs");

    await writeFile(join(instances, "half"), '{"Name":"half","Nodes":[{"Na');
    const half = await buildhosts(["connect", "--name", "half", "--stack", "test"], withDocker());
    expect(half.lastLine).toMatch(
      /^✗ buildx builder 'half': its file \S+\/instances\/half is damaged \(.*\); delete that file and run this again$/,
    );
    expect(half.code).toBe(1);
    await rm(join(instances, "half"));
  });

  test("knows no client of another name", async () => {
    const { code, lastLine } = await buildhosts(["connect", "--client", "bob", "--stack", "test"]);
    expect(lastLine).toBe("✗ client 'bob': stack 'test' has no such client (it has: default)");
    expect(code).toBe(2);
  });

  test("--remove leaves nothing behind", async () => {
    const { code, stdout } = await buildhosts(
      ["connect", "--remove", "--stack", "test"],
      withDocker(),
    );
    expect(stdout.split("\n")).toEqual([
      "removed buildx builder 'buildhosts'",
      "removed .buildhosts/clients/test",
    ]);
    expect(code).toBe(0);
    expect(await readdir(join(docker, "config", "buildx", "instances"))).toEqual([]);
    const again = await buildhosts(["connect", "--remove", "--stack", "test"], withDocker());
    expect(again.stdout).toBe("there is nothing of stack 'test' to remove");
    expect(again.code).toBe(0);
  });
});

describe("a builder that does not answer", () => {
  beforeAll(() => on(scene.board, "systemctl stop buildkitd"));
  afterAll(() => on(scene.board, "systemctl start buildkitd"));

  test("is told by every command, with the way on", async () => {
    const status = await buildhosts(["status", "--stack", "test"]);
    expect(status.stdout).toMatch(/^board +unreachable /m);
    expect(status.stderr).toMatch(/^! board: (port|TLS): /m);
    expect(status.code).toBe(1);
    const doctor = await buildhosts(["doctor", "board", "--stack", "test"]);
    expect(doctor.stdout).toMatch(/^✗ (port|TLS): .*\n {2}→ ./m);
    expect(doctor.code).toBe(1);
    const du = await buildhosts(["du", "--stack", "test"]);
    expect(du.stderr).toMatch(/^! board: .*; see: buildhosts doctor board$/m);
    expect(du.code).toBe(1);
    const connect = await buildhosts(["connect", "--stack", "test"]);
    expect(connect.lastLine).toBe(
      "✗ stack 'test': no builder answers; nothing was changed; see: buildhosts doctor board",
    );
    expect(connect.code).toBe(1);
  });
});

describe("a stack", () => {
  test("that was never up has no builder to look at", async () => {
    const { code, stderr } = await buildhosts(["status", "--stack", "other"]);
    expect(stderr).toBe("✗ stack 'other': it is not there yet; run: buildhosts up --stack other");
    expect(code).toBe(4);
  });

  test("whose passphrase is another one is not read, in one line", async () => {
    const wrong = { PULUMI_CONFIG_PASSPHRASE: "wrong" };
    const { code, stderr } = await buildhosts(["status", "--stack", "test"], wrong);
    expect(stderr.split("\n")).toHaveLength(1);
    expect(stderr).toMatch(/^✗ stack 'test': .*passphrase.*; set PULUMI_CONFIG_PASSPHRASE_FILE/);
    expect(code).toBe(4);
  });
});

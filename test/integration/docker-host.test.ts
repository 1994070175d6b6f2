// A builder on a real Docker host, with the real buildkitd, from up to removal. What else can come of a container's
// replacement is shown by docker-hand-over.test.ts.

import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { explain } from "../../commands/lib/explain.ts";
import { defaultVersions } from "../../config/versions.ts";
import type { VirtualDockerHost } from "../../proving-ground/docker/virtualDockerHost.ts";
import { freePort } from "../../runtime/freePort.ts";
import { anotherKey } from "./anotherKey.ts";
import { boardArchitecture, boardMachine, boardPlatform } from "./boardPlatform.ts";
import { allSteps, type Client, cachedSteps, clientOf, containerClient } from "./building.ts";
import { defaultClient, handshake } from "./clients.ts";
import { freshDockerHost } from "./freshDockerHost.ts";
import { otherBuildkit, projectDir, type Run, TestStack } from "./ground.ts";
import { drift, on } from "./onBoard.ts";
import { goodClient, refusedClients, wrongName } from "./refusedClients.ts";
import { secretLines, stateOf } from "./state.ts";

let host: VirtualDockerHost;
let stack: TestStack;
/** Has its files since the first update. */
let client: Client;
/** Every operation of the stack's, whatever came of it. */
const runs: Run[] = [];

beforeAll(async () => {
  host = await freshDockerHost();
  const withHost = { ...inject("ground"), board: host };
  stack = await TestStack.makeAlone(withHost);
});

afterAll(() => host?.disconnect());

/** How the stack reaches the host: by a user of its group docker. */
function overSsh({ port = host.connection.port, hostKey = host.connection.hostKey } = {}): object {
  const { host: address, identityFile } = host.connection;
  return {
    docker: `ssh://builder@${address}:${port}`,
    hostKey,
    ssh: { privateKeyFile: identityFile },
  };
}

function overTls(): object {
  const { host: address, dockerPort, docker } = host.connection;
  return { docker: `tcp://${address}:${dockerPort}`, tls: docker };
}

interface Settings {
  docker?: object;
  buildkit?: string;
  builder?: object;
}

/** The stack's one builder, `box` on the host `farm`. */
async function configure(
  { docker = overSsh(), buildkit, builder = {} }: Settings,
  of: TestStack = stack,
  keys: Record<string, unknown> = {},
): Promise<void> {
  const { host: address, builderPorts } = host.connection;
  await of.configureAlone({
    "buildhosts:releases": buildkit === undefined ? {} : { buildkit },
    "buildhosts:dockerHosts": [
      {
        name: "farm",
        platform: boardArchitecture,
        ...docker,
        builders: [{ name: "box", endpoint: `tcp://${address}:${builderPorts[1234]}`, ...builder }],
      },
    ],
    ...keys,
  });
}

async function run(...args: string[]): Promise<Run> {
  const operation = await stack.operation([
    ...args,
    ...(args[0] === "preview" ? ["--diff"] : ["--yes", "--skip-preview"]),
  ]);
  runs.push(operation);
  return operation;
}

const ok = ({ code, output }: Run) => expect(code, output).toBe(0);
/** What an operation did, but for what it left alone. */
const changes = ({ changes: { same: _, ...others } }: Run) => others;
/** The line that npm run up would show beside the engine's words. */
const reasons = ({ events }: Run) => explain(events).map(({ line }) => line);

const containers = () => on(host, "docker ps --all --format '{{.Names}} {{.Status}}'");
const idOf = (name: string) => on(host, `docker inspect --format '{{.Id}}' ${name}`);
const versionOf = (name: string) =>
  on(host, `docker exec ${name} buildkitd --version | cut -d ' ' -f 3`);
const healthy = /^box Up .* \(healthy\)$/;

async function answers(): Promise<string> {
  return handshake({ board: host, stack }, defaultClient(await stateOf(stack)));
}

/** Each test begins where the one before it ended. */
describe("a builder on a Docker host", () => {
  test("is brought up over ssh://, and its users are told where it is", async () => {
    await configure({ buildkit: otherBuildkit });
    const up = await run("up");
    ok(up);
    expect(up.changes.create?.filter((name) => /^(box|farm)/.test(name))).toEqual([
      "box",
      "box-cache",
      "box-container",
      "box-image",
      "box-server",
      "box-server-certificate",
      "box-server-key",
      "box-server-request",
      "farm-docker",
    ]);
    expect(await containers()).toMatch(healthy);
    expect(await versionOf("box")).toBe(otherBuildkit);
    const { builders, buildx } = await stack.outputs();
    const endpoint = `tcp://127.0.0.1:${host.connection.builderPorts[1234]}`;
    expect(builders).toEqual([{ name: "box", endpoint, platforms: [boardPlatform] }]);
    expect(buildx).toEqual([expect.stringMatching(new RegExp(`--node box .* ${endpoint}$`))]);
  });

  test("builds an image with a RUN step for a client over mutual TLS", async () => {
    client = await clientOf(stack);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
  });

  test("builds for users of its daemon through docker-container://", async () => {
    const { host: address, dockerPort, docker } = host.connection;
    const certificates = await mkdtemp(join(stack.folder, "docker-"));
    for (const [name, file] of Object.entries({
      ca: docker.caFile,
      cert: docker.certFile,
      key: docker.keyFile,
    })) {
      await symlink(file, join(certificates, `${name}.pem`));
    }
    const local = await containerClient(stack, "box", {
      DOCKER_HOST: `tcp://${address}:${dockerPort}`,
      DOCKER_TLS_VERIFY: "1",
      DOCKER_CERT_PATH: certificates,
    });
    const build = await local.build({ noCache: true });
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
  });

  test("is left alone by a second update and by a refresh", async () => {
    const id = await idOf("box");
    const again = await run("up");
    ok(again);
    expect(changes(again)).toEqual({});
    const refreshed = await run("up", "--refresh");
    ok(refreshed);
    expect(refreshed.output).toMatch(/Resources:\n\s+\d+ unchanged\n/);
    expect(await idOf("box")).toBe(id);
  });

  describe("that somebody changed on its host is said by a preview, and mended by an update:", () => {
    test.each([
      ["stopped", "docker stop box", "the container 'box' was stopped at TIME"],
      ["removed", "docker rm --force box", "the container 'box' was removed at TIME"],
      [
        "not to start again",
        "docker update --restart no box",
        "the restart policy of the container 'box' is no, not unless-stopped",
      ],
      ["removed once more", "docker rm --force box", "the container 'box' was removed at TIME"],
    ])("%s", async (_, command, line) => {
      await on(host, command);
      const preview = await run("preview");
      ok(preview);
      expect(drift(preview)).toEqual([`box: ${line}; the update mends it.`]);
      expect(preview.changes.replace, preview.output).toEqual(["box-container"]);
      const up = await run("up");
      ok(up);
      expect(up.changes.replace).toEqual(["box-container"]);
      expect(await containers()).toMatch(healthy);
      const policy = await on(
        host,
        "docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' box",
      );
      expect(policy).toBe("unless-stopped");
      const after = await run("preview");
      expect(drift(after)).toEqual([]);
      expect(changes(after), after.output).toEqual({});
    });

    test("but not where the stack says not to look, and nothing is replaced for that", async () => {
      await configure({ buildkit: otherBuildkit }, stack, { "buildhosts:driftCheck": false });
      await on(host, "docker pause box");
      const preview = await run("preview");
      expect(drift(preview)).toEqual([]);
      expect(changes(preview), preview.output).toEqual({});
      await on(host, "docker unpause box");
      await configure({ buildkit: otherBuildkit });
    });
  });

  describe("answers a client with a certificate of the stack's CA, and refuses", () => {
    test("not one that was made here, by the stack's CA", async () => {
      const state = await stateOf(stack);
      expect(await handshake({ board: host, stack }, await goodClient(state))).toBe("");
    });

    test.each(refusedClients)("%s", async (_, refused, says) => {
      const made = await refused(await stateOf(stack), "box");
      expect(await handshake({ board: host, stack }, made)).toMatch(says);
    });

    test("and is refused itself under a name that its certificate does not have", async () => {
      const right = defaultClient(await stateOf(stack));
      const other = { ...right, serverName: "builder.example.com" };
      expect(await handshake({ board: host, stack }, other)).toMatch(wrongName);
    });
  });

  test("stays as it is when its host is reached over tcp:// and TLS", async () => {
    const id = await idOf("box");
    await configure({ docker: overTls(), buildkit: otherBuildkit });
    const up = await run("up");
    ok(up);
    expect(changes(up)).toEqual({ update: ["farm-docker"] });
    expect(await idOf("box")).toBe(id);
  });

  test("is not replaced before a preview has said that its builds will be interrupted", async () => {
    await configure({ docker: overTls() });
    const preview = await run("preview");
    ok(preview);
    expect(preview.output).toContain(
      "box: the update replaces the container 'box', and ends the builds that run there.",
    );
    expect(await versionOf("box")).toBe(otherBuildkit);
  });

  test("comes back, version and cache, from an upgrade that buildkitd does not start with", async () => {
    const id = await idOf("box");
    const worker = { snapshotter: "elsewhere", proxySnapshotterPath: "/run/nobody.sock" };
    await configure({
      docker: overTls(),
      builder: { startSeconds: 20, buildkitd: { worker } },
    });
    const up = await run("up");
    expect(up.code).not.toBe(0);
    expect(reasons(up)).toEqual([
      expect.stringMatching(
        /^box: the new container was not healthy after 20 s \(.*\); what ran before runs again and is healthy$/,
      ),
    ]);
    expect(up.output).toContain("/run/nobody.sock");
    expect(await containers()).toMatch(healthy);
    expect(await idOf("box")).toBe(id);
    expect(await versionOf("box")).toBe(otherBuildkit);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(allSteps);
  });

  test("is upgraded with its cache: a rebuild runs no step", async () => {
    const volume = await on(host, "docker volume inspect box-cache");
    await configure({ docker: overTls() });
    const up = await run("up");
    ok(up);
    expect(await containers()).toMatch(healthy);
    expect(await versionOf("box")).toBe(defaultVersions.buildkit);
    expect(await on(host, "docker volume inspect box-cache")).toBe(volume);
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(allSteps);
  });

  test("is not said to be up where it answers, but no step of a build runs", async () => {
    const worker = { "apparmor-profile": "nobody-has-loaded" };
    await configure({ docker: overTls(), builder: { buildkitd: { worker } } });
    const up = await run("up");
    expect(up.code, up.output).not.toBe(0);
    expect(reasons(up)).toEqual([
      expect.stringMatching(
        /^box: buildkitd is healthy, but a step of a build does not run: .*apparmor.*; the container 'box' stays as it is/i,
      ),
    ]);
    expect(await containers()).toMatch(healthy);
    await configure({ docker: overTls() });
    ok(await run("up"));
    // Nothing of the step is in the cache.
    expect(await on(host, "docker exec box buildctl du --verbose")).not.toContain(
      "buildhosts-health",
    );
  });

  // docker-hand-over.test.ts stops one, too.
  test("is made again when it was removed by hand, by a clone that has no files of an SSH client yet", async () => {
    await on(host, "docker rm --force box");
    await configure({});
    await rm(join(projectDir, ".buildhosts", "docker", stack.name, "farm"), {
      recursive: true,
      force: true,
    });
    // As the npm commands refresh.
    const up = await run("up", "--refresh", "--run-program");
    ok(up);
    expect(up.changes.create).toEqual(["box-container"]);
    expect(up.changes.update).toEqual(["farm-docker"]);
    expect(await answers()).toBe("");
  });

  test("is out of reach behind a wrong host key, or a port where nobody listens: one line says so", async () => {
    const id = await idOf("box");
    const strange = await TestStack.makeAlone(stack.ground, "strange");
    await configure({ docker: overSsh({ hostKey: anotherKey().publicLine }) }, strange);
    const preview = await strange.preview();
    ok(preview);
    expect(drift(preview)).toEqual([
      expect.stringMatching(/^farm: whether somebody changed it by hand is not known: docker host/),
    ]);
    const refused = await strange.up();
    expect(refused.code).not.toBe(0);
    expect([...new Set(reasons(refused))]).toEqual([
      expect.stringMatching(
        /^the Docker daemon at ssh:\S+ cannot be reached: the host showed another key than the stack's hostKey, so nothing was sent to it\./,
      ),
    ]);
    await configure({ docker: overSsh({ port: await freePort() }) }, strange);
    const closed = await strange.up();
    expect(closed.code).not.toBe(0);
    expect([...new Set(reasons(closed))]).toEqual([
      expect.stringMatching(
        /^the Docker daemon at ssh:\S+ cannot be reached: nothing listens there\./,
      ),
    ]);
    expect(await idOf("box")).toBe(id);
  });

  test("keeps secrets out of output, log, labels, environment, processes and plain state", async () => {
    const { connection } = host;
    const state = await stateOf(stack);
    const canaries = [
      ...["ca-key", "box-server-key", "client-default-key"].map(
        (name) => state.resource(name).privateKeyPem ?? "",
      ),
      await readFile(connection.identityFile, "utf8"),
      await readFile(connection.docker.keyFile, "utf8"),
    ].flatMap(secretLines);
    expect(canaries.length).toBeGreaterThanOrEqual(5);
    const seen = (text: string) => canaries.filter((canary) => text.includes(canary));
    // The search itself finds what it looks for.
    expect(seen((await stack.pulumi(["stack", "export", "--show-secrets"])).output)).not.toEqual(
      [],
    );

    const found: Record<string, string[]> = {
      output: seen(runs.map(({ output }) => output).join("\n")),
      // Debug lines, which nobody is shown, hold secrets: our tools keep no event log for that reason.
      events: seen(
        runs
          .flatMap(({ events }) => events.split("\n"))
          .filter((line) => line && JSON.parse(line).diagnosticEvent?.severity !== "debug")
          .join("\n"),
      ),
      "plain state": seen((await stack.pulumi(["stack", "export"])).output),
      "plain outputs": seen((await stack.pulumi(["stack", "output", "--json"])).output),
      inspect: seen(await on(host, "docker inspect box $(docker inspect -f '{{.Image}}' box)")),
      log: seen(await on(host, "docker logs box 2>&1")),
      journal: seen(await on(host, "journalctl --no-pager -o cat")),
      processes: seen(
        await on(host, "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || :"),
      ),
    };
    expect(found).toEqual(Object.fromEntries(Object.keys(found).map((where) => [where, []])));
    // The daemon's own key alone is in the container, for root alone.
    expect(
      await on(
        host,
        "docker exec box sh -c \"stat -c '%a %u %n' /etc/buildkit/*.pem /etc/buildkit/*.toml\"",
      ),
    ).toBe(
      ["ca.pem", "cert.pem", "key.pem", "buildkitd.toml"]
        .map((name) => `600 0 /etc/buildkit/${name}`)
        .join("\n"),
    );
  });

  test("goes with the stack, and its cache stays", async () => {
    ok(await run("destroy"));
    expect(await containers()).toBe("");
    expect(await on(host, "docker volume ls --quiet")).toBe("box-cache");
  });
});

// A pool on a board before three boards: where builds are made, what becomes of them when a builder dies, and who is let in.

import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { writeClientFiles } from "../../commands/lib/clientFiles.ts";
import { Control } from "../../commands/lib/control.ts";
import { unable } from "../../proving-ground/board/native/host.ts";
import { poolBoardKind, useArchive } from "../../proving-ground/board/poolBoard.ts";
import {
  findVirtualBoard,
  plainBoard,
  startBoard,
  type VirtualBoard,
} from "../../proving-ground/board/virtualBoard.ts";
import { type ArchiveProxy, startArchiveProxy } from "../../proving-ground/debian/archiveProxy.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { dockerfile } from "./building.ts";
import { type Client, defaultClient, handshakeAt } from "./clients.ts";
import { TestStack } from "./ground.ts";
import { listen } from "./listener.ts";
import { eventually, on } from "./onBoard.ts";
import { refusedClients, wrongName } from "./refusedClients.ts";
import { type State, stateOf } from "./state.ts";

const platform = "linux/amd64";
const domain = "pool.buildhosts.internal";
const builderNames = ["board-1", "board-2", "board-3"] as const;
type BuilderName = (typeof builderNames)[number];
const projects = Array.from({ length: 12 }, (_, i) => `project-${i + 1}`);

describe.skipIf(unable())("a pool of three boards", () => {
  const boards = {} as Record<BuilderName, VirtualBoard>;
  let poolPort: number;
  let archive: ArchiveProxy;
  let stack: TestStack;
  let files: string;
  let contexts: string;
  let state: State;

  beforeAll(async () => {
    const ground = inject("ground");
    const instance = (name: string) => `${ground.instance}-${process.env.VITEST_POOL_ID}-${name}`;
    for (const name of builderNames)
      await (await findVirtualBoard(instance(name), platform))?.stop();
    archive = await startArchiveProxy(log);
    const [first, ...others] = await Promise.all([
      startBoard({ platform, kind: poolBoardKind, instance: instance("board-1"), log }),
      startBoard({ platform, kind: plainBoard, instance: instance("board-2"), log }),
      startBoard({ platform, kind: plainBoard, instance: instance("board-3"), log }),
    ]);
    poolPort = first.connection.poolPort;
    Object.assign(boards, { "board-1": first, "board-2": others[0], "board-3": others[1] });
    await useArchive(first, archive.port);
    stack = await TestStack.makeAlone(ground);
    await configure();
  });

  afterAll(async () => {
    for (const board of Object.values(boards)) await board.stop();
    await archive?.close();
  });

  async function configure(keys: Record<string, unknown> = {}): Promise<void> {
    const { connection } = boards["board-1"];
    await stack.configureAlone({
      "buildhosts:releases": { mirror: `http://${connection.gateway}:${stack.ground.mirror.port}` },
      "buildhosts:ssh": { privateKeyFile: connection.identityFile },
      "buildhosts:boards": builderNames.map((name) => {
        const { host, port, user, hostKey, buildkitPort } = boards[name].connection;
        const endpoint = `tcp://${host}:${buildkitPort}`;
        return { name, host, port, user, hostKey, platform, endpoint, drainSeconds: 60 };
      }),
      "buildhosts:pools": [
        {
          ...{ name: "pool", on: "board-1", builders: builderNames },
          endpoint: `tcp://${connection.host}:${poolPort}`,
          endpoints: Object.fromEntries(
            builderNames.map((name) => [
              name,
              name === "board-1"
                ? "tcp://127.0.0.1:1234"
                : `tcp://${connection.gateway}:${boards[name].connection.buildkitPort}`,
            ]),
          ),
        },
      ],
      ...keys,
    });
  }

  /** Builds on the pool as a client of that project. */
  async function build(
    project: string,
    args: Record<string, string> = {},
    image = contexts,
  ): Promise<{ code: number; output: string }> {
    const { exitCode, all } = await execa(
      stack.ground.buildctl,
      [
        ...["--addr", `tcp://127.0.0.1:${poolPort}`, "--tlsservername", `${project}.${domain}`],
        ...["--tlsdir", files, "build", "--progress", "plain", "--frontend", "dockerfile.v0"],
        ...["--local", `context=${image}`, "--local", `dockerfile=${image}`],
        ...Object.entries({ PROJECT: project, ...args }).flatMap(([key, value]) => [
          ...["--opt", `build-arg:${key}=${value}`],
        ]),
      ],
      { all: true, reject: false, timeout: 120_000 },
    );
    return { code: exitCode ?? 1, output: String(all ?? "") };
  }

  async function buildEach(some = projects): Promise<void> {
    for (const project of some) {
      const { code, output } = await build(project);
      expect(code, `${project}: ${output}`).toBe(0);
    }
  }

  /** How many builds of each project a builder remembers, by what it says itself. */
  async function historyOf(name: BuilderName): Promise<Record<string, number>> {
    const { host, buildkitPort } = boards[name].connection;
    const control = new Control(
      { host, port: buildkitPort, serverName: host },
      defaultClient(state),
    );
    try {
      const { records } = await control.builds({}, 20_000);
      const found: Record<string, number> = {};
      for (const { FrontendAttrs } of records) {
        const project = FrontendAttrs["build-arg:PROJECT"];
        if (project) found[project] = (found[project] ?? 0) + 1;
      }
      return found;
    } finally {
      control.close();
    }
  }

  /** By project, how many builds each builder has of it. */
  async function builds(
    of: readonly BuilderName[] = builderNames,
  ): Promise<Record<string, Partial<Record<BuilderName, number>>>> {
    const histories = await Promise.all(of.map((name) => historyOf(name)));
    return Object.fromEntries(
      projects.map((project) => [
        project,
        Object.fromEntries(
          of.flatMap((name, i) => {
            const count = histories[i]?.[project];
            return count ? [[name, count]] : [];
          }),
        ),
      ]),
    );
  }

  /** By project, the builder that the pool took it to first. */
  let homes: Record<string, BuilderName>;
  const home = (project: string) => homes[project] as BuilderName;

  const statusOf = (name: BuilderName) =>
    on(
      boards["board-1"],
      `curl -s 'http://127.0.0.1:8405/;csv' | awk -F , '$1 == "builders" && $2 == "${name}" { print $18 }'`,
    );

  test("comes up with the builders, by the distribution's package", async () => {
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect(up.output).toContain("pool: installing the package haproxy");
    expect(up.output).toContain("pool: HAProxy serves 3 of 3 builders");
    expect(up.output).not.toContain("no client is let in");
    state = await stateOf(stack);
    files = await mkdtemp(join(stack.folder, "client-"));
    const outputs = await stack.outputs();
    await writeClientFiles(outputs, "default", files);
    expect(outputs.pools).toEqual([
      {
        name: "pool",
        endpoint: `tcp://127.0.0.1:${poolPort}`,
        platforms: [platform],
        domain,
        builders: builderNames,
      },
    ]);
    contexts = await mkdtemp(join(stack.folder, "context-"));
    await writeFile(join(contexts, "Dockerfile"), "FROM scratch\nARG PROJECT\nCOPY Dockerfile /\n");
    expect(Object.keys((await stack.up()).changes)).toEqual(["same"]);
  });

  test("shows what it holds to root alone, and its metrics to its own machine", async () => {
    const board = boards["board-1"];
    expect(
      await on(
        board,
        "cd /usr/local/lib/buildhosts-pools/pool/current/ && stat -c '%a %U %n' *.pem",
      ),
    ).toBe("600 root ca.pem\n600 root health-check.pem");
    expect(await on(board, "ps -o user= -C haproxy | sort -u")).toBe("haproxy\nroot");
    expect(await on(board, "ss -Hltn 'sport = :8405' | awk '{ print $4 }'")).toBe("127.0.0.1:8405");
    expect(await on(board, "systemctl is-active haproxy.service || true")).toBe("inactive");
  });

  test("builds each project on one builder", async () => {
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        [0, 1, 2].map((lane) => buildEach(projects.filter((_, i) => i % 3 === lane))),
      );
    }
    const found = await builds();
    for (const project of projects) expect(Object.values(found[project] ?? {})).toEqual([5]);
    homes = Object.fromEntries(
      projects.map((project) => [project, Object.keys(found[project] ?? {})[0] as BuilderName]),
    );
    expect(new Set(Object.values(homes)).size).toBeGreaterThan(1);
  });

  test.each(refusedClients)("refuses a client with %s as its builders do", async (_, make, why) => {
    const name = home(projects[0] ?? "");
    const client = await make(state, name);
    const direct = boards[name].connection.buildkitPort;
    const serverName = `${projects[0]}.${domain}`;
    expect(await refusal(client, direct, serverName)).toMatch(why);
    expect(await refusal(client, poolPort, serverName)).toMatch(why);
  });

  test("is no name that its builders' certificates lack", async () => {
    expect(await refusal(defaultClient(state), poolPort, "builder.example.com")).toMatch(wrongName);
  });

  /** What a client hears that asks for the workers; empty when it is let in. */
  const refusal = (client: Client, port: number, serverName: string): Promise<string> =>
    handshakeAt(stack, `tcp://127.0.0.1:${port}`, { ...client, serverName });

  test("renews the certificates of pool and builders while a build runs, which ends well", async () => {
    const [project = ""] = projects;
    const image = await mkdtemp(join(stack.folder, "waiting-"));
    await execa("cp", [dockerfile("waiting"), boards["board-1"].busybox, image]);
    const end = await listen();
    const until = `${boards["board-1"].connection.gateway}:${end.port}`;
    const building = build("renewal", { UNTIL: until }, image);
    await end.connected;
    const histories = await Promise.all(builderNames.map(historyOf));
    const idle = builderNames.filter((_, i) => !histories[i]?.renewal);
    expect(idle).toHaveLength(2);
    const before = await Promise.all(idle.map(certificateOf));
    await configure({
      "buildhosts:certificates": {
        builderKeys: Object.fromEntries(builderNames.map((name) => [name, 2])),
        clientKeys: { "pool-pool": 2 },
      },
    });
    const up = stack.up();
    // The pool waits for the builders, and the one that builds waits for the end of the build.
    await eventually("the idle builders to have new certificates", 120, async () => {
      const shown = await Promise.all(idle.map((name) => certificateOf(name).catch(() => "")));
      return shown.every((serial, i) => serial && serial !== before[i]);
    });
    end.close();
    const { code, output } = await building;
    expect(code, output).toBe(0);
    const run = await up;
    expect(run.code, run.output).toBe(0);
    expect(run.output).toContain("pool: HAProxy serves 3 of 3 builders");
    state = await stateOf(stack);
    await buildEach([project]);
  });

  /** What a builder shows now. */
  async function certificateOf(name: BuilderName): Promise<string | undefined> {
    const { host, buildkitPort } = boards[name].connection;
    const control = new Control(
      { host, port: buildkitPort, serverName: host },
      defaultClient(state),
    );
    try {
      await control.version(20_000);
      return control.serverCertificate?.serialNumber;
    } finally {
      control.close();
    }
  }

  test("takes a dead builder's projects to others within 3 s, and no other's, and takes them back", async () => {
    // On the way to another virtual board, this machine accepts connections that the board refuses, which no network of real
    // ones does: those are found out by the health check alone.
    const dead = "board-1";
    const alive = builderNames.filter((name) => name !== dead);
    const its = projects.filter((project) => home(project) === dead);
    const others = projects.filter((project) => home(project) !== dead);
    const countBefore = await builds();
    // As after a crash from which it does not come back.
    await on(
      boards[dead],
      "systemctl mask --runtime --quiet buildkitd.service && systemctl kill --signal KILL buildkitd.service",
    );
    const killed = performance.now();
    await eventually("the next build of a project of it", 20, async () => {
      const { code } = await build(its[0] ?? "");
      return code === 0;
    });
    const seconds = (performance.now() - killed) / 1000;
    log.note(`the next build was made ${seconds.toFixed(2)} s after its builder was killed`);
    expect(seconds).toBeLessThan(3);

    await eventually("the check to see it", 20, async () => (await statusOf(dead)) === "DOWN");
    await buildEach();
    const meanwhile = await builds(alive);
    for (const project of its) expect(Object.keys(meanwhile[project] ?? {})).toHaveLength(1);
    for (const project of others) {
      const name = home(project);
      expect(meanwhile[project]).toEqual({ [name]: (countBefore[project]?.[name] ?? 0) + 1 });
    }

    await on(
      boards[dead],
      "systemctl unmask --runtime --quiet buildkitd.service && systemctl reset-failed buildkitd.service; systemctl start buildkitd.service",
    );
    await eventually("the check to see it again", 30, async () => (await statusOf(dead)) === "UP");
    const countAfter = await builds();
    await buildEach();
    const last = await builds();
    for (const project of projects) {
      const name = home(project);
      const count = countAfter[project] ?? {};
      expect(last[project]).toEqual({ ...count, [name]: (count[name] ?? 0) + 1 });
    }
  });

  test("leaves nothing on its machine but the package", async () => {
    await configure({ "buildhosts:pools": [] });
    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect(up.output).toContain("pool: removed; the package haproxy stays");
    expect(
      await on(
        boards["board-1"],
        "ls -d /usr/local/lib/buildhosts-pools /usr/local/lib/systemd/system/buildhosts-pool* 2>/dev/null; pgrep haproxy; true",
      ),
    ).toBe("");
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { writeClientFiles } from "../commands/lib/clientFiles.ts";
import { projectDir } from "../commands/lib/stackFile.ts";
import { defaultVersions } from "../config/versions.ts";
import { poolBoardKind, useArchive } from "../proving-ground/board/poolBoard.ts";
import { plainBoard, startBoard, type VirtualBoard } from "../proving-ground/board/virtualBoard.ts";
import { startArchiveProxy } from "../proving-ground/debian/archiveProxy.ts";
import { ensureBuildctl, ensureReleaseAssets } from "../proving-ground/mirror/assets.ts";
import { startMirror } from "../proving-ground/mirror/mirror.ts";
import type { Bench } from "./board.ts";
import { type Comparison, table } from "./measure.ts";
import { type Rounds, seconds } from "./rounds.ts";
import { benchStack } from "./stacks.ts";

/** How long the next build may take until it is made, in seconds. */
const FAILOVER_SECONDS = 3;

/** Builds of one measurement: the time of one alone says little. */
const BUILDS = 3;

/**
 * Some seconds of a processor: each message of a build costs something on the way through HAProxy, and there are a few hundred of
 * them, however long its steps take.
 */
const WORK = "i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done";

/**
 * Two native boards and a pool before them: builds through it against the same builds by the builder's own address, and how
 * long after its builder was killed a project is built on the other one; their table is printed.
 */
export async function measurePool({ pulumi, env, log }: Bench, rounds: Rounds): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "buildhosts-bench-pool-"));
  const archive = await startArchiveProxy(log);
  const platform = "linux/amd64";
  const releases = await ensureReleaseAssets(platform, defaultVersions, log);
  const mirror = await startMirror({ directories: [releases] });
  const [first, second] = await Promise.all([
    startBoard({ platform, kind: poolBoardKind, instance: "bench-pool-1", log }),
    startBoard({ platform, kind: plainBoard, instance: "bench-pool-2", log }),
  ]);
  try {
    await useArchive(first, archive.port);
    const { connection } = first;
    const board = (name: string, { connection: at }: VirtualBoard) => ({
      ...{ name, host: at.host, port: at.port, hostKey: at.hostKey, platform },
      endpoint: `tcp://${at.host}:${at.buildkitPort}`,
    });
    const stack = await benchStack({
      ...{ pulumi, env, program: projectDir, folder: join(work, "stack") },
      config: {
        "buildhosts:releases": { mirror: `http://${connection.gateway}:${mirror.port}` },
        "buildhosts:ssh": { privateKeyFile: connection.identityFile },
        "buildhosts:boards": [board("board-1", first), board("board-2", second)],
        "buildhosts:pools": [
          {
            ...{ name: "pool", on: "board-1", builders: ["board-1", "board-2"] },
            endpoint: `tcp://${connection.host}:${connection.poolPort}`,
            endpoints: {
              "board-1": "tcp://127.0.0.1:1234",
              "board-2": `tcp://${connection.gateway}:${second.connection.buildkitPort}`,
            },
          },
        ],
      },
    });
    await log.step("bring two boards and a pool up", () =>
      stack.run("up", "--yes", "--skip-preview"),
    );
    const files = join(work, "client");
    await writeClientFiles(await stack.outputs(), "default", files);
    const context = join(work, "context");
    await execa("mkdir", [context]);
    await execa("cp", [first.busybox, join(context, "busybox")]);
    await writeFile(
      join(context, "Dockerfile"),
      'FROM scratch\nCOPY busybox /bin/busybox\nARG WORK\nRUN ["/bin/busybox", "sh", "-c", "eval \\"$WORK\\""]\n',
    );

    const buildctl = await ensureBuildctl(log);
    const client = async (port: number, serverName: string, ...args: string[]) =>
      execa(
        buildctl,
        [
          ...["--addr", `tcp://127.0.0.1:${port}`, "--tlsservername", serverName],
          ...["--tlsdir", files, ...args],
        ],
        { reject: false, timeout: 60_000, all: true },
      );
    const worker = async (port: number, serverName: string) =>
      (await client(port, serverName, "debug", "workers")).stdout.split("\n")[1]?.split("\t")[0];
    const build = (port: number, serverName: string, step = "true") =>
      client(
        ...([port, serverName, "build", "--no-cache", "--frontend", "dockerfile.v0"] as const),
        ...["--local", `context=${context}`, "--local", `dockerfile=${context}`],
        ...["--opt", `build-arg:WORK=${step}`],
      );
    // One whose builder is on the pool's own board: the network between virtual boards is none that a pool would have.
    const direct = connection.buildkitPort;
    const own = await worker(direct, "127.0.0.1");
    let project = "";
    for (let i = 1; project === "" && i <= 50; i++) {
      const name = `project-${i}.pool.buildhosts.internal`;
      if ((await worker(connection.poolPort, name)) === own) project = name;
    }
    if (!project) throw new Error("the pool takes no project to its own board");
    const several = (port: number, serverName: string) =>
      seconds(async () => {
        for (let i = 0; i < BUILDS; i++) {
          const { exitCode, all } = await build(port, serverName, WORK);
          if (exitCode !== 0) throw new Error(`a build failed:\n${all}`);
        }
      });

    await rounds.compare(
      "(f) three builds of some seconds through a pool / by the builder's own address",
      1.05,
      () => several(connection.poolPort, project),
      () => several(direct, "127.0.0.1"),
    );

    const failover: Comparison = { ours: [], theirs: [] };
    for (let round = 1; round <= rounds.count; round++) {
      await ssh(
        first,
        "systemctl mask --runtime --quiet buildkitd.service && systemctl kill --signal KILL buildkitd.service",
      );
      const killed = performance.now();
      while ((await build(connection.poolPort, project)).exitCode !== 0) {
        if (performance.now() - killed > 60_000) throw new Error("no build within 60 s");
      }
      failover.ours.push((performance.now() - killed) / 1000);
      failover.theirs.push(FAILOVER_SECONDS);
      await ssh(
        first,
        "systemctl unmask --runtime --quiet buildkitd.service && systemctl reset-failed buildkitd.service; systemctl start buildkitd.service",
      );
      const started = performance.now();
      while ((await worker(connection.poolPort, project)) !== own) {
        if (performance.now() - started > 60_000) throw new Error("the project does not come back");
        await pause(200);
      }
    }
    rounds.add("(f) the next build after its builder was killed / 3 s", 1, failover);
    process.stdout.write(`On a pool of two native boards:\n\n${table(rounds.rows)}\n\n`);
  } finally {
    await first.stop();
    await second.stop();
    await archive.close();
    await mirror.close();
    await rm(work, { recursive: true, force: true });
  }
}

async function ssh(board: VirtualBoard, command: string): Promise<void> {
  const { code, stderr } = await board.ssh(command);
  if (code !== 0) throw new Error(`${command}: ${stderr}`);
}

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Comparison, isHeld, median, type Row, ratio, table } from "../bench/measure.ts";
import { measurePool } from "../bench/pool.ts";
import {
  type BenchStack,
  benchStack,
  defaultLoaderProgram,
  emptyProgram,
} from "../bench/stacks.ts";
import { defaultVersions } from "../config/versions.ts";
import type { Platform } from "../proving-ground/board/architectures.ts";
import { unable } from "../proving-ground/board/native/host.ts";
import { startVirtualBoard, type VirtualBoard } from "../proving-ground/board/virtualBoard.ts";
import { ensureReleaseAssets } from "../proving-ground/mirror/assets.ts";
import { startMirror } from "../proving-ground/mirror/mirror.ts";
import { ended, runTool } from "./lib/ending.ts";
import { type EngineSession, engineSession } from "./lib/engineSession.ts";
import { toolOptions } from "./lib/options.ts";
import { projectDir } from "./lib/stackFile.ts";
import { toolLog } from "./lib/toolLog.ts";

const { values } = toolOptions({
  usage: "npm run bench --",
  summary:
    "Measures, on virtual boards of its own, against what one would do otherwise, in turn within one run,\nand prints the ratios as a table for each kind of board. It takes about fifteen minutes; run nothing beside it.",
  options: {
    "board=KIND":
      "native, riscv64, or both (default: both, where this machine can run native boards)",
    "rounds=N": "rounds of each comparison, 3 or more (default: 3)",
    "skip-up": "leaves out (a), which takes most of the time",
    "only-pool": "measures (f) alone, the pool, which needs native boards",
  },
});

const rounds = Number(values.rounds ?? 3);

/** The boards to measure on, by what `--board` says. */
const kinds: Record<string, Platform[]> = {
  native: ["linux/amd64"],
  riscv64: ["linux/riscv64"],
  both: ["linux/amd64", "linux/riscv64"],
};

const log = toolLog("bench");
await runTool(async () => {
  if (!Number.isInteger(rounds) || rounds < 3) {
    return ended.failed(`--rounds is '${values.rounds}'; a whole number from 3 is needed`);
  }
  const platforms = kinds[String(values.board ?? (unable() ? "riscv64" : "both"))];
  if (!platforms) {
    return ended.failed(
      `--board is '${values.board}'; it is one of ${Object.keys(kinds).join(", ")}`,
    );
  }
  const session = await engineSession("dev", log);
  const rows: Row[] = [];
  for (const platform of values["only-pool"] ? [] : platforms)
    rows.push(...(await measure(session, platform)));
  if (platforms.includes("linux/amd64")) rows.push(...(await measureFailover(session)));
  const limited = rows.filter(({ limit }) => limit !== undefined);
  return ended.well(`${limited.filter(isHeld).length} of ${limited.length} limits held`);
}, log);

/** All comparisons on a board of `platform`; their table is printed. */
async function measure(session: EngineSession, platform: Platform): Promise<Row[]> {
  const work = await mkdtemp(join(tmpdir(), "buildhosts-bench-"));
  const board = await startVirtualBoard({ platform, instance: "bench", log });
  const releases = await ensureReleaseAssets(platform, defaultVersions, log);
  const mirror = await startMirror({ directories: [releases] });
  const mirrorUrl = `http://${board.connection.gateway}:${mirror.port}`;
  try {
    const config = (boards: number) => stackConfig(board, mirrorUrl, boards);
    const base = { pulumi: session.engine.pulumi, env: { ...session.env, SSH_AUTH_SOCK: "" } };
    const ours = (name: string, boards = 1, withoutCaches = false) =>
      benchStack({
        ...base,
        program: projectDir,
        folder: join(work, name),
        config: config(boards),
        withoutCaches,
      });
    const rows: Row[] = [];

    const script = await readFile(join(projectDir, "bench", "seeds.sh"), "utf8");
    let up: BenchStack | undefined;
    const first: Comparison = { ours: [], theirs: [] };
    for (let round = 1; round <= (values["skip-up"] ? 0 : rounds); round++) {
      await log.step(
        `up from nothing, and the shell notes: round ${round} of ${rounds}`,
        async () => {
          await board.restore("booted");
          first.theirs.push(await seconds(() => runNotes(board, script, mirrorUrl)));
          await board.restore("booted");
          up = await ours(`up-${round}`);
          first.ours.push(await up.run("up", "--yes", "--skip-preview"));
        },
      );
    }
    if (up) {
      rows.push(row("(a) up from nothing / the shell notes", first, 1.25));
    } else {
      await board.restore("booted");
      up = await ours("up");
      await up.run("up", "--yes", "--skip-preview");
    }
    const stack = up;
    const empty = await benchStack({
      ...base,
      program: await emptyProgram(join(work, "empty")),
      folder: join(work, "empty-state"),
      config: {},
    });
    // The default loader as pulumi alone starts it: what Node.js compiles is kept by our scripts only.
    const env = { ...base.env, NODE_COMPILE_CACHE: undefined };
    const slowProgram = await defaultLoaderProgram(join(work, "default"));
    const slow = (name: string, withoutCaches = false) =>
      benchStack({
        ...base,
        env,
        program: slowProgram,
        folder: join(work, name),
        config: config(1),
        withoutCaches,
      });
    const slowWarm = await slow("default-warm");
    const slowCold = await slow("default-cold", true);
    const one = await ours("one");
    const oneCold = await ours("one-cold", 1, true);
    const hundred = await ours("hundred", 100);
    const preview = () => stack.run("preview");

    rows.push(
      row(
        "(b) preview / of an empty program",
        await compare(preview, () => empty.run("preview")),
        1.8,
      ),
      row(
        "(b) preview in a new checkout / under the default loader",
        await compare(
          () => oneCold.run("preview"),
          () => slowCold.run("preview"),
        ),
        0.5,
      ),
      // An empty program takes more than half of that, too.
      row(
        "(b) the same once ts-node has kept what it compiled",
        await compare(
          () => one.run("preview"),
          () => slowWarm.run("preview"),
        ),
      ),
      row(
        "(c) up with nothing to do / preview",
        await compare(() => stack.run("up", "--yes", "--skip-preview"), preview),
        2.2,
      ),
      row(
        "(d) preview of 100 boards / of one",
        await compare(
          () => hundred.run("preview"),
          () => one.run("preview"),
        ),
        3,
      ),
    );
    const memory: number[] = [];
    const memoryOfHundred: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      memory.push(await peakMegabytes(preview));
      memoryOfHundred.push(await peakMegabytes(() => hundred.run("preview")));
    }
    process.stdout.write(
      `On a board of ${platform}:\n\n${table(rows)}\n\n(e) peak memory of the program: ${median(memory).toFixed(0)} MB for one board, ` +
        `${median(memoryOfHundred).toFixed(0)} MB for 100\n` +
        `Medians of ${rounds} rounds; each ratio is the median of the rounds' ratios.\n\n`,
    );
    return rows;
  } finally {
    await board.stop();
    await mirror.close();
    await rm(work, { recursive: true, force: true });
  }
}

/** A pool of two native boards; its table is printed. */
async function measureFailover(session: EngineSession): Promise<Row[]> {
  const releases = await ensureReleaseAssets("linux/amd64", defaultVersions, log);
  const mirror = await startMirror({ directories: [releases] });
  try {
    const { through, failover } = await measurePool({
      pulumi: session.engine.pulumi,
      env: { ...session.env, SSH_AUTH_SOCK: "" },
      mirrorUrl: `http://10.0.2.2:${mirror.port}`,
      rounds,
      log,
    });
    const rows = [
      row(
        "(f) three builds of some seconds through a pool / by the builder's own address",
        through,
        1.05,
      ),
      row("(f) the next build after its builder was killed / 3 s", failover, 1),
    ];
    process.stdout.write(`On a pool of two native boards:\n\n${table(rows)}\n\n`);
    return rows;
  } finally {
    await mirror.close();
  }
}

/** A row of the table, said at once too: a later comparison may fail. */
function row(what: string, comparison: Comparison, limit?: number): Row {
  const found: Row = {
    what,
    ours: median(comparison.ours),
    theirs: median(comparison.theirs),
    ratio: ratio(comparison),
    ...(limit !== undefined && { limit }),
  };
  log.note(
    `${what}: ${found.ours.toFixed(2)} s / ${found.theirs.toFixed(2)} s, ${found.ratio.toFixed(2)}×`,
  );
  return found;
}

async function compare(
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<Comparison> {
  const comparison: Comparison = { ours: [], theirs: [] };
  // A first round fills caches, of both alike, and is not counted.
  for (let round = 0; round <= rounds; round++) {
    const pair = [await ours(), await theirs()] as const;
    if (round === 0) continue;
    comparison.ours.push(pair[0]);
    comparison.theirs.push(pair[1]);
  }
  return comparison;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** One new SSH session, as somebody who follows the notes has. */
async function runNotes(board: VirtualBoard, script: string, mirror: string): Promise<void> {
  board.disconnect();
  const architecture = board.connection.platform.replace("linux/", "");
  const { code, stderr } = await board.ssh(`sh -s ${mirror} ${architecture}`, script);
  if (code !== 0) throw new Error(`the shell notes failed: ${stderr}`);
}

function stackConfig({ connection }: VirtualBoard, mirror: string, boards: number) {
  return {
    "buildhosts:releases": { mirror },
    "buildhosts:ssh": { privateKeyFile: connection.identityFile },
    "buildhosts:boards": Array.from({ length: boards }, (_, i) => ({
      name: `board-${i + 1}`,
      host: i === 0 ? connection.host : `board-${i + 1}.example.com`,
      port: connection.port,
      hostKey: connection.hostKey,
      platform: connection.platform,
      endpoint: `tcp://${i === 0 ? connection.host : `board-${i + 1}.example.com`}:${connection.buildkitPort}`,
    })),
  };
}

/** The largest resident set that the program's process had, looked for while `work` runs. */
async function peakMegabytes(work: () => Promise<unknown>): Promise<number> {
  let [done, peak] = [false, 0];
  const running = work().finally(() => {
    done = true;
  });
  while (!done) {
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      // The language host starts the program through this file of the SDK.
      if (!command.includes("@pulumi/pulumi/cmd/run")) continue;
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024);
    }
    await pause(20);
  }
  await running;
  return peak;
}

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { projectDir } from "../commands/lib/stackFile.ts";
import { defaultVersions } from "../config/versions.ts";
import type { Platform } from "../proving-ground/board/architectures.ts";
import { startVirtualBoard, type VirtualBoard } from "../proving-ground/board/virtualBoard.ts";
import { ensureReleaseAssets } from "../proving-ground/mirror/assets.ts";
import { startMirror } from "../proving-ground/mirror/mirror.ts";
import type { Progress } from "../runtime/progress.ts";
import { type Comparison, median, table } from "./measure.ts";
import { type Rounds, seconds, stackConfig } from "./rounds.ts";
import { type BenchStack, benchStack, defaultLoaderProgram, emptyProgram } from "./stacks.ts";

/** What every measurement is made with. */
export interface Bench {
  pulumi: string;
  env: Record<string, string>;
  log: Progress;
}

/** All comparisons on a board of `platform`; their table is printed. */
export async function measureBoard(
  { pulumi, env, log }: Bench,
  platform: Platform,
  rounds: Rounds,
  skipUp: boolean,
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "buildhosts-bench-"));
  const board = await startVirtualBoard({ platform, instance: "bench", log });
  const releases = await ensureReleaseAssets(platform, defaultVersions, log);
  const mirror = await startMirror({ directories: [releases] });
  const mirrorUrl = `http://${board.connection.gateway}:${mirror.port}`;
  try {
    const config = (boards: number) => stackConfig([board], mirrorUrl, boards);
    const base = { pulumi, env };
    const ours = (name: string, boards = 1) =>
      benchStack({
        ...base,
        program: projectDir,
        folder: join(work, name),
        config: config(boards),
      });
    const script = await readFile(join(projectDir, "bench", "seeds.sh"), "utf8");
    let up: BenchStack | undefined;
    const first: Comparison = { ours: [], theirs: [] };
    for (let round = 1; round <= (skipUp ? 0 : rounds.count); round++) {
      await log.step(
        `up from nothing, and the shell notes: round ${round} of ${rounds.count}`,
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
      rounds.add("(a) up from nothing / the shell notes", 1.25, first);
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
    const uncompiled = { ...env, NODE_COMPILE_CACHE: undefined };
    const slowProgram = await defaultLoaderProgram(join(work, "default"));
    const slow = (name: string, withoutCaches = false) =>
      benchStack({
        ...base,
        env: uncompiled,
        program: slowProgram,
        folder: join(work, name),
        config: config(1),
        withoutCaches,
      });
    const slowWarm = await slow("default-warm");
    const slowCold = await slow("default-cold", true);
    // As the default loader's program: it looks at no board.
    const unlooked = (name: string, withoutCaches = false) =>
      benchStack({
        ...base,
        program: projectDir,
        folder: join(work, name),
        config: { ...config(1), "buildhosts:driftCheck": false },
        withoutCaches,
      });
    const one = await unlooked("one");
    const oneCold = await unlooked("one-cold", true);
    const hundred = await ours("hundred", 100);
    const preview = () => stack.run("preview");

    await rounds.compare("(b) preview / of an empty program", 1.8, preview, () =>
      empty.run("preview"),
    );
    await rounds.compare(
      "(b) preview in a new checkout / under the default loader",
      0.5,
      () => oneCold.run("preview"),
      () => slowCold.run("preview"),
    );
    // An empty program takes more than half of that, too.
    await rounds.compare(
      "(b) the same once ts-node has kept what it compiled",
      undefined,
      () => one.run("preview"),
      () => slowWarm.run("preview"),
    );
    await rounds.compare(
      "(c) up with nothing to do / preview",
      2.2,
      () => stack.run("up", "--yes", "--skip-preview"),
      preview,
    );
    await rounds.compare(
      "(d) preview of 100 boards / of one",
      2,
      () => hundred.run("preview"),
      () => one.run("preview"),
    );
    const memory: number[] = [];
    const memoryOfHundred: number[] = [];
    for (let round = 1; round <= rounds.count; round++) {
      memory.push(await peakMegabytes(preview));
      memoryOfHundred.push(await peakMegabytes(() => hundred.run("preview")));
    }
    process.stdout.write(
      `On a board of ${platform}:\n\n${table(rounds.rows)}\n\n(e) peak memory of the program: ${median(memory).toFixed(0)} MB for one board, ` +
        `${median(memoryOfHundred).toFixed(0)} MB for 100\n` +
        `Medians of ${rounds.count} rounds; each ratio is the median of the rounds' ratios.\n\n`,
    );
  } finally {
    await board.stop();
    await mirror.close();
    await rm(work, { recursive: true, force: true });
  }
}

/** One new SSH session, as somebody who follows the notes has. */
async function runNotes(board: VirtualBoard, script: string, mirror: string): Promise<void> {
  board.disconnect();
  const architecture = board.connection.platform.replace("linux/", "");
  const { code, stderr } = await board.ssh(`sh -s ${mirror} ${architecture}`, script);
  if (code !== 0) throw new Error(`the shell notes failed: ${stderr}`);
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

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { projectDir, stackFile } from "../commands/lib/stackFile.ts";
import { defaultVersions } from "../config/versions.ts";
import { startVirtualBoard, type VirtualBoard } from "../proving-ground/board/virtualBoard.ts";
import { ensureReleaseAssets } from "../proving-ground/mirror/assets.ts";
import { startMirror } from "../proving-ground/mirror/mirror.ts";
import type { Bench } from "./board.ts";
import { type Comparison, table } from "./measure.ts";
import { type Rounds, seconds, stackConfig } from "./rounds.ts";
import { BENCH_STACK, type BenchStack, benchStack } from "./stacks.ts";

const platform = "linux/amd64";

/** The comparisons of a fleet: `size` native boards with one, and 100 that nobody reaches with one; their table is printed. */
export async function measureFleet(
  { pulumi, env, log }: Bench,
  size: number,
  rounds: Rounds,
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "buildhosts-bench-"));
  const releases = await ensureReleaseAssets(platform, defaultVersions, log);
  const mirror = await startMirror({ directories: [releases] });
  const boards: VirtualBoard[] = [];
  const stack = (name: string, config: Record<string, unknown>) =>
    benchStack({ pulumi, env, program: projectDir, folder: join(work, name), config });
  try {
    // One more: the stack with one board keeps its own while the fleet is up.
    for (let i = 0; i <= size; i++) {
      boards.push(await startVirtualBoard({ platform, instance: `bench-${i}`, log }));
    }
    const [single, ...fleet] = boards as [VirtualBoard, ...VirtualBoard[]];
    const mirrorUrl = `http://${single.connection.gateway}:${mirror.port}`;
    const config = {
      one: stackConfig([single], mirrorUrl),
      all: stackConfig(fleet, mirrorUrl),
    };
    const up = async (name: string, those: VirtualBoard[], its: Record<string, unknown>) => {
      for (const board of those) await board.restore("booted");
      const made = await stack(name, its);
      return [made, await made.run("up", "--yes", "--skip-preview")] as const;
    };
    const last: { one?: BenchStack; all?: BenchStack } = {};
    const first: Comparison = { ours: [], theirs: [] };
    for (let round = 1; round <= rounds.count; round++) {
      await log.step(
        `up of ${size} boards, and of one: round ${round} of ${rounds.count}`,
        async () => {
          let took: number;
          [last.one, took] = await up(`one-${round}`, [single], config.one);
          first.theirs.push(took);
          [last.all, took] = await up(`all-${round}`, fleet, config.all);
          first.ours.push(took);
        },
      );
    }
    const { one: ofOne, all: ofAll } = last;
    if (!ofOne || !ofAll) throw new Error("no round was run");
    rounds.add(`(f) up of ${size} boards / of one`, 2.5, first);

    const withoutLook = await ofOne.with({ ...config.one, "buildhosts:driftCheck": false });
    await rounds.compare(
      "(g) preview with a look for drift / without",
      1.5,
      () => ofOne.run("preview"),
      () => withoutLook.run("preview"),
    );
    await rounds.compare(
      `(h) preview of ${size} boards / of one, with a look at each`,
      1.5,
      () => ofAll.run("preview"),
      () => ofOne.run("preview"),
    );
    const status = () => statusSeconds(ofAll, config.all);
    await rounds.compare(`(i) status of ${size} boards / 2 s`, 1, status, async () => 2);

    const nobody = async (name: string, count: number) =>
      stack(name, { ...stackConfig([single], mirrorUrl, count), "buildhosts:driftCheck": false });
    const [hundred, alone] = [await nobody("hundred", 100), await nobody("alone", 1)];
    await rounds.compare(
      "(j) preview of 100 boards / of one, without a look",
      2,
      () => hundred.run("preview"),
      () => alone.run("preview"),
    );
    process.stdout.write(
      `On ${size} native boards:\n\n${table(rounds.rows)}\n\nMedians of ${rounds.count} rounds; each ratio is the median of the rounds' ratios.\n\n`,
    );
  } finally {
    for (const board of boards) await board.stop();
    await mirror.close();
    await rm(work, { recursive: true, force: true });
  }
}

/** `buildhosts status`, from the clone itself: it looks for the stack's file there. */
async function statusSeconds(stack: BenchStack, config: Record<string, unknown>): Promise<number> {
  await writeFile(stackFile(BENCH_STACK), stringify({ config }));
  try {
    return await seconds(() =>
      execa(
        process.execPath,
        [join(projectDir, "commands", "buildhosts.mjs"), "status", "--stack", BENCH_STACK],
        { env: stack.env, timeout: 60_000 },
      ),
    );
  } finally {
    await rm(stackFile(BENCH_STACK), { force: true });
  }
}

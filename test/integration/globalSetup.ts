import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TestProject } from "vitest/node";
import { boardctlId } from "../../components/board/boardctl.ts";
import { defaultVersions } from "../../config/versions.ts";
import { cacheDir } from "../../proving-ground/cache.ts";
import { ensureEngine } from "../../proving-ground/engine/engine.ts";
import { ensureBuildctl, ensureReleaseAssets } from "../../proving-ground/mirror/assets.ts";
import { startMirror } from "../../proving-ground/mirror/mirror.ts";
import { ensurePlugins, pulumiHomeOf } from "../../proving-ground/plugins/plugins.ts";
import { toStderr as log } from "../../proving-ground/progress.ts";
import {
  attach,
  type Baseline,
  type Ground,
  otherBuildkit,
  projectDir,
  provisionedSnapshot,
  type SharedGround,
  seedVersions,
  TestStack,
} from "./ground.ts";
import { filesOf } from "./onBoard.ts";

/**
 * Everything that all integration tests need, once per run: engine, plugins, releases and their mirror,
 * a board, and a default stack that was brought up on it from nothing.
 *
 * BUILDHOSTS_TEST_INSTANCE names the board, so that two runs at a time do not share one. With
 * BUILDHOSTS_TEST_KEEP=1 board and stack outlive the run and serve the next one, for whoever
 * works on a test and does not want to wait for them each time.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const instance = process.env.BUILDHOSTS_TEST_INSTANCE ?? "integration";
  const keep = process.env.BUILDHOSTS_TEST_KEEP === "1";
  const kept = cacheDir("integration", instance);
  const found: Kept | undefined = keep
    ? await readFile(join(kept, "kept.json"), "utf8").then(JSON.parse, () => undefined)
    : undefined;
  const known = found?.boardctlId === boardctlId ? found : undefined;

  const engine = await ensureEngine(log);
  const home = process.env.BUILDHOSTS_TEST_PULUMI_HOME ?? pulumiHomeOf(projectDir);
  if (!process.env.BUILDHOSTS_TEST_PULUMI_HOME) await ensurePlugins(engine, home, log);
  const releases = new Set<string>();
  for (const set of [
    defaultVersions,
    { ...defaultVersions, buildkit: otherBuildkit },
    seedVersions,
  ]) {
    releases.add(await ensureReleaseAssets("linux/riscv64", set, log));
  }
  const mirror = await startMirror({ directories: [...releases], port: known?.port });
  const shared: Omit<SharedGround, "baseline"> = {
    engine,
    env: {
      ...engine.env,
      PATH: [
        join(projectDir, "node_modules", ".bin"),
        engine.env.PATH ?? process.env.PATH ?? "",
      ].join(delimiter),
      PULUMI_HOME: home,
      PULUMI_DEBUG_COMMANDS: "true",
      PULUMI_CONFIG_PASSPHRASE: "integration tests",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      NODE_COMPILE_CACHE: cacheDir("node-compile"),
      // An agent of the developer's must not let a test in, or break it.
      SSH_AUTH_SOCK: "",
    },
    instance,
    folder: known?.folder ?? (await mkdtemp(join(tmpdir(), "buildhosts-tests-"))),
    mirror: { url: mirror.url, port: mirror.port },
    releases: [...releases],
    buildctl: await ensureBuildctl(log),
  };
  const ground = await attach({ ...shared, baseline: known?.baseline ?? nothingYet });
  try {
    const baseline = known?.baseline ?? (await bringUp(ground));
    if (keep && !known) {
      await mkdir(kept, { recursive: true });
      await writeFile(
        join(kept, "kept.json"),
        JSON.stringify({ boardctlId, port: mirror.port, folder: shared.folder, baseline }),
      );
    }
    project.provide("ground", { ...shared, baseline });
    ground.board.disconnect();
  } catch (error) {
    await mirror.close();
    await ground.board.stop();
    throw error;
  }
  return async () => {
    await mirror.close();
    if (keep) return;
    await ground.board.stop();
    await rm(shared.folder, { recursive: true, force: true });
    await rm(kept, { recursive: true, force: true });
  };
}

/** What BUILDHOSTS_TEST_KEEP=1 keeps beside the board. */
interface Kept {
  /** Of the script on the board: another one makes the next update do something. */
  boardctlId: string;
  /** The mirror's, which stands in the stack's state. */
  port: number;
  folder: string;
  baseline: Baseline;
}

const nothingYet: Baseline = {
  folder: "",
  filesBefore: "",
  up: { code: 1, output: "", changes: {}, seconds: 0 },
};

/** The default stack on a clean board, by a first `up`, which every test relies on. */
async function bringUp(ground: Ground): Promise<Baseline> {
  const { board } = ground;
  await board.restore("booted");
  const stack = await TestStack.make(ground);
  const filesBefore = await filesOf(board);
  const up = await log.step("bring the default stack up from nothing", () => stack.up());
  if (up.code !== 0) throw new Error(`the first up failed:\n${up.output}`);
  board.disconnect();
  await board.snapshot(provisionedSnapshot);
  return { folder: stack.folder, up, filesBefore };
}

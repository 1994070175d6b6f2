import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TestProject } from "vitest/node";
import { boardctlId } from "../../components/board/boardctl.ts";
import { defaultVersions } from "../../config/versions.ts";
import {
  listVirtualBoards,
  plainBoard,
  prepareBoard,
} from "../../proving-ground/board/virtualBoard.ts";
import { dockerHostKind } from "../../proving-ground/docker/virtualDockerHost.ts";
import { ensureBuildctl, ensureReleaseAssets } from "../../proving-ground/mirror/assets.ts";
import { startMirror } from "../../proving-ground/mirror/mirror.ts";
import { cacheDir } from "../../runtime/cache.ts";
import { ensureEngine } from "../../runtime/engine/engine.ts";
import { ensurePlugins, pulumiHomeOf } from "../../runtime/plugins.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { boardPlatform } from "./boardPlatform.ts";
import { otherBuildkit, projectDir, type SharedGround, seedVersions } from "./ground.ts";

/**
 * Everything that all integration tests need, once per run: engine, plugins, releases and their mirror,
 * the image of a board. Each worker starts a board from it, and brings the default stack up there (ground.ts).
 *
 * BUILDHOSTS_TEST_INSTANCE names the boards, so that two runs at a time do not share them. With
 * BUILDHOSTS_TEST_KEEP=1 boards and stacks outlive the run and serve the next one, for whoever
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
  if (!process.env.BUILDHOSTS_TEST_PULUMI_HOME)
    await ensurePlugins(engine, home, log, { github: false });
  const releases = new Set<string>();
  for (const set of [
    defaultVersions,
    { ...defaultVersions, buildkit: otherBuildkit },
    seedVersions,
  ]) {
    releases.add(await ensureReleaseAssets(boardPlatform, set, log));
  }
  const mirror = await startMirror({ directories: [...releases], port: known?.port });
  const shared: SharedGround = {
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
  // What nearly every file needs and takes minutes is made before the first test. The files about riscv64 make theirs.
  await prepareBoard(plainBoard, boardPlatform, log);
  await prepareBoard(dockerHostKind, boardPlatform, log);
  if (keep && !known) {
    await mkdir(kept, { recursive: true });
    await writeFile(
      join(kept, "kept.json"),
      JSON.stringify({ boardctlId, port: mirror.port, folder: shared.folder }),
    );
  }
  project.provide("ground", shared);
  return async () => {
    await mirror.close();
    if (keep) return;
    for (const board of await listVirtualBoards()) {
      if (board.instance.startsWith(`${instance}-`)) await board.stop();
    }
    await rm(shared.folder, { recursive: true, force: true });
    await rm(kept, { recursive: true, force: true });
  };
}

/** What BUILDHOSTS_TEST_KEEP=1 keeps beside the boards and what was brought up on them. */
interface Kept {
  /** Of the script on the board: another one makes the next update do something. */
  boardctlId: string;
  /** The mirror's, which stands in the stack's state. */
  port: number;
  folder: string;
}

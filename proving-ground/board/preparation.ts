// Shared by all kinds of boards that Debian's packages prepare.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Progress } from "../../runtime/progress.ts";
import { ensureUnpacked } from "../debian/packages.ts";
import { startMirror } from "../mirror/mirror.ts";
import { filesUnder, suite } from "./image.ts";
import type { VirtualBoard } from "./virtualBoard.ts";

/** The packages and files for a board, and the script that sets them up. */
export interface BoardPackages {
  /** Of the board's own Debian; what they depend on is named, too, where the board's image lacks it. */
  names: readonly string[];
  /** A folder with `etc` in it, to be laid over the packages' files. Default: nothing is. */
  files?: string;
  /** Run on the board, with the URL of a tar of all these files, which it unpacks at `/`. */
  script: string;
}

/** The texts that determine what `installPackages` makes of a board. */
export async function packagesKey({ names, files, script }: BoardPackages): Promise<string[]> {
  const paths = [script, ...(files ? await filesUnder(files) : [])];
  return [suite, ...names, ...(await Promise.all(paths.map((path) => readFile(path, "utf8"))))];
}

/**
 * Brings the packages to a board without dpkg, which would take more than a minute there: they are unpacked on this
 * machine, and the board fetches one tar.
 */
export async function installPackages(
  board: VirtualBoard,
  { names, files, script }: BoardPackages,
  log: Progress,
): Promise<void> {
  const { platform, gateway } = board.connection;
  const architecture = platform.replace("linux/", "");
  const packages = await ensureUnpacked({ suite, architecture, names }, log);
  const work = await mkdtemp(join(tmpdir(), "buildhosts-packages-"));
  const mirror = await startMirror({ directories: [work] });
  try {
    await execa("tar", [
      ...["--numeric-owner", "--owner=0", "--group=0"],
      ...unread.map((path) => `--exclude=./usr/share/${path}`),
      ...["-cf", join(work, "packages.tar")],
      ...[`--directory=${packages}`, "."],
      ...(files ? [`--directory=${files}`, "etc"] : []),
    ]);
    const text = await readFile(script, "utf8");
    await run(board, `sh -s -- http://${gateway}:${mirror.port}/packages.tar`, text);
  } finally {
    await mirror.close();
    await rm(work, { recursive: true, force: true });
  }
}

/** Below /usr/share: what no program reads. */
const unread = ["bash-completion", "doc", "fish", "lintian", "locale", "man", "zsh"];

/** The command's output. @throws its error. */
export async function run(board: VirtualBoard, command: string, stdin?: string): Promise<string> {
  const { code, stdout, stderr } = await board.ssh(command, stdin);
  if (code !== 0) throw new Error(`on the virtual board: ${command}: ${stderr || stdout}`);
  return stdout;
}

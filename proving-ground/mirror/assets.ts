import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { defaultVersions } from "../../config/versions.ts";
import { cacheDir } from "../../runtime/cache.ts";
import { type GoTarget, thisMachine } from "../../runtime/golang.ts";
import { withLock } from "../../runtime/lock.ts";
import { exists, makeOnce } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { buildAsset, goBuildkit, recipeRevision } from "./build.ts";
import { type Checksums, formatChecksums, parseChecksums, sha256 } from "./checksums.ts";
import { downloadRelease, OutOfReach } from "./download.ts";
import {
  type Platform,
  type Project,
  type ReleaseSet,
  releaseAssets,
  releasesOf,
} from "./releaseAssets.ts";
import { unpackFromTarball } from "./tarball.ts";

export type { Platform, ReleaseSet } from "./releaseAssets.ts";

/** Two mirrors in the cache: what upstream published, and what was built here. */
const mirrors = {
  upstream: () => cacheDir("mirror", "upstream"),
  built: () => cacheDir("mirror", `built-${recipeRevision}`),
};

/**
 * Makes the assets of `set` for `platform` ready in one folder, laid out as below https://github.com:
 * downloaded and checked where GitHub answers, else built from Go modules with checksum files of the
 * same names and formats. The folder may hold other releases and platforms too. When all is there
 * already, the network is not used.
 *
 * @returns the folder, for `startMirror`.
 */
export async function ensureReleaseAssets(
  platform: Platform,
  set: ReleaseSet,
  log: Progress,
): Promise<string> {
  return ensureAssets(platform, releasesOf(set), log);
}

/** Like `ensureReleaseAssets`, for one project alone. @returns the path of the asset. */
export async function ensureReleaseAsset(
  project: Project,
  tag: string,
  platform: Platform,
  log: Progress,
): Promise<string> {
  const { folder, asset } = releaseAssets(project, tag, platform);
  return join(await ensureAssets(platform, [[project, tag]], log), folder, asset);
}

async function ensureAssets(
  platform: Platform,
  releases: [Project, string][],
  log: Progress,
): Promise<string> {
  for (const root of [mirrors.upstream(), mirrors.built()])
    if (await hasAll(root, releases, platform)) return root;
  try {
    for (const [project, tag] of releases) await ensureDownloaded(project, tag, platform, log);
    return mirrors.upstream();
  } catch (error) {
    if (!(error instanceof OutOfReach)) throw error;
    log.note(`no releases from upstream here: ${error.message}`);
  }
  for (const [project, tag] of releases) await ensureBuilt(project, tag, platform, log);
  return mirrors.built();
}

/**
 * Makes ready a `buildctl` for the machine that this runs on, downloaded or else built.
 *
 * @returns its path.
 */
export async function ensureBuildctl(
  log: Progress,
  tag: string = defaultVersions.buildkit,
  target: GoTarget = thisMachine,
): Promise<string> {
  const platform = `${target.goos}/${target.goarch}`;
  const folder = cacheDir("buildctl", `${tag}-${target.goos}-${target.goarch}-${recipeRevision}`);
  const name = target.goos === "windows" ? "buildctl.exe" : "buildctl";
  await makeOnce(
    folder,
    async (temporary) => {
      try {
        await ensureDownloaded("buildkit", tag, platform, log);
        const { folder: release, asset } = releaseAssets("buildkit", tag, platform);
        const archive = join(mirrors.upstream(), release, asset);
        await unpackFromTarball(archive, `bin/${name}`, temporary);
        await rename(join(temporary, "bin", name), join(temporary, name));
      } catch (error) {
        if (!(error instanceof OutOfReach)) throw error;
        await log.step(`build buildctl ${tag} for ${platform} (1 to 2 minutes)`, () =>
          goBuildkit(tag, target, ["./cmd/buildctl"], join(temporary, name)),
        );
      }
    },
    log,
  );
  return join(folder, name);
}

async function hasAll(
  root: string,
  releases: [Project, string][],
  platform: Platform,
): Promise<boolean> {
  for (const [project, tag] of releases)
    if (!(await isThere(root, project, tag, platform))) return false;
  return true;
}

/** Whether the checksum file lists the asset too: a build that was killed in between is done again. */
async function isThere(
  root: string,
  project: Project,
  tag: string,
  platform: string,
): Promise<boolean> {
  const { folder, asset, checksums } = releaseAssets(project, tag, platform);
  if (!(await exists(join(root, folder, asset)))) return false;
  const text = await readFile(join(root, folder, checksums), "utf8").catch(() => undefined);
  return text !== undefined && asset in parseChecksums(project, text);
}

async function ensureDownloaded(
  project: Project,
  tag: string,
  platform: string,
  log: Progress,
): Promise<void> {
  const root = mirrors.upstream();
  await onceFor(root, project, tag, log, async () => {
    if (await isThere(root, project, tag, platform)) return;
    await downloadRelease(root, project, tag, platform, log);
  });
}

/** Builds what is missing and returns the asset's path. */
async function ensureBuilt(
  project: Project,
  tag: string,
  platform: Platform,
  log: Progress,
): Promise<string> {
  const root = mirrors.built();
  const { folder, asset, checksums } = releaseAssets(project, tag, platform);
  const release = join(root, folder);
  await onceFor(root, project, tag, log, async () => {
    if (await isThere(root, project, tag, platform)) return;
    await mkdir(release, { recursive: true });
    const [goos, goarch] = platform.split("/") as [string, string];
    await log.step(`build ${project} ${tag} for ${platform} (${buildTimes[project]})`, () =>
      buildAsset({
        project,
        tag,
        target: { goos, goarch },
        output: join(release, asset),
        runc: (version) => ensureBuilt("runc", version, platform, log),
        log,
      }),
    );
    const text = formatChecksums(project, await checksumsOf(project, release, asset));
    await writeFile(join(release, `.${checksums}.part`), text);
    await rename(join(release, `.${checksums}.part`), join(release, checksums));
  });
  return join(release, asset);
}

/** What to expect of 2 cores. */
const buildTimes: Record<Project, string> = {
  containerd: "2 to 3 minutes",
  runc: "half a minute",
  buildkit: "2 to 3 minutes",
  rootlesskit: "half a minute",
};

/** What the checksum file beside `asset` lists: `asset`, and for runc and rootlesskit its siblings too. */
async function checksumsOf(project: Project, release: string, asset: string): Promise<Checksums> {
  const siblings = { runc: /^runc\.[^.]+$/, rootlesskit: /\.tar\.gz$/ } as const;
  const pattern = project === "runc" || project === "rootlesskit" ? siblings[project] : undefined;
  const names = pattern
    ? (await readdir(release)).filter(
        (name) => pattern.test(name) && !name.startsWith(".") && name !== "runc.sha256sum",
      )
    : [asset];
  const sums: Checksums = {};
  for (const name of names) sums[name] = await sha256(join(release, name));
  return sums;
}

async function onceFor(
  root: string,
  project: Project,
  tag: string,
  log: Progress,
  work: () => Promise<void>,
): Promise<void> {
  await withLock(`${root}.${project}-${tag}.lock`, work, {
    onWait: () => log.note(`waiting for another run that provides ${project} ${tag}`),
  });
}

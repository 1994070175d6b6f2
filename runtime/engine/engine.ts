import { copyFile, link, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { execa } from "execa";
import { cacheDir } from "../cache.ts";
import { type GoTarget, goBuild, modulePins, thisMachine } from "../golang.ts";
import { launcherOf, writeScript } from "../launcher.ts";
import { contentKey, exists, makeOnce } from "../makeOnce.ts";
import type { Progress } from "../progress.ts";

/** A Pulumi CLI with its Node.js language host, ready to run. */
export interface Engine {
  /** Path of the `pulumi` program. */
  pulumi: string;
  /** Its version without the `v`. */
  version: string;
  /** `installed` by the user, `downloaded` from Pulumi, or `built` from Go modules. */
  origin: "installed" | "downloaded" | "built";
  /** Variables that a process needs to run it. */
  env: Record<string, string>;
}

/** The version that is downloaded or built; the newest that the Go module proxy serves. */
export const engineVersion = "3.259.0";

/**
 * The oldest engine of the user's that is taken. `onError` hooks reach the engine from the Node.js SDK
 * since 3.245; the SDK that package.json pins negotiates everything else with older ones.
 */
export const minimumEngineVersion = "3.245.0";

/** How long the official download may take to begin, and to end, before the engine is built instead. */
const downloadLimits = { reachableMs: 10_000, completeMs: 5 * 60_000 };

const here = import.meta.dirname;

/**
 * Makes a Pulumi engine ready, by the first of these that works: the user's `pulumi` from PATH, the
 * official download, a build from the Go modules that go.mod and go.sum here pin. What was downloaded
 * or built stays in the cache, so that the next call neither uses the network nor waits.
 *
 * @throws one message that names the choices, when none of them works.
 */
export async function ensureEngine(log: Progress): Promise<Engine> {
  const installed = await installedEngine(log);
  if (installed) return installed;
  const downloaded = cacheDir("engine", `pulumi-${engineVersion}-official`);
  const built = await builtFolder(thisMachine);
  if (await exists(downloaded)) return engineIn(join(downloaded, "bin"), "downloaded");
  if (await exists(built)) return engineIn(await withLanguageHost(built), "built");
  try {
    await download(downloaded, log);
    return await engineIn(join(downloaded, "bin"), "downloaded");
  } catch (error) {
    log.note(`no official Pulumi ${engineVersion} here: ${firstLine(error)}`);
  }
  await makeOnce(built, (folder) => buildEngine({ ...thisMachine, folder, log }), log);
  return engineIn(await withLanguageHost(built), "built");
}

/**
 * A folder with the engine of `built` and this clone's own language host: the last one that is a Go module
 * hands on only the calls that it knows, and resource hooks came later. The engine takes a language host
 * from beside itself without a word, so both are in one folder.
 */
async function withLanguageHost(built: string): Promise<string> {
  const folder = cacheDir("engine-of-clone", contentKey(built, resolve(here)));
  await mkdir(folder, { recursive: true });
  const pulumi = join(folder, "pulumi");
  if (!(await exists(pulumi))) {
    await link(join(built, "pulumi"), pulumi).catch(async (error: NodeJS.ErrnoException) => {
      // Another run of this clone was faster, or the cache spans file systems.
      if (error.code !== "EEXIST") await copyFile(join(built, "pulumi"), pulumi);
    });
  }
  const launcher = await launcherOf(join(here, "languageHost.ts"));
  await writeScript(join(folder, "pulumi-language-nodejs"), launcher);
  return folder;
}

/** The target of `buildEngine`, and where it writes. */
export interface BuildEngineOptions extends GoTarget {
  /** The folder that `pulumi` is written into; made if missing. */
  folder: string;
  log: Progress;
}

/**
 * Builds `pulumi` from Go modules into a folder. It is static, so it runs on any machine of that kind; this
 * is how linux/riscv64, for which Pulumi publishes no programs, gets an engine.
 */
export async function buildEngine({
  goos,
  goarch,
  folder,
  log,
}: BuildEngineOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const suffix = goos === "windows" ? ".exe" : "";
  const version = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version";
  await log.step(`build pulumi ${engineVersion} for ${goos}/${goarch} (5 to 10 minutes)`, () =>
    goBuild({
      goos,
      goarch,
      module: here,
      packages: ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"],
      output: join(folder, `pulumi${suffix}`),
      variables: { [version]: `v${engineVersion}` },
    }),
  );
}

/** The cache folder of the engine that is built for `target`; its name changes with whatever determines it. */
async function builtFolder({ goos, goarch }: GoTarget): Promise<string> {
  const key = contentKey(engineVersion, ...(await modulePins(here)));
  return cacheDir("engine", `pulumi-${engineVersion}-${goos}-${goarch}-${key}`);
}

async function installedEngine(log: Progress): Promise<Engine | undefined> {
  const version = await versionOf("pulumi");
  if (version === undefined) return undefined;
  if (!isAtLeast(version, minimumEngineVersion)) {
    log.note(`pulumi ${version} on PATH is older than ${minimumEngineVersion}: not used`);
    return undefined;
  }
  // The engine looks for language hosts on PATH only; package managers have shipped one without the other.
  const host = await execa("pulumi-language-nodejs", ["--help"], {
    reject: false,
    timeout: 10_000,
  });
  if (host.code === "ENOENT") {
    log.note(`pulumi ${version} on PATH has no pulumi-language-nodejs beside it: not used`);
    return undefined;
  }
  return { pulumi: "pulumi", version, origin: "installed", env: { ...quiet } };
}

async function download(folder: string, log: Progress): Promise<void> {
  const installer = await fetch("https://get.pulumi.com/install.sh", {
    method: "HEAD",
    signal: AbortSignal.timeout(downloadLimits.reachableMs),
  }).catch((error: Error) => {
    throw new Error(`get.pulumi.com is out of reach (${firstLine(error.cause ?? error)})`);
  });
  if (!installer.ok) throw new Error(`get.pulumi.com answered ${installer.status}`);
  await log.step(`download Pulumi ${engineVersion}`, () =>
    makeOnce(
      folder,
      async (root) => {
        // Imported here because the Automation API takes a second to load, and is needed this once.
        const { PulumiCommand } = await import("@pulumi/pulumi/automation/index.js");
        // It installs the version of the SDK that it is part of, which is the one that we want.
        await within(downloadLimits.completeMs, PulumiCommand.install({ root }));
      },
      log,
    ),
  );
}

async function engineIn(folder: string, origin: "downloaded" | "built"): Promise<Engine> {
  const pulumi = join(folder, process.platform === "win32" ? "pulumi.exe" : "pulumi");
  // To start it takes a third of what a short command does: the same file is asked for its version once.
  const { size = 0, mtimeMs = 0 } = (await stat(pulumi).catch(() => undefined)) ?? {};
  const [checked, mark] = [join(folder, "checked"), `${engineVersion} ${size} ${mtimeMs}`];
  if ((await readFile(checked, "utf8").catch(() => "")) !== mark) {
    const version = await versionOf(pulumi);
    if (version !== engineVersion)
      throw new Error(
        `${pulumi}: \`pulumi version\` printed ${version ?? "nothing"}, not ${engineVersion}. ` +
          `Delete ${dirname(pulumi)} and run this again.`,
      );
    // A cache that cannot be written to is asked again.
    await writeFile(checked, mark).catch(() => {});
  }
  const PATH = `${folder}${delimiter}${process.env.PATH ?? ""}`;
  return { pulumi, version: engineVersion, origin, env: { ...quiet, PATH } };
}

/** An engine of a known version has no newer one to announce; looking for it costs time when offline. */
const quiet = { PULUMI_SKIP_UPDATE_CHECK: "true" };

/** The version that `pulumi` reports, without the `v`; undefined when it cannot be run. */
async function versionOf(pulumi: string): Promise<string | undefined> {
  const result = await execa(pulumi, ["version"], { reject: false, timeout: 30_000, env: quiet });
  return result.failed ? undefined : parseVersion(String(result.stdout));
}

/** `v3.259.0`, `3.260.0-alpha.1+dirty` and the like, without what comes before and after the version. */
export function parseVersion(text: string): string | undefined {
  return /^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)/m.exec(text.trim())?.[1];
}

/** Whether `version` is `minimum` or newer. A pre-release counts as its release: whoever runs one means to. */
export function isAtLeast(version: string, minimum: string): boolean {
  const numbers = (text: string) => text.split("-", 1)[0]?.split(".").map(Number) ?? [];
  const [left, right] = [numbers(version), numbers(minimum)];
  for (let index = 0; index < 3; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`not complete after ${limitMs / 1000} s`);
    timer = setTimeout(() => reject(error), limitMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n", 1)[0] ?? "";
}

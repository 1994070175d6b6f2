import { lstat, mkdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { execa } from "execa";
import { cacheDir } from "./cache.ts";
import type { Engine } from "./engine/engine.ts";
import { ensureGithubProvider, githubProvider, githubVersion } from "./githubPlugin/provider.ts";
import { filledIn, launcherOf, writeScript } from "./launcher.ts";
import { contentKey } from "./makeOnce.ts";
import type { Progress } from "./progress.ts";

export interface InstalledPlugin {
  readonly name: string;
  readonly version: string;
  /** `official` as Pulumi publishes it, the `stand-in` that this folder holds, or `built` from upstream's Go module. */
  readonly origin: "official" | "stand-in" | "built";
}

/** The engine asks for the plugins at exactly the versions of their SDKs in package.json. */
const PLUGINS = [
  { name: "command", version: "1.2.1" },
  { name: "docker", version: "5.0.0" },
  { name: "github", version: githubVersion },
  { name: "tls", version: "5.5.1" },
] as const;

type PluginName = (typeof PLUGINS)[number];

/** How long the official plugins may take to arrive. */
const INSTALL_MS = 60_000;

/** How often the official plugins are asked for where stand-ins serve already. */
const ASK_AGAIN_MS = 24 * 60 * 60 * 1000;

/**
 * The Pulumi home of a clone whose plugins may be stand-ins: a launcher names the clone that it starts
 * from, so two clones that ran at the same time would take each other's away.
 */
export function pulumiHomeOf(projectDir: string): string {
  return cacheDir("pulumi-home", contentKey(resolve(projectDir)));
}

/** Words that only the launchers of this clone have. */
const MARK = "offline stand-in for an official Pulumi plugin";

/** The plugins that a stack needs. */
export interface PluginNeeds {
  /** The plugin for GitHub, which takes minutes to build where the official one cannot be had. */
  readonly github: boolean;
}

/**
 * Makes the resource plugins ready in `pulumiHome`: the official ones, from there,
 * from the user's own Pulumi home or from Pulumi; else launchers of the stand-ins, and of the plugin for GitHub that is
 * built from its Go modules. Where the official ones could not be had, they are asked for again a day later at the
 * earliest.
 */
export async function ensurePlugins(
  engine: Engine,
  pulumiHome: string,
  log: Progress,
  needs: PluginNeeds,
): Promise<InstalledPlugin[]> {
  await mkdir(join(pulumiHome, "plugins"), { recursive: true });
  await withoutLog(pulumiHome);
  const reasons = new Set<string>();
  const installed = await Promise.all(
    PLUGINS.map(async (plugin) => ({
      ...plugin,
      origin: await ensurePlugin(engine, pulumiHome, plugin, (reason) => reasons.add(reason)),
    })),
  );
  const named = (wanted: InstalledPlugin["origin"]) =>
    installed
      .filter(({ name, origin }) => origin === wanted && (name !== "github" || needs.github))
      .map(({ name, version }) => `${name} ${version}`)
      .join(", ");
  const [standIns, built] = [named("stand-in"), named("built")];
  const substitutes = [
    ...(standIns ? [`${standIns} are the offline stand-ins`] : []),
    ...(built ? [`${built} is built from its Go modules`] : []),
  ];
  if (substitutes.length > 0) {
    const why = reasons.size > 0 ? `: the official ones cannot be had (${[...reasons]})` : "";
    log.note(`plugins ${substitutes.join(", ")}${why}`);
  }
  if (built) await ensureGithubProvider(log);
  return installed;
}

/**
 * Keeps the engine from the log that it always writes into its home: each property of each call to a plugin, encrypted. For 100
 * hosts that takes two fifths of its time, and it has no setting against it. Where its folder cannot be made, the engine goes
 * on without a word.
 */
async function withoutLog(pulumiHome: string): Promise<void> {
  const logs = join(pulumiHome, "logs");
  const isFolder = (await lstat(logs).catch(() => undefined))?.isDirectory();
  if (process.env.BUILDHOSTS_DEBUG_SDK === "1") {
    if (isFolder === false) await rm(logs, { force: true });
    return;
  }
  if (isFolder) await rm(logs, { recursive: true, force: true });
  await writeFile(
    logs,
    "A file, so that Pulumi makes no folder of logs here. BUILDHOSTS_DEBUG_SDK=1 brings it back.\n",
  );
}

async function ensurePlugin(
  engine: Engine,
  pulumiHome: string,
  plugin: PluginName,
  notHad: (reason: string) => void,
): Promise<InstalledPlugin["origin"]> {
  const executable = executableOf(pulumiHome, plugin);
  const folder = folderOf(pulumiHome, plugin);
  // As buildhosts once made them: the engine does not look into a folder that is a link.
  if ((await lstat(folder).catch(() => undefined))?.isSymbolicLink()) await rm(folder);
  const kind = await kindOf(executable);
  if (kind === "official" || (await linkUsersOwn(pulumiHome, plugin))) return "official";
  const ask = kind === "nothing" || (await ageOf(executable)) > ASK_AGAIN_MS;
  if (ask) {
    const reason = await installOfficial(engine, pulumiHome, plugin);
    if (reason === undefined) return "official";
    notHad(reason);
  }
  await writeLauncher(executable, plugin, ask);
  return plugin.name === "github" ? "built" : "stand-in";
}

function folderOf(pulumiHome: string, { name, version }: PluginName): string {
  return join(pulumiHome, "plugins", `resource-${name}-v${version}`);
}

function executableOf(pulumiHome: string, plugin: PluginName): string {
  const suffix = process.platform === "win32" ? ".exe" : "";
  return join(folderOf(pulumiHome, plugin), `pulumi-resource-${plugin.name}${suffix}`);
}

async function kindOf(executable: string): Promise<"official" | "launcher" | "nothing"> {
  const found = await stat(executable).catch(() => undefined);
  if (found === undefined || !found.isFile()) return "nothing";
  // An official plugin is a program of many megabytes; a launcher is a page of text.
  if (found.size > 64 * 1024) return "official";
  return (await readFile(executable, "utf8")).includes(MARK) ? "launcher" : "official";
}

async function ageOf(path: string): Promise<number> {
  return Date.now() - (await stat(path)).mtimeMs;
}

/** Whether the user's own Pulumi home has all of the plugins as Pulumi publishes them: no other home is needed then. */
export async function areUsersOwn(): Promise<boolean> {
  const kinds = await Promise.all(
    PLUGINS.map((plugin) => kindOf(executableOf(usersHome(), plugin))),
  );
  return kinds.every((kind) => kind === "official");
}

function usersHome(): string {
  return process.env.PULUMI_HOME || join(homedir(), ".pulumi");
}

/** Lets `pulumiHome` share the plugin that the user has installed, if there is one. */
async function linkUsersOwn(pulumiHome: string, plugin: PluginName): Promise<boolean> {
  const own = usersHome();
  if (resolve(own) === resolve(pulumiHome)) return false;
  if ((await kindOf(executableOf(own, plugin))) !== "official") return false;
  // A folder of its own with a link in it: the engine skips folders that are links.
  const folder = folderOf(pulumiHome, plugin);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await symlink(executableOf(own, plugin), executableOf(pulumiHome, plugin), "file");
  return true;
}

/** Installs what Pulumi publishes. Returns in a few words why that did not work, or nothing. */
async function installOfficial(
  engine: Engine,
  pulumiHome: string,
  { name, version }: PluginName,
): Promise<string | undefined> {
  // --reinstall: the stand-in's folder would count as an installed plugin.
  const args = ["plugin", "install", "resource", name, version, "--reinstall"];
  const result = await execa(engine.pulumi, [...args, "--non-interactive", "--color", "never"], {
    env: { ...engine.env, PULUMI_HOME: pulumiHome, PULUMI_SKIP_UPDATE_CHECK: "true" },
    timeout: INSTALL_MS,
    reject: false,
    all: true,
  });
  if (result.exitCode === 0) return undefined;
  if (result.timedOut) return `not here after ${INSTALL_MS / 1000} s`;
  const lines = result.all?.split("\n").filter((line) => line.trim() !== "") ?? [];
  // The retries' warnings say what is the matter; the error at the end only that they were in vain.
  const warning = lines.find((line) => line.includes("Error downloading plugin"));
  return (warning?.replace(/^.*: (?=dial tcp|.*$)/, "") ?? lines.at(-1) ?? "no output").trim();
}

/** The plugins that serve where the official ones cannot be had. */
const standIns = join(import.meta.dirname, "../proving-ground/plugins");

/**
 * Puts the launcher there in one step, unless the same one is there already. Its time says when the
 * official plugin was last asked for.
 */
async function writeLauncher(
  executable: string,
  { name }: PluginName,
  asked: boolean,
): Promise<void> {
  const script = await (name === "github"
    ? launcherOfGithub(join(import.meta.dirname, "githubPlugin"))
    : launcherOf(join(standIns, name, "main.ts")));
  const present = await readFile(executable, "utf8").catch(() => undefined);
  if (present === script) {
    const now = new Date();
    if (asked) await utimes(executable, now, now);
    return;
  }
  await mkdir(dirname(executable), { recursive: true });
  await writeScript(executable, script);
}

async function launcherOfGithub(folder: string): Promise<string> {
  return filledIn(join(folder, "launcher.sh"), {
    "@PROGRAM@": await githubProvider(),
    "@NODE@": process.execPath,
    "@BUILD@": join(folder, "build.ts"),
    "@CACHE@": cacheDir(),
  });
}

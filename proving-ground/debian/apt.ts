import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import type { Progress } from "../../runtime/progress.ts";

/** PATH with the folders of root's commands, which Debian leaves out of a user's. */
export function systemPath(): string {
  return [process.env.PATH ?? "", "/usr/sbin", "/sbin"].join(delimiter);
}

/** The path of the command `name`; undefined where there is none. */
export async function findCommand(name: string): Promise<string | undefined> {
  for (const folder of systemPath().split(delimiter)) {
    const path = join(folder, name);
    if (folder && (await isExecutable(path))) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Brings this machine's package lists up to date. A source out of reach is no error to apt, which goes on with what it
 * has: its first complaint is returned in brackets, to be told where a package is missing afterwards.
 */
export async function updateLists(log: Progress): Promise<string> {
  const said = await apt(["update"], log);
  const [, complaint] = /^[WE]: (.*)/m.exec(said) ?? [];
  return complaint ? ` (apt-get update: ${complaint})` : "";
}

/**
 * Downloads the package `name` into `folder` as apt of this machine would to install it, and installs nothing. Returns
 * its path; undefined where the archives have no such package. @throws apt's last words.
 */
export async function downloadPackage(
  name: string,
  folder: string,
  log: Progress,
): Promise<string | undefined> {
  if (!(await isKnown(name))) return undefined;
  await apt(["-o", "APT::Sandbox::User=root", "download", name], log, folder);
  const archive = (await readdir(folder)).find((file) => file.startsWith(`${name}_`));
  return archive && join(folder, archive);
}

/** The first of `packages` that this machine's apt can install; undefined if it finds none of them. */
export async function firstKnown(packages: readonly string[]): Promise<string | undefined> {
  for (const name of packages) if (await isKnown(name)) return name;
  return undefined;
}

async function isKnown(name: string): Promise<boolean> {
  const { stdout } = await execa("apt-cache", ["policy", name], {
    env: { LC_ALL: "C" },
    reject: false,
  });
  return /Candidate: (?!\(none\))/.test(stdout);
}

/**
 * Runs apt-get to its end, whatever becomes of this process: a dpkg that is cut off leaves a machine that has to be
 * mended by hand. Its words go into a file, because without a reader of a pipe it would be cut off too.
 *
 * @returns its words. @throws the last of them.
 */
export async function apt(args: string[], log: Progress, cwd?: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "buildhosts-apt-"));
  const said = join(folder, "apt.log");
  const output = await open(said, "w");
  try {
    // On a machine that has just started, the daily upgrade may hold dpkg's lock.
    const options = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"];
    const child = spawn("apt-get", [...options, ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C", PATH: systemPath() },
      stdio: ["ignore", output.fd, output.fd],
      detached: true,
      timeout: 15 * 60_000,
      ...(cwd && { cwd }),
    });
    const [code, signal] = await once(child, "exit");
    const words = await readFile(said, "utf8");
    log.detail?.(`apt-get ${args.join(" ")}\n${words}`);
    if (code === 0) return words;
    const last = words.trim().split("\n").slice(-5).join(" ");
    throw new Error(last || `apt-get ${args[0]} ended with ${code ?? signal}`);
  } finally {
    await output.close();
    await rm(folder, { recursive: true, force: true });
  }
}

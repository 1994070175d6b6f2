import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir } from "../../runtime/cache.ts";
import { contentKey, makeOnce } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { requireDebianMirror } from "./aptSources.ts";
import { ensurePrograms, type HostProgram } from "./programs.ts";

/** Packages of one Debian release for one architecture, in Debian's names. */
export interface DebianPackages {
  /** `bookworm`, `trixie`. */
  suite: string;
  architecture: string;
  names: readonly string[];
}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The programs that downloading needs; every Debian has them. */
const programs: HostProgram[] = [
  { program: keyring, debian: "debian-archive-keyring" },
  { program: "apt-get", debian: "apt" },
  { program: "dpkg-deb", debian: "dpkg" },
];

/**
 * Downloads `packages`, and nothing that they depend on, into `folder`, checked against Debian's keys. Nothing
 * is installed, and the machine's own package lists stay as they are.
 *
 * @returns the paths of the packages. @throws one message when one of them is not to be had.
 */
export async function downloadPackages(
  { suite, architecture, names }: DebianPackages,
  folder: string,
  log: Progress,
): Promise<string[]> {
  await ensurePrograms(programs, log);
  const mirror = await requireDebianMirror();
  const apt = join(folder, "apt");
  for (const name of ["state/lists/partial", "cache/archives/partial"])
    await mkdir(join(apt, name), { recursive: true });
  await writeFile(join(apt, "status"), "");
  await writeFile(
    join(apt, "sources.list"),
    `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`,
  );
  const options = Object.entries({
    "Dir::State": join(apt, "state"),
    "Dir::State::status": join(apt, "status"),
    "Dir::Cache": join(apt, "cache"),
    "Dir::Etc::sourcelist": join(apt, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    "APT::Architecture": architecture,
    "APT::Architectures": architecture,
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    "Acquire::Retries": "3",
  }).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  for (const command of [["update"], ["download", ...names]]) {
    const { failed, all } = await execa("apt-get", [...options, ...command], {
      cwd: folder,
      timeout: 5 * 60_000,
      all: true,
      reject: false,
    });
    if (failed)
      throw new Error(
        `${names.join(", ")}: not to be had from ${mirror} (${suite}, ${architecture}): ` +
          all.split("\n").slice(-3).join(" "),
      );
  }
  await rm(apt, { recursive: true });
  const archives = (await readdir(folder)).filter((name) => name.endsWith(".deb")).sort();
  return archives.map((name) => join(folder, name));
}

/**
 * The files of `packages` in a folder of the cache, where they would lie below `/`: programs to be run from there,
 * libraries to be linked with. No script of theirs runs.
 */
export async function ensureUnpacked(packages: DebianPackages, log: Progress): Promise<string> {
  const { suite, architecture, names } = packages;
  const key = contentKey(names.join(","));
  const folder = cacheDir("debian", `${suite}-${architecture}-${key}`);
  await makeOnce(
    folder,
    (temporary) =>
      log.step(`fetch ${names.join(", ")} for ${architecture}`, async () => {
        for (const archive of await downloadPackages(packages, temporary, log)) {
          await execa("dpkg-deb", ["--extract", archive, temporary]);
          await rm(archive);
        }
      }),
    log,
  );
  return folder;
}

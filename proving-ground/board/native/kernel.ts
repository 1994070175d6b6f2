import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, freemem } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir } from "../../../runtime/cache.ts";
import { contentKey, exists, makeOnce } from "../../../runtime/makeOnce.ts";
import type { Progress } from "../../../runtime/progress.ts";
import { downloadPackages } from "../../debian/packages.ts";
import { ensurePrograms, type HostProgram } from "../../debian/programs.ts";

/**
 * Where the kernel's source is from: Debian's package, which holds upstream's with Debian's patches. Debian's own
 * `user-mode-linux` does not do, in any release: 6.1 and 6.12 panic on processors with AMX, and none has NAT for
 * iptables over nf_tables (no NF_TABLES_IPV4), which bridges of containers need.
 */
const source = { suite: "trixie-backports", package: "linux-source-7.2" };

const compilers: HostProgram[] = [
  { program: "gcc", debian: "gcc" },
  { program: "/usr/include/x86_64-linux-gnu/sys/types.h", debian: "libc6-dev" },
  { program: "make", debian: "make" },
  { program: "flex", debian: "flex" },
  { program: "bison", debian: "bison" },
  { program: "bc", debian: "bc" },
  { program: "xz", debian: "xz-utils" },
  { program: "strip", debian: "binutils" },
];

/** Parts of the source that no kernel of ours has: they take as long to unpack as all the rest. */
const notUnpacked = [
  // Kconfig reads a file of each other architecture.
  ...["Documentation", "tools/testing"],
  ...["drivers/gpu/*.[ch]", "drivers/media/*.[ch]", "drivers/staging/*.[ch]", "sound/*.[ch]"],
  ...["drivers/net/ethernet/*.[ch]", "drivers/net/wireless/*.[ch]"],
];

const configFile = join(import.meta.dirname, "kernel.config");

/**
 * The path of a Linux kernel that is a program of this machine, built once from Debian's source package and
 * kernel.config.
 *
 * @throws one message where it cannot be built.
 */
export async function ensureNativeKernel(log: Progress): Promise<string> {
  const config = await readFile(configFile, "utf8");
  const key = contentKey(JSON.stringify(source), config);
  const folder = cacheDir("board", `kernel-native-${key}`);
  await makeOnce(folder, (temporary) => build(config, temporary, log), log);
  return join(folder, "linux");
}

async function build(config: string, out: string, log: Progress): Promise<void> {
  await ensurePrograms(compilers, log);
  const scratch = await mkdtemp(join((await hasRoomInMemory()) ? "/dev/shm" : out, "kernel-"));
  try {
    const tree = await log.step(`fetch the source of the native board's kernel`, () =>
      unpackSource(scratch, log),
    );
    await log.step("build the native board's kernel (3 to 5 minutes)", async () => {
      await make(tree, ["allnoconfig", `KCONFIG_ALLCONFIG=${configFile}`]);
      refuseMissing(config, await readFile(join(tree, ".config"), "utf8"));
      await make(tree, [`-j${availableParallelism()}`, "linux"]);
      await execa("strip", ["-o", join(out, "linux"), join(tree, "linux")]);
      await copyFile(join(tree, ".config"), join(out, "config"));
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The source and what is compiled take some 1.3 GB. */
async function hasRoomInMemory(): Promise<boolean> {
  return freemem() > 4 * 1024 ** 3 && (await exists("/dev/shm"));
}

async function unpackSource(scratch: string, log: Progress): Promise<string> {
  const [archive] = await downloadPackages(
    { suite: source.suite, architecture: "amd64", names: [source.package] },
    scratch,
    log,
  );
  if (!archive) throw new Error(`${source.package}: Debian's package was not downloaded`);
  const unpacked = join(scratch, "package");
  await execa("dpkg-deb", ["--extract", archive, unpacked]);
  await rm(archive);
  await execa("tar", [
    ...["--extract", "--xz", `--directory=${scratch}`, "--wildcards"],
    ...notUnpacked.map((path) => `--exclude=${source.package}/${path}`),
    `--file=${join(unpacked, "usr/src", `${source.package}.tar.xz`)}`,
  ]);
  await rm(unpacked, { recursive: true });
  const tree = join(scratch, source.package);
  if (!(await readdir(tree)).includes("Kconfig")) throw new Error(`${tree}: is no kernel's source`);
  // Its Kconfig is read by the main one.
  await mkdir(join(tree, "Documentation"), { recursive: true });
  await writeFile(join(tree, "Documentation/Kconfig"), "");
  return tree;
}

async function make(tree: string, args: string[]): Promise<void> {
  const { failed, all } = await execa("make", ["ARCH=um", ...args], {
    cwd: tree,
    env: { LC_ALL: "C" },
    all: true,
    reject: false,
    stdin: "ignore",
    timeout: 60 * 60_000,
  });
  if (!failed) return;
  const lines = String(all).split("\n");
  const errors = lines.filter((line) => /error:|\*\*\*|No rule/.test(line));
  throw new Error(
    `make ${args.join(" ")}: the native board's kernel cannot be built:\n` +
      [...errors.slice(0, 5), ...lines.slice(-5)].join("\n"),
  );
}

/**
 * Kconfig drops an option whose dependencies are missing without a word.
 *
 * @throws naming all options of `wanted` that the kernel `built` would not have.
 */
export function refuseMissing(wanted: string, built: string): void {
  const has = new Set(built.split("\n"));
  const missing = wanted.split("\n").filter((line) => {
    if (!line.startsWith("CONFIG_")) return false;
    return line.endsWith("=n") ? has.has(line.replace(/n$/, "y")) : !has.has(line);
  });
  if (missing.length > 0)
    throw new Error(`${configFile}: the kernel's source does not take ${missing.join(", ")}`);
}

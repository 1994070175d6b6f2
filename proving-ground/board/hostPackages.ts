import { access, constants, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { exists } from "../makeOnce.ts";
import type { Progress } from "../progress.ts";
import type { Architecture, EmulatedArchitecture } from "./architectures.ts";
import { ensureNativeHost } from "./native/host.ts";

/** Something that is needed of this machine, and where Debian and Ubuntu have it. */
export interface HostProgram {
  /** A command, looked for on PATH and in sbin, or a file when it starts with a slash. */
  program: string;
  /** The package that brings it; of several names over the releases, the first that apt knows. */
  debian: string | readonly string[];
}

/**
 * Installs those of `programs` that are missing, with apt. @throws one error that names all that are
 * missing and their packages, where this process may not install or there is no apt.
 */
export async function ensurePrograms(programs: HostProgram[], log: Progress): Promise<void> {
  const missing = await missingOf(programs);
  if (missing.length === 0) return;
  const names = missing.map(({ program }) => program).join(", ");
  const lacks = `missing: ${missing.map(described).join(", ")}`;
  if (!(await findCommand("apt-get")))
    throw new Error(`${lacks}. There is no apt-get here: install them by this system's own means.`);
  if (process.getuid?.() !== 0)
    throw new Error(`${lacks}. Install them, or run this as root once.`);
  await log.step(`install ${names}`, () =>
    install(missing).catch((error: Error) => {
      throw new Error(`${lacks}. They could not be installed: ${error.message}`);
    }),
  );
}

function boardPrograms({
  qemu,
  qemuPackages,
  binfmt,
  debian,
}: EmulatedArchitecture): HostProgram[] {
  return [
    { program: qemu, debian: qemuPackages },
    ...(debian === "riscv64"
      ? [{ program: "/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin", debian: "opensbi" }]
      : []),
    {
      program: `/usr/lib/binfmt.d/${binfmt}.conf`,
      debian: ["qemu-user-binfmt", "qemu-user-static"],
    },
    { program: "qemu-img", debian: "qemu-utils" },
    { program: "mmdebstrap", debian: "mmdebstrap" },
    {
      program: "/usr/share/keyrings/debian-archive-keyring.gpg",
      debian: "debian-archive-keyring",
    },
    { program: "mke2fs", debian: "e2fsprogs" },
    { program: "depmod", debian: "kmod" },
    { program: "xz", debian: "xz-utils" },
    { program: "setpriv", debian: "util-linux" },
  ];
}

/**
 * Sees to it that this machine can make and run boards of `architecture`: installs the packages that are
 * missing and registers qemu-user with the kernel. @throws one error that says what is missing where
 * that cannot be: on another system than Debian or Ubuntu, or without root.
 */
export async function ensureHostPackages(architecture: Architecture, log: Progress): Promise<void> {
  try {
    if (architecture.native) return await ensureNativeHost(log);
    if (process.platform !== "linux")
      throw new Error(`it needs Linux with QEMU, and this is ${process.platform}.`);
    await ensurePrograms(boardPrograms(architecture), log);
    await ensureBinfmt(architecture.binfmt);
  } catch (error) {
    throw new Error(
      `The virtual board ${architecture.platform} cannot run here: ${(error as Error).message}\n` +
        "A board of your own needs none of this: `npm run up -- --stack <yours>` (see the README).",
    );
  }
}

function described({ program, debian }: HostProgram): string {
  return `${program} (package ${[debian].flat().join(" or ")})`;
}

async function missingOf(programs: HostProgram[]): Promise<HostProgram[]> {
  const there = await Promise.all(
    programs.map(({ program }) =>
      program.startsWith("/") ? exists(program) : findCommand(program),
    ),
  );
  return programs.filter((_, index) => !there[index]);
}

async function findCommand(name: string): Promise<boolean> {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const found = await Promise.all(
    folders.map((folder) =>
      access(join(folder, name), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

async function install(missing: HostProgram[]): Promise<void> {
  await apt("apt-get", "update");
  const names = await Promise.all(missing.map(({ debian }) => firstKnown([debian].flat())));
  await apt("apt-get", "install", "--yes", "--no-install-recommends", ...new Set(names));
}

/** The first of `packages` that this machine's apt could install. */
async function firstKnown(packages: string[]): Promise<string> {
  for (const name of packages) {
    const { stdout } = await execa("apt-cache", ["policy", name], {
      env: { LC_ALL: "C" },
      reject: false,
    });
    if (/Candidate: (?!\(none\))/.test(stdout)) return name;
  }
  throw new Error(`no package ${packages.join(" or ")} in this machine's archives`);
}

async function apt(command: string, ...args: string[]): Promise<void> {
  const { failed, all } = await execa(command, args, {
    env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
    all: true,
    stdin: "ignore",
    reject: false,
    timeout: 15 * 60_000,
  });
  if (failed) throw new Error((all ?? "").split("\n").slice(-5).join(" "));
}

const binfmtMisc = "/proc/sys/fs/binfmt_misc";

async function ensureBinfmt(name: string): Promise<void> {
  if (await isRegistered(name)) return;
  try {
    if (process.getuid?.() !== 0)
      throw new Error("only root may register it; run this as root once");
    await register(name);
  } catch (error) {
    throw new Error(
      `the kernel has no ${name} in ${binfmtMisc} (${(error as Error).message}). ` +
        "In a container that takes --privileged.",
    );
  }
}

async function isRegistered(name: string): Promise<boolean> {
  const text = await readFile(join(binfmtMisc, name), "utf8").catch(() => "");
  return text.startsWith("enabled");
}

/** Registers qemu-user the way systemd-binfmt does, which need not run in a container. */
async function register(name: string): Promise<void> {
  if (!(await exists(join(binfmtMisc, "register")))) {
    await mkdir(binfmtMisc, { recursive: true });
    await execa("mount", ["-t", "binfmt_misc", "binfmt_misc", binfmtMisc]);
  }
  if (await isRegistered(name)) return;
  if (await exists(join(binfmtMisc, name))) {
    await writeFile(join(binfmtMisc, name), "1");
    return;
  }
  const conf = await readFile(`/usr/lib/binfmt.d/${name}.conf`, "utf8");
  const entry = conf.split("\n").find((line) => line.startsWith(":"));
  if (!entry) throw new Error(`/usr/lib/binfmt.d/${name}.conf has no entry`);
  await writeFile(join(binfmtMisc, "register"), entry);
}

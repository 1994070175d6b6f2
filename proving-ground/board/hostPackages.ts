import { access, constants, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { exists } from "../makeOnce.ts";
import type { Progress } from "../progress.ts";
import type { Architecture } from "./architectures.ts";

/** Something a virtual board needs of this machine, and the Debian packages that may bring it. */
interface Need {
  /** A command looked for on PATH and in sbin, or a file when it starts with a slash. */
  what: string;
  /** Names over the releases of Debian and Ubuntu; the first that apt knows is installed. */
  packages: readonly string[];
}

function needs({ qemu, qemuPackages, binfmt, debian }: Architecture): Need[] {
  const need = (what: string, ...packages: string[]): Need => ({ what, packages });
  return [
    need(qemu, ...qemuPackages),
    ...(debian === "riscv64"
      ? [need("/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin", "opensbi")]
      : []),
    need(`/usr/lib/binfmt.d/${binfmt}.conf`, "qemu-user-binfmt", "qemu-user-static"),
    need("qemu-img", "qemu-utils"),
    need("mmdebstrap", "mmdebstrap"),
    need("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
    need("mke2fs", "e2fsprogs"),
    need("depmod", "kmod"),
    need("xz", "xz-utils"),
    need("unshare", "util-linux"),
  ];
}

const wayOn =
  "A board of your own needs none of this: `npm run up -- --stack <yours>` (see the README).";

/**
 * Sees to it that this machine can make and run boards of `architecture`: installs the packages that are
 * missing and registers qemu-user with the kernel. @throws one error that says what is missing where
 * that cannot be: on another system than Debian or Ubuntu, or without root.
 */
export async function ensureHostPackages(architecture: Architecture, log: Progress): Promise<void> {
  const refuse = (reason: string) =>
    new Error(`The virtual board ${architecture.platform} cannot run here: ${reason}\n${wayOn}`);
  if (process.platform !== "linux")
    throw refuse(`it needs Linux with QEMU, and this is ${process.platform}.`);

  const missing = await missingOf(needs(architecture));
  const registered = await isRegistered(architecture.binfmt);
  if (missing.length === 0 && registered) return;

  const lacks = [
    ...missing.map(({ what, packages }) => `${what} (package ${packages.join(" or ")})`),
    ...(registered ? [] : [`${architecture.binfmt} in binfmt_misc`]),
  ].join(", ");
  if (process.getuid?.() !== 0)
    throw refuse(`missing: ${lacks}. To install that, run this as root, once.`);
  if (missing.length > 0) {
    if (!(await findCommand("apt-get")))
      throw refuse(`missing: ${lacks}; and without apt-get it cannot be installed from here.`);
    await log.step(`install ${missing.map(({ what }) => what).join(", ")}`, () =>
      install(missing).catch((error: Error) => {
        throw refuse(`missing: ${lacks}. apt-get said: ${error.message}`);
      }),
    );
  }
  if (!registered)
    await register(architecture.binfmt).catch((error: Error) => {
      throw refuse(
        `the kernel does not take ${architecture.binfmt} into binfmt_misc (${error.message}). ` +
          "In a container that needs --privileged.",
      );
    });
}

async function missingOf(list: Need[]): Promise<Need[]> {
  const there = await Promise.all(
    list.map(({ what }) => (what.startsWith("/") ? exists(what) : findCommand(what))),
  );
  return list.filter((_, index) => !there[index]);
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

async function install(missing: Need[]): Promise<void> {
  await apt("apt-get", "update");
  const names = await Promise.all(missing.map(({ packages }) => firstKnown(packages)));
  await apt("apt-get", "install", "--yes", "--no-install-recommends", ...new Set(names));
}

/** The first of `packages` that this machine's apt could install. */
async function firstKnown(packages: readonly string[]): Promise<string> {
  for (const name of packages) {
    const { stdout } = await execa("apt-cache", ["policy", name], { reject: false });
    if (/Candidate: (?!\(none\))/.test(stdout)) return name;
  }
  throw new Error(`no package ${packages.join(" or ")} in this machine's archives`);
}

async function apt(command: string, ...args: string[]): Promise<void> {
  const { exitCode, all } = await execa(command, args, {
    env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
    all: true,
    reject: false,
    timeout: 15 * 60_000,
  });
  if (exitCode !== 0) throw new Error((all ?? "").split("\n").slice(-5).join(" "));
}

const binfmtMisc = "/proc/sys/fs/binfmt_misc";

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

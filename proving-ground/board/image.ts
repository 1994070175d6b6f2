import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { freemem } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import ssh2 from "ssh2";
import { cacheDir } from "../../runtime/cache.ts";
import { contentKey, makeOnce } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { aptSources, debianMirror } from "../debian/aptSources.ts";
import type { Architecture } from "./architectures.ts";
import { ensureHostPackages } from "./hostPackages.ts";
import { ensureNativeKernel } from "./native/kernel.ts";

/** The files in the cache that a board starts from; nothing writes to them again. */
export interface BoardImage {
  folder: string;
  /** The root file system, ext4, the lowest layer of every board's disk. */
  disk: string;
  kernel: string;
  /** Of emulated boards: a native kernel finds its disk by itself. */
  initrd?: string;
  /** A static busybox of the board's architecture, for images to be built from. */
  busybox: string;
  /** The private key that opens every account of the board. */
  identityFile: string;
  /** The board's public host key, `ssh-ed25519 AAAA…`. */
  hostKey: string;
}

/** The release of Debian that everything is made of. */
export const suite = "trixie";
const diskGB = 12;
/** systemd and sshd; what people install on such a board; what BuildKit and its rootless mode call. */
const packages = [
  ...["systemd", "systemd-sysv", "udev", "dbus", "openssh-server", "sudo", "ca-certificates"],
  ...["curl", "git", "xz-utils", "iproute2", "iptables", "kmod", "procps", "uidmap"],
  "busybox-static",
];
/** With what they depend on; names of what the kernel holds already do no harm. */
const initrdModules = [
  ...["virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "virtio_console"],
  ...["ext4", "crc32c_generic"],
];

const here = dirname(fileURLToPath(import.meta.url));

/**
 * Makes the image of `architecture`'s boards, or finds it in the cache. It is a Debian of the day on which it
 * was made; only a change of its recipe makes another.
 */
export async function ensureBoardImage(
  architecture: Architecture,
  log: Progress,
): Promise<BoardImage> {
  const folder = cacheDir("board", `image-${architecture.debian}-${await recipeKey(architecture)}`);
  await ensureHostPackages(architecture, log);
  const nativeKernel = architecture.native ? await ensureNativeKernel(log) : undefined;
  await makeOnce(
    folder,
    (temporary) =>
      log.step(`make a Debian ${suite} for ${architecture.debian}`, () =>
        makeImage(architecture, temporary, log),
      ),
    log,
  );
  return {
    folder,
    disk: join(folder, "disk.ext4"),
    kernel: nativeKernel ?? join(folder, "kernel"),
    ...(!nativeKernel && { initrd: join(folder, "initrd") }),
    busybox: join(folder, "busybox"),
    identityFile: join(folder, "id_ed25519"),
    hostKey: (await readFile(join(folder, "host_key.pub"), "utf8")).trim(),
  };
}

async function recipeKey(architecture: Architecture): Promise<string> {
  const folders = [...guestFolders(architecture), join(here, "image")];
  const names = (await Promise.all(folders.map(filesUnder))).flat();
  const contents = await Promise.all(names.map((name) => readFile(name)));
  return contentKey(JSON.stringify([suite, diskGB, packages, kernelOf(architecture)]), ...contents);
}

/** The paths of all files below `folder`, sorted. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function makeImage(architecture: Architecture, out: string, log: Progress): Promise<void> {
  await writeKeys(out);
  const [guest, guestKind] = guestFolders(architecture);
  await makeDebian(join(here, "image/make.sh"), architecture, packages, out, log, {
    ...kernelOf(architecture),
    GUEST: guest,
    GUEST_KIND: guestKind,
    DISK_GB: `${diskGB}`,
  });
}

/** Files over those of the packages: for every board, and for boards of its kind. */
function guestFolders({ native }: Architecture): [guest: string, kind: string] {
  return [join(here, "guest"), join(here, native ? "native/guest" : "emulated/guest")];
}

/** The kernel's variables for make.sh. A native kernel is no part of the disk. */
function kernelOf(architecture: Architecture): Record<string, string> {
  if (architecture.native) return {};
  return { KERNEL: architecture.kernelPackage, INITRD_MODULES: initrdModules.join(" ") };
}

/**
 * Runs `script`, which puts a Debian with `packages` together with the help of image/root.sh and leaves something of
 * it in `out`. `environment` is for the script, beside what root.sh wants.
 *
 * @throws the script's last words; or, where this is not run by root, what would help.
 */
export async function makeDebian(
  script: string,
  architecture: Architecture,
  packages: readonly string[],
  out: string,
  log: Progress,
  environment: Record<string, string> = {},
): Promise<void> {
  const { platform, debian } = architecture;
  const userCpu = architecture.native ? undefined : architecture.userCpu;
  if (process.getuid?.() !== 0)
    throw new Error(
      `A Debian for ${platform} is not in the cache, and to make it takes root (files of every owner, ` +
        "mounts). Run this as root, once.",
    );
  const scratch = join(out, "scratch");
  await mkdir(scratch);
  const mirror = debianMirror(await aptSources());
  const make = execa(
    // Everything in there ends with this process, and its mounts with it, however either ends.
    "setpriv",
    [
      ...["--pdeathsig", "KILL"],
      ...["unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc"],
      ...["--kill-child", "--", script, debian, out],
    ],
    {
      env: {
        PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
        ...(userCpu && { QEMU_CPU: userCpu }),
        SUITE: suite,
        MIRROR: mirror ?? "",
        PACKAGES: packages.join(","),
        SCRATCH: scratch,
        // The root file system takes some 0.8 GB there.
        SCRATCH_IN_MEMORY: freemem() > 4 * 1024 ** 3 ? "yes" : "no",
        ...environment,
      },
      stdin: "ignore",
      reject: false,
    },
  );
  for await (const line of createInterface({ input: make.stdout })) log.note(line);
  const { failed, stderr } = await make;
  await rm(scratch, { recursive: true, force: true });
  if (!failed) return;
  // It goes with the folder.
  log.detail?.(await readFile(join(out, "make.log"), "utf8").catch(() => ""));
  throw new Error(
    `No Debian ${suite} for ${debian} could be made${mirror ? ` from ${mirror}` : ""}. ` +
      `Its last words:\n${stderr.split("\n").slice(-6).join("\n")}`,
  );
}

async function writeKeys(folder: string): Promise<void> {
  for (const name of ["host_key", "id_ed25519"]) {
    const { private: secret, public: open } = ssh2.utils.generateKeyPairSync("ed25519");
    await writeFile(join(folder, name), secret, { mode: 0o600 });
    await writeFile(join(folder, `${name}.pub`), `${open.trim()}\n`);
  }
}

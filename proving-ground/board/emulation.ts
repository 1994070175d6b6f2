import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir } from "../../runtime/cache.ts";
import { withLock } from "../../runtime/lock.ts";
import { exists, makeOnce } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { downloadPackage, findCommand, systemPath, updateLists } from "../debian/apt.ts";
import type { EmulatedArchitecture } from "./architectures.ts";

/** Where the kernel keeps which program runs those of a foreign architecture. */
export const binfmtMisc = "/proc/sys/fs/binfmt_misc";

/** The parts of a program of an architecture: ELF's number of it, and the instructions of `exit(0)`. */
const machines = {
  // li a7, 93; li a0, 0; ecall
  riscv64: { elf: 243, exit: [0x05d00893, 0x00000513, 0x00000073] },
  // mov x8, #93; mov x0, #0; svc #0
  arm64: { elf: 183, exit: [0xd2800ba8, 0xd2800000, 0xd4000001] },
} as const;

/** A whole static program that ends with exit code 0, to be run where nothing else is. */
export function smallestProgram(architecture: EmulatedArchitecture["debian"]): Uint8Array {
  const { elf, exit } = machines[architecture];
  const headers = 64 + 56;
  const size = headers + 4 * exit.length;
  const address = 0x10000n;
  const program = Buffer.alloc(size);
  program.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF, 64 bits, little endian
  program.writeUInt16LE(2, 16); // an executable at fixed addresses
  program.writeUInt16LE(elf, 18);
  program.writeUInt32LE(1, 20);
  program.writeBigUInt64LE(address + BigInt(headers), 24); // where it starts
  program.writeBigUInt64LE(64n, 32); // where the one program header is
  program.writeUInt16LE(64, 52);
  program.writeUInt16LE(56, 54);
  program.writeUInt16LE(1, 56);
  program.writeUInt32LE(1, 64); // loaded,
  program.writeUInt32LE(5, 68); // readable and executable,
  program.writeBigUInt64LE(address, 80); // from byte 0 of the file to here
  program.writeBigUInt64LE(address, 88);
  program.writeBigUInt64LE(BigInt(size), 96);
  program.writeBigUInt64LE(BigInt(size), 104);
  program.writeBigUInt64LE(0x1000n, 112);
  for (const [index, word] of exit.entries()) program.writeUInt32LE(word, headers + 4 * index);
  return program;
}

/** The line for `binfmt_misc/register`: `interpreter` runs programs of `architecture`. */
export function registrationOf(
  architecture: EmulatedArchitecture["debian"],
  name: string,
  interpreter: string,
): string {
  const bytes = (values: number[]) =>
    values.map((value) => `\\x${value.toString(16).padStart(2, "0")}`).join("");
  const magic = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0];
  const mask = [...Array(7).fill(0xff), 0, ...Array(8).fill(0xff), 0xfe, 0xff, 0xff, 0xff];
  // F: opened once, now, so that it is there in every root. O and P: what Debian's own entries have.
  return `:${name}:M::${bytes([...magic, machines[architecture].elf, 0])}:${bytes(mask)}:${interpreter}:OPF`;
}

/**
 * Sees to it that programs of `architecture` run in any root on this machine, such as a Debian that is being made.
 * No registration is believed, for there are some whose QEMU is not found in another root (Debian 12's
 * qemu-user-binfmt): a program is run. Where it does not run, a static QEMU is registered under a name of ours,
 * for as long as this machine runs. The kernel takes the latest; what was there before stays as it is.
 *
 * Wants root. @throws one message with the cause and what helps.
 */
export async function ensureEmulation(
  { debian, userEmulator }: EmulatedArchitecture,
  log: Progress,
): Promise<void> {
  if ((await refusal(debian)) === undefined) return;
  await withLock(
    cacheDir("emulation", "lock"),
    async () => {
      if ((await refusal(debian)) === undefined) return;
      await mountBinfmtMisc();
      const emulator = await staticEmulator(userEmulator, log);
      const name = `buildhosts-${userEmulator}`;
      await register(name, registrationOf(debian, name, emulator));
      const said = await refusal(debian);
      if (said === undefined) {
        log.note(`${debian} programs run by ${emulator}, registered as ${join(binfmtMisc, name)}`);
        return;
      }
      throw new Error(
        `no ${debian} program runs in an empty root, though ${emulator} is registered as ` +
          `${join(binfmtMisc, name)}: ${said}. ${await remedy(said)}`,
      );
    },
    { onWait: () => log.note(`waiting for another run that sees to ${userEmulator}`) },
  );
}

/** The kernel's error for a program of `architecture` in an empty root; undefined if the program runs. */
export async function refusal(
  architecture: EmulatedArchitecture["debian"],
): Promise<string | undefined> {
  // Where a Debian would be made: what the file system there does not allow is found out too.
  await mkdir(cacheDir("emulation"), { recursive: true });
  const root = await mkdtemp(cacheDir("emulation", "root-"));
  try {
    await writeFile(join(root, "exit"), smallestProgram(architecture), { mode: 0o755 });
    const result = await execa("chroot", [root, "/exit"], {
      env: { PATH: systemPath(), LC_ALL: "C" },
      stdin: "ignore",
      timeout: 30_000,
      reject: false,
    });
    if (!result.failed) return undefined;
    return String(result.stderr).trim().split("\n").at(-1) || result.shortMessage || "it failed";
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** The fix for the kernel's error, if there is a known one. */
async function remedy(said: string): Promise<string> {
  const status = await readFile(join(binfmtMisc, "status"), "utf8").catch(() => "");
  if (status.startsWith("disabled"))
    return `The kernel's binfmt_misc is switched off; switch it on: echo 1 > ${join(binfmtMisc, "status")}`;
  if (/permission denied/i.test(said))
    return `${cacheDir()} may be on a file system that is mounted noexec: set BUILDHOSTS_CACHE to a folder on another one`;
  return "A sandbox or a security module may forbid it: run this outside, or in a container with --privileged";
}

async function mountBinfmtMisc(): Promise<void> {
  if (await exists(join(binfmtMisc, "register"))) return;
  await execa("modprobe", ["binfmt_misc"], { env: { PATH: systemPath() }, reject: false });
  const { failed, stderr } = await execa(
    "mount",
    ["-t", "binfmt_misc", "binfmt_misc", binfmtMisc],
    { env: { LC_ALL: "C" }, reject: false },
  );
  if (failed)
    throw new Error(
      `${binfmtMisc}: the kernel's table of foreign programs cannot be mounted (${firstLine(String(stderr))}). ` +
        "In a container that takes --privileged; elsewhere a kernel with binfmt_misc.",
    );
}

/** The error of `mount`, without the hint on the next line and the full stop. */
function firstLine(text: string): string {
  return (text.split("\n", 1)[0] ?? "").replace(/\.$/, "");
}

/** Registers ours anew: an entry of ours that is there already has not helped. */
async function register(name: string, entry: string): Promise<void> {
  try {
    if (await exists(join(binfmtMisc, name))) await writeFile(join(binfmtMisc, name), "-1");
    await writeFile(join(binfmtMisc, "register"), entry);
  } catch (error) {
    throw new Error(
      `${join(binfmtMisc, "register")}: ${(error as Error).message}, for ${entry}. ` +
        "In a container that takes --privileged.",
    );
  }
}

/**
 * The path of a QEMU that runs without anything else of this machine: the one that is installed, or else one unpacked
 * into the cache, where it is in nobody's way. Installing a package would take away Debian 12's qemu-user-binfmt.
 */
async function staticEmulator(program: string, log: Progress): Promise<string> {
  for (const name of [`${program}-static`, program]) {
    const path = await findCommand(name);
    if (path !== undefined && (await isStatic(path))) return path;
  }
  const packages = ["qemu-user-static", "qemu-user"];
  const byHand = `install a static QEMU as /usr/local/bin/${program}-static`;
  if (!(await findCommand("apt-get")))
    throw new Error(`there is no static ${program} here, and no apt-get to bring one: ${byHand}`);
  const folder = cacheDir("emulation", program);
  await makeOnce(
    folder,
    (temporary) =>
      log.step(`fetch a static ${program}`, async () => {
        const complaint = await updateLists(log);
        for (const name of packages) {
          const archive = await downloadPackage(name, temporary, log);
          if (archive && (await unpackStatic(archive, program, temporary))) return;
        }
        throw new Error(
          `no static ${program} in a package ${packages.join(" or ")} of this machine's archives${complaint}; ` +
            `see to /etc/apt, or ${byHand}`,
        );
      }),
    log,
  );
  return join(folder, program);
}

/** Takes nothing but `program` out of a package of half a gigabyte. Returns whether it had a static one. */
async function unpackStatic(archive: string, program: string, folder: string): Promise<boolean> {
  const names = [`./usr/bin/${program}-static`, `./usr/bin/${program}`];
  // tar complains of the name that is not there, and takes the other.
  await execa(
    "sh",
    ["-c", 'dpkg-deb --fsys-tarfile "$1" | tar --extract "$2" "$3"', "sh", archive, ...names],
    { cwd: folder, reject: false },
  );
  await rm(archive);
  for (const name of names) {
    const path = join(folder, name);
    if (!(await isStatic(path))) continue;
    await rename(path, join(folder, program));
    await rm(join(folder, "usr"), { recursive: true });
    return true;
  }
  await rm(join(folder, "usr"), { recursive: true, force: true });
  return false;
}

/** Whether `path` is a program that needs no loader, and so no library. */
export async function isStatic(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  if (!file) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    if (bytesRead < 64 || buffer.readUInt32BE(0) !== 0x7f454c46) return false;
    const start = Number(buffer.readBigUInt64LE(32));
    const [size, count] = [buffer.readUInt16LE(54), buffer.readUInt16LE(56)];
    for (let index = 0; index < count; index++)
      if (buffer.readUInt32LE(start + index * size) === PT_INTERP) return false;
    return true;
  } finally {
    await file.close();
  }
}

const PT_INTERP = 3;

import { copyFile, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { contentKey } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { architectures, type Platform } from "../board/architectures.ts";
import { suite } from "../board/image.ts";
import { ensureUnpacked } from "../debian/packages.ts";
import { sha256 } from "../mirror/checksums.ts";
import { ensureImage, type Image, withLayer, writeImage } from "./ociImage.ts";

const script = join(import.meta.dirname, "binfmt.sh");
const config = { Entrypoint: ["/usr/bin/binfmt"], Env: ["PATH=/bin"] };
const applets = ["sh", "mount"];

/** What the image for a platform emulates: Debian's name, and the emulator's. */
function emulatedOn(platform: Platform): { architecture: string; emulator: string } {
  return platform === "linux/amd64"
    ? { architecture: "riscv64", emulator: "qemu-riscv64" }
    : { architecture: "amd64", emulator: "qemu-x86_64" };
}

/** The platform that `ensureEmulationImage` has emulated on `platform`: riscv64 on amd64, and amd64 on the others. */
export function emulatedPlatform(platform: Platform): Platform {
  return `linux/${emulatedOn(platform).architecture}` as Platform;
}

/**
 * The image that stands in for tonistiigi/binfmt where no registry of the internet answers: Debian's QEMU for the
 * `emulatedPlatform` on a busybox. It takes the same arguments.
 *
 * @param busybox a static one for `platform`.
 */
export async function ensureEmulationImage(
  platform: Platform,
  busybox: string,
  log: Progress,
): Promise<Image> {
  const architecture = architectures[platform].debian;
  const debian = await ensureUnpacked({ suite, architecture, names: ["qemu-user"] }, log);
  const { emulator } = emulatedOn(platform);
  const emulatorFile = join(debian, "usr/bin", emulator);
  const files = await Promise.all([script, busybox, emulatorFile].map((path) => sha256(path)));
  const key = contentKey(JSON.stringify([config, applets]), ...files);
  return ensureImage(
    `emulation-${architecture}-${key}`,
    (folder) =>
      withLayer(
        async (root) => {
          for (const name of ["bin", "proc", "usr/bin"])
            await mkdir(join(root, name), { recursive: true });
          await copyFile(busybox, join(root, "bin/busybox"));
          for (const applet of applets) await symlink("busybox", join(root, "bin", applet));
          await copyFile(emulatorFile, join(root, "usr/bin", emulator));
          await copyFile(script, join(root, "usr/bin/binfmt"));
        },
        (layer) => writeImage(folder, platform, [layer], config),
      ),
    log,
  );
}

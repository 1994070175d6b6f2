import type { Progress } from "../../runtime/progress.ts";
import { ensurePrograms, type HostProgram } from "../debian/programs.ts";
import type { Architecture, EmulatedArchitecture } from "./architectures.ts";
import { diskPrograms } from "./diskPrograms.ts";
import { ensureEmulation } from "./emulation.ts";
import { ensureNativeHost } from "./native/host.ts";

function boardPrograms({ qemu, qemuPackages, debian }: EmulatedArchitecture): HostProgram[] {
  return [
    { program: qemu, debian: qemuPackages },
    ...(debian === "riscv64"
      ? [{ program: "/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin", debian: "opensbi" }]
      : []),
    { program: "qemu-img", debian: "qemu-utils" },
    { program: "depmod", debian: "kmod" },
    { program: "xz", debian: "xz-utils" },
    ...diskPrograms,
  ];
}

/**
 * Sees to it that this machine can make and run boards of `architecture`: that its programs run here, and that the
 * packages are there. @throws one error that says what is missing where that cannot be: on another system
 * than Debian or Ubuntu, or without root.
 */
export async function ensureHostPackages(architecture: Architecture, log: Progress): Promise<void> {
  try {
    if (architecture.native) return await ensureNativeHost(log);
    if (process.platform !== "linux")
      throw new Error(`it needs Linux with QEMU, and this is ${process.platform}.`);
    // Only root makes a Debian, and nothing else runs the architecture's programs here.
    if (process.getuid?.() === 0) await ensureEmulation(architecture, log);
    await ensurePrograms(boardPrograms(architecture), log);
  } catch (error) {
    throw new Error(
      `The virtual board ${architecture.platform} cannot run here: ${(error as Error).message}\n` +
        "A board of your own needs none of this: `npm run up -- --stack <yours>` (see the README).",
      { cause: error },
    );
  }
}

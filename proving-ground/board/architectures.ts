/** The platforms of virtual boards. */
export type Platform = "linux/riscv64" | "linux/arm64" | "linux/amd64";

/** The differences between the virtual boards, in Debian's, QEMU's and the kernel's words. */
export type Architecture = EmulatedArchitecture | NativeArchitecture;

/** Of a board that is a kernel running as a program of this machine, at this machine's speed. */
export interface NativeArchitecture {
  platform: "linux/amd64";
  /** Debian's name; also the last part of our file names. */
  debian: "amd64";
  native: true;
}

/** Of a board that QEMU emulates. */
export interface EmulatedArchitecture {
  platform: "linux/riscv64" | "linux/arm64";
  /** Debian's name; also the last part of our file names. */
  debian: "riscv64" | "arm64";
  native: false;
  /** Debian's package that depends on the newest kernel. */
  kernelPackage: string;
  /** QEMU's program that runs this architecture's programs. */
  userEmulator: string;
  /** Its processor, where its default is slow. */
  userCpu?: string;
  /** The system emulator, and the packages of which the first that exists brings it. */
  qemu: string;
  qemuPackages: readonly string[];
  machine: readonly string[];
  console: string;
  /**
   * The register of 8 bytes that holds the machine's time, given where QEMU does not restore it (qemu-system-riscv64
   * 7.2): it runs on from minus the time since the last restore, and when that comes to 0 the guest's scheduler stands
   * still. A write of the right time also arms the timers again, which are not restored either.
   */
  timeRegister?: number;
}

export const architectures = {
  "linux/riscv64": {
    platform: "linux/riscv64",
    debian: "riscv64",
    native: false,
    kernelPackage: "linux-image-riscv64",
    userEmulator: "qemu-riscv64",
    qemu: "qemu-system-riscv64",
    qemuPackages: ["qemu-system-riscv", "qemu-system-misc"],
    // Without Sstc the timers are those of the ACLINT, which can be reached from outside.
    machine: ["-machine", "virt", "-cpu", "rv64,sstc=off"],
    console: "ttyS0",
    // mtime, in the address space of the machine `virt`.
    timeRegister: 0x200_bff8,
  },
  "linux/arm64": {
    platform: "linux/arm64",
    debian: "arm64",
    native: false,
    // The cloud kernel holds drivers for virtual machines only.
    kernelPackage: "linux-image-cloud-arm64",
    userEmulator: "qemu-aarch64",
    // The default has pointer authentication, and emulating that took more than half of the time.
    userCpu: "cortex-a72",
    qemu: "qemu-system-aarch64",
    qemuPackages: ["qemu-system-arm"],
    machine: ["-machine", "virt", "-cpu", "cortex-a72"],
    console: "ttyAMA0",
  },
  "linux/amd64": { platform: "linux/amd64", debian: "amd64", native: true },
} satisfies { [P in Platform]: Architecture & { platform: P } };

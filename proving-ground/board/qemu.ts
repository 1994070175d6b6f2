import type { EmulatedArchitecture } from "./architectures.ts";
import type { PortForward } from "./machine.ts";

/** RAM of a board. More makes snapshots slower, for they carry the page cache. */
export const memoryMB = 2048;
export const processors = 2;

/** Where a board's QEMU finds and leaves what; all paths absolute, sockets relative to its folder. */
export interface QemuPaths {
  kernel: string;
  initrd: string;
  /** qcow2, so that it takes snapshots. */
  disk: string;
  pidFile: string;
  consoleLog: string;
  monitorSocket: string;
  clockSocket: string;
  /** QEMU's own test protocol, which reads and writes device registers. */
  registerSocket: string;
}

/** The options of a board's QEMU. */
export interface QemuOptions {
  architecture: EmulatedArchitecture;
  paths: QemuPaths;
  forwards: readonly PortForward[];
  /** A snapshot in the disk to go on from, once QEMU is told to; none: boot. */
  snapshot?: string;
}

/**
 * The arguments of a QEMU in the background with one disk, user-mode network and no display. A
 * snapshot loads only into the machine that it was taken of: whatever changes here, but ports and
 * paths, is in the key of the booted image (`machineKey`).
 */
export function qemuArguments({ architecture, paths, ...options }: QemuOptions): string[] {
  const forwards = options.forwards.map(
    ({ port, boardPort }) => `hostfwd=tcp:127.0.0.1:${port}-:${boardPort}`,
  );
  return [
    ...machineArguments(architecture),
    ...["-kernel", paths.kernel, "-initrd", paths.initrd],
    ...["-append", kernelCommandLine(architecture)],
    // Not `unsafe`: what the board has synced must outlive its sudden end.
    ...["-drive", `if=none,id=disk,format=qcow2,discard=unmap,file=${escapeCommas(paths.disk)}`],
    ...["-netdev", ["user,id=net,ipv6=off", ...forwards].join(",")],
    ...["-chardev", `socket,id=clock,server=on,wait=off,path=${escapeCommas(paths.clockSocket)}`],
    ...["-qmp", `unix:${escapeCommas(paths.monitorSocket)},server=on,wait=off`],
    ...["-qtest", `unix:${escapeCommas(paths.registerSocket)},server=on,wait=off`],
    ...["-qtest-log", "/dev/null"],
    ...["-serial", `file:${paths.consoleLog}`, "-monitor", "none", "-display", "none"],
    ...["-pidfile", paths.pidFile, "-daemonize"],
    ...(options.snapshot ? ["-loadvm", options.snapshot, "-S"] : []),
  ];
}

/** Everything but QEMU itself that a snapshot of `architecture`'s boards depends on. */
export function machineKey(architecture: EmulatedArchitecture): string {
  const { timeRegister } = architecture;
  return JSON.stringify([
    machineArguments(architecture),
    kernelCommandLine(architecture),
    timeRegister,
  ]);
}

function machineArguments({ machine }: EmulatedArchitecture): string[] {
  return [
    ...machine,
    ...["-accel", "tcg,thread=multi", "-smp", `${processors}`, "-m", `${memoryMB}`],
    ...["-nodefaults", "-no-user-config"],
    ...["-device", "virtio-blk-pci,drive=disk"],
    ...["-device", "virtio-net-pci,netdev=net,romfile="],
    ...["-device", "virtio-rng-pci"],
    ...["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=clock"],
  ];
}

function kernelCommandLine({ console }: EmulatedArchitecture): string {
  // The getty generator would put a login on the clock's port.
  return `console=${console} net.ifnames=0 systemd.getty_auto=no panic=-1`;
}

function escapeCommas(path: string): string {
  return path.replaceAll(",", ",,");
}

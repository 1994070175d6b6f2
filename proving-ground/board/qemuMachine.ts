import { readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import type { EmulatedArchitecture } from "./architectures.ts";
import { bootSeconds, type Machine, type PortForward } from "./machine.ts";
import { kill, processIn, sshBanner, tail, until } from "./machineParts.ts";
import { type QemuPaths, qemuArguments } from "./qemu.ts";
import { monitor, qmp, readRegister, writeRegister } from "./qmp.ts";

/** The parts of a machine of QEMU. */
export interface QemuMachineOptions {
  /** Has the disk (`diskName`) and what else belongs to this machine alone. */
  folder: string;
  architecture: EmulatedArchitecture;
  kernel: string;
  initrd: string;
  forwards: readonly PortForward[];
  sshPort: number;
}

const diskName = "disk.qcow2";

/** The machine's time in each snapshot, where QEMU does not keep it (`timeRegister`). */
const timesName = "times.json";

const restoreSeconds = 60;

/** A new disk over the image's, for a machine in `folder` that has no snapshot yet. */
export async function makeQemuDisk(folder: string, imageDisk: string): Promise<void> {
  const disk = join(folder, diskName);
  await execa("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", imageDisk, disk]);
  await writeFile(join(folder, timesName), "{}");
}

/** A machine that QEMU emulates. Its snapshots hold its memory too, so that it goes on from one within seconds. */
export function qemuMachine({
  folder,
  architecture,
  kernel,
  initrd,
  forwards,
  sshPort,
}: QemuMachineOptions): Machine {
  const { timeRegister } = architecture as { timeRegister?: number };
  const paths = qemuPaths(folder, kernel, initrd);
  const running = async () => processIn(paths.pidFile) !== undefined;
  const times = async (): Promise<Record<string, string>> =>
    JSON.parse(await readFile(join(folder, timesName), "utf8"));

  const launch = async (snapshot?: string) => {
    const { exitCode, stderr } = await execa(
      architecture.qemu,
      qemuArguments({ architecture, paths, forwards, ...(snapshot ? { snapshot } : {}) }),
      { stdin: "ignore", stdout: "ignore", reject: false, timeout: 120_000 },
    );
    if (exitCode !== 0) throw new Error(`${architecture.qemu} did not start: ${stderr}`);
  };
  const ready = async (seconds: number) => {
    await setClock(paths.clockSocket, seconds, running).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await tail(paths.consoleLog)}`);
    });
    await sshBanner(sshPort, seconds);
  };

  return {
    consoleLog: paths.consoleLog,
    process: () => processIn(paths.pidFile),
    async boot() {
      await launch();
      await ready(bootSeconds);
    },
    async goTo(name) {
      if (await running()) {
        await qmp(paths.monitorSocket, "stop");
        await monitor(paths.monitorSocket, `loadvm ${name}`);
      } else await launch(name);
      const time = (await times())[name];
      if (timeRegister && time)
        await writeRegister(paths.registerSocket, timeRegister, BigInt(time));
      await qmp(paths.monitorSocket, "cont");
      await ready(restoreSeconds);
    },
    async keep(name) {
      await qmp(paths.monitorSocket, "stop");
      if (timeRegister) {
        const time = await readRegister(paths.registerSocket, timeRegister);
        const all = { ...(await times()), [name]: `0x${time.toString(16)}` };
        await writeFile(join(folder, timesName), JSON.stringify(all));
      }
      await monitor(paths.monitorSocket, `savevm ${name}`);
      await qmp(paths.monitorSocket, "cont");
    },
    async kill() {
      const pid = processIn(paths.pidFile);
      if (pid !== undefined) await kill(pid);
      await rm(paths.pidFile, { force: true });
    },
    killNow() {
      const pid = processIn(paths.pidFile);
      if (pid !== undefined) process.kill(pid, "SIGKILL");
    },
    async finish() {
      await qmp(paths.monitorSocket, "quit");
      await until(60, "QEMU to end", async () => !(await running()));
      return [diskName, timesName];
    },
  };
}

function qemuPaths(folder: string, kernel: string, initrd: string): QemuPaths {
  const paths: QemuPaths = {
    kernel,
    initrd,
    disk: join(folder, diskName),
    pidFile: join(folder, "pid"),
    consoleLog: join(folder, "console.log"),
    monitorSocket: join(folder, "monitor.sock"),
    clockSocket: join(folder, "clock.sock"),
    registerSocket: join(folder, "registers.sock"),
  };
  // The kernel's limit for the address of a unix socket.
  if (Buffer.byteLength(paths.registerSocket) > 107)
    throw new Error(
      `${paths.registerSocket} is too long for a socket (107 bytes): set BUILDHOSTS_CACHE to a shorter path`,
    );
  return paths;
}

/**
 * Sets the board's clock to this machine's over the board's clock port, again and again until it
 * answers: that is also how a booting board shows that it is up.
 */
async function setClock(
  path: string,
  seconds: number,
  running: () => Promise<boolean>,
): Promise<void> {
  const socket = connect(path);
  let heard = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    heard += text;
  });
  const failed = new Promise<never>((_, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the board was switched off")));
  });
  try {
    let sent = 0;
    const answered = until(seconds, "the board to set its clock", async () => {
      if (/set [\d.]+/.test(heard)) return true;
      if (!(await running())) throw new Error("QEMU has ended");
      if (Date.now() - sent > 1000) {
        sent = Date.now();
        socket.write(`${sent / 1000}\n`);
      }
      return false;
    });
    await Promise.race([answered, failed]);
  } finally {
    socket.destroy();
  }
}

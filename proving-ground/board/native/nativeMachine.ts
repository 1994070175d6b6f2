import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bootSeconds, type Machine, type PortForward } from "../machine.ts";
import { copySparse, kill, processIn, sshBanner, tail, until } from "../machineParts.ts";
import type { SshSession } from "../sshSession.ts";

/** The parts of a native machine. */
export interface NativeMachineOptions {
  /** Has the layer of the disk and what else belongs to this machine alone. */
  folder: string;
  kernel: string;
  /** The image's disk, which nothing writes to. */
  disk: string;
  forwards: readonly PortForward[];
  sshPort: number;
  /** Leads to the board. */
  session: SshSession;
}

/** What `supervise.ts` starts, in the file `machine.json` of the machine's folder. */
export interface NativeMachineSpec {
  kernel: string;
  arguments: string[];
  /** For the memory, which is a file. */
  memoryFolder: string;
  /** Where slirp is told which ports to forward. */
  controlSocket: string;
  mtu: number;
  forwards: readonly PortForward[];
  boardAddress: string;
}

const memoryMB = 2048;
/** As on QEMU's user network, so that boards of both kinds are alike; native/guest has it too. */
const boardAddress = "10.0.2.15";
const mtu = 1500;

/** Everything of the machine that a snapshot depends on; raised when a layer of the disk no longer fits. */
export const nativeMachineKey = "2";

const layerName = "disk.cow";
const snapshotName = (name: string) => `${name}.cow`;

/**
 * A machine that is a Linux kernel running as a program of this machine (user-mode Linux): its programs run at this
 * machine's speed. Its network is slirp's, of which nothing is seen on this machine but the forwarded ports
 * of loopback. A snapshot is a copy of the layer that it has written of its disk, taken while it is switched off; to go on
 * from one is to boot.
 */
export function nativeMachine({
  folder,
  kernel,
  disk,
  forwards,
  sshPort,
  session,
}: NativeMachineOptions): Machine {
  const pidFile = join(folder, "pid");
  const consoleLog = join(folder, "console.log");
  const layer = join(folder, layerName);
  const controlSocket = join(folder, "slirp.sock");
  const running = () => processIn(pidFile, folder);

  const ready = async () => {
    await sshBanner(sshPort, bootSeconds, {
      silentMs: 1000,
      async check() {
        if (running() === undefined)
          throw new Error(`the native board has ended:\n${await tail(consoleLog)}`);
      },
    });
  };

  const boot = async () => {
    const spec: NativeMachineSpec = {
      kernel,
      arguments: [
        `mem=${memoryMB}M`,
        ...[`ubd0=${layer},${disk}`, "root=/dev/ubda", "rw"],
        "vec0:transport=tap,ifname=uml0,depth=128,gro=1",
        // The console is a file; there is nobody to log in on a terminal.
        ...["con0=null,fd:1", "con=null", "ssl=null", "systemd.getty_auto=no"],
        ...[`uml_dir=${folder}`, "umid=uml", "seccomp=auto", "panic=-1", "quiet"],
      ],
      memoryFolder: "/dev/shm",
      controlSocket,
      mtu,
      forwards,
      boardAddress,
    };
    await writeFile(join(folder, "machine.json"), JSON.stringify(spec, null, 2));
    const log = await open(consoleLog, "w");
    try {
      const supervisor = spawn(
        process.execPath,
        [join(import.meta.dirname, "supervise.ts"), folder],
        { detached: true, stdio: ["ignore", log.fd, log.fd], cwd: folder },
      );
      await once(supervisor, "spawn");
      supervisor.unref();
      await writeFile(pidFile, `${supervisor.pid}\n`);
    } finally {
      await log.close();
    }
    await ready();
  };

  /** Returns when what is enabled runs: the kernel and sshd answer before. */
  const settled = async () => {
    await session.run("timeout 120 systemctl is-system-running --wait");
    session.close();
  };

  const end = async () => {
    const pid = running();
    // The supervisor takes the kernel and the network with it.
    if (pid !== undefined) await kill(-pid);
    for (const name of ["pid", "slirp.sock", "uml"])
      await rm(join(folder, name), { recursive: true, force: true });
  };

  return {
    consoleLog,
    process: running,
    boot,
    kill: end,
    killNow() {
      const pid = running();
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    },
    async goTo(name) {
      await end();
      await copySparse(join(folder, snapshotName(name)), layer);
      await boot();
      await settled();
    },
    async keep(name) {
      // What runs ends well: a copy of a disk in use is what a power cut leaves, and buildkitd writes some of its
      // databases without a care for that.
      await session.run("systemctl poweroff").catch(() => undefined);
      session.close();
      await until(120, "the native board to switch itself off", async () => !running());
      await end();
      await copySparse(layer, join(folder, snapshotName(name)));
      await boot();
      await settled();
    },
    async finish() {
      return ["booted.cow"];
    },
  };
}

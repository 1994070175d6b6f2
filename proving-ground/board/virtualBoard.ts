import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { cacheDir } from "../cache.ts";
import { freePort } from "../freePort.ts";
import { withLock } from "../lock.ts";
import { contentKey, exists, makeOnce } from "../makeOnce.ts";
import type { Progress } from "../progress.ts";
import { type Architecture, architectures, type Platform } from "./architectures.ts";
import { ensureHostPackages } from "./hostPackages.ts";
import { type BoardImage, ensureBoardImage } from "./image.ts";
import {
  machineKey,
  memoryMB,
  type PortForward,
  processors,
  type QemuPaths,
  qemuArguments,
} from "./qemu.ts";
import { monitor, qmp, readRegister, writeRegister } from "./qmp.ts";
import { type CommandResult, type SshSession, sshSession } from "./sshSession.ts";

/** How a board is reached from this machine. */
export interface BoardConnection {
  platform: Platform;
  /** Always the loopback. */
  host: "127.0.0.1";
  /** The SSH port; the same for the whole life of the instance. */
  port: number;
  user: "root";
  /** `ssh-ed25519 AAAA…`, the only host key that the board has. */
  hostKey: string;
  /** The private key, an absolute path; it also opens the accounts `builder` and `nosudo`. */
  identityFile: string;
  /** Port on `host` that is forwarded to the board's 1234. */
  buildkitPort: number;
  /** The address at which the board reaches this machine's loopback. */
  gateway: "10.0.2.2";
}

/** What a virtual board is beside a Debian that answers, and how it is reached as that. */
export interface BoardKind<Connection extends BoardConnection = BoardConnection> {
  /** Part of the names of folders in the cache, and of the project's folder with the connections. */
  name: string;
  /** Ports of the board that are forwarded, beside 22 and 1234. */
  ports: readonly number[];
  /** What is done to a booted board before its snapshot `booted` is taken. */
  preparation?: {
    /** The kind of board that it is done to. Default: a plain one. */
    on?: BoardKind;
    /** Everything that determines the result. */
    key(image: BoardImage, platform: Platform, log: Progress): Promise<string>;
    /** May leave files in `folder`, which stays. */
    run(board: VirtualBoard<Connection>, folder: string, log: Progress): Promise<void>;
  };
  /** `ports` leads from the board's ports to the loopback's; `folder` is the preparation's. */
  connection(base: BoardConnection, ports: Map<number, number>, folder: string): Connection;
}

/** A board for BuildKit to be installed on. */
export const plainBoard: BoardKind = {
  name: "virtual-board",
  ports: [],
  connection: (base) => base,
};

/** Which board to start. */
export interface VirtualBoardOptions<Connection extends BoardConnection = BoardConnection> {
  platform: Platform;
  kind: BoardKind<Connection>;
  /** Boards of different names know nothing of each other. */
  instance: string;
  /** If given, the connection is written to `connectionFile(projectDir, platform, kind)`. */
  projectDir?: string;
  log: Progress;
}

/** A machine of QEMU's that runs in the background until `stop`, whatever becomes of this process. */
export interface VirtualBoard<Connection extends BoardConnection = BoardConnection> {
  readonly instance: string;
  readonly connection: Connection;
  /** QEMU's process; the last one when the power is off. */
  readonly pid: number;
  /** What the board wrote to its serial console since it was last switched on. */
  readonly consoleLog: string;
  /** A static busybox of the board's architecture, on this machine. */
  readonly busybox: string;
  running(): Promise<boolean>;
  /** Switches the power on if it is off, and boots from the disk as it is. */
  start(): Promise<void>;
  /** Keeps memory and disk under `name`, in place of an older one of that name. */
  snapshot(name: string): Promise<void>;
  /** Goes back to a snapshot; the clock is right afterwards. `booted` always exists. */
  restore(name: string): Promise<void>;
  /** Cuts the power: what was not synced is lost, the disk stays. */
  powerOff(): Promise<void>;
  /** Runs a command as root on one lasting connection of its own. */
  ssh(command: string, stdin?: string): Promise<CommandResult>;
  /** Serves the board's unix socket `remote` at the path `local` of this machine, until what is returned is called. */
  forward(local: string, remote: string): Promise<() => void>;
  /** Ends this process's SSH connection, so that the process can end; the board runs on. */
  disconnect(): void;
  /** Switches off and removes everything of this instance, its disk included. */
  stop(): Promise<void>;
}

/** The snapshot that every board has from the beginning: booted, nothing installed. */
export const bootedSnapshot = "booted";

/** Where the Pulumi program finds the connection of the project's virtual board of that kind. */
export function connectionFile(
  projectDir: string,
  platform: Platform,
  { name }: Pick<BoardKind, "name"> = plainBoard,
): string {
  const { debian } = architectures[platform];
  return join(projectDir, ".buildhosts", name, `${debian}.json`);
}

/** The instance of a clone's own, so that two clones do not share a board. */
export function instanceOf(projectDir: string): string {
  return `dev-${contentKey(resolve(projectDir))}`;
}

/** A running plain board; `startBoard` says more. The instance's default name is `dev`. */
export async function startVirtualBoard(
  options: Omit<VirtualBoardOptions, "kind" | "instance"> & { instance?: string },
): Promise<VirtualBoard> {
  return startBoard({ instance: "dev", ...options, kind: plainBoard });
}

/**
 * A running board: the one of that instance, with its disk, if there is one; else a new one, booted and clean.
 * The first of its architecture makes Debian's image and boots it, and the first of its kind prepares it:
 * minutes that the cache saves from then on.
 */
export async function startBoard<Connection extends BoardConnection>(
  options: VirtualBoardOptions<Connection>,
): Promise<VirtualBoard<Connection>> {
  const { platform, kind, instance, projectDir, log } = options;
  const architecture = architectures[platform];
  if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(instance))
    throw new Error(
      `instance: "${instance}" is no name for a board: lower-case letters, digits and hyphens, at most 41`,
    );
  await ensureHostPackages(architecture, log);
  const folder = instanceFolder(instance, platform);
  const state = await withLock(`${folder}.lock`, async () => {
    const known = await readState(folder);
    if (known && known.kind !== kind.name)
      throw new Error(
        `instance: "${instance}" is a ${known.kind}, and a ${kind.name} was asked for: ` +
          "choose another name, or stop that one first",
      );
    if (known && (await exists(known.kernel))) return known;
    if (known)
      log.note(`the image of the board ${instance} is gone from the cache: making it anew`);
    const { image, booted } = await prepareBoard(kind, platform, log);
    return createInstance(folder, { instance, architecture, image, kind, booted });
  });
  const board = await virtualBoard<Connection>(folder, {
    ...(state as InstanceState<Connection>),
    ...(projectDir && { connectionFile: connectionFile(projectDir, platform, kind) }),
  });
  if (projectDir) await writeState(folder, board.state);
  const title = `start the ${kind.name.replaceAll("-", " ")} ${platform} (${instance})`;
  // In a running board this only makes sure that it answers.
  await ((await board.running()) ? board.start() : log.step(title, () => board.start()));
  if (board.state.connectionFile) {
    await mkdir(dirname(board.state.connectionFile), { recursive: true });
    await writeFile(board.state.connectionFile, `${JSON.stringify(board.connection, null, 2)}\n`);
  }
  return board;
}

/** What every board of that kind begins as: Debian's image, and the disk of a board that was booted and prepared. */
export async function prepareBoard(
  kind: BoardKind,
  platform: Platform,
  log: Progress,
): Promise<{ image: BoardImage; booted: string }> {
  const architecture = architectures[platform];
  await ensureHostPackages(architecture, log);
  const image = await ensureBoardImage(architecture, log);
  return { image, booted: await ensureBootedDisk(architecture, image, kind, log) };
}

/** The board of that instance, running or not; undefined if there is none. */
export async function findVirtualBoard(
  instance: string,
  platform: Platform,
): Promise<VirtualBoard | undefined> {
  const folder = instanceFolder(instance, platform);
  const state = await readState(folder);
  return state && virtualBoard(folder, state);
}

/** All boards that there are on this machine, running or not. */
export async function listVirtualBoards(): Promise<VirtualBoard[]> {
  const names = await readdir(cacheDir("board", "instances")).catch(() => []);
  const boards = await Promise.all(
    names.map(async (name) => {
      const folder = cacheDir("board", "instances", name);
      const state = await readState(folder);
      return state && virtualBoard(folder, state);
    }),
  );
  return boards.filter((board) => board !== undefined);
}

/** What is known of an instance from one process to the next, beside its disk. */
interface InstanceState<Connection extends BoardConnection = BoardConnection> {
  instance: string;
  kind: string;
  connection: Connection;
  forwards: PortForward[];
  kernel: string;
  initrd: string;
  busybox: string;
  /** Goes when the board goes. */
  connectionFile?: string;
}

function instanceFolder(instance: string, platform: Platform): string {
  return cacheDir("board", "instances", `${instance}-${architectures[platform].debian}`);
}

async function readState(folder: string): Promise<InstanceState | undefined> {
  const text = await readFile(join(folder, "state.json"), "utf8").catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

async function writeState(folder: string, state: InstanceState): Promise<void> {
  const path = join(folder, "state.json");
  await writeFile(`${path}.new`, JSON.stringify(state, null, 2));
  await rename(`${path}.new`, path);
}

/** What an instance is made from. */
interface InstanceParts {
  instance: string;
  architecture: Architecture;
  image: BoardImage;
  kind: BoardKind;
  /** The folder that `ensureBootedDisk` returned. */
  booted: string;
}

async function newState({
  instance,
  architecture: { platform },
  image: { hostKey, identityFile, kernel, initrd, busybox },
  kind,
  booted,
}: InstanceParts): Promise<InstanceState> {
  const ports = new Map<number, number>();
  for (const boardPort of [22, 1234, ...kind.ports]) ports.set(boardPort, await freePort());
  const base: BoardConnection = {
    platform,
    host: "127.0.0.1",
    port: ports.get(22) as number,
    user: "root",
    hostKey,
    identityFile,
    buildkitPort: ports.get(1234) as number,
    gateway: "10.0.2.2",
  };
  return {
    instance,
    kind: kind.name,
    connection: kind.connection(base, ports, booted),
    forwards: [...ports].map(([boardPort, port]) => ({ port, boardPort })),
    kernel,
    initrd,
    busybox,
  };
}

async function createInstance(folder: string, parts: InstanceParts): Promise<InstanceState> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of [diskName, timesName])
    await copyFile(join(parts.booted, name), join(folder, name), FICLONE);
  const state = await newState(parts);
  // The next start is to go on from the snapshot; later ones boot.
  await writeFile(join(folder, "fresh"), "");
  await writeState(folder, state);
  return state;
}

const diskName = "disk.qcow2";

/** The machine's time in each snapshot, where QEMU does not keep it (`timeRegister`). */
const timesName = "times.json";

async function readTimes(folder: string): Promise<Record<string, string>> {
  return JSON.parse(await readFile(join(folder, timesName), "utf8"));
}

// fs.constants.COPYFILE_FICLONE: copy on write where the file system can.
const FICLONE = 2;

async function virtualBoard<Connection extends BoardConnection>(
  folder: string,
  state: InstanceState<Connection>,
): Promise<VirtualBoard<Connection> & { state: InstanceState<Connection> }> {
  const { connection } = state;
  const architecture = architectures[connection.platform];
  const paths = qemuPaths(folder, state);
  const session: SshSession = sshSession(connection);
  let pid = (await readPid(paths.pidFile)) ?? 0;

  const running = async () => {
    const found = await readPid(paths.pidFile);
    if (found === undefined) return false;
    pid = found;
    // The id may long be another process's.
    const commandLine = await readFile(`/proc/${found}/cmdline`, "utf8").catch(() => "");
    return commandLine.split("\0").includes(paths.pidFile);
  };
  const launch = async (snapshot?: string) => {
    await launchQemu(architecture, paths, state.forwards, snapshot);
    pid = (await readPid(paths.pidFile)) ?? 0;
  };
  const { timeRegister } = architecture;
  /** Lets a machine that was stopped, or started with a snapshot, go on from that one. */
  const resume = async (snapshot: string) => {
    const time = (await readTimes(folder))[snapshot];
    if (timeRegister && time) await writeRegister(paths.registerSocket, timeRegister, BigInt(time));
    await qmp(paths.monitorSocket, "cont");
    await ready(restoreSeconds);
  };
  const ready = async (seconds: number) => {
    await setClock(paths.clockSocket, seconds, running).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await tail(paths.consoleLog)}`);
    });
    await sshBanner(connection, seconds);
  };

  return {
    instance: state.instance,
    connection,
    state,
    get pid() {
      return pid;
    },
    consoleLog: paths.consoleLog,
    busybox: state.busybox,
    running,
    ssh: (command, stdin) => session.run(command, stdin),
    forward: (local, remote) => session.forward(local, remote),
    disconnect: () => session.close(),
    async start() {
      await withLock(`${folder}.lock`, async () => {
        // Until it has answered once; a process that was killed before may have left it half started.
        const fresh = join(folder, "fresh");
        const isFresh = await exists(fresh);
        if (isFresh && (await running())) await kill(pid);
        const isOn = await running();
        if (!isOn) await launch(isFresh ? bootedSnapshot : undefined);
        if (isFresh) await resume(bootedSnapshot);
        else if (isOn) await sshBanner(connection, bootSeconds);
        else await ready(bootSeconds);
        await rm(fresh, { force: true });
      });
    },
    async snapshot(name) {
      // A connection that is open now would hang half-dead in every restored board.
      session.close();
      await qmp(paths.monitorSocket, "stop");
      if (timeRegister) {
        const time = await readRegister(paths.registerSocket, timeRegister);
        const times = { ...(await readTimes(folder)), [name]: `0x${time.toString(16)}` };
        await writeFile(join(folder, timesName), JSON.stringify(times));
      }
      await monitor(paths.monitorSocket, `savevm ${name}`);
      await qmp(paths.monitorSocket, "cont");
    },
    async restore(name) {
      session.close();
      if (await running()) {
        await qmp(paths.monitorSocket, "stop");
        await monitor(paths.monitorSocket, `loadvm ${name}`);
      } else await launch(name);
      await resume(name);
    },
    async powerOff() {
      session.close();
      if (await running()) await kill(pid);
    },
    async stop() {
      session.close();
      if (await running()) await kill(pid);
      if (state.connectionFile) await rm(state.connectionFile, { force: true });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// Generous: other work may share the processors.
const bootSeconds = 300;
const restoreSeconds = 60;

function qemuPaths(folder: string, { kernel, initrd }: Pick<InstanceState, "kernel" | "initrd">) {
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

async function readPid(path: string): Promise<number | undefined> {
  const pid = Number.parseInt(await readFile(path, "utf8").catch(() => ""), 10);
  return Number.isNaN(pid) ? undefined : pid;
}

/** Returns when QEMU runs in the background, with its snapshot loaded; @throws what it said instead. */
async function launchQemu(
  architecture: Architecture,
  paths: QemuPaths,
  forwards: readonly PortForward[],
  snapshot?: string,
): Promise<void> {
  const { exitCode, stderr } = await execa(
    architecture.qemu,
    qemuArguments({
      architecture,
      paths,
      forwards,
      ...(snapshot ? { snapshot } : {}),
    }),
    { stdin: "ignore", stdout: "ignore", reject: false, timeout: 120_000 },
  );
  if (exitCode !== 0) throw new Error(`${architecture.qemu} did not start: ${stderr}`);
}

/** Ends QEMU at once, and returns when it has let go of its files. */
async function kill(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await until(30, `QEMU (process ${pid}) to end`, async () => {
    // Where nobody waits for it, it stays in the process table as a zombie; and its other threads may
    // hold the disk for a moment longer than that.
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
    return stat === "" || (/\) [ZX] /.test(stat) && threads.length <= 1);
  });
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

/** Returns when an SSH server answers; the port itself is QEMU's and open from the first moment. */
async function sshBanner({ host, port }: BoardConnection, seconds: number): Promise<void> {
  await until(
    seconds,
    "the board's SSH server",
    () =>
      new Promise((resolve) => {
        const socket = connect(port, host);
        const end = (answers: boolean) => {
          socket.destroy();
          resolve(answers);
        };
        socket.setTimeout(10_000, () => end(false));
        socket.once("error", () => end(false)).once("close", () => end(false));
        socket.once("data", (data) => end(data.toString().startsWith("SSH-")));
      }),
  );
}

async function until(seconds: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s for ${what}`);
    await pause(50);
  }
}

async function tail(path: string, lines = 15): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

/**
 * A folder with a disk over the image's that holds the snapshot `booted`, and with what the kind's preparation left.
 * The snapshot fits only the QEMU that wrote it.
 */
async function ensureBootedDisk(
  architecture: Architecture,
  image: BoardImage,
  kind: BoardKind,
  log: Progress,
): Promise<string> {
  const { platform, debian, qemu } = architecture;
  const { preparation } = kind;
  const base = preparation?.on ?? plainBoard;
  const prepared = preparation && (await ensureBootedDisk(architecture, image, base, log));
  const { stdout: version } = await execa(qemu, ["--version"]);
  const key = prepared
    ? contentKey(prepared, await preparation.key(image, platform, log))
    : contentKey(image.folder, machineKey(architecture), version);
  const folder = cacheDir("board", `${prepared ? kind.name : "booted"}-${debian}-${key}`);
  await makeOnce(
    folder,
    async (temporary) => {
      // An instance like any other, so that one whose maker was killed can be found and switched off.
      const instance = `first-boot-${key}`;
      await (await findVirtualBoard(instance, platform))?.stop();
      const boardFolder = instanceFolder(instance, platform);
      const disk = join(boardFolder, diskName);
      const parts = { instance, architecture, image, kind };
      if (prepared) await createInstance(boardFolder, { ...parts, booted: prepared });
      else {
        await mkdir(boardFolder, { recursive: true, mode: 0o700 });
        await execa("qemu-img", [
          ...["create", "-q", "-f", "qcow2", "-F", "raw", "-b", image.disk],
          disk,
        ]);
        await writeFile(join(boardFolder, timesName), "{}");
        await writeState(boardFolder, await newState({ ...parts, booted: temporary }));
      }
      const board = await findVirtualBoard(instance, platform);
      if (!board) throw new Error(`${boardFolder}: the board is gone while it was made`);
      try {
        const size = `${processors} processors, ${memoryMB} MB`;
        await log.step(
          prepared
            ? `start a ${base.name.replaceAll("-", " ")}`
            : `boot it for the first time (${qemu}, ${size})`,
          () => board.start(),
        );
        await preparation?.run(board, temporary, log);
        await log.step("keep it as it is now, booted", async () => {
          const settled = await board.ssh("systemctl is-system-running --wait; systemctl --failed");
          if (settled.stdout.trim().split("\n")[0] !== "running")
            throw new Error(`the board did not come up whole:\n${settled.stdout}`);
          // Less memory in use is a smaller snapshot.
          await board.ssh("sync; echo 3 > /proc/sys/vm/drop_caches");
          board.disconnect();
          await board.snapshot(bootedSnapshot);
          await qmp(join(boardFolder, "monitor.sock"), "quit");
          await until(60, "QEMU to end", async () => !(await board.running()));
        });
        for (const name of [diskName, timesName])
          await rename(join(boardFolder, name), join(temporary, name));
      } finally {
        await board.stop();
      }
    },
    log,
  );
  return folder;
}

import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { execa } from "execa";
import { connectionFile as fileOfConnection } from "../../hosts/connectionFile.ts";
import { cacheDir } from "../../runtime/cache.ts";
import { freePort } from "../../runtime/freePort.ts";
import { withLock } from "../../runtime/lock.ts";
import { contentKey, exists, makeOnce } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { type Architecture, architectures, type Platform } from "./architectures.ts";
import { ensureHostPackages } from "./hostPackages.ts";
import { type BoardImage, ensureBoardImage } from "./image.ts";
import { bootSeconds, type Machine, type PortForward } from "./machine.ts";
import { atOurEnd, copySparse, sshBanner } from "./machineParts.ts";
import { nativeMachine, nativeMachineKey } from "./native/nativeMachine.ts";
import { machineKey, memoryMB, processors } from "./qemu.ts";
import { makeQemuDisk, qemuMachine } from "./qemuMachine.ts";
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

/** A kind of virtual board: Debian with a preparation, and its connection. */
export interface BoardKind<Connection extends BoardConnection = BoardConnection> {
  /** Part of the names of folders in the cache, and of the project's folder with the connections. */
  name: string;
  /** Ports of the board that are forwarded, beside 22 and 1234. */
  ports: readonly number[];
  /** Prepares a booted board before its snapshot `booted`. */
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
  /** Boards of different names share nothing. */
  instance: string;
  /** If given, the connection is written to `connectionFile(projectDir, platform, kind)`. */
  projectDir?: string;
  log: Progress;
}

/** A machine that runs in the background until `stop`, whatever becomes of this process. */
export interface VirtualBoard<Connection extends BoardConnection = BoardConnection> {
  readonly instance: string;
  readonly connection: Connection;
  /** The machine's process; the last one when the power is off. */
  readonly pid: number;
  /** The board's serial console since its last start. */
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
  return fileOfConnection(projectDir, name, platform);
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

/** The beginning of every board of that kind: Debian's image, and the disk of a booted and prepared board. */
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

/** The state of an instance between processes, besides its disk. */
interface InstanceState<Connection extends BoardConnection = BoardConnection> {
  instance: string;
  kind: string;
  connection: Connection;
  forwards: PortForward[];
  kernel: string;
  /** Of emulated boards. */
  initrd?: string;
  /** The image's disk, the lowest layer. */
  disk: string;
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

/** The origin of an instance. */
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
  image: { hostKey, identityFile, kernel, initrd, disk, busybox },
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
    ...(initrd && { initrd }),
    disk,
    busybox,
  };
}

async function createInstance(folder: string, parts: InstanceParts): Promise<InstanceState> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await copySparse(join(parts.booted, disksFolder), folder);
  const state = await newState(parts);
  // The next start is to go on from the snapshot; later ones boot.
  await writeFile(join(folder, "fresh"), "");
  await writeState(folder, state);
  return state;
}

/** Of a folder of `ensureBootedDisk`: the files of a new machine. */
const disksFolder = "disks";

async function virtualBoard<Connection extends BoardConnection>(
  folder: string,
  state: InstanceState<Connection>,
): Promise<VirtualBoard<Connection> & { state: InstanceState<Connection>; machine: Machine }> {
  const { connection } = state;
  const session: SshSession = sshSession(connection);
  const machine = machineOf(folder, state, session);
  let pid = machine.process() ?? 0;

  const running = async () => {
    const found = machine.process();
    pid = found ?? pid;
    return found !== undefined;
  };

  return {
    instance: state.instance,
    connection,
    state,
    machine,
    get pid() {
      return pid;
    },
    consoleLog: machine.consoleLog,
    busybox: state.busybox,
    running,
    ssh: (command, stdin) => session.run(command, stdin),
    forward: (local, remote) => session.forward(local, remote),
    disconnect: () => session.close(),
    async start() {
      await withLock(`${folder}.lock`, async () => {
        // Until it has answered once; a process that was killed before may have left it half started.
        const fresh = join(folder, "fresh");
        if (await exists(fresh)) {
          await machine.kill();
          await machine.goTo(bootedSnapshot);
          await rm(fresh);
        } else if (await running()) await sshBanner(connection.port, bootSeconds);
        else await machine.boot();
        await running();
      });
    },
    async snapshot(name) {
      // A connection that is open now would hang half-dead in every restored board.
      session.close();
      await machine.keep(name);
    },
    async restore(name) {
      session.close();
      await machine.goTo(name);
      await running();
    },
    async powerOff() {
      session.close();
      await machine.kill();
    },
    async stop() {
      session.close();
      await machine.kill();
      if (state.connectionFile) await rm(state.connectionFile, { force: true });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function machineOf(folder: string, state: InstanceState, session: SshSession): Machine {
  const architecture: Architecture = architectures[state.connection.platform];
  const { kernel, forwards } = state;
  const parts = { folder, kernel, forwards, sshPort: state.connection.port };
  return architecture.native
    ? nativeMachine({ ...parts, disk: state.disk, session })
    : qemuMachine({ ...parts, architecture, initrd: state.initrd ?? "" });
}

/**
 * A folder with what a new board is made from: its disk in the snapshot `booted`, and what the kind's preparation left.
 * The snapshot fits only the machine that wrote it.
 */
async function ensureBootedDisk(
  architecture: Architecture,
  image: BoardImage,
  kind: BoardKind,
  log: Progress,
): Promise<string> {
  const { platform, debian } = architecture;
  const { preparation } = kind;
  const base = preparation?.on ?? plainBoard;
  const prepared = preparation && (await ensureBootedDisk(architecture, image, base, log));
  const key = prepared
    ? contentKey(prepared, await preparation.key(image, platform, log))
    : contentKey(image.folder, await hypervisorKey(architecture));
  const folder = cacheDir("board", `${prepared ? kind.name : "booted"}-${debian}-${key}`);
  await makeOnce(
    folder,
    async (temporary) => {
      // An instance like any other, so that one whose maker was killed can be found and switched off.
      const instance = `first-boot-${key}`;
      await (await findVirtualBoard(instance, platform))?.stop();
      const boardFolder = instanceFolder(instance, platform);
      const parts = { instance, architecture, image, kind };
      if (prepared) await createInstance(boardFolder, { ...parts, booted: prepared });
      else {
        await mkdir(boardFolder, { recursive: true, mode: 0o700 });
        if (!architecture.native) await makeQemuDisk(boardFolder, image.disk);
        await writeState(boardFolder, await newState({ ...parts, booted: temporary }));
      }
      const state = await readState(boardFolder);
      if (!state) throw new Error(`${boardFolder}: the board is gone while it was made`);
      const board = await virtualBoard(boardFolder, state);
      // Nobody would look for it; the next maker finds one whose maker was killed.
      const forget = atOurEnd(() => board.machine.killNow());
      try {
        const how = architecture.native ? "native" : `${architecture.qemu}, ${machineSize}`;
        await log.step(
          prepared
            ? `start a ${base.name.replaceAll("-", " ")}`
            : `boot it for the first time (${how})`,
          () => board.start(),
        );
        await preparation?.run(board, temporary, log);
        await log.step("keep it as it is now, booted", async () => {
          const settled = await board.ssh("systemctl is-system-running --wait; systemctl --failed");
          if (settled.stdout.trim().split("\n")[0] !== "running")
            throw new Error(`the board did not come up whole:\n${settled.stdout}`);
          // Less memory in use is a smaller snapshot.
          await board.ssh("sync; echo 3 > /proc/sys/vm/drop_caches");
          await board.snapshot(bootedSnapshot);
          await mkdir(join(temporary, disksFolder));
          for (const name of await board.machine.finish())
            await rename(join(boardFolder, name), join(temporary, disksFolder, name));
        });
      } finally {
        await board.stop();
        forget();
      }
    },
    log,
  );
  return folder;
}

const machineSize = `${processors} processors, ${memoryMB} MB`;

/** Everything of the machine itself that a snapshot depends on. */
async function hypervisorKey(architecture: Architecture): Promise<string> {
  if (architecture.native) return nativeMachineKey;
  const { stdout: version } = await execa(architecture.qemu, ["--version"]);
  return contentKey(machineKey(architecture), version);
}

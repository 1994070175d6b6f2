import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { thisMachine } from "../../runtime/golang.ts";
import { exists } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { ensureUnpacked } from "../debian/packages.ts";
import { ensurePrograms } from "../debian/programs.ts";

/** A Docker daemon of the proving ground's own on this machine. */
export interface DockerDaemon {
  /** The path of its socket. */
  socket: string;
  /** Does to it and its containers what a power cut and a boot do to a host. Returns when it answers again. */
  reboot(): Promise<void>;
  /** Ends the daemon and its containers, and removes all that it had: data, network, mounts. */
  stop(): Promise<void>;
}

const architecture = thisMachine.goarch;
/** Programs that run with the C library of bookworm and with every newer one; so does not trixie's runc. */
const packages = [
  { suite: "trixie", architecture, names: ["containerd", "docker.io"] },
  { suite: "bookworm", architecture, names: ["libseccomp2", "runc", "tini"] },
];
const startSeconds = 60;
/** dockerd gives its containers 10 s. */
const stopSeconds = 30;

/**
 * Starts dockerd with a socket, data, a bridge, a cgroup and a config of its own, in `folder`. It is Debian's, not
 * installed but unpacked into the cache, so that a daemon of the user's, its containers and the firewall stay
 * as they are. Without the firewall's help its containers reach this machine and each other, but no other
 * network; published ports work.
 *
 * The daemon and its containers end with this process, however it ends; what a killed process left in `folder`, and
 * its network, the next start there takes away. It starts no privileged container, on no machine: its runc lacks
 * capabilities that those get, and others do not.
 *
 * @throws one message that says what is missing, or dockerd's last words.
 */
export async function startDockerDaemon(folder: string, log: Progress): Promise<DockerDaemon> {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    throw new Error("a Docker daemon of the proving ground's own needs Linux, and root");
  await ensurePrograms(
    [
      { program: "ip", debian: "iproute2" },
      { program: "unshare", debian: "util-linux" },
    ],
    log,
  );
  const roots = await Promise.all(packages.map((wanted) => ensureUnpacked(wanted, log)));
  const socket = join(folder, "docker.sock");
  // The kernel's limit for the address of a unix socket.
  if (Buffer.byteLength(socket) > 107) throw new Error(`${socket} is too long for a socket`);
  if (await answers(socket)) throw new Error(`${folder}: a Docker daemon runs in there already`);
  const bridge = bridgeOf(folder);
  await removeAll(folder, bridge);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await makeBridge(bridge);
    let dockerd = await launch(folder, socket, bridge, roots);
    return {
      socket,
      async reboot() {
        await dockerd.kill();
        // What a host has in memory only.
        for (const name of ["exec", "dockerd.pid", "docker.sock"])
          await rm(join(folder, name), { recursive: true, force: true });
        dockerd = await launch(folder, socket, bridge, roots);
      },
      stop: () => dockerd.stop(),
    };
  } catch (error) {
    await removeAll(folder, bridge);
    throw error;
  }
}

/** Lets `link` lead to the one of `candidates` that is there. */
async function linkInit(link: string, candidates: string[]): Promise<void> {
  await rm(link, { force: true });
  for (const path of candidates) if (await exists(path)) await symlink(path, link);
}

/** The daemon's processes. */
interface Running {
  /** Ends them and their containers at once, and leaves the rest. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

async function launch(
  folder: string,
  socket: string,
  bridge: Bridge,
  roots: string[],
): Promise<Running> {
  const config = join(folder, "daemon.json");
  await writeFile(config, "{}");
  const logFile = join(folder, "dockerd.log");
  const output = await open(logFile, "a");
  const folders = (path: string) => roots.map((root) => join(root, path));
  const programs = join(folder, "bin");
  await mkdir(programs, { recursive: true });
  const lacking = "-mac_admin,-sys_boot,-wake_alarm";
  const runc = `PATH=\${PATH#*:} exec setpriv --bounding-set ${lacking} runc "$@"`;
  await writeFile(join(programs, "runc"), `#!/bin/sh\n${runc}\n`, { mode: 0o755 });
  // Of a container with an init, which has no library of this machine's; Debian's dockerd only recommends it.
  await linkInit(join(programs, "docker-init"), folders("usr/bin/tini-static"));
  const child = spawn(
    "setpriv",
    [
      // Everything in there ends with this process, and its mounts with it, however either ends.
      ...["--pdeathsig", "KILL"],
      ...["unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc"],
      ...["--kill-child", "--", "tini", "--", "dockerd"],
      ...["--config-file", config, "--host", `unix://${socket}`],
      ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
      ...["--pidfile", join(folder, "dockerd.pid")],
      ...[
        "--bridge",
        bridge.name,
        "--default-address-pool",
        `base=${bridge.prefix}.128.0/17,size=24`,
      ],
      ...["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"],
      ...["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", `/${bridge.name}`],
      ...["--log-level", "warn"],
    ],
    {
      stdio: ["ignore", output.fd, output.fd],
      env: {
        PATH: [
          ...[programs, ...folders("usr/sbin"), ...folders("usr/bin")],
          ...[process.env.PATH, "/usr/sbin", "/sbin"],
        ].join(":"),
        LD_LIBRARY_PATH: folders(`usr/lib/${await triplet()}`).join(":"),
      },
    },
  );
  await output.close();
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  const stop = async () => {
    const init = await childOf(child.pid);
    if (init !== undefined) process.kill(init, "SIGTERM");
    const inTime = await Promise.race([
      ended.then(() => true),
      pause(stopSeconds * 1000, false, { ref: false }),
    ]);
    if (!inTime) await kill();
    await removeAll(folder, bridge);
  };
  const deadline = Date.now() + startSeconds * 1000;
  while (!(await answers(socket))) {
    const over = child.exitCode !== null || child.signalCode !== null;
    if (over || Date.now() > deadline) {
      const said = (await readFile(logFile, "utf8")).trim().split("\n").slice(-10).join("\n");
      await stop();
      throw new Error(
        `dockerd ${over ? "ended" : `did not answer within ${startSeconds} s`}:\n${said}`,
      );
    }
    await pause(50);
  }
  return { kill, stop };
}

/** A bridge for containers that is not the user's `docker0`. */
interface Bridge {
  /** Also of the cgroup. */
  name: string;
  /** The first two numbers of every address of the daemon's. */
  prefix: string;
}

function bridgeOf(folder: string): Bridge {
  const hash = createHash("sha256").update(folder).digest();
  return {
    // An interface's name has at most 15 characters.
    name: `bh${hash.toString("hex").slice(0, 10)}`,
    // A tenth of the private 10.0.0.0/8, in which two folders hardly meet.
    prefix: `10.${200 + ((hash[0] ?? 0) % 25)}`,
  };
}

async function makeBridge({ name, prefix }: Bridge): Promise<void> {
  await execa("ip", ["link", "add", name, "type", "bridge"]);
  await execa("ip", ["address", "add", `${prefix}.0.1/24`, "dev", name]);
  await execa("ip", ["link", "set", name, "up"]);
}

/** Removes what outlives dockerd: the bridges of its networks, its cgroups, its files. */
async function removeAll(folder: string, { name, prefix }: Bridge): Promise<void> {
  const { stdout } = await execa("ip", ["-json", "address", "show", "type", "bridge"]);
  const links: { ifname?: string; addr_info?: { local?: string }[] }[] = JSON.parse(stdout || "[]");
  for (const { ifname, addr_info: addresses = [] } of links)
    if (ifname && addresses.some(({ local }) => local?.startsWith(`${prefix}.`)))
      await execa("ip", ["link", "delete", ifname]);
  const cgroups = "/sys/fs/cgroup";
  // With cgroup v1 each controller has a tree of its own.
  const trees = ["", ...(await readdir(cgroups).catch(() => []))];
  for (const tree of trees) {
    const cgroup = join(cgroups, tree, name);
    if (await exists(cgroup)) await execa("find", [cgroup, "-depth", "-type", "d", "-delete"]);
  }
  await rm(folder, { recursive: true, force: true });
}

/** tini's process: the one child of unshare, into which setpriv has turned itself. */
async function childOf(pid: number | undefined): Promise<number | undefined> {
  const path = `/proc/${pid}/task/${pid}/children`;
  const children = await readFile(path, "utf8").catch(() => "");
  return Number.parseInt(children, 10) || undefined;
}

async function triplet(): Promise<string> {
  const { stdout } = await execa("uname", ["-m"]);
  return `${stdout}-linux-gnu`;
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ socketPath: socket, path: "/_ping", timeout: 5000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.once("timeout", () => ping.destroy());
    ping.once("error", () => resolve(false));
    ping.end();
  });
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { projectDir } from "../../commands/lib/stackFile.ts";
import { requireDebianMirror } from "../../proving-ground/debian/aptSources.ts";
import { ensurePrograms } from "../../proving-ground/debian/programs.ts";
import type { Progress } from "../../runtime/progress.ts";

/** A Debian with nothing but what a new user has: root, apt, Node.js and a clone with its dependencies. */
export interface BareMachine {
  /** Its root file system, seen from outside. */
  root: string;
  /** Runs a command in it as root, in the clone; `output` is what it says on both channels. */
  run(...command: string[]): Promise<{ code: number | undefined; output: string }>;
  /** Ends its processes and its mounts, registrations with the kernel among them, and starts it again. */
  reboot(): Promise<void>;
  /** Ends its processes and removes it. */
  stop(): Promise<void>;
}

/** Where the clone is. */
export const clone = "/buildhosts";

/**
 * Makes one of Debian's `suite` in `folder`. It runs on this machine's kernel and network, in a user namespace with
 * mounts, processes and, since Linux 6.7, a binfmt_misc of its own: registrations of this machine's are not there,
 * and those that are made in it go with it.
 */
export async function makeBareMachine(
  suite: string,
  folder: string,
  log: Progress,
): Promise<BareMachine> {
  const root = join(folder, suite);
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  await ensurePrograms(
    [
      { program: "mmdebstrap", debian: "mmdebstrap" },
      { program: keyring, debian: "debian-archive-keyring" },
      { program: "nsenter", debian: "util-linux" },
    ],
    log,
  );
  await mkdir(folder, { recursive: true });
  await log.step(`make a bare Debian ${suite}`, async () => {
    const options = ["--mode=root", "--variant=minbase"];
    await execa("mmdebstrap", [...options, suite, root, await requireDebianMirror()], {
      env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
  });
  await shareNetwork(root);
  await copyClone(join(root, clone));
  let holder = await hold(root);
  return {
    root,
    async run(...command) {
      const { exitCode, all } = await execa(
        "nsenter",
        [
          ...["--target", `${holder.pid}`, "--user", "--mount", "--pid", "--root"],
          ...["--setuid", "0", "--setgid", "0", `--wd=${join(root, clone)}`, "--"],
          ...["env", "-i", ...environment(), "setpriv", "--pdeathsig", "KILL", "--", ...command],
        ],
        { all: true, stdin: "ignore", reject: false, timeout: 20 * 60_000 },
      );
      return { code: exitCode, output: String(all) };
    },
    async reboot() {
      await holder.stop();
      holder = await hold(root);
    },
    async stop() {
      await holder.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** What reaches this machine's archives from in there: its resolver, its certificates, its settings of apt. */
async function shareNetwork(root: string): Promise<void> {
  for (const file of ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"]) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await rm(join(root, file), { force: true });
    await copyFile(file, join(root, file)).catch(() => {});
  }
  const { stdout } = await execa("apt-config", ["dump", "Acquire"]);
  const ours = stdout.split("\n").filter((line) => /^Acquire::(https?|Check-)/.test(line));
  await writeFile(join(root, "etc/apt/apt.conf.d/90machine"), `${ours.join("\n")}\n`);
}

function environment(): string[] {
  const proxies = Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$/i.test(name));
  const node = join(clone, "node_modules/node/bin");
  return [
    `PATH=${node}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    "HOME=/root",
    ...proxies.map(([name, value]) => `${name}=${value}`),
  ];
}

/** What git knows of this clone; its dependencies are mounted. */
async function copyClone(to: string): Promise<void> {
  await mkdir(join(to, "node_modules"), { recursive: true });
  const { stdout } = await execa("git", ["ls-files", "-co", "--exclude-standard"], {
    cwd: projectDir,
  });
  const files = await execa(
    "tar",
    ["-c", "--exclude=node_modules", "--ignore-failed-read", "-T", "-"],
    {
      cwd: projectDir,
      input: stdout,
      encoding: "buffer",
    },
  );
  await execa("tar", ["-x", "--no-same-owner", "-C", to], { input: files.stdout });
}

/**
 * Mounts what a machine has, and waits. What is run later comes into its namespaces. The namespace has a binfmt_misc of its own
 * from the first time that one is mounted there; until then it has this machine's.
 */
const init = `set -eu
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t binfmt_misc binfmt_misc "$1/proc/sys/fs/binfmt_misc" 2>/dev/null && umount "$1/proc/sys/fs/binfmt_misc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
mount --bind "$2" "$1${clone}/node_modules"
exec chroot "$1" sleep infinity`;

async function hold(root: string): Promise<{ pid: number; stop(): Promise<void> }> {
  const child = spawn(
    "setpriv",
    [
      // Everything in there ends with this process.
      ...["--pdeathsig", "KILL", "unshare", "--user", "--", "sh", "-c"],
      'echo ready && read -r go && exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child -- sh -c "$@"',
      ...["sh", init, "sh", root, join(projectDir, "node_modules")],
    ],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  let complaint = "";
  child.stderr.on("data", (text) => {
    complaint += text;
  });
  const over = once(child, "exit");
  const stop = async () => {
    child.kill("SIGKILL");
    await over;
  };
  await Promise.race([once(child.stdout, "data"), over]);
  // Everybody is who he is outside.
  for (const map of ["uid_map", "gid_map"])
    await writeFile(`/proc/${child.pid}/${map}`, "0 0 4294967295");
  child.stdin.write("go\n");
  for (const deadline = Date.now() + 30_000; ; ) {
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
    const pid = Number.parseInt(children, 10);
    const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
    if (name === "sleep\n") return { pid, stop };
    if (child.exitCode === null && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    await stop();
    throw new Error(`${root}: the namespaces of a bare machine could not be made: ${complaint}`);
  }
}

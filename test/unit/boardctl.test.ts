import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bundle, bundleId, type Files } from "../../components/board/bundle.ts";
import { eventually } from "../integration/onBoard.ts";
import { type FakeBoard, fakeBoard } from "./fakeBoard.ts";

const home = "/usr/local/lib/buildhosts";

let board: FakeBoard;
beforeEach(() => {
  board = fakeBoard();
});
afterEach(() => board.remove());

const calls = () =>
  existsSync(board.at("/calls")) ? readFileSync(board.at("/calls"), "utf8") : "";
const stored = (component: string) =>
  readdirSync(board.at(`${home}/store`)).filter((name) => name.startsWith(`${component}-`));

/** A release as `install` leaves it; BuildKit's answers as a healthy daemon's client does. */
function release(component: string, version: string): void {
  const folder = `${home}/store/${component}-${version}-${component}`;
  board.write(`${folder}/sha256`, component.repeat(8));
  board.write(`${folder}/bin/${component === "buildkit" ? "buildctl" : component}`, "");
  if (component === "buildkit") {
    const answer = `${folder}/bin/buildctl`;
    board.program("buildctl-answer", "printf 'ID\\nworker\\n'");
    rmSync(board.at(answer));
    board.write(answer, readFileSync(board.at("/usr/local/sbin/buildctl-answer"), "utf8"));
    execa("chmod", ["755", board.at(answer)]);
  }
}

async function config(files: Files): Promise<string> {
  const text = bundle({ "containerd.service": "", "buildkitd.service": "", ...files });
  const { exitCode, all } = await board.boardctl(["stage-config", bundleId(text)], text);
  expect(exitCode, all).toBe(0);
  return bundleId(text);
}

const certificates = bundle({
  "ca.pem": "CA",
  "cert.pem": "CERT",
  "key.pem": "KEY",
  "client-cert.pem": "CLIENT CERT",
  "client-key.pem": "CLIENT KEY",
  validity: "0 99999999999",
});

/** The words of an `activate`. */
function activation(buildkit: string, configId: string, more: string[] = []): string[] {
  return [
    ...["activate", "--containerd", "v2", "--runc", "v1", "--buildkit", buildkit],
    ...["--config", configId, "--check", "tcp://127.0.0.1:1234", "--server-name", "board"],
    ...["--drain-seconds", "0", ...more],
  ];
}

async function activate(...parameters: Parameters<typeof activation>): Promise<string> {
  const { exitCode, all } = await board.boardctl(activation(...parameters), certificates);
  expect(exitCode, all).toBe(0);
  return all;
}

function releases(): void {
  for (const [component, version] of [
    ["containerd", "v2"],
    ["runc", "v1"],
    ["buildkit", "v1"],
    ["buildkit", "v2"],
  ] as const)
    release(component, version);
}

describe("the health check's key", () => {
  const keys = () => readdirSync(board.at("/run")).filter((name) => name.startsWith("buildhosts-"));

  /** `activate` while it starts the services, in a process group of its own. */
  async function inTheMiddle() {
    releases();
    const id = await config({ "buildkitd.toml": "" });
    board.program(
      "systemctl",
      `case $1 in restart) : >${board.at("/held")}; exec sleep 30 ;; is-active) exit 1 ;; esac`,
    );
    const words = [board.at(`${home}/boardctl`), ...activation("v1", id)];
    const child = execa("sh", words, { input: certificates, reject: false, detached: true });
    await eventually("activate to start the services", 10, async () =>
      existsSync(board.at("/held")),
    );
    expect(keys()).toHaveLength(1);
    return {
      end: async (signal: NodeJS.Signals) => {
        // All of it, as a kill of the session or a timeout does it.
        const pids = await processesOf(child.pid as number);
        // One that has ended by then, because of the others, is no failure.
        await execa("kill", ["-s", signal.slice("SIG".length), ...pids.map(String)], {
          reject: false,
        });
        await child;
      },
    };
  }

  test("goes when boardctl is ended", async () => {
    await (await inTheMiddle()).end("SIGTERM");
    await eventually("the key to go", 5, async () => keys().length === 0);
  });

  test("goes with the next command after boardctl was killed, an uninstall too", async () => {
    await (await inTheMiddle()).end("SIGKILL");
    expect(keys()).toHaveLength(1);
    const { exitCode, all } = await board.boardctl(["uninstall"]);
    expect(exitCode, all).toBe(0);
    expect(keys()).toEqual([]);
  });
});

/** A process and all that it started; `timeout` makes a group of its own, so the group is not enough. */
async function processesOf(pid: number): Promise<number[]> {
  const { stdout } = await execa("ps", ["-e", "-o", "pid=,ppid="]);
  const parents = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  const found = [pid];
  for (const parent of found)
    for (const [child = 0, its] of parents) if (its === parent) found.push(child);
  return found;
}

test("a registry's key among a configuration's files is root's alone, and staged once", async () => {
  const files = {
    "buildkitd.registry-registry.lan-ca.pem": "CA",
    "buildkitd.registry-registry.lan-key.pem": "KEY",
  };
  const id = await config(files);
  const modes = () =>
    Object.keys(files).map(
      (name) => statSync(board.at(`${home}/store/config-${id}/${name}`)).mode & 0o777,
    );
  expect(modes()).toEqual([0o644, 0o600]);
  await config(files);
  expect(modes()).toEqual([0o644, 0o600]);
  expect(stored("config")).toEqual([`config-${id}`]);
});

test("the last other version of a release stays through any number of other changes", async () => {
  releases();
  const toml = (text: string) => config({ "buildkitd.toml": text });
  await activate("v1", await toml("a"));
  release("buildkit", "v2");
  await activate("v2", await toml("a"));
  await activate("v2", await toml("b"));
  await activate("v2", await toml("c"));
  expect(stored("buildkit")).toEqual(["buildkit-v1-buildkit", "buildkit-v2-buildkit"]);
  expect(stored("config")).toHaveLength(2);
  await activate("v1", await toml("c"));
  await activate("v1", await toml("d"));
  await activate("v1", await toml("e"));
  expect(stored("buildkit")).toEqual(["buildkit-v1-buildkit", "buildkit-v2-buildkit"]);
  release("buildkit", "v3");
  await activate("v3", await toml("e"));
  await activate("v3", await toml("f"));
  expect(stored("buildkit")).toEqual(["buildkit-v1-buildkit", "buildkit-v3-buildkit"]);
});

describe("uninstall", () => {
  const uninstall = async (...words: string[]) => {
    const { exitCode, all } = await board.boardctl(["uninstall", ...words]);
    expect(exitCode, all).toBe(0);
    return all;
  };
  /** A board whose daemon has run with a root and a bridge of its own. */
  async function used(): Promise<string> {
    releases();
    const root = board.at("/data/cache");
    mkdirSync(board.at("/sys/class/net/buildkit0"));
    await activate("v1", await config({ "buildkitd.toml": "" }), [
      ...["--root", root, "--bridge", "builds0"],
    ]);
    mkdirSync(board.at("/sys/class/net/builds0"));
    for (const file of ["buildkitd.lock", "cache.db", "runc-overlayfs/content/x"])
      board.write(`/data/cache/${file}`, "");
    for (const folder of ["/run/buildkit", "/run/containerd", "/var/lib/containerd/x"])
      mkdirSync(board.at(folder), { recursive: true });
    return root;
  }

  test("takes every bridge that was made, and the cache from wherever it was, if asked to", async () => {
    const root = await used();
    await activate("v1", await config({ "buildkitd.toml": "other root" }), [
      ...["--root", board.at("/var/lib/buildkit"), "--bridge", "buildkit0"],
    ]);
    const said = await uninstall("--remove-cache");
    expect(said).toContain("board: the build cache is removed");
    expect(readdirSync(board.at("/sys/class/net"))).toEqual([]);
    expect(existsSync(root)).toBe(false);
    expect(readdirSync(board.at("/var/lib"))).toEqual([]);
    expect(readdirSync(board.at("/run"))).toEqual(["lock", "systemd"]);
  });

  test("leaves the cache where nobody asks, and what is not buildkitd's in any case", async () => {
    const root = await used();
    board.write("/data/cache/photos/1", "");
    await uninstall();
    expect(readdirSync(root)).toContain("cache.db");
    board.remove();
    board = fakeBoard();
    const again = await used();
    board.write("/data/cache/photos/1", "");
    expect(await uninstall("--remove-cache")).toContain(`in ${again}, photos stayed`);
    expect(readdirSync(again)).toEqual(["photos"]);
  });

  test("leaves a bridge that was there before", async () => {
    releases();
    mkdirSync(board.at("/sys/class/net/br0"));
    await activate("v1", await config({ "buildkitd.toml": "" }), ["--bridge", "br0"]);
    await uninstall();
    expect(readdirSync(board.at("/sys/class/net"))).toEqual(["br0"]);
  });

  test("leaves sockets and data to an earlier installation that runs again", async () => {
    board.write("/usr/local/lib/systemd/system/buildkitd.service", "earlier");
    await used();
    mkdirSync(board.at("/var/lib/buildkit"));
    const said = await uninstall("--remove-cache");
    expect(said).toContain(
      "board: buildkitd.service of an earlier installation is here, so /run/buildkit and /var/lib/buildkit stay"
        .replace("/run/", `${board.folder}/run/`)
        .replace("/var/lib/", `${board.folder}/var/lib/`),
    );
    expect(said).not.toContain("cache is removed");
    expect(calls()).toContain("systemctl enable --now --quiet buildkitd.service");
    expect(existsSync(board.at("/run/buildkit"))).toBe(true);
    expect(readdirSync(board.at("/var/lib"))).toEqual(["buildkit"]);
  });

  test("takes the ids away that it gave to a user who was there before, and no others", async () => {
    releases();
    release("rootlesskit", "v3");
    board.write("/etc/subuid", "alice:100000:65536\n");
    board.write("/etc/subgid", "buildkit:5000:10\n");
    await activate("v1", await config({ "buildkitd.toml": "" }), ["--rootlesskit", "v3"]);
    const ids = (file: string) => readFileSync(board.at(`/etc/${file}`), "utf8");
    expect(ids("subuid")).toBe("alice:100000:65536\nbuildkit:165536:65536\n");
    await uninstall();
    expect(ids("subuid")).toBe("alice:100000:65536\n");
    expect(ids("subgid")).toBe("buildkit:5000:10\n");
    expect(calls()).not.toContain("userdel");
  });

  test("takes the script last, without which nothing could go on after a kill", async () => {
    await used();
    board.program(
      "rm",
      `case "$*" in "-rf ${board.at(home)}") ls ${board.at(home)} >${board.at("/last")} ;; esac; exec /bin/rm "$@"`,
    );
    await uninstall();
    expect(readFileSync(board.at("/last"), "utf8")).toBe("boardctl\n");
    expect(existsSync(board.at(home))).toBe(false);
  });
});

describe("a rootless daemon's root", () => {
  const rootless = async (root: string) => {
    releases();
    release("rootlesskit", "v3");
    const id = await config({ "buildkitd.toml": "" });
    const words = activation("v1", id, ["--rootlesskit", "v3", "--root", root]);
    return board.boardctl(words, certificates);
  };

  test("is made for its user", async () => {
    const root = board.at("/data/cache");
    expect((await rootless(root)).exitCode).toBe(0);
    expect(calls()).toContain(`chown buildkit: ${root}\n`);
    expect(existsSync(root)).toBe(true);
  });

  test("is refused where it is somebody else's, and nothing is changed", async () => {
    board.write("/data/cache/file", "");
    board.program("stat", "echo alice");
    const { exitCode, all } = await rootless(board.at("/data/cache"));
    expect(exitCode).toBe(1);
    expect(all).toContain("(buildkitd.root) belongs to 'alice', and a rootless daemon could not");
    expect(existsSync(board.at(`${home}/current`))).toBe(false);
  });
});

test("a daemon that systemd listens for runs until the switch when systemd shall listen no more", async () => {
  releases();
  const log = `echo "$* $(basename "$(readlink ${board.at(`${home}/current`)})")" >>${board.at("/calls")}`;
  await activate("v1", await config({ "buildkitd.toml": "", "buildkitd.socket": "" }));
  const id = await config({ "buildkitd.toml": "" });
  board.program("systemctl", `${log}; [ "$1" != is-active ]`);
  const before = readFileSync(board.at("/calls"), "utf8").length;
  await activate("v1", id);
  const now = (await execa("readlink", [board.at(`${home}/current`)])).stdout.split("/").at(-1);
  const changes = calls()
    .slice(before)
    .split("\n")
    .filter((line) => /^(stop|restart|start)|--now/.test(line));
  expect(changes).toEqual([
    `stop buildkitd.socket ${now}`,
    `restart containerd.service buildkitd.service ${now}`,
  ]);
});

test("a damaged item of the store is never half there: it is moved away whole", async () => {
  const id = await config({ "buildkitd.toml": "good" });
  board.write(`${home}/store/config-${id}/buildkitd.toml`, "damaged");
  board.program("rm", `case "$*" in */store/*) kill -KILL $PPID ;; esac; exec /bin/rm "$@"`);
  expect(await config({ "buildkitd.toml": "good" })).toBe(id);
  const text = readFileSync(board.at(`${home}/store/config-${id}/buildkitd.toml`), "utf8");
  expect(text).toBe("good\n");
});

test("what was pushed over SSH goes once it is in the store", async () => {
  board.write(`${home}/pushed/runc.riscv64`, "runc");
  const url = `file://${board.at(`${home}/pushed/runc.riscv64`)}`;
  const { stdout } = await execa("sha256sum", [board.at(`${home}/pushed/runc.riscv64`)]);
  const words = ["install", "runc", "v1.5.2", url, `sha256:${stdout.split(" ")[0]}`];
  expect((await board.boardctl(words)).all).toContain("runc v1.5.2 is installed (sha256 verified)");
  expect(readdirSync(board.at(`${home}/pushed`))).toEqual([]);
});

describe("a command is ended", () => {
  const endedAfter = async (words: string[]) => {
    board.program("timeout", "exit 124");
    const { exitCode, all } = await board.boardctl(words);
    expect(exitCode).toBe(1);
    return /took longer than (\d+) s/.exec(all)?.[1];
  };

  test.each([
    ["preflight", ["preflight", "--board", "board"], "2100"],
    ["install", ["install"], "3300"],
    [
      "activate, which also waits for builds",
      activation("v1", "c", ["--drain-seconds", "3600"]),
      "6900",
    ],
  ])("%s", async (_, words, seconds) => {
    expect(await endedAfter(words)).toBe(seconds);
  });
});

describe("preflight", () => {
  /** The problems, without their numbers. */
  async function problems(script: string): Promise<string[]> {
    const { all } = await board.functions(`problems=0\n${script}`);
    return [...all.matchAll(/^ {2}\d+\. (.*)$/gm)].map(([, line]) => line ?? "");
  }

  const words = [
    ...["preflight", "--board", "lab", "--at", "root@lab:22", "--machine", "riscv64"],
    ...["--platform", "linux/riscv64", "--network", "bridge", "--rootless", "false"],
    ...["--bridge", "buildkit0", "--bridge-subnet", "10.10.0.0/16", "--clock-after", "0"],
    ...["--clock-before", "99999999999", "--cache-bytes", "0", "--cache-root", "/x"],
    ...["--port", "1234", "--metrics-port", "6060", "--script", "1"],
  ];
  /** A machine without a fault, where nothing of ours was ever. */
  function newBoard(): void {
    rmSync(board.at(home), { recursive: true });
    board.program("uname", '[ "$1" = -m ] && echo riscv64 || echo 6.12');
    board.program("df", "printf 'header\\nx 1 1 999999999 1 /\\n'");
    for (const name of ["modprobe", "iptables", "git", "xz", "curl"]) board.program(name, ":");
    for (const file of ["tcp", "tcp6", "route"]) board.write(`/proc/net/${file}`, "header\n");
    board.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
    board.write("/boot/config-6.12", "CONFIG_CGROUP_BPF=y\n");
  }

  test("puts the script in its place on a board without a fault", async () => {
    newBoard();
    const { exitCode, all } = await board.sent(words);
    expect(exitCode, all).toBe(0);
    expect(all).toBe("lab: checking");
    expect(readFileSync(board.at(`${home}/name`), "utf8")).toBe("lab\n");
    expect((await board.boardctl(["status"])).all).toContain("board: lab");
  });

  test.each([
    ["with what one command at a time is made of", () => {}],
    ["without it", () => rmSync(board.at("/run/lock"), { recursive: true })],
  ])("lists every problem once, and changes nothing: %s", async (_, setup) => {
    newBoard();
    board.program("uname", "echo x86_64");
    rmSync(board.at("/run/systemd"), { recursive: true });
    setup();
    const { exitCode, all } = await board.sent(words);
    expect(exitCode).toBe(1);
    expect(all).toMatch(
      /^lab: checking\n {2}1\. this machine is x86_64, .*\n {5}fix: .*\n {2}2\. systemd .*\n {5}fix: .*\nlab: preflight found 2 problem\(s\), listed above; nothing was changed on this board$/,
    );
    expect(existsSync(board.at(home))).toBe(false);
  });

  const routes = (...lines: string[]) =>
    board.write(
      "/proc/net/route",
      `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n${lines.map((line) => `${line}\n`).join("")}`,
    );
  const route = (iface: string, destination: string, mask: string) =>
    `${iface}\t${destination}\t00000000\t0001\t0\t0\t0\t${mask}`;

  test.each([
    ["a part of the bridge's", route("eth0", "00030A0A", "00FFFFFF"), "10.10.3.0/24 (eth0)"],
    ["the same", route("eth0", "00000A0A", "0000FFFF"), "10.10.0.0/16 (eth0)"],
    ["one that holds the bridge's", route("wg0", "0000000A", "000000FF"), "10.0.0.0/8 (wg0)"],
    ["a host", route("wg0", "04030A0A", "FFFFFFFF"), "10.10.3.4/32 (wg0)"],
  ])("names a network that the bridge would hide: %s", async (_, line, network) => {
    routes(route("eth0", "00000000", "00000000"), line);
    expect(await problems("check_bridge 10.10.0.0/16 buildkit0")).toEqual([
      `the network of RUN steps, 10.10.0.0/16, overlaps ${network}: the board would no longer reach what is in both`,
    ]);
  });

  test("lets the bridge be where no other network is, and where it was before", async () => {
    board.write(`${home}/used`, "root /x\nbridge old0\n");
    routes(
      route("eth0", "00000000", "00000000"),
      route("eth0", "00000B0A", "0000FFFF"),
      route("eth1", "0001A8C0", "00FFFFFF"),
      route("old0", "00000A0A", "0000FFFF"),
      route("new0", "00000A0A", "0000FFFF"),
      route("buildkit0", "00000A0A", "0000FFFF"),
    );
    expect(await problems("check_bridge 10.10.0.0/16 new0")).toEqual([]);
    expect(await problems("check_bridge 192.168.0.0/23 new0")).toHaveLength(1);
  });

  const sockets = (port: string, state: string) => {
    board.write("/proc/net/tcp", "");
    board.write(
      "/proc/net/tcp6",
      `  sl  local_address remote_address st\n   0: 00000000000000000000000000000000:${port} 00000000000000000000000000000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n`,
    );
  };

  test("finds a taken port on boards without ss, the metrics' too", async () => {
    sockets("04D2", "0A");
    expect(await problems("check_port 1234 listen")).toEqual([
      "port 1234 is taken by another program",
    ]);
    expect(await problems("check_port 6060 metrics")).toEqual([]);
    sockets("17AC", "0A");
    expect(await problems("check_port 6060 metrics")).toEqual([
      "port 6060 is taken by another program",
    ]);
    // A connection from that port, or to it, takes nothing.
    sockets("04D2", "01");
    expect(await problems("check_port 1234 listen")).toEqual([]);
  });

  test("wants overlayfs only for a snapshotter that is made of it", async () => {
    board.program("modprobe", "exit 1");
    board.write("/sys/fs/cgroup/memory/x", "");
    const kernel = (snapshotter: string) =>
      problems(`snapshotter=${snapshotter} network=host rootless=false; check_kernel`);
    expect(await kernel("auto")).toEqual([
      expect.stringMatching(/has no 'overlay', which the overlayfs snapshotter needs$/),
    ]);
    expect(await kernel("native")).toEqual([]);
  });

  test("says where nothing would keep RUN steps from the daemon", async () => {
    board.program("modprobe", ":");
    board.write("/sys/fs/cgroup/memory/x", "");
    const kernel = (network: string) =>
      problems(`snapshotter=auto network=${network} rootless=false; check_kernel`);
    expect(await kernel("bridge")).toEqual([
      "cgroups are version 1 here, so nothing would keep RUN steps from the daemon's port (IPAddressDeny needs version 2)",
    ]);
    expect(await kernel("host")).toEqual([]);
  });

  test("compares the clock with the authority's end as well", async () => {
    expect(await problems("check_clock 0 0")).toEqual([]);
    expect(await problems("check_clock 0 99999999999")).toEqual([]);
    expect(await problems("check_clock 0 1000")).toEqual([
      expect.stringMatching(
        /after the end of the authority's certificate at 1970-01-01 00:16:40 UTC/,
      ),
    ]);
  });

  test("gives the folder for pushed files to the user who connects now", async () => {
    const place = (uid: string) => board.functions(`SUDO_UID=${uid}; place_boardctl`);
    await place("1000");
    await place("1001");
    const pushed = board.at(`${home}/pushed`);
    expect(calls()).toBe(`chown -R 1000 ${pushed}\nchown -R 1001 ${pushed}\n`);
  });
});

test("waiting for builds ends by the clock, however long each look takes", async () => {
  const looks = board.at("/looks");
  const { all } = await board.functions(`
    drain_seconds=60
    unit_active() { true; }
    sleep() { :; }
    running_builds() { echo >>${looks}; echo 1; }
    uptime() { echo $(($(wc -l <${looks} 2>/dev/null || echo 0) * 22 + 100)); }
    drain`);
  expect(all).toContain("waiting for 1 running build(s) before the restart, at most 38 s");
  expect(all).toContain(
    "1 build(s) still running after 60 s (drainSeconds); the restart ends them",
  );
  expect(readFileSync(looks, "utf8")).toHaveLength(3);
});

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Files } from "../../components/board/bundle.ts";
import { eventually } from "../integration/onBoard.ts";
import {
  activation,
  certificates,
  home,
  putRelease,
  putReleases,
  stageConfig,
} from "./boardSteps.ts";
import { type FakeBoard, fakeBoard } from "./fakeBoard.ts";

let board: FakeBoard;
beforeEach(() => {
  board = fakeBoard();
});
afterEach(() => board.remove());

const calls = () =>
  existsSync(board.at("/calls")) ? readFileSync(board.at("/calls"), "utf8") : "";
const stored = (component: string) =>
  readdirSync(board.at(`${home}/store`)).filter((name) => name.startsWith(`${component}-`));

const release = (component: string, version: string) => putRelease(board, component, version);
const releases = () => putReleases(board);
const config = (files: Files) => stageConfig(board, files);

async function activate(...parameters: Parameters<typeof activation>): Promise<string> {
  const { exitCode, all } = await board.boardctl(activation(...parameters), certificates);
  expect(exitCode, all).toBe(0);
  return all;
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
  expect(stored("buildkit")).toEqual(["buildkit-v1-buildkitbuil", "buildkit-v2-buildkitbuil"]);
  expect(stored("config")).toHaveLength(2);
  await activate("v1", await toml("c"));
  await activate("v1", await toml("d"));
  await activate("v1", await toml("e"));
  expect(stored("buildkit")).toEqual(["buildkit-v1-buildkitbuil", "buildkit-v2-buildkitbuil"]);
  release("buildkit", "v3");
  await activate("v3", await toml("e"));
  await activate("v3", await toml("f"));
  expect(stored("buildkit")).toEqual(["buildkit-v1-buildkitbuil", "buildkit-v3-buildkitbuil"]);
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

  test("knows a cache by its files, as a daemon that ended well leaves no lock", async () => {
    const root = await used();
    rmSync(board.at("/data/cache/buildkitd.lock"));
    await uninstall("--remove-cache");
    expect(existsSync(root)).toBe(false);
  });

  test("follows a cache's root that is a link, and leaves the link and the folder behind it", async () => {
    await used();
    for (const file of ["buildkitd.lock", "cache.db", "runc-overlayfs/x"])
      board.write(`/data/ssd/buildkit/${file}`, "");
    board.write("/data/ssd/buildkit/notes", "");
    mkdirSync(board.at("/var/lib"), { recursive: true });
    symlinkSync(board.at("/data/ssd/buildkit"), board.at("/var/lib/buildkit"));
    expect(await uninstall("--remove-cache")).toContain(
      `board: ${board.at("/var/lib/buildkit")} is a link, which stays; the data in ${board.at("/data/ssd/buildkit")} is removed`,
    );
    expect(readdirSync(board.at("/data/ssd/buildkit"))).toEqual(["notes"]);
    expect(readdirSync(board.at("/var/lib"))).toEqual(["buildkit"]);
  });

  test("takes the rules that name its bridges, and CNI's notes about them, and no others", async () => {
    board.program(
      "iptables-save",
      `cat <<'END'
*nat
-A POSTROUTING -s 10.10.0.0/16 -o eth0 -j MASQUERADE
COMMIT
*filter
:CNI-FORWARD - [0:0]
:CNI-ISOLATION-STAGE-1 - [0:0]
-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
-A CNI-ISOLATION-STAGE-1 -i buildkit0 ! -o buildkit0 -m comment --comment "CNI firewall plugin rules" -j CNI-ISOLATION-STAGE-2
-A CNI-ISOLATION-STAGE-2 -o builds0 -j DROP
-A FORWARD -i podman1 -j ACCEPT
COMMIT
END`,
    );
    board.program(
      "iptables",
      `printf '<%s>' "$@" >>${board.at("/rules")}; echo >>${board.at("/rules")}`,
    );
    await used();
    board.write("/var/lib/cni/networks/buildkit/10.10.0.2", "");
    board.write("/var/lib/cni/results/buildkit-1-eth0", "");
    await uninstall();
    expect(readFileSync(board.at("/rules"), "utf8")).toBe(
      "<-w><-t><filter><-D><CNI-ISOLATION-STAGE-1><-i><buildkit0><!><-o><buildkit0><-m><comment><--comment><CNI firewall plugin rules><-j><CNI-ISOLATION-STAGE-2>\n" +
        "<-w><-t><filter><-D><CNI-ISOLATION-STAGE-2><-o><builds0><-j><DROP>\n" +
        "<-w><-t><filter><-D><FORWARD><-m><comment><--comment><CNI firewall plugin rules><-j><CNI-FORWARD>\n" +
        "<-w><-F><CNI-ISOLATION-STAGE-1>\n<-w><-F><CNI-FORWARD>\n<-w><-X><CNI-ISOLATION-STAGE-1>\n<-w><-X><CNI-FORWARD>\n",
    );
    expect(existsSync(board.at("/var/lib/cni"))).toBe(false);
    board.remove();
    board = fakeBoard();
    board.write("/var/lib/cni/networks/podman/x", "");
    await used();
    board.write("/var/lib/cni/networks/buildkit/10.10.0.2", "");
    await uninstall();
    expect(readdirSync(board.at("/var/lib/cni/networks"))).toEqual(["podman"]);
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
  board.write(`${home}/pushed/runc.riscv64`, "#!/bin/sh\necho runc 1.5.2\n");
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
    board.program("nft", ":");
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
    ["without it", () => board.write("/run/buildhosts", "")],
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

  /** What `ip -4 route show table all` prints. */
  const routes = (...lines: string[]) =>
    board.program(
      "ip",
      `case "$*" in *" table all") printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")} ;; esac`,
    );
  const uplink = "default via 192.168.1.1 dev eth0 proto dhcp src 192.168.1.7 metric 100";

  test.each([
    ["a part of the bridge's", "10.10.3.0/24 dev eth0 scope link", "10.10.3.0/24 (eth0)"],
    ["the same", "10.10.0.0/16 dev eth0 scope link", "10.10.0.0/16 (eth0)"],
    ["one that holds the bridge's", "10.0.0.0/8 dev wg0 scope link", "10.0.0.0/8 (wg0)"],
    ["a host", "10.10.3.4 via 192.168.1.1 dev wg0", "10.10.3.4/32 (wg0)"],
    ["a gateway", "172.30.0.0/16 via 10.10.0.9 dev eth0", "10.10.0.9 (the gateway of eth0)"],
    ["one of another table", "10.10.0.0/16 dev tailscale0 table 52", "10.10.0.0/16 (tailscale0)"],
  ])("names a network that the bridge would hide: %s", async (_, line, network) => {
    routes(uplink, line);
    expect(await problems("check_bridge 10.10.0.0/16 buildkit0")).toEqual([
      `the network of RUN steps, 10.10.0.0/16, overlaps ${network}: the board would no longer reach what is in both`,
    ]);
  });

  test("names whom the board would no longer reach behind its default route", async () => {
    routes(uplink);
    const one = (what: string) => [
      `the network of RUN steps, 10.10.0.0/16, overlaps ${what}: the board would no longer reach what is in both`,
    ];
    expect(await problems("check_bridge 10.10.0.0/16 buildkit0 10.10.4.4")).toEqual(
      one("10.10.4.4 (the other end of this SSH connection)"),
    );
    expect(await problems("check_bridge 10.10.0.0/16 buildkit0 fd00::1")).toEqual([]);
    board.write("/etc/resolv.conf", "search lan\nnameserver 10.10.0.53\n");
    expect(await problems("check_bridge 10.10.0.0/16 buildkit0 192.168.1.9")).toEqual(
      one(`10.10.0.53 (a name server in ${board.at("/etc/resolv.conf")})`),
    );
  });

  test("hears who is at the other end of the connection, through sudo too", async () => {
    newBoard();
    routes(uplink);
    const { all } = await board.sent(words, { SSH_CONNECTION: "10.10.4.4 51000 192.168.1.7 22" });
    expect(all).toContain("overlaps 10.10.4.4 (the other end of this SSH connection)");
    const { all: bySudo } = await board.sent([...words, "--peer", "10.10.4.5"]);
    expect(bySudo).toContain("overlaps 10.10.4.5 (the other end of this SSH connection)");
  });

  test.each([
    ["half of the Internet, as a VPN takes it", ["0.0.0.0/1 dev tun0", "128.0.0.0/1 dev tun0"]],
    ["a network that leads nowhere", ["unreachable 10.0.0.0/8", "blackhole 10.10.0.0/16"]],
    [
      "the machine's own addresses",
      ["local 10.10.0.1 dev lo table local", "broadcast 10.10.255.255 dev eth0 table local"],
    ],
  ])("takes no offence at %s", async (_, lines) => {
    routes(uplink, ...lines);
    expect(await problems("check_bridge 10.10.0.0/16 new0")).toEqual([]);
    expect(await problems("check_bridge 172.30.0.0/16 new0")).toEqual([]);
  });

  test("lets the bridge be where no other network is, and where it was before", async () => {
    board.write(`${home}/used`, "root /x\nbridge old0\n");
    routes(
      uplink,
      "10.11.0.0/16 dev eth0",
      "192.168.1.0/24 dev eth1",
      ...["old0", "new0", "buildkit0"].map((bridge) => `10.10.0.0/16 dev ${bridge} scope link`),
    );
    expect(await problems("check_bridge 10.10.0.0/16 new0")).toEqual([]);
    expect(await problems("check_bridge 192.168.0.0/23 new0")).toHaveLength(1);
  });

  test("keeps the bridge off an interface that is somebody else's", async () => {
    routes(uplink);
    for (const name of ["br0", "buildkit0", "old0"]) mkdirSync(board.at(`/sys/class/net/${name}`));
    board.write(`${home}/used`, "bridge old0\n");
    expect(await problems("check_bridge 10.10.0.0/16 br0")).toEqual([
      "the network interface br0 is here already, and it is not buildhosts': RUN steps' bridge would take it over",
    ]);
    expect(await problems("check_bridge 10.10.0.0/16 buildkit0")).toEqual([]);
    expect(await problems("check_bridge 10.10.0.0/16 old0")).toEqual([]);
  });

  test("warns of a firewall that drops what RUN steps send, unless it lets their bridge through", async () => {
    const ruleset = (rule: string, table = "inet f") =>
      board.program(
        "nft",
        `cat <<'END'
table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
}
table ${table} {
	chain forward {
		type filter hook forward priority filter; policy drop;
		${rule}
	}
}
END`,
      );
    const said = async () => (await board.functions("check_forwarding buildkit0")).all;
    ruleset("ct state established accept");
    expect(await said()).toBe(
      "  warning: nftables drops what is forwarded (table inet f, chain forward): RUN steps reach no network until it lets buildkit0 through, such as by: nft insert rule inet f forward iifname buildkit0 accept, and the same with oifname",
    );
    ruleset('iifname "buildkit0" accept');
    expect(await said()).toBe("");
    board.program("nft", "exit 1");
    expect(await said()).toBe("");
  });

  test("warns where RUN steps would get public name servers, or packets too large for the uplink", async () => {
    newBoard();
    board.write("/etc/resolv.conf", "nameserver 127.0.0.1\nnameserver ::1\n");
    board.write("/sys/class/net/wwan0/mtu", "1280\n");
    board.program(
      "ip",
      `case "$*" in *" default") echo default via 10.9.0.1 dev wwan0 proto dhcp ;; esac`,
    );
    const { exitCode, all } = await board.sent(words);
    expect(exitCode, all).toBe(0);
    expect(all).toBe(
      `lab: checking
  warning: ${board.at("/etc/resolv.conf")} names only this machine's own loopback, which RUN steps do not reach: they get public name servers, which know no names of your network. Name servers for them: buildkitd.dns.nameservers
  warning: wwan0 takes packets of 1280 bytes, and RUN steps send up to 1500: where the network drops the notice of it, their downloads hang. Then: network: host, or iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu`,
    );
    board.write("/etc/resolv.conf", "nameserver 127.0.0.53\n");
    board.write("/run/systemd/resolve/resolv.conf", "nameserver 192.168.1.1\n");
    expect((await board.sent(words)).all).not.toContain("name servers");
    board.write("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    expect((await board.sent([...words, "--nameservers", "own"])).all).not.toContain(
      "name servers",
    );
  });

  test("warns where SELinux does not know the root of a daemon that confines its steps", async () => {
    newBoard();
    const warned = async (root: string) => {
      const asked = [...words, "--selinux", "true", "--cache-root", root];
      const { exitCode, all } = await board.sent(asked);
      expect(exitCode, all).toBe(0);
      return all?.includes("SELinux") ? all.replaceAll(board.folder, "") : undefined;
    };
    const root = board.at("/data/nvme/buildkit");
    expect(await warned(root)).toBeUndefined();
    board.write("/sys/fs/selinux/enforce", "0");
    expect(await warned(root)).toBeUndefined();
    board.write("/sys/fs/selinux/enforce", "1");
    expect(await warned(root)).toContain(
      `  warning: SELinux is enforcing here, and its policy does not know /data/nvme/buildkit (buildkitd.root): RUN steps may not read their own files there. Labels as those of /var/lib/buildkit: mkdir -p /data/nvme/buildkit && semanage fcontext -a -e /var/lib/buildkit /data/nvme/buildkit && restorecon -R /data/nvme/buildkit`,
    );
    expect(await warned(board.at("/var/lib/buildkit"))).toBeUndefined();
    expect(await warned(board.at("/var/lib/buildkit/inner"))).toBeUndefined();
    expect((await board.sent([...words, "--cache-root", root])).all).not.toContain("SELinux");
    board.program("stat", "echo unconfined_u:object_r:container_var_lib_t:s0");
    expect(await warned(root)).toBeUndefined();
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

  test("tries an overlay on the cache's own file system, where the snapshotter is made of one", async () => {
    mkdirSync(board.at("/data"));
    board.write("/sys/fs/cgroup/memory/x", "");
    board.program("unshare", 'echo "mount: wrong fs type, bad option" >&2; exit 32');
    const kernel = (snapshotter: string) =>
      problems(
        `snapshotter=${snapshotter} network=host rootless=false cache_root=${board.at("/data/deep/cache")}; check_kernel`,
      );
    expect(await kernel("auto")).toEqual([
      `no overlay can be mounted in ${board.at("/data/deep/cache")}, which the snapshotter 'auto' needs: mount: wrong fs type, bad option`,
    ]);
    expect(await kernel("native")).toEqual([]);
    board.program(
      "unshare",
      `echo "$*" >>${board.at("/calls")}; ls -d ${board.at("/data")}/.buildhosts-trial.*/upper`,
    );
    expect(await kernel("overlayfs")).toEqual([]);
    expect(calls()).toMatch(
      /^-m mount -t overlay overlay -o lowerdir=\S+\/data\/\.buildhosts-trial\.\w+\/lower,/,
    );
    expect(readdirSync(board.at("/data"))).toEqual([]);
  });

  test("tries the bridge's parts in a network namespace: what a kernel is called, or has files about, says nothing", async () => {
    board.program("uname", "echo 6.12");
    board.program(
      "iptables",
      'case "$*" in *MASQUERADE) echo "iptables: No chain/target/match by that name." >&2; exit 1 ;; esac',
    );
    board.program("unshare", 'shift; exec "$@"');
    expect(await problems("check_network")).toEqual([
      "the kernel 6.12 makes no NAT rule (CONFIG_NF_NAT, CONFIG_NETFILTER_XT_TARGET_MASQUERADE, CONFIG_NETFILTER_XT_MATCH_COMMENT), which network: bridge needs: iptables: No chain/target/match by that name.",
    ]);
    board.program("ip", "exit 2");
    expect(await problems("check_network")).toHaveLength(3);
    board.program("unshare", ":");
    expect(await problems("check_network")).toEqual([]);
  });

  test("says where nothing would keep RUN steps from the daemon", async () => {
    board.program("modprobe", ":");
    board.write("/sys/fs/cgroup/memory/x", "");
    const kernel = (network: string) =>
      problems(`snapshotter=auto network=${network} rootless=false cache_root=/x; check_kernel`);
    expect(await kernel("bridge")).toEqual([
      "cgroups are version 1 here, so RUN steps could reach the daemon's port (IPAddressDeny needs version 2)",
    ]);
    expect(await kernel("host")).toEqual([]);
  });

  test("says of a user who cannot become root only what is true", async () => {
    newBoard();
    sockets("04D2", "0A");
    board.program("id", "case $1 in -un) echo builder ;; *) echo 1000 ;; esac");
    board.program("sudo", "exit 1");
    const { all } = await board.sent(words);
    expect([...all.matchAll(/^ {2}\d+\. (.*)$/gm)].map(([, line]) => line)).toEqual([
      "user 'builder' cannot use sudo without a password",
      "port 1234 is taken by another program",
    ]);
    // Ours runs, so the port is its.
    board.program("systemctl", '[ "$1" = is-active ]');
    const { all: installed } = await board.sent(words);
    expect([...installed.matchAll(/^ {2}\d+\. (.*)$/gm)].map(([, line]) => line)).toEqual([
      "user 'builder' cannot use sudo without a password",
    ]);
  });

  test("says in one line that an image is read-only, before anything fails to be written there", async () => {
    newBoard();
    for (const folder of ["/usr/local", "/etc"]) mkdirSync(board.at(folder), { recursive: true });
    const readOnly = "can_write() { case $1 in */usr/local | */etc) return 1 ;; esac; }";
    expect(
      await problems(`${readOnly}
        check_writable "$HOME_DIR" ${["/usr/local/bin", "/etc/buildkit", "/run/x"].map((one) => board.at(one)).join(" ")}`),
    ).toEqual([
      `read-only, but something must be installed there: ${board.at("/usr/local")} ${board.at("/etc")}`,
    ]);
  });

  test("finds another BuildKit by what it holds, whatever its unit is called", async () => {
    const other = () => problems(`cache_root=${board.at("/var/lib/buildkit")}; check_other_daemon`);
    board.write(
      "/proc/net/unix",
      `Num RefCount Protocol Flags Type St Inode Path\n0: 2 0 10000 1 1 4712 ${board.at("/run/buildkit/buildkitd.sock")}\n`,
    );
    mkdirSync(board.at("/proc/77/fd"), { recursive: true });
    symlinkSync("socket:[4712]", board.at("/proc/77/fd/9"));
    board.write("/proc/77/comm", "buildkitd\n");
    board.write("/proc/77/cgroup", "0::/system.slice/buildkit.service\n");
    expect(await other()).toEqual([
      `another BuildKit has the socket ${board.at("/run/buildkit/buildkitd.sock")}: buildkitd (pid 77) of buildkit.service`,
    ]);
    rmSync(board.at("/proc/net/unix"));
    board.write("/var/lib/buildkit/buildkitd.lock", "");
    const { ino } = statSync(board.at("/var/lib/buildkit/buildkitd.lock"));
    board.write("/proc/locks", `1: FLOCK  ADVISORY  WRITE 77 08:01:${ino} 0 EOF\n`);
    expect(await other()).toEqual([
      `another BuildKit has the root ${board.at("/var/lib/buildkit")}: buildkitd (pid 77) of buildkit.service`,
    ]);
    board.program("systemctl", '[ "$1" = is-active ]');
    expect(await other()).toEqual([]);
  });

  test("does not ask for Docker's containerd to be removed", async () => {
    board.program(
      "systemctl",
      `case $1 in show) printf 'Id=containerd.service\\nActiveState=active\\nFragmentPath=/usr/lib/systemd/system/containerd.service\\n' ;; is-active) [ "$3" = docker.service ] ;; esac`,
    );
    const { all } = await board.functions("problems=0 cache_root=/x; check_other_installations");
    expect(all).toBe(
      "  1. containerd.service of another installation is running (/usr/lib/systemd/system/containerd.service)\n" +
        "     fix: this machine's Docker uses it: name the machine under dockerHosts, where BuildKit runs as a container, or use another board",
    );
  });

  test("wants the namespaces that rootless is made of, as this kernel and AppArmor give them", async () => {
    board.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
    board.write("/proc/sys/user/max_user_namespaces", "1000\n");
    const kernel = () =>
      problems("snapshotter=native network=host rootless=true cache_root=/x; check_kernel");
    expect(await kernel()).toEqual([]);
    board.write("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
    board.write("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    expect(await kernel()).toEqual([
      "unprivileged user namespaces are off, which rootless needs",
      "AppArmor restricts unprivileged user namespaces, which rootless needs",
    ]);
    rmSync(board.at("/proc/sys/kernel/unprivileged_userns_clone"));
    board.write(
      "/etc/apparmor.d/buildhosts-rootlesskit",
      `profile buildhosts-rootlesskit ${board.at(home)}/store/rootlesskit-*/bin/rootlesskit flags=(unconfined) { userns, }\n`,
    );
    expect(await kernel()).toEqual([]);
  });

  test("counts in the MB that it names", async () => {
    board.program("df", "printf 'header\\nx 1 1 500000 1 /\\n'");
    expect(await problems(`check_disk 900000000 ${board.at("/data")}`)).toEqual([
      `only 512 MB are free for ${board.at(home)}; 700 MB are needed`,
      `the cache may grow to 900 MB (gc maxUsedSpace), but ${board.at("/data")} has room for 512 MB`,
    ]);
  });

  /** A disk of 100 GB with so many inodes, and so many of them free. */
  const inodes = (all: string, free: number) =>
    board.program(
      "df",
      `printf 'header\\n'; case $1 in -Pi) echo x ${all} 1 ${free} 1% / ;; *) echo x 97656250 1 90000000 1% / ;; esac`,
    );

  test("looks for inodes, which run out where files are many and small", async () => {
    const warned = async (bytes: number) => {
      const { all } = await board.functions(
        `problems=0\ncheck_inodes ${bytes} ${board.at("/data")}`,
      );
      return all.replaceAll(board.folder, "");
    };
    // As mkfs makes them: one for each 16 KiB.
    inodes("6103515", 6_000_000);
    expect(await warned(0)).toBe("");
    // For files that are large (mkfs.ext4 -T largefile): one for each MiB.
    inodes("95367", 90_000);
    expect(await warned(5_000_000_000)).toBe("");
    expect(await warned(0)).toBe(
      "  warning: the file system of /data has 95367 inodes, one for every 1048 kB that the cache may have: most files are smaller, so that they run out before garbage collection, which counts bytes alone, frees anything. Make it with more (mkfs.ext4 -i 16384), take xfs or btrfs, or lower buildkitd.worker.maxUsedSpace",
    );
    // btrfs has no number of them, in coreutils' words and in busybox'.
    for (const none of ["0", "-"]) {
      inodes(none, 0);
      expect(await warned(0)).toBe("");
    }
    inodes("6103515", 12);
    expect(await warned(0)).toBe(
      "  1. only 12 inodes are free for /usr/local/lib/buildhosts, which is as many files; 1000 are needed\n     fix: delete files there, however small",
    );
    expect((await board.functions("disk_full")).all).toBe(
      "is the disk full? (92160 MB and 12 inodes free)",
    );
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

import { beforeAll, describe, expect, test } from "vitest";
import { boardMachine } from "./boardPlatform.ts";
import { type Client, defaultClient, handshake } from "./clients.ts";
import { provisioned, type Scene } from "./ground.ts";
import { on, pidsOf } from "./onBoard.ts";
import { stateOf } from "./state.ts";

// The problems that preflight finds are made on a board where everything works, so that one also sees
// that it goes on working. Most are made in a mount namespace of the command's own.

let scene: Scene;
let command: string;
/** boardctl, as it is sent. */
let script: string;
let client: Client;
let before: { pids: unknown; files: string };

beforeAll(async () => {
  scene = await provisioned();
  const state = await stateOf(scene.stack);
  ({ create: command, stdin: script } = state.command("preflight"));
  client = defaultClient(state);
  before = { pids: await pidsOf(scene.board), files: await filesAndTimes() };
});

/** Everything that a preflight could leave behind or change, with its time. */
function filesAndTimes(): Promise<string> {
  return on(
    scene.board,
    "find /usr/local /etc /tmp -xdev -not -path '/tmp/systemd-private*' -not -path /tmp -not -name spool -printf '%y %m %T@ %p %l\\n' | sort",
  );
}

/** The preflight command of the stack with some options changed, after `setup` in the same shell. */
function preflight(options: Record<string, string>, setup = ""): string {
  let changed = command;
  for (const [option, value] of Object.entries(options)) {
    const pattern = new RegExp(`${option} \\S+`);
    if (!pattern.test(changed)) throw new Error(`the preflight command has no ${option}`);
    changed = changed.replace(pattern, `${option} ${value}`);
  }
  if (!setup) return changed;
  return `unshare -m sh -ec '${setup}\nset +e\n${changed.replaceAll("'", `'\\''`)}'`;
}

/** A kernel of which one is told nothing: all that it has is built in, as vendors build theirs. */
const vendorKernel = `
  mkdir -p /run/none /lib/modules && mount --bind /run/none /lib/modules && mount --bind /run/none /sys/module
  printf "nodev\\tproc\\n" >/run/filesystems && mount --bind /run/filesystems /proc/filesystems`;

/** Programs that say what such a kernel answers, where it lacks what they ask it for. */
const poorKernel = `
  printf "#!/bin/sh\\necho Operation not supported >&2; exit 2\\n" >/run/refuses && chmod 755 /run/refuses
  for program in iptables mount; do mount --bind /run/refuses "$(readlink -f "$(command -v $program)")"; done`;

interface Case {
  title: string;
  options?: Record<string, string>;
  /** Run before, in a mount namespace that ends with the command. */
  setup?: string;
  /** Each must stand in the output. */
  says: (string | RegExp)[];
  problems: number;
}

const cases: Case[] = [
  {
    title: "another architecture",
    options: { "--machine": "aarch64", "--platform": "linux/arm64" },
    says: [
      `this machine is ${boardMachine}, but the stack says platform linux/arm64`,
      "correct boards[].platform",
    ],
    problems: 1,
  },
  {
    title: "no systemd",
    // Without systemd nobody knows that the port's holder is ours.
    options: { "--port": "4321" },
    setup: "mount -t tmpfs none /run/systemd",
    says: ["systemd is not the init system here", "use an operating system that runs systemd"],
    problems: 1,
  },
  {
    title: "a kernel without overlayfs, and without what iptables needs",
    setup: poorKernel,
    says: [
      "no overlay can be mounted in /var/lib/buildkit, which the snapshotter 'auto' needs: Operation not supported",
      /the kernel \S+ makes no NAT rule \(CONFIG_NF_NAT, .*\), which network: bridge needs: Operation not supported/,
      /the kernel \S+ makes no rule for connections \(.*\), which network: bridge needs: Operation not supported/,
      "or set network: host for this board",
    ],
    problems: 3,
  },
  {
    title: "commands that are missing",
    setup: "mount --bind /dev/null /usr/bin/git\nmount --bind /dev/null /usr/bin/xz",
    says: ["commands are missing: git xz", "apt-get install -y git xz-utils"],
    problems: 1,
  },
  {
    title: "a cgroup controller that is off",
    setup:
      "echo cpuset cpu io pids >/run/controllers && mount --bind /run/controllers /sys/fs/cgroup/cgroup.controllers",
    says: ["the cgroup controller 'memory' is off", "cgroup_enable=memory"],
    problems: 1,
  },
  {
    title: "a kernel without CONFIG_CGROUP_BPF",
    setup:
      // A native kernel has its configuration in itself, and Debian's in /boot.
      `off="s/^CONFIG_CGROUP_BPF=y/# CONFIG_CGROUP_BPF is not set/" of=/boot/config-$(uname -r)
      if [ -e /proc/config.gz ]; then
        of=/proc/config.gz && zcat "$of" | sed "$off" | gzip >/run/config
      else
        sed "$off" "$of" >/run/config
      fi
      mount --bind /run/config "$of"`,
    says: ["lacks CONFIG_CGROUP_BPF", "use a kernel with CONFIG_CGROUP_BPF=y"],
    problems: 1,
  },
  {
    title: "a full disk",
    setup: "mount -t tmpfs -o size=20m none /usr/local/lib/buildhosts",
    says: ["only 20 MB are free for /usr/local/lib/buildhosts; 700 MB are needed"],
    problems: 1,
  },
  {
    title: "a disk too small for the cache",
    options: { "--cache-bytes": "900000000000" },
    says: [
      /the cache may grow to 900000 MB \(gc maxUsedSpace\), but \/var\/lib\/buildkit has room for \d+ MB/,
      "lower buildkitd.worker.maxUsedSpace",
    ],
    problems: 1,
  },
  {
    title: "a port that another program has",
    options: { "--port": "4321" },
    setup:
      'busybox nc -l -p 4321 >/dev/null 2>&1 & trap "kill $!" EXIT\nn=0; while ! ss -Hltn "sport = :4321" | grep -q . && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done',
    says: [/port 4321 is taken by busybox \(pid \d+\)/, "choose another port (listen)"],
    problems: 1,
  },
  {
    title: "a network of the board's own where the bridge of RUN steps would be",
    setup: 'ip route add 10.10.7.0/24 via 10.0.2.2; trap "ip route del 10.10.7.0/24" EXIT',
    says: [
      /the network of RUN steps, 10\.10\.0\.0\/16, overlaps 10\.10\.7\.0\/24 \(\w+\): the board would/,
      "choose a network that is free there: buildkitd.worker.bridgeSubnet",
    ],
    problems: 1,
  },
  {
    title: "a unit of the administrator's that would hide ours",
    setup:
      "mkdir -p /run/units && mount --bind /run/units /etc/systemd/system && : >/etc/systemd/system/buildkitd.service",
    says: [
      "/etc/systemd/system/buildkitd.service would hide the unit that is installed here",
      "mv /etc/systemd/system/buildkitd.service /etc/systemd/system/buildkitd.service.old",
    ],
    problems: 1,
  },
  {
    title: "several at once",
    options: {
      "--machine": "aarch64",
      "--platform": "linux/arm64",
      "--cache-bytes": "1000000000000",
    },
    setup: "mount --bind /dev/null /usr/bin/git",
    says: [
      `1. this machine is ${boardMachine}`,
      "2. commands are missing: git",
      "3. the cache may grow",
    ],
    problems: 3,
  },
];

describe("preflight stops, names the problem and its remedy, and changes nothing:", () => {
  test.each(cases.map((one) => [one.title, one] as const))("%s", async (_, one) => {
    const { options = {}, setup, says, problems } = one;
    const { code, stdout, stderr } = await scene.board.ssh(preflight(options, setup), script);
    expect(stderr).toContain("board: checking");
    for (const words of says) expect(stderr).toMatch(words);
    expect(stderr).toContain(`preflight found ${problems} problem(s)`);
    expect(stderr).toContain("nothing was changed on this board");
    expect(stderr.match(/^ +\d+\. /gm)).toHaveLength(problems);
    expect(stderr.match(/^ +fix: /gm)).toHaveLength(problems);
    expect(stdout).toBe("");
    expect(code).toBe(1);
  });

  test("and none where the kernel has all of it built in, and no list of it", async () => {
    const { code, stdout, stderr } = await scene.board.ssh(preflight({}, vendorKernel), script);
    expect(stderr.trimEnd()).toBe("board: checking");
    expect([code, stdout]).toEqual([0, ""]);
  });

  test("a running service of another installation", async () => {
    const { board } = scene;
    // Of the three units, the socket is the one that this stack does not use.
    const unit = "/usr/lib/systemd/system/buildkitd.socket";
    await on(
      board,
      `printf '[Socket]\\nListenStream=127.0.0.1:4322\\nService=idle.service\\n' >${unit}
       printf '[Service]\\nExecStart=/bin/true\\n' >/run/systemd/system/idle.service
       systemctl daemon-reload; systemctl start buildkitd.socket`,
    );
    try {
      const { code, stderr } = await board.ssh(preflight({}), script);
      expect(stderr).toContain(`buildkitd.socket of another installation is running (${unit})`);
      expect(code).toBe(1);
    } finally {
      await on(board, `systemctl stop buildkitd.socket; rm ${unit}; systemctl daemon-reload`);
    }
  });

  test("a clock in 1970; certificates and services are not touched either", async () => {
    const { board, stack } = scene;
    const state = await stateOf(stack);
    await on(board, "date -s @86400 >/dev/null");
    try {
      const { code, stderr } = await board.ssh(preflight({}), script);
      expect(stderr).toMatch(
        /the clock says 1970-01-02 00:0\d:\d\d UTC, before the certificates' beginning at 20/,
      );
      expect(stderr).toContain("timedatectl set-ntp true");
      expect(code).toBe(1);
      const { create, stdin } = state.command("service");
      const service = await board.ssh(create, stdin);
      expect(service.stderr).toMatch(
        /board: the clock says 1970.*but the certificates are valid only from/,
      );
      expect(service.code).toBe(1);
    } finally {
      await on(board, `date -s @${Math.floor(Date.now() / 1000)} >/dev/null`);
    }
  });

  test("and what worked before all that still works, the same processes included", async () => {
    expect(await filesAndTimes()).toBe(before.files);
    expect(await pidsOf(scene.board)).toEqual(before.pids);
    expect(await handshake(scene, client)).toBe("");
  });
});

test("the engine shows the list and the fix, and leaves the other steps alone", async () => {
  const { stack } = scene;
  await stack.configure({ platform: "linux/arm64", user: "nosudo" });
  const { code, output, changes } = await stack.up();
  expect(code).not.toBe(0);
  expect(output).toContain(
    `1. this machine is ${boardMachine}, but the stack says platform linux/arm64`,
  );
  expect(output).toContain("2. user 'nosudo' cannot use sudo without a password");
  expect(output).toContain("nosudo ALL=(ALL) NOPASSWD:ALL");
  expect(output).toContain("nothing was changed on this board");
  expect(output).not.toMatch(/^\s+at .*\(?(node:|file:|\/).*:\d+:\d+\)?$/m);
  expect(Object.values(changes).flat()).not.toContain("board-install");
  expect(await filesAndTimes()).toBe(before.files);
  expect(await handshake(scene, client)).toBe("");
});

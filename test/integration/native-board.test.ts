// A native board as the tests rely on it: what a power cut, a reboot and a snapshot do, and that nothing is left of it on this machine.

import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { unable } from "../../proving-ground/board/native/host.ts";
import {
  findVirtualBoard,
  startVirtualBoard,
  type VirtualBoard,
} from "../../proving-ground/board/virtualBoard.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { eventually, on } from "./onBoard.ts";

const platform = "linux/amd64";

describe.skipIf(unable())("a native board", () => {
  const name = (part: string) =>
    `${inject("ground").instance}-${part}-${process.env.VITEST_POOL_ID}`;
  let board: VirtualBoard;
  let linksBefore: string;

  beforeAll(async () => {
    linksBefore = await links();
    await (await findVirtualBoard(name("native"), platform))?.stop();
    board = await startVirtualBoard({ platform, instance: name("native"), log });
  });
  afterAll(() => board?.stop());

  /** The network devices of this machine. */
  async function links(): Promise<string> {
    const devices = await readFile("/proc/net/dev", "utf8");
    return [...devices.matchAll(/^ *([^:\s]+):/gm)]
      .map(([, device]) => device)
      .sort()
      .join(" ");
  }

  /** The programs of this machine that belong to the board of that name. */
  async function programsOf(instance: string): Promise<string> {
    const { stdout } = await execa("ps", ["-e", "-o", "args"]);
    return stdout
      .split("\n")
      .filter((line) => line.includes(`/${instance}-amd64`))
      .join("\n");
  }

  test("is an amd64 Debian with systemd, whole", async () => {
    expect(await on(board, "uname -m")).toBe("x86_64");
    expect(await on(board, "systemctl is-system-running --wait")).toBe("running");
    expect(await on(board, "stat -f -c %T /sys/fs/cgroup")).toBe("cgroup2fs");
  });

  test("adds no network device to this machine, and is reached on loopback alone", async () => {
    expect(await links()).toBe(linksBefore);
    const { stdout } = await execa("ss", ["-Hltnp", `sport = :${board.connection.port}`]);
    expect(stdout.split(/\s+/)[3]).toBe(`127.0.0.1:${board.connection.port}`);
  });

  test("keeps through a power cut what was synced", async () => {
    await on(board, "echo kept >/root/synced && sync");
    await board.powerOff();
    expect(await board.running()).toBe(false);
    await board.start();
    expect(await on(board, "cat /root/synced")).toBe("kept");
  });

  test("boots again by itself, at the same port", async () => {
    const before = await on(board, "cat /proc/sys/kernel/random/boot_id");
    await board.ssh("systemctl reboot").catch(() => undefined);
    board.disconnect();
    await eventually("another boot", 60, async () => {
      const id = await on(board, "cat /proc/sys/kernel/random/boot_id").catch(() => before);
      return id !== before;
    });
    expect(await on(board, "cat /root/synced")).toBe("kept");
  });

  test("has a clock that can be set, and the right time after the next start", async () => {
    await on(board, "date --utc --set=@86400");
    expect(await on(board, "date --utc +%Y")).toBe("1970");
    await board.powerOff();
    await board.start();
    expect(await on(board, "date --utc +%Y")).toBe(String(new Date().getUTCFullYear()));
  });

  test("goes back to what it was in a snapshot", async () => {
    await board.snapshot("with-file");
    await on(board, "rm /root/synced");
    await board.restore("with-file");
    expect(await on(board, "cat /root/synced")).toBe("kept");
    await board.restore("booted");
    expect(await on(board, "ls /root")).toBe("");
  });

  test("knows nothing of another one beside it, and leaves nothing when it is stopped", async () => {
    const other = await startVirtualBoard({ platform, instance: name("other"), log });
    expect(await on(other, "hostname && touch /root/mine")).toBe("board");
    expect(await on(board, "ls /root")).toBe("");
    expect(await programsOf(name("other"))).not.toBe("");
    await other.stop();
    expect(await programsOf(name("other"))).toBe("");
    expect(await findVirtualBoard(name("other"), platform)).toBeUndefined();
    expect(await links()).toBe(linksBefore);
  });

  test("leaves no process when what watches over it is killed", async () => {
    process.kill(board.pid, "SIGKILL");
    await eventually(
      "the board's processes to end",
      20,
      async () => (await programsOf(name("native"))) === "",
    );
    await board.start();
    expect(await on(board, "hostname")).toBe("board");
  });

  test("is off after poweroff on it, and says so", async () => {
    await board.ssh("systemctl poweroff").catch(() => undefined);
    board.disconnect();
    await eventually("the board to be off", 60, async () => !(await board.running()));
    expect(await readFile(board.consoleLog, "utf8")).toContain(
      "supervise: the kernel has ended (0)",
    );
  });
});

import { existsSync, readFileSync, rmSync } from "node:fs";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { uninstallCommand, withdrawCommand } from "../../components/board/commands.ts";
import {
  activation,
  certificates,
  executable,
  home,
  putReleases,
  stageConfig,
} from "./boardSteps.ts";
import { type FakeBoard, fakeBoard } from "./fakeBoard.ts";

// Whose a board is: /usr/local/lib/buildhosts/name says project/stack/board, and earlier versions wrote the board alone.

let board: FakeBoard;
beforeEach(() => {
  board = fakeBoard();
});
afterEach(() => board.remove());

const owner = () => readFileSync(board.at(`${home}/name`), "utf8");
const own = (text: string) => board.write(`${home}/name`, `${text}\n`);

describe("a board is removed by the stack and under the name that it has now, by no other:", () => {
  beforeEach(async () => {
    putReleases(board);
    const config = await stageConfig(board, { "buildkitd.toml": "" });
    const { exitCode, all } = await board.boardctl(activation("v1", config), certificates);
    expect(exitCode, all).toBe(0);
    board.write("/var/lib/buildkit/cache.db", "layers");
  });

  const isThere = () => existsSync(board.at(`${home}/current`));
  const cache = () => existsSync(board.at("/var/lib/buildkit/cache.db"));

  test.each([
    ["another name of the stack", "p/dev/b", ["--owner", "p/dev/a"]],
    ["the same name in another stack", "p/new/a", ["--owner", "p/dev/a"]],
    ["a board whose stack is not known, under another name", "b", ["--owner", "p/dev/a"]],
    ["a command of an earlier version, which knew no owners", "p/dev/a", []],
  ])("%s", async (_, has, words) => {
    own(has);
    for (const command of ["uninstall", "deactivate", "withdraw"]) {
      const { exitCode, all } = await board.boardctl([command, ...words, "--remove-cache"]);
      expect(exitCode, all).toBe(0);
      const instead = words[1] ? `, not to ${words[1]}` : "";
      expect(all).toBe(
        `${has.split("/").at(-1)}: this installation belongs to ${has}${instead}, so it stays. To remove it by hand: boardctl uninstall --owner ${has}`,
      );
      expect([isThere(), cache()]).toEqual([true, true]);
    }
  });

  test.each([
    ["its own", "p/dev/a", ["--owner", "p/dev/a"]],
    ["its own, from before owners were written down", "a", ["--owner", "p/dev/a"]],
    ["one of an earlier version, and the board is one, too", "a", []],
    ["its own, where a cut of the power took the name", "", ["--owner", "p/dev/a"]],
  ])("%s", async (_, has, words) => {
    own(has);
    const { exitCode, all } = await board.boardctl(["uninstall", ...words, "--remove-cache"]);
    expect(exitCode, all).toBe(0);
    expect([existsSync(board.at(home)), cache()]).toEqual([false, false]);
  });

  test("the delete of a step that is replaced leaves what is in use, and takes what never was", async () => {
    own("p/dev/a");
    expect((await board.boardctl(["withdraw", "--owner", "p/dev/a"])).exitCode).toBe(0);
    expect([isThere(), cache()]).toEqual([true, true]);
    rmSync(board.at(`${home}/current`));
    rmSync(board.at(`${home}/units`));
    expect((await board.boardctl(["withdraw", "--owner", "p/dev/a"])).exitCode).toBe(0);
    expect([existsSync(board.at(home)), cache()]).toEqual([false, true]);
  });
});

describe("preflight", () => {
  const words = (...more: string[]) => [
    ...["preflight", "--board", "lab", "--owner", "p/dev", "--machine", "riscv64"],
    ...["--platform", "linux/riscv64", "--network", "host", "--port", "1234"],
    ...["--cache-root", board.at("/data"), ...more],
  ];
  beforeEach(() => {
    board.program("uname", '[ "$1" = -m ] && echo riscv64 || echo 6.12');
    board.program("df", "printf 'header\\nx 1 1 999999999 1 /\\n'");
    for (const name of ["modprobe", "git", "xz", "curl"]) board.program(name, ":");
    board.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
  });

  test.each([
    [
      "another board of the stack",
      "p/dev/old",
      [],
      "this machine is the board 'old' of the same stack already, and what runs there would be taken over",
      "if the board has a new name, set formerName: old; the board goes on as it is. Otherwise correct its host",
    ],
    [
      "a board of another stack, of the same name even",
      "p/prod/lab",
      [],
      "this machine is the board 'lab' of the stack 'p/prod', and what runs there would be taken over",
      "to hand it over: formerName: p/prod/lab for this board, run the update, then take the board out of that stack, which leaves the machine alone. Otherwise correct its host",
    ],
    [
      "a board of that former name, but of another stack",
      "p/prod/old",
      ["--former", "old"],
      "this machine is the board 'old' of the stack 'p/prod', and what runs there would be taken over",
      "to hand it over: formerName: p/prod/old for this board, run the update, then take the board out of that stack, which leaves the machine alone. Otherwise correct its host",
    ],
    [
      "a board whose stack nobody knows",
      "old",
      [],
      "this machine is a board 'old' already, of a stack that did not write down its name, and what runs there would be taken over",
      "if this is that board, set formerName: old; the board goes on as it is. Otherwise correct its host",
    ],
  ])("refuses to take over %s", async (_, has, more, problem, fix) => {
    own(has);
    const { exitCode, all } = await board.sent(words(...more));
    expect(exitCode).toBe(1);
    expect(all).toBe(
      `lab: checking\n  1. ${problem}\n     fix: ${fix}\nlab: preflight found 1 problem(s), listed above; nothing was changed on this board`,
    );
    expect(owner()).toBe(`${has}\n`);
  });

  test.each([
    ["a new board", "", []],
    ["its own", "p/dev/lab", []],
    ["its own, from before owners were written down", "lab", []],
    ["one that was renamed", "p/dev/old", ["--former", "old"]],
    ["one that was renamed, from before owners were written down", "old", ["--former", "old"]],
    ["one that is handed over", "p/prod/old", ["--former", "p/prod/old"]],
    [
      "one that is handed over, from before owners were written down",
      "old",
      ["--former", "p/prod/old"],
    ],
    ["one that was renamed before, where that is still said", "p/dev/lab", ["--former", "old"]],
  ])("makes %s the stack's, and says nothing", async (_, has, more) => {
    own(has);
    const { exitCode, all } = await board.sent(words(...more));
    expect([exitCode, all]).toEqual([0, "lab: checking"]);
    expect(owner()).toBe("p/dev/lab\n");
    const { all: status } = await board.boardctl(["status"]);
    expect(status.split("\n").slice(0, 2)).toEqual(["board: lab", "stack: p/dev"]);
  });
});

test("nobody but root can have the lock, and who waited for one that was removed asks for the next", async () => {
  own("p/dev/a");
  // The holder of the lock removes everything, while another command waits.
  board.program(
    "rmdir",
    `if [ ! -e ${board.at("/waiting")} ]; then : >${board.at("/waiting")}; n=0
       while [ ! -e ${board.at("/waits")} ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done; fi
     exec /bin/rmdir "$@"`,
  );
  const script = readFileSync(board.at(`${home}/boardctl`), "utf8");
  board.write("/second.sh", script);
  executable(
    board,
    "/usr/local/sbin/flock",
    `[ -e ${board.at("/waiting")} ] && : >${board.at("/waits")}; exec /usr/bin/flock "$@"`,
  );
  const first = board.boardctl(["uninstall", "--owner", "p/dev/a"]);
  const second = execa(
    "sh",
    [
      "-c",
      `n=0; while [ ! -e ${board.at("/waiting")} ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done; exec sh ${board.at("/second.sh")} uninstall`,
    ],
    { reject: false, all: true },
  );
  expect((await first).exitCode).toBe(0);
  const { exitCode, all } = await second;
  expect(exitCode, all).toBe(0);
  expect(existsSync(board.at("/run/buildhosts"))).toBe(false);
  expect(existsSync(board.at("/run/lock/buildhosts.lock"))).toBe(false);
});

test("what removes a board is read alike by every login shell, and does nothing where there is no boardctl", async () => {
  for (const command of [uninstallCommand("p/dev/a", true), withdrawCommand("p/dev/a")]) {
    // fish and csh: no line's end, no `!`, no `'` within single quotes.
    const [before = "", quoted = "", after = "", ...rest] = command.split("'");
    expect(rest).toEqual([]);
    expect(before + after).toMatch(/^[\w .:/-]*$/);
    expect(quoted).not.toMatch(/[!\n\\]/);
    expect((await execa("sh", ["-c", command], { reject: false, all: true })).all).toBe("");
  }
});

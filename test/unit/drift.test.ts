import type Docker from "dockerode";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { boardctlId } from "../../components/board/boardctl.ts";
import { type BoardLook, lookScript, readLook } from "../../components/board/look.ts";
import { lookAtContainer, type WantedContainer } from "../../components/container/drift.ts";
import { changesAgainst } from "../../hosts/board/boardLook.ts";
import type { Stated } from "../../hosts/hostLook.ts";
import { whole } from "../../stack/drift.ts";

const answer = (...lines: string[]) => ({ code: 0, stdout: `${lines.join("\n")}\n`, stderr: "" });

describe("what a look at a board prints", () => {
  test("is read step by step, with the words as they are", () => {
    expect(
      readLook(
        answer(
          "script|0123456789ab",
          "changed|config|/etc/buildkit/buildkitd.toml was changed by hand at T",
          "changed|service|a | b",
          "changed|service|c",
        ),
      ),
    ).toEqual({
      is: "ours",
      script: "0123456789ab",
      changes: {
        config: ["/etc/buildkit/buildkitd.toml was changed by hand at T"],
        service: ["a | b", "c"],
      },
    });
  });

  test.each<[string, Parameters<typeof readLook>[0], BoardLook]>([
    [
      "of a board in sync",
      answer("script|0123456789ab"),
      { is: "ours", script: "0123456789ab", changes: {} },
    ],
    [
      "while another boardctl works",
      answer("busy"),
      { is: "unknown", reason: "another boardctl is at work there" },
    ],
    ["of another stack's", answer("of|a/b/c"), { is: "others", owner: "a/b/c" }],
    [
      "of an empty machine",
      answer("absent|B|C"),
      { is: "empty", since: "it runs since B, and the folder above changed at C" },
    ],
    [
      "where sudo asks for a password",
      { code: 1, stdout: "", stderr: "hello\nsudo: a password is required\n" },
      { is: "unknown", reason: "sudo: a password is required" },
    ],
    [
      "without a word",
      { code: undefined, stdout: "", stderr: "" },
      { is: "unknown", reason: "the look ended with status unknown" },
    ],
    ["in other words", answer("bash: hm"), { is: "unknown", reason: "the look said 'bash: hm'" }],
    [
      "of a step that there is not",
      answer("changed|x|y"),
      { is: "unknown", reason: "the look said 'changed|x|y'" },
    ],
  ])("%s is told apart", (_, run, look) => {
    expect(readLook(run)).toEqual(look);
  });

  test("comes from a script that this machine's sh can read", async () => {
    const input = lookScript.replace(/look "\$@"\n$/, "echo read\n");
    expect(input).not.toBe(lookScript);
    const { stdout } = await execa("sh", ["-s"], { input });
    expect(stdout).toBe("read");
  });
});

describe("of what a look found", () => {
  const board = { name: "b", formerName: undefined };
  const stated: Stated = new Map(
    ["preflight", "install", "config", "service"].map((step) => [
      `b-${step}`,
      { create: step === "preflight" ? "preflight --script aaaaaaaaaaaa" : step },
    ]),
  );
  const ours = (changes: object, script: string = boardctlId): BoardLook => ({
    is: "ours",
    script,
    changes,
  });

  test("the service restarts after a release or a configuration is mended, too", () => {
    expect(changesAgainst(board, ours({ install: ["i"], config: ["c"] }), stated)).toEqual({
      install: ["i"],
      config: ["c"],
      service: ["i", "c"],
    });
  });

  test("nothing is mended that no update has brought there yet", () => {
    expect(changesAgainst(board, { is: "empty", since: "S" }, new Map())).toEqual({});
    const partly: Stated = new Map([["b-preflight", { create: "" }]]);
    expect(Object.keys(changesAgainst(board, { is: "empty", since: "S" }, partly))).toEqual([
      "preflight",
    ]);
  });

  test("every step runs again on a machine that was reset, under its former name too", () => {
    const steps = ["config", "install", "preflight", "service"];
    const empty: BoardLook = { is: "empty", since: "S" };
    expect(Object.keys(changesAgainst(board, empty, stated)).sort()).toEqual(steps);
    const renamed = { name: "c", formerName: "b" };
    expect(Object.keys(changesAgainst(renamed, empty, stated)).sort()).toEqual(steps);
  });

  test("a machine of another stack is preflight's to refuse", () => {
    expect(changesAgainst(board, { is: "others", owner: "p/s/x" }, stated)).toEqual({
      preflight: ["the machine belongs to p/s/x now"],
    });
  });

  test("boardctl of an earlier version is no change by hand, and one of nobody's is", () => {
    expect(changesAgainst(board, ours({}, "aaaaaaaaaaaa"), stated)).toEqual({});
    expect(changesAgainst(board, ours({}, "bbbbbbbbbbbb"), stated)).toEqual({
      preflight: ["/usr/local/lib/buildhosts/boardctl was changed by hand (bbbbbbbbbbbb)"],
    });
  });
});

describe("the state", () => {
  test("is asked for again while the engine writes it", async () => {
    let asked = 0;
    const ask = async () => {
      asked += 1;
      if (asked < 4) throw new Error("failed to load checkpoint: EOF");
      return "read";
    };
    expect(await whole(ask, 0)).toBe("read");
    expect(asked).toBe(4);
  });

  test("that cannot be read at all ends the run with one line", async () => {
    const ask = () => Promise.reject(new Error("failed to load checkpoint: EOF\nmore"));
    await expect(whole(ask, 0)).rejects.toThrow(
      /^the stack's state cannot be read, .*: failed to load checkpoint: EOF; run it again$/,
    );
  });
});

describe("a look at a container", () => {
  const wanted: WantedContainer = {
    container: "box",
    builder: "lab",
    stack: "p/s",
    restart: "unless-stopped",
    memoryMb: 512,
    cpus: 1.5,
  };
  const labels = { "buildhosts.builder": "lab", "buildhosts.stack": "p/s" };
  const inSync = {
    Config: { Labels: labels },
    State: { Running: true },
    HostConfig: {
      RestartPolicy: { Name: "unless-stopped" },
      Memory: 512 * 1024 * 1024,
      NanoCpus: 1.5e9,
    },
  };
  /** A daemon with that container, or none; and the events that it remembers. */
  const daemon = (container: object | undefined, events: string[] = []) =>
    ({
      getContainer: () => ({
        inspect: async () => {
          if (container) return container;
          throw Object.assign(new Error("no such container"), { statusCode: 404 });
        },
      }),
      getEvents: async () => events,
    }) as unknown as Docker;

  test.each<[string, object, string[]]>([
    ["in sync", {}, []],
    ["of before the label of stacks", { Config: { Labels: { "buildhosts.builder": "lab" } } }, []],
    ["that Docker is starting again", { State: { Running: false, Restarting: true } }, []],
    [
      "that was stopped",
      { State: { Running: false, FinishedAt: "2026-11-27T18:00:01.5Z" } },
      ["the container 'box' was stopped at 2026-11-27 18:00:01 UTC"],
    ],
    [
      "that is paused",
      { State: { Running: true, Paused: true } },
      ["the container 'box' is paused"],
    ],
    [
      "with other limits and another policy",
      { HostConfig: { RestartPolicy: { Name: "" }, Memory: 0, NanoCpus: 1e9 } },
      [
        "the restart policy of the container 'box' is no, not unless-stopped",
        "the memory of the container 'box': no limit, not 512 MB",
        "the processors of the container 'box': 1, not 1.5",
      ],
    ],
  ])("%s says what somebody changed", async (_, differs, changes) => {
    const found = await lookAtContainer(daemon({ ...inSync, ...differs }), wanted);
    expect(found).toEqual({ mended: undefined, changes });
  });

  test("keeps what an earlier update has mended", async () => {
    const Config = { Labels: { ...labels, "buildhosts.mended": "earlier" } };
    expect(await lookAtContainer(daemon({ ...inSync, Config }), wanted)).toEqual({
      mended: "earlier",
      changes: [],
    });
  });

  test("says since when it is gone, by the last event of that name", async () => {
    const events = ['{"time":1}\n', '{"time":1764266400}\n'];
    expect((await lookAtContainer(daemon(undefined, events), wanted)).changes).toEqual([
      "the container 'box' was removed at 2025-11-27 18:00:00 UTC",
    ]);
  });

  test("takes another one of that name for none of the builder's", async () => {
    const Config = { Labels: { ...labels, "buildhosts.builder": "other" } };
    const { changes } = await lookAtContainer(daemon({ ...inSync, Config }), wanted);
    expect(changes).toEqual([
      expect.stringMatching(/^the container 'box' is another one than the builder's at /),
    ]);
  });
});

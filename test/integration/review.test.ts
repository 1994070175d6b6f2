// What a reviewer reads of a change, as the engine's preview has it. What each sentence says in which case is shown by
// plan.test.ts; a look at a diff of these snapshots is a look at what reviewers will see.

import { beforeAll, describe, expect, test } from "vitest";
import { anotherKey } from "./anotherKey.ts";
import { type BoardSettings, otherBuildkit, provisioned, type TestStack } from "./ground.ts";
import { on } from "./onBoard.ts";
import { wholePreview } from "./wholePreview.ts";

interface Change {
  /** What somebody changes on the board by hand, in its shell. */
  byHand?: string;
  board?: BoardSettings;
  keys?: (stack: TestStack) => Record<string, unknown>;
  args?: string[];
}

const releases = (stack: TestStack, versions: object) => ({
  "buildhosts:releases": { mirror: stack.mirrorUrl(), ...versions },
});

/** Another board beside the one that is up; a preview of it needs no host. */
function anotherBoard(stack: TestStack) {
  const { host, port, user, hostKey, platform, buildkitPort } = stack.ground.board.connection;
  const present = { name: "board", host, port, user, hostKey, platform };
  return {
    "buildhosts:driftCheck": false,
    "buildhosts:boards": [
      { ...present, endpoint: `tcp://${host}:${buildkitPort}` },
      {
        ...present,
        name: "visionfive",
        host: "192.0.2.9",
        port: 22,
        hostKey: anotherKey().publicLine,
        platform: "linux/riscv64",
      },
    ],
  };
}

describe("a reviewer reads of", () => {
  let stack: TestStack;
  beforeAll(async () => {
    ({ stack } = await provisioned());
  });

  test.each<[string, Change]>([
    ["no change", {}],
    ["a version bump", { keys: (of) => releases(of, { buildkit: otherBuildkit }) }],
    [
      "a new mirror",
      {
        board: {
          buildkitd: { registry: { "docker.io": { mirrors: ["mirror.example.com:5000"] } } },
        },
      },
    ],
    ["a new board", { keys: anotherBoard }],
    ["a renewed certificate", { args: ["--replace", "**::board-server-certificate"] }],
    ["a rename", { board: { name: "lab", formerName: "board" } }],
    ["another address", { board: { host: "localhost" } }],
    ["a board without root", { board: { rootless: true } }],
    ["a removal that takes the cache along", { board: { removeCacheOnDelete: true } }],
    ["a board that leaves", { keys: () => ({ "buildhosts:boards": [] }) }],
    ["steps that run again", { args: ["--replace", "**:remote:*::board-*"] }],
    ["a configuration that was changed by hand", { byHand: "echo >>/etc/buildkit/buildkitd.toml" }],
    ["a service that was stopped besides", { byHand: "systemctl stop buildkitd.service" }],
    ["a board that was reset", { byHand: "rm -rf /usr/local/lib/buildhosts" }],
  ])("%s", async (_, { board, keys, args = [], byHand }) => {
    if (byHand) await on(stack.ground.board, byHand);
    await stack.configure(board, keys?.(stack) ?? {});
    const preview = await stack.preview(...args);
    expect(preview.code, preview.output).toBe(0);
    expect(wholePreview(preview, stack)).toMatchSnapshot();
  });
});

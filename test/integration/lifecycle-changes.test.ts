import { beforeAll, describe, expect, test } from "vitest";
import { defaultVersions } from "../../config/versions.ts";
import { boardMachine } from "./boardPlatform.ts";
import { type Client, clientOf, dockerfile } from "./building.ts";
import { otherBuildkit, provisioned, type Scene, type TestStack } from "./ground.ts";
import { hold } from "./heldStep.ts";
import { listen } from "./listener.ts";
import { buildkitVersion, eventually, on, pidsOf } from "./onBoard.ts";

const releases = (stack: TestStack, versions: Record<string, string>) => ({
  "buildhosts:releases": { mirror: stack.mirrorUrl(), ...versions },
});

const changedBoard = { buildkitd: { log: { level: "debug" }, worker: { reservedSpace: "500MB" } } };

/** Each test begins where the one before it ended. */
describe("a builder that changes", () => {
  let board: Scene["board"];
  let stack: Scene["stack"];
  let client: Client;

  beforeAll(async () => {
    ({ board, stack } = await provisioned());
    client = await clientOf(stack);
  });

  const storedVersions = () =>
    on(board, "cd /usr/local/lib/buildhosts/store && ls -d buildkit-* | cut -d - -f 1,2");

  test("gets another configuration: the preview names it, and only buildkitd restarts", async () => {
    const { code, output } = await client.build();
    expect(code, output).toBe(0);
    const before = await pidsOf(board);
    await stack.configure(changedBoard);

    const preview = await stack.preview();
    // Preflight looks whether there is room for what is reserved.
    const steps = ["board-config", "board-preflight", "board-service"];
    expect(preview.changes.update, preview.output).toEqual(steps);
    expect(Object.keys(preview.changes).sort()).toEqual(["same", "update"]);

    const up = await stack.up();
    expect(up.changes.update, up.output).toEqual(steps);
    const after = await pidsOf(board);
    expect(after.containerd).toBe(before.containerd);
    expect(after.buildkitd).not.toBe(before.buildkitd);
    expect(await on(board, "grep -E '^(level|reservedSpace) =' /etc/buildkit/buildkitd.toml")).toBe(
      'level = "debug"\nreservedSpace = "500MB"',
    );
  });

  test("gets another BuildKit: the preview names it, containerd runs on, cache and old version stay", async () => {
    const before = await pidsOf(board);
    await stack.configure(changedBoard, releases(stack, { buildkit: otherBuildkit }));

    const preview = await stack.preview();
    expect(preview.changes.update, preview.output).toEqual(["board-install", "board-service"]);
    expect(Object.keys(preview.changes).sort()).toEqual(["same", "update"]);

    const up = await stack.up();
    expect(up.changes.update, up.output).toEqual(["board-install", "board-service"]);
    const after = await pidsOf(board);
    expect(after.containerd).toBe(before.containerd);
    expect(after.buildkitd).not.toBe(before.buildkitd);
    expect(await buildkitVersion(board)).toBe(otherBuildkit);
    expect(await storedVersions()).toBe(
      `buildkit-${otherBuildkit}\nbuildkit-${defaultVersions.buildkit}`,
    );

    const build = await client.build();
    expect(build.output).toMatch(/RUN .*\n#\d+ CACHED\n/);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
  });

  test("gets a renewed certificate: the daemon restarts, once its builds are done", async () => {
    const before = await pidsOf(board);
    const renewal = ["--replace", "**::board-server-certificate"];
    const preview = await stack.preview(...renewal);
    expect(preview.changes.replace, preview.output).toEqual(["board-server-certificate"]);
    expect(preview.changes.update).toEqual(["board-service"]);
    const certificateBefore = await on(board, "sha256sum </etc/buildkit/cert.pem");

    const end = await listen();
    const until = `${board.connection.gateway}:${end.port}`;
    const slow = client.build({ dockerfile: dockerfile("waiting"), buildArgs: { UNTIL: until } });
    await end.connected;
    // Between one look for running builds and the next.
    const step = await hold(board, "sleep", "2");
    const update = stack.up(...renewal);
    await step.reached();
    end.close();
    await step.release();
    const up = await update;
    expect(up.changes.replace, up.output).toEqual(["board-server-certificate"]);
    expect(up.changes.update).toEqual(["board-service"]);
    expect(up.output).toContain("board: waiting for 1 running build(s) before the restart");

    const build = await slow;
    expect(build.code, build.output).toBe(0);
    expect(await build.file("finished")).toBe("finished\n");
    const after = await pidsOf(board);
    expect(after.containerd).toBe(before.containerd);
    expect(after.buildkitd).not.toBe(before.buildkitd);
    expect(await on(board, "sha256sum </etc/buildkit/cert.pem")).not.toBe(certificateBefore);
    expect((await client.buildctl("debug", "workers")).code).toBe(0);
    // The version before is still there to go back to.
    expect(await storedVersions()).toBe(
      `buildkit-${otherBuildkit}\nbuildkit-${defaultVersions.buildkit}`,
    );
  });

  test("loses its power while it changes back: it comes up again by itself, and a rerun ends it", async () => {
    await stack.configure(changedBoard);
    // After the switch is on the disk, before any service was told of it.
    const step = await hold(board, "systemctl", "restart*");
    const cut = stack.up();
    await step.reached();
    await board.powerOff();
    expect((await cut).code).not.toBe(0);

    await board.start();
    await eventually("buildkitd to answer", 120, async () => {
      const { code } = await client.buildctl("debug", "workers");
      return code === 0;
    });
    expect(await on(board, "systemctl is-active containerd buildkitd")).toBe("active\nactive");
    const build = await client.build();
    expect(build.code, build.output).toBe(0);

    // What held the update was on the disk, too.
    await step.release();
    await stack.pulumi(["cancel", "--yes"]);
    const again = await stack.up();
    expect(again.code, again.output).toBe(0);
    expect(await buildkitVersion(board)).toBe(defaultVersions.buildkit);
    expect(await on(board, "ls /usr/local/lib/buildhosts/pending 2>/dev/null || echo none")).toBe(
      "none",
    );
    expect(Object.keys((await stack.up()).changes)).toEqual(["same"]);
  });
});

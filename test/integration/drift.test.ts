import { beforeAll, describe, expect, test } from "vitest";
import { clientOf } from "./building.ts";
import { defaultClient, handshake } from "./clients.ts";
import { provisioned, type Run, type Scene } from "./ground.ts";
import { buildkitVersion, drift, eventually, on, pidsOf } from "./onBoard.ts";
import { stateOf } from "./state.ts";

/** The steps that run again. */
const again = ({ changes }: Run) => changes.replace ?? [];

const store = "/usr/local/lib/buildhosts/store";

/** Each test finds the board as the one before has mended it. */
describe("what somebody changed on a board by hand", () => {
  let board: Scene["board"];
  let stack: Scene["stack"];

  beforeAll(async () => {
    ({ board, stack } = await provisioned());
  });

  /** The preview shows it, an update mends it, and after that there is no difference. */
  async function mended(steps: string[], lines: (string | RegExp)[]) {
    const preview = await stack.preview();
    expect(preview.code, preview.output).toBe(0);
    expect(drift(preview)).toEqual(
      lines.map((line) =>
        typeof line === "string"
          ? `board: ${line}; the update mends it.`
          : expect.stringMatching(line),
      ),
    );
    expect(again(preview), preview.output).toEqual(steps);
    const others = Object.keys(preview.changes).filter(
      (op) => !["same", "replace", "create-replacement", "delete-replaced"].includes(op),
    );
    expect(others, preview.output).toEqual([]);

    const up = await stack.up();
    expect(up.code, up.output).toBe(0);
    expect(again(up)).toEqual(steps);
    const after = await stack.preview();
    expect(drift(after)).toEqual([]);
    expect({ ...after.changes, same: [] }, after.output).toEqual({ same: [] });
    expect(await handshake({ board, stack }, defaultClient(await stateOf(stack)))).toBe("");
  }

  test("is nothing at first: a preview says nothing, and an update touches nothing", async () => {
    const before = await pidsOf(board);
    for (const run of [await stack.preview(), await stack.up()]) {
      expect(drift(run)).toEqual([]);
      expect({ ...run.changes, same: [] }, run.output).toEqual({ same: [] });
    }
    expect(await pidsOf(board)).toEqual(before);
    // Nor for a user who becomes root by sudo.
    await stack.configure({ user: "builder" });
    expect(drift(await stack.preview())).toEqual([]);
    await stack.configure();
  });

  test("buildkitd.toml is written anew, and the daemon that ran from the other one restarts", async () => {
    await on(
      board,
      "echo 'debug = true' >>/etc/buildkit/buildkitd.toml; systemctl restart buildkitd",
    );
    const { buildkitd } = await pidsOf(board);
    await mended(
      ["board-config", "board-service"],
      ["/etc/buildkit/buildkitd.toml was changed by hand at TIME"],
    );
    expect(await on(board, "grep -c 'debug = true' /etc/buildkit/buildkitd.toml || :")).toBe("0");
    expect((await pidsOf(board)).buildkitd).not.toBe(buildkitd);
  });

  test("a program is fetched anew, and a link leads to it again", async () => {
    const binary = `${await on(board, `echo ${store}/buildkit-*`)}/bin/buildctl`;
    await on(
      board,
      `echo >>${binary}; rm /usr/local/bin/buildkitd; cp /bin/true /usr/local/bin/buildkitd`,
    );
    await mended(
      ["board-install", "board-service"],
      [
        `${binary} was changed by hand at TIME`,
        "/usr/local/bin/buildkitd was changed by hand at TIME",
      ],
    );
    expect(await buildkitVersion(board)).toMatch(/^v/);
    expect(await on(board, "readlink /usr/local/bin/buildkitd")).toContain("/current/");
  });

  test("units, and what hides or changes them, are as they were; what was put there is put aside", async () => {
    const { containerd, buildkitd } = await pidsOf(board);
    await on(
      board,
      `sed -i 's/^Restart=.*/Restart=no/' /usr/local/lib/systemd/system/buildkitd.service
      mkdir -p /etc/systemd/system/buildkitd.service.d
      printf '[Service]\\nEnvironment=A=B\\n' >/etc/systemd/system/buildkitd.service.d/override.conf
      systemctl daemon-reload`,
    );
    await mended(
      ["board-service"],
      [
        "/usr/local/lib/systemd/system/buildkitd.service was changed by hand at TIME",
        "/etc/systemd/system/buildkitd.service.d/override.conf changes a unit of buildhosts since TIME",
      ],
    );
    expect(
      await on(board, "systemctl show --property=Environment --value buildkitd"),
    ).not.toContain("A=B");
    expect(
      await on(
        board,
        "cat /usr/local/lib/buildhosts/displaced/etc/systemd/system/buildkitd.service.d/*",
      ),
    ).toContain("Environment=A=B");
    const after = await pidsOf(board);
    expect(after.buildkitd).not.toBe(buildkitd);
    expect(after.containerd).toBe(containerd);
  });

  test("a certificate and the mode of its key are as they were", async () => {
    await on(board, "echo >>/etc/buildkit/cert.pem; chmod 644 /etc/buildkit/key.pem");
    await mended(
      ["board-service"],
      [
        "/etc/buildkit/key.pem was changed by hand at TIME",
        "/etc/buildkit/key.pem has the mode 644 of root, not 600 of root, since TIME",
      ],
    );
    expect(await on(board, "stat -L -c %a /etc/buildkit/key.pem")).toBe("600");
  });

  test("a service that was stopped, disabled or masked runs again", async () => {
    await on(board, "systemctl disable --now buildkitd.service; systemctl mask containerd.service");
    await mended(
      ["board-service"],
      [
        /^board: \/etc\/systemd\/system\/containerd\.service changes a unit of buildhosts/,
        "buildkitd.service was disabled at TIME",
        /^board: buildkitd\.service is (?:inactive|failed) since .*; the update mends it\.$/,
      ],
    );
    expect(await on(board, "systemctl is-enabled buildkitd containerd")).toBe("enabled\nenabled");
    expect(await on(board, "systemctl is-active buildkitd containerd")).toBe("active\nactive");
  });

  test("boardctl itself is put back", async () => {
    await on(board, "echo '# more' >>/usr/local/lib/buildhosts/boardctl");
    await mended(["board-preflight"], [/boardctl was changed by hand/]);
  });

  test("a program that took the port is told, and the update says what to do about it", async () => {
    await on(
      board,
      "systemctl stop buildkitd; systemd-run --unit=squatter systemd-socket-activate -l 1234 /bin/cat",
    );
    const isTaken = async () =>
      (await board.ssh("grep -qs ':04D2 .* 0A ' /proc/net/tcp /proc/net/tcp6")).code === 0;
    await eventually("the port to be taken", 30, isTaken);
    const preview = await stack.preview();
    expect(drift(preview)).toEqual([
      expect.stringMatching(
        /^board: port 1234 is taken by systemd-socket- \(pid \d+\); stop that program, or choose/,
      ),
      expect.stringMatching(/buildkitd\.service is (?:inactive|failed)/),
    ]);
    expect(again(preview)).toEqual(["board-preflight", "board-service"]);
    const up = await stack.up();
    expect(up.code).not.toBe(0);
    expect(up.output).toMatch(/port 1234 is taken by systemd-socket-/);
    await on(board, "systemctl stop squatter");
    await mended(["board-service"], [/buildkitd\.service is (?:inactive|failed)/]);
  });

  test("is left alone, and not looked for, where the stack says so", async () => {
    await on(board, "systemctl stop buildkitd");
    await stack.configure({}, { "buildhosts:driftCheck": false });
    const preview = await stack.preview();
    expect(drift(preview)).toEqual([]);
    expect(Object.keys(preview.changes), preview.output).toEqual(["same"]);
    await stack.configure();
    await mended(["board-service"], [/buildkitd\.service is (?:inactive|failed)/]);
  });

  test("is seen by a refresh, which changes nothing", async () => {
    await on(board, "systemctl stop buildkitd");
    const refresh = await stack.operation(["refresh", "--yes", "--skip-preview", "--run-program"]);
    expect(refresh.code, refresh.output).toBe(0);
    // The engine prints it while it runs, and at its end.
    expect([...new Set(drift(refresh))]).toEqual([
      expect.stringMatching(/buildkitd\.service is (?:inactive|failed)/),
    ]);
    await mended(["board-service"], [/buildkitd\.service is (?:inactive|failed)/]);
  });

  test("is not known of a board that does not answer, which is said once and no reason to fail", async () => {
    await stack.configure({ port: 1 });
    const preview = await stack.preview();
    expect(preview.code, preview.output).toBe(0);
    expect(drift(preview)).toEqual([
      expect.stringMatching(
        /^board: whether somebody changed it by hand is not known: .*ECONNREFUSED/,
      ),
    ]);
    await stack.configure();
  });

  test("a board that was reset is seen as such, and a plain update makes it a builder", async () => {
    await board.restore("booted");
    const steps = ["board-config", "board-install", "board-preflight", "board-service"];
    await mended(steps, [
      /^board: nothing of buildhosts is on the machine any more: it runs since TIME/,
    ]);
    const build = await (await clientOf(stack)).build();
    expect(build.code, build.output).toBe(0);
  });
});

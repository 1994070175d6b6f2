import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { installCommand } from "../../components/board/commands.ts";
import { type ReleaseComponent, release } from "../../components/board/releases.ts";
import { type Fault, type Mirror, startMirror } from "../../proving-ground/mirror/mirror.ts";
import { boardArchitecture, boardPlatform } from "./boardPlatform.ts";
import { type Client, defaultClient, handshake } from "./clients.ts";
import { type FakeRelease, makeFakeReleases } from "./fakeReleases.ts";
import { provisioned, type Scene } from "./ground.ts";
import { doNotIntercept, intercept, killAt } from "./heldStep.ts";
import { on, pidsOf } from "./onBoard.ts";
import { stateOf } from "./state.ts";

// Releases of a few bytes from a mirror of the test's own, which misbehaves; installed by the very
// command that the engine would send.

const VERSION = "v9.9.9";
/** 30 MB on the board, a few kB in the archive. */
const BULKY = "v9.9.8";
const program = "#!/bin/sh\necho fake\n";

let scene: Scene;
let client: Client;
let mirror: Mirror;
let folder: string;
let pids: unknown;
const faults: Fault[] = [];

beforeAll(async () => {
  scene = await provisioned();
  client = defaultClient(await stateOf(scene.stack));
  folder = await mkdtemp(join(scene.stack.ground.folder, "fakes-"));
  const one = (project: FakeRelease["project"], version = VERSION): FakeRelease => ({
    project,
    version,
    files: { [`bin/${project}`]: program },
  });
  const zeros = new Uint8Array(30_000_000);
  await makeFakeReleases(folder, [
    one("containerd"),
    one("runc"),
    one("buildkit"),
    one("rootlesskit"),
    { project: "buildkit", version: BULKY, files: { "bin/buildkitd": zeros } },
    { project: "runc", version: BULKY, files: { "bin/runc": zeros } },
  ]);
  mirror = await startMirror({ directories: [folder], faults });
  pids = await pidsOf(scene.board);
});

afterAll(() => mirror?.close());

afterEach(async () => {
  faults.length = 0;
  // Whatever happened: no temporaries, no half release, the same processes, clients served.
  expect(await on(scene.board, "ls -A /usr/local/lib/buildhosts/spool")).toBe("");
  expect(await pidsOf(scene.board)).toEqual(pids);
  expect(await handshake(scene, client)).toBe("");
});

/** Installs releases from the test's mirror; `sha256` stands for a checksum that the stack names. */
function install(components: ReleaseComponent[], { version = VERSION, sha256 = "" } = {}): string {
  const url = scene.stack.mirrorUrl(mirror);
  return installCommand(
    components.map((component) => {
      const one = release(component, version, boardPlatform);
      return {
        release: one,
        url: `${url}/${one.path}`,
        checksum: sha256 ? `sha256:${sha256}` : `${url}/${one.checksumPath}`,
      };
    }),
  );
}

/** Names of the releases in the store, of the versions that only this test knows. */
function stored(): Promise<string> {
  return on(scene.board, "ls /usr/local/lib/buildhosts/store | grep -F v9.9. || :");
}

/** The last line, with the first reason of all. */
const stoppedBecause = (reason: RegExp) =>
  new RegExp(
    `^board: the installation stopped: ${reason.source}; the running service was not touched$`,
    "m",
  );

describe("an installation is refused before anything live is touched, and can be run again:", () => {
  test("a stall, a 404, a corrupted and a truncated file, all in one installation", async () => {
    faults.push(
      { match: /containerd-.*\.tar\.gz$/, kind: "stall" },
      { match: new RegExp(`runc\\.${boardArchitecture}$`), kind: "status", status: 404 },
      { match: /buildkit-.*\.tar\.gz$/, kind: "corrupt" },
      { match: /rootlesskit-.*\.tar\.gz$/, kind: "truncate" },
    );
    const started = performance.now();
    const all: ReleaseComponent[] = ["containerd", "runc", "buildkit", "rootlesskit"];
    const { code, stderr } = await scene.board.ssh(install(all));
    expect(code).toBe(1);
    expect(stderr).toMatch(/board: containerd v9\.9\.9: http:\S+ stalled: no progress for 15 s/);
    expect(stderr).toMatch(
      new RegExp(
        `board: runc v9\\.9\\.9: http:\\S+runc\\.${boardArchitecture} does not exist \\(404\\): no such version`,
      ),
    );
    expect(stderr).toMatch(
      /board: buildkit v9\.9\.9: http:\S+ has the sha256 [0-9a-f]{64}, but http:\S+provenance\.json says [0-9a-f]{64}: .*nothing was installed/,
    );
    expect(stderr).toMatch(/board: rootlesskit v9\.9\.9: http:\S+ was cut short/);
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(
      stoppedBecause(/(containerd|runc|buildkit|rootlesskit) v9\.9\.9: http.*/),
    );
    // Once more after the first 15 s without progress, and not for ever.
    expect((performance.now() - started) / 1000).toBeLessThan(60);
    expect(await stored()).toBe("");

    faults.length = 0;
    const again = await scene.board.ssh(install(all));
    expect(again.stderr.match(/is installed \(sha256 verified\)/g), again.stderr).toHaveLength(4);
    expect(again.code).toBe(0);
    expect((await stored()).split("\n")).toHaveLength(4);
    await on(scene.board, "rm -rf /usr/local/lib/buildhosts/store/*-v9.9.9-*");
  });

  test("a mirror that answers 500, and a checksum file that does not exist", async () => {
    faults.push(
      { match: /containerd-.*\.tar\.gz$/, kind: "status", status: 500 },
      { match: /runc\.sha256sum$/, kind: "status", status: 404 },
    );
    const { code, stderr } = await scene.board.ssh(install(["containerd", "runc"]));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /containerd v9\.9\.9: http:\S+ answered with status 500: check the mirror/,
    );
    expect(stderr).toMatch(/runc v9\.9\.9: its checksum: http:\S+runc\.sha256sum does not exist/);
    expect(await stored()).toBe("");
  });

  test("a checksum file that does not name the file", async () => {
    const { folder: path, checksums } = {
      folder: "opencontainers/runc/releases/download/v9.9.7",
      checksums: "runc.sha256sum",
    };
    await makeFakeReleases(folder, [
      { project: "runc", version: "v9.9.7", files: { "bin/runc": program } },
    ]);
    await writeFile(join(folder, path, checksums), `${"0".repeat(64)}  runc.other\n`);
    const { code, stderr } = await scene.board.ssh(install(["runc"], { version: "v9.9.7" }));
    expect(stderr).toMatch(
      new RegExp(
        `runc v9\\.9\\.7: \\S+runc\\.sha256sum names no sha256 for runc\\.${boardArchitecture}`,
      ),
    );
    expect(stderr).toContain("give it in releases.checksums");
    expect(code).toBe(1);
  });

  test("a sha256 in the stack that is not the file's", async () => {
    const { code, stderr } = await scene.board.ssh(install(["runc"], { sha256: "0".repeat(64) }));
    expect(stderr).toMatch(/has the sha256 [0-9a-f]{64}, but the stack says 0{64}/);
    expect(code).toBe(1);
    expect(await stored()).toBe("");
  });

  test("a disk with no room for what it would become: nothing is downloaded", async () => {
    const script = `unshare -m sh -c 'mount -t tmpfs -o size=10m none /usr/local/lib/buildhosts/spool
      ${install(["buildkit"], { version: BULKY })}; code=$?
      ls -A /usr/local/lib/buildhosts/spool; exit $code'`;
    const { code, stdout, stderr } = await scene.board.ssh(script);
    expect([code, stdout, stderr.trimEnd()]).toEqual([
      1,
      "",
      "board: the installation stopped: only 10 MB are free for /usr/local/lib/buildhosts; 400 MB are needed for buildkit v9.9.8: free disk space there; the running service was not touched",
    ]);
  });

  test.each([
    [
      "unpacking",
      "buildkit",
      /buildkit v9\.9\.8: unpacking failed: tar: .+; is the disk full\? \(\d MB free\)/,
    ],
    ["downloading", "runc", /runc v9\.9\.8: cannot write the download of \S+: is the disk full\?/],
  ] as const)("a disk that fills while %s", async (_, component, says) => {
    // The look beforehand finds room, which somebody else takes meanwhile.
    await intercept(
      scene.board,
      "df",
      "*",
      "[ -e /run/looked ] || { : >/run/looked; printf 'h\\nx 1 1 999999999 1 /\\n'; exit 0; }",
    );
    const script = `unshare -m sh -c 'mount -t tmpfs -o size=10m none /usr/local/lib/buildhosts/spool
      ${install([component], { version: BULKY })}; code=$?
      ls -A /usr/local/lib/buildhosts/spool; exit $code'`;
    const { code, stdout, stderr } = await scene.board.ssh(script);
    await doNotIntercept(scene.board, "df");
    await on(scene.board, "rm /run/looked");
    expect(stderr).toMatch(says);
    expect(stderr).toMatch(stoppedBecause(new RegExp(`${component} v9\\.9\\.8: .*`)));
    expect(stdout).toBe("");
    expect(code).toBe(1);
    expect(await stored()).toBe("");
  });

  test.each([
    ["the download", "curl", "*v9.9.9*"],
    ["the unpacking", "tar", "*buildkit-v9.9.9*"],
    ["the move into the store", "mv", "*store/buildkit-v9.9.9-*"],
  ])("a script that is killed during %s", async (_, step, pattern) => {
    const { board } = scene;
    const { code } = await killAt(board, step, pattern, {
      create: install(["buildkit"]),
      stdin: "",
    });
    expect(code).not.toBe(0);
    expect(await stored()).toBe("");
    expect(await pidsOf(board)).toEqual(pids);
    // What the kill left in the spool goes with the next run.
    const again = await board.ssh(install(["buildkit"]));
    expect(again.stderr).toContain("buildkit v9.9.9 is installed (sha256 verified)");
    expect(again.code).toBe(0);
    await on(board, "rm -rf /usr/local/lib/buildhosts/store/*-v9.9.9-*");
  });
});

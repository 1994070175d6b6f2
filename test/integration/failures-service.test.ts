import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bundleId } from "../../components/board/bundle.ts";
import { installCommand, stageConfigCommand } from "../../components/board/commands.ts";
import { type ReleaseComponent, release } from "../../components/board/releases.ts";
import { type Mirror, startMirror } from "../../proving-ground/mirror/mirror.ts";
import { boardPlatform } from "./boardPlatform.ts";
import { defaultClient, handshake } from "./clients.ts";
import { makeFakeReleases } from "./fakeReleases.ts";
import { clean, provisioned, type Scene } from "./ground.ts";
import { killAt } from "./heldStep.ts";
import { on, pidsOf } from "./onBoard.ts";
import { type BoardCommand, type State, stateOf } from "./state.ts";

// What becomes of the service when the step that puts something new to use fails or is killed. The
// steps are those of the stack, sent over one connection; new versions are shell scripts.

const EXITS = "v9.1.1";
const IS_DEAF = "v9.1.2";

const buildctl = `#!/bin/sh
[ "$1" != --version ] || { echo v9; exit 0; }
for real in /usr/local/lib/buildhosts/store/buildkit-v0.34*/bin/buildctl; do exec "$real" "$@"; done
`;
const says = '[ "$1" != --version ] || { echo v9; exit 0; }\n';
const ready = "systemd-notify --ready; exec sleep infinity\n";

let scene: Scene;
let state: State;
let mirror: Mirror;

beforeAll(async () => {
  scene = await provisioned();
  state = await stateOf(scene.stack);
  const folder = await mkdtemp(join(scene.stack.ground.folder, "fakes-"));
  await makeFakeReleases(folder, [
    {
      project: "buildkit",
      version: EXITS,
      files: {
        "bin/buildctl": buildctl,
        "bin/buildkitd": `#!/bin/sh\n${says}echo 'buildkitd: the cabinet is locked' >&2\nexit 1\n`,
      },
    },
    {
      project: "buildkit",
      version: IS_DEAF,
      files: {
        "bin/buildctl": buildctl,
        "bin/buildkitd": `#!/bin/sh\n${says}echo 'buildkitd: hears nothing' >&2\n${ready}`,
      },
    },
    {
      project: "containerd",
      version: EXITS,
      files: { "bin/containerd": `#!/bin/sh\n${says}${ready}` },
    },
    { project: "runc", version: EXITS, files: { "bin/runc": `#!/bin/sh\n${says}` } },
  ]);
  mirror = await startMirror({ directories: [folder] });
});

afterAll(() => mirror?.close());

function install(components: ReleaseComponent[], version: string): string {
  const url = scene.stack.mirrorUrl(mirror);
  return installCommand(
    components.map((component) => {
      const one = release(component, version, boardPlatform);
      return { release: one, url: `${url}/${one.path}`, checksum: `${url}/${one.checksumPath}` };
    }),
  );
}

/** The service step of the stack with another part of it changed; what it selects by its name is there. */
const changes = {
  async buildkit(version: string): Promise<BoardCommand> {
    await on(scene.board, install(["buildkit"], version));
    const { create, stdin } = state.command("service");
    return { create: create.replace(/--buildkit \S+/, `--buildkit ${version}`), stdin };
  },
  async toml(line: string): Promise<BoardCommand> {
    const text = state
      .command("config")
      .stdin.replace("==> buildkitd.toml <==\n", (marker) => `${marker}${line}\n`);
    const { code, stderr } = await scene.board.ssh(stageConfigCommand(bundleId(text)), text);
    if (code !== 0) throw new Error(stderr);
    const { create, stdin } = state.command("service");
    return { create: create.replace(/--config \S+/, `--config ${bundleId(text)}`), stdin };
  },
  /** The server shows a client's certificate: its key fits, but not its use and its name. */
  async certificate(): Promise<BoardCommand> {
    const { cert, key } = defaultClient(state);
    const { create, stdin } = state.command("service");
    return { create, stdin: section(section(stdin, "cert.pem", cert), "key.pem", key) };
  },
};

/** The bundle with one of its files exchanged. */
function section(bundle: string, name: string, text: string): string {
  const pattern = new RegExp(`(==> ${name.replace(".", "\\.")} <==\\n)[\\s\\S]*?(?===> )`);
  if (!pattern.test(bundle)) throw new Error(`the bundle has no ${name}`);
  return bundle.replace(pattern, (_, marker) => `${marker}${text.trimEnd()}\n`);
}

function used(part: string): Promise<string> {
  return on(scene.board, `basename "$(readlink -f /usr/local/lib/buildhosts/current/${part})"`);
}

const PENDING = "ls /usr/local/lib/buildhosts | grep -x pending || :";

describe("an unhealthy change goes back to what ran before, by itself:", () => {
  beforeEach(async () => {
    expect(await handshake(scene, defaultClient(state))).toBe("");
  });

  test.each<[string, () => Promise<BoardCommand>, (string | RegExp)[]]>([
    [
      "a buildkitd that ends at once",
      () => changes.buildkit(EXITS),
      ["buildkitd.service is not healthy", "    buildkitd: the cabinet is locked"],
    ],
    [
      "a buildkitd that starts, but answers nobody",
      () => changes.buildkit(IS_DEAF),
      [/buildkitd.service is not healthy: .*connection refused/, "    buildkitd: hears nothing"],
    ],
    [
      "a buildkitd.toml that buildkitd refuses",
      () => changes.toml('debug = "perhaps"'),
      [
        "buildkitd.service is not healthy",
        /^ {4}buildkitd: .*\n {4}buildkitd\.service: Main process exited/m,
      ],
    ],
    [
      "a certificate that clients do not accept",
      () => changes.certificate(),
      [/buildkitd.service is not healthy: .*certificate/],
    ],
  ])("%s", async (_, change, says) => {
    const { board } = scene;
    const before = {
      buildkit: await used("buildkit"),
      config: await used("config"),
      certificates: await used("certificates"),
      containerd: (await pidsOf(board)).containerd,
    };
    const { create, stdin } = await change();
    const { code, stderr } = await board.ssh(create, stdin);
    expect(stderr).toContain("returning to what ran before");
    for (const words of says) expect(stderr).toMatch(words);
    expect(stderr).toContain("what ran before runs again and is healthy");
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(
      /^board: the update failed: buildkitd\.service is not healthy: ./,
    );
    expect(code).toBe(1);
    expect(await handshake(scene, defaultClient(state))).toBe("");
    expect({
      buildkit: await used("buildkit"),
      config: await used("config"),
      certificates: await used("certificates"),
      containerd: (await pidsOf(board)).containerd,
    }).toEqual(before);
    expect(await on(board, PENDING)).toBe("");
    expect(await on(board, "buildkitd --version")).toContain("v0.34.2");
  });
});

test("killed before the switch, after it and in the health check, a change is finished by the next run", async () => {
  const { board } = scene;
  const client = defaultClient(state);
  const pids = await pidsOf(board);
  const config = state.command("config").stdin;
  const text = config.replace("==> buildkitd.toml <==\n", (marker) => `${marker}debug = false\n`);
  const stage = { create: stageConfigCommand(bundleId(text)), stdin: text };

  await killAt(board, "mv", "*store/config-*", stage);
  await killAt(board, "mv", "*store/certificates-*", {
    create: state.command("service").create,
    stdin: section(state.command("service").stdin, "validity", "0 9999999999"),
  });
  expect(await pidsOf(board)).toEqual(pids);
  const change = await changes.toml("debug = false");

  await killAt(board, "mv", "*/current.buildhosts-new*", change);
  expect(await pidsOf(board)).toEqual(pids);
  expect(await used("config")).not.toBe(`config-${bundleId(text)}`);

  await killAt(board, "systemctl", "restart*", change);
  expect(await pidsOf(board)).toEqual(pids);
  expect(await handshake(scene, client)).toBe("");

  await killAt(board, "timeout", '*"debug workers"*', change);
  expect(await handshake(scene, client)).toBe("");
  expect(await on(board, PENDING)).toBe("pending");

  const { code, stderr } = await board.ssh(change.create, change.stdin);
  expect(stderr).toContain("board: healthy: buildkitd answers");
  expect(code).toBe(0);
  expect(await used("config")).toBe(`config-${bundleId(text)}`);
  expect(await on(board, PENDING)).toBe("");
  expect(await on(board, "ls -A /usr/local/lib/buildhosts/spool")).toBe("");
  expect(await handshake(scene, client)).toBe("");
});

test("a first installation that is unhealthy leaves no service behind", async () => {
  const { command } = state;
  scene = await clean();
  const { board } = scene;
  const step = async ({ create, stdin }: BoardCommand) => {
    const { code, stderr } = await board.ssh(create, stdin);
    expect(stderr).not.toContain("fail");
    expect(code, stderr).toBe(0);
  };
  await step(command("preflight"));
  await step({ create: install(["containerd", "runc", "buildkit"], EXITS), stdin: "" });
  await step(command("config"));
  const { create, stdin } = command("service");
  const { code, stderr } = await board.ssh(
    create.replace(/--(containerd|runc|buildkit) \S+/g, `--$1 ${EXITS}`),
    stdin,
  );
  expect(stderr).toContain("    buildkitd: the cabinet is locked");
  expect(stderr).toContain("nothing ran before; the services were stopped and their units removed");
  expect(code).toBe(1);
  expect(await pidsOf(board)).toEqual({ containerd: 0, buildkitd: 0 });
  expect(
    await on(
      board,
      "systemctl list-unit-files --no-legend 'containerd*' 'buildkitd*'; ls /etc/systemd/system/*.wants | grep -E 'containerd|buildkitd' || :; systemctl --failed --no-legend",
    ),
  ).toBe("");
});

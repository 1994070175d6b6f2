import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bundle } from "../../components/board/bundle.ts";
import {
  activation,
  certificateFiles,
  certificates,
  executable,
  folderOf,
  home,
  putRelease,
  putReleases,
  stageConfig,
} from "./boardSteps.ts";
import { type FakeBoard, fakeBoard } from "./fakeBoard.ts";

// What is in the store is whole and runs, or it is not put to use; and putting it to use loses nothing.

let board: FakeBoard;
beforeEach(() => {
  board = fakeBoard();
});
afterEach(() => board.remove());

const stored = (component: string) =>
  readdirSync(board.at(`${home}/store`)).filter((name) => name.startsWith(`${component}-`));
const text = (path: string) => readFileSync(board.at(path), "utf8");
const calls = () => (existsSync(board.at("/calls")) ? text("/calls") : "");
const ok = async (running: PromiseLike<{ exitCode?: number; all: string }>) => {
  const { exitCode, all } = await running;
  expect(exitCode, all).toBe(0);
  return all;
};

/** A file of `pushed`, as the words of an install. */
async function pushed(script: string, asset = "runc.riscv64"): Promise<string[]> {
  const path = `${home}/pushed/${asset}`;
  board.write(path, script);
  const { stdout } = await execa("sha256sum", [board.at(path)]);
  return [`file://${board.at(path)}`, `sha256:${stdout.split(" ")[0]}`];
}

describe("a release", () => {
  const runs = "#!/bin/sh\necho runc 1.5.2\n";
  const install = async (version: string, script = runs) =>
    board.boardctl(["install", "runc", version, ...(await pushed(script))]);

  test.each([
    ["says nothing, as an empty file", "", "runc does not run on this machine: it says nothing"],
    [
      "is a program of another machine",
      "#!/no/such\n",
      "runc does not run on this machine: timeout: failed to run command",
    ],
    [
      "ends with an error",
      "#!/bin/sh\necho illegal instruction; exit 132\n",
      "runc does not run on this machine: illegal instruction",
    ],
  ])("is not installed where it %s", async (_, script, reason) => {
    const { exitCode, all } = await install("v1", script);
    expect(exitCode).toBe(1);
    expect(all).toContain(`board: runc v1: ${reason}`);
    expect(all.split("\n").at(-1)).toMatch(
      /^board: the installation stopped: runc v1: runc does not run .*; nothing was installed; the running service was not touched$/,
    );
    expect(stored("runc")).toEqual([]);
  });

  test("is on the disk before it has its name in the store, with the sums of its files", async () => {
    board.program(
      "sync",
      `ls ${board.at(`${home}/store`)} >>${board.at("/synced")}; echo done >>${board.at("/synced")}`,
    );
    await ok(install("v1"));
    expect(text("/synced")).toBe("done\n");
    const folder = `${home}/store/${stored("runc")[0]}`;
    const { stdout } = await execa("cksum", ["bin/runc"], { cwd: board.at(folder) });
    expect(text(`${folder}/sums`)).toBe(`${stdout}\n`);
  });

  test("is not its pre-release", async () => {
    putReleases(board);
    rmSync(board.at(folderOf("containerd", "v2")), { recursive: true });
    putRelease(board, "containerd", "v2-rc1");
    const config = await stageConfig(board, { "buildkitd.toml": "" });
    const { exitCode, all } = await board.boardctl(activation("v1", config), certificates);
    expect(exitCode).toBe(1);
    expect(all.split("\n").at(-1)).toBe(
      "board: containerd v2 is not on the board any more, though the stack's state says so (was the board reset?): make its steps run again with pulumi up --replace '**:remote:*::board-*' (docs/operations.md, 'A board was reset')",
    );
    const words = activation("v1", config).map((word) => (word === "v2" ? "v2-rc1" : word));
    await ok(board.boardctl(words, certificates));
  });

  test("is looked through once, and again after each boot and each change", async () => {
    const reads = () => (existsSync(board.at("/read")) ? text("/read").split("\n").length - 1 : 0);
    board.program("cksum", `echo "$*" >>${board.at("/read")}; exec /usr/bin/cksum "$@"`);
    await ok(install("v1"));
    const once = reads();
    await ok(install("v1"));
    expect(reads()).toBe(once);
    rmSync(board.at("/run/buildhosts"), { recursive: true });
    await ok(install("v1"));
    expect(reads()).toBe(once + 1);
    await ok(install("v1"));
    expect(reads()).toBe(once + 1);
  });

  test.each([
    ["cut off", (whole: string) => whole.slice(0, 12)],
    ["empty", () => ""],
    [
      "of the same length with another byte in it",
      (whole: string) => whole.replace("1.5.2", "1.5.3"),
    ],
  ])("that is damaged is installed again: %s", async (_, damaged) => {
    await ok(install("v1"));
    const file = board.at(`${home}/store/${stored("runc")[0]}/bin/runc`);
    writeFileSync(file, damaged(runs));
    expect(await ok(install("v1"))).toBe(
      "board: runc v1 is damaged on this board: its files are not what was unpacked; it is fetched again\nboard: runc v1 is installed (sha256 verified)",
    );
    expect(readFileSync(file, "utf8")).toBe(runs);
  });
});

describe("what is put to use", () => {
  let config: string;
  const activate = (words: string[] = [], id = config, stdin = certificates) =>
    board.boardctl(activation("v1", id, words), stdin);
  beforeEach(async () => {
    putReleases(board);
    config = await stageConfig(board, { "buildkitd.toml": "" });
  });

  test("was found whole: a damaged program is fetched from where it came, and never switched to", async () => {
    await ok(activate());
    const folder = folderOf("buildkit", "v1");
    const other = await stageConfig(board, { "buildkitd.toml": "other" });
    const before = (await execa("readlink", [board.at(`${home}/current`)])).stdout;
    writeFileSync(board.at(`${folder}/bin/buildkitd`), "");
    const { exitCode, all } = await activate([], other);
    expect(exitCode).toBe(1);
    expect(all).toBe(
      "board: buildkit v1 is damaged on this board: its files are not what was unpacked; make the board's steps run again, so that it is fetched again: pulumi up --replace '**:remote:*::board-*' (docs/operations.md, 'A board was reset')",
    );
    expect((await execa("readlink", [board.at(`${home}/current`)])).stdout).toBe(before);
  });

  test("is fetched again where it is known from where", async () => {
    const script = "#!/bin/sh\necho runc 1.0\n";
    const words = await pushed(script);
    const url = "http://mirror.lan/runc.riscv64";
    executable(
      board,
      "/usr/local/sbin/curl",
      `echo "$http_proxy" >>${board.at("/calls")}
       while [ $# -gt 1 ]; do [ "$1" != --output ] || printf '#!/bin/sh\\necho runc 1.0\\n' >"$2"; shift; done`,
    );
    rmSync(board.at(folderOf("runc", "v1")), { recursive: true });
    await ok(
      board.boardctl([
        "install",
        "--proxy",
        "http_proxy=http://p:1",
        "runc",
        "v1",
        url,
        words[1] ?? "",
      ]),
    );
    await ok(activate());
    const file = board.at(`${home}/store/${stored("runc")[0]}/bin/runc`);
    writeFileSync(file, "");
    const said = await ok(activate());
    expect(said.split("\n").slice(0, 2)).toEqual([
      "board: runc v1 is damaged on this board: its files are not what was unpacked; it is fetched again",
      "board: runc v1 is installed (sha256 verified)",
    ]);
    expect(readFileSync(file, "utf8")).toBe(script);
    expect(calls().match(/^http:\/\/p:1$/gm)).toHaveLength(2);
  });

  test("of an earlier version, which kept no sums, is whole if it runs", async () => {
    await ok(activate());
    expect(text(`${folderOf("runc", "v1")}/sums`)).toMatch(/^\d+ \d+ bin\/runc\n$/);
    rmSync(board.at(`${folderOf("runc", "v1")}/sums`));
    writeFileSync(board.at(`${folderOf("runc", "v1")}/bin/runc`), "");
    const { exitCode, all } = await activate();
    expect(exitCode).toBe(1);
    expect(all).toContain(
      "board: runc v1 is damaged on this board: runc is empty; make the board's",
    );
  });

  test("executes one step of a build before it counts as healthy, once, and leaves nothing of it in the cache", async () => {
    const asked = () => {
      const lines = text("/asked").split("\n").filter(Boolean);
      writeFileSync(board.at("/asked"), "");
      return lines.map((line) =>
        line.replace(/^--addr .*client-key\.pem /, "").replace(/=\S+(?=\/step$)/, "=FOLDER"),
      );
    };
    expect(await ok(activate())).toContain(
      "board: healthy: buildkitd answers on tcp://127.0.0.1:1234 over mutual TLS, and ran a step of a build",
    );
    const step = [
      "debug workers",
      "build --no-cache --progress plain --local buildhosts-health=FOLDER/step",
      "prune --filter description~=buildhosts-health",
    ];
    expect(asked()).toEqual(["--version", ...step]);
    // Nothing restarts any more: the services are found active.
    board.program("systemctl", `echo "systemctl $*" >>${board.at("/calls")}; :`);
    expect(await ok(activate())).toMatch(/ over mutual TLS$/);
    expect(asked()).toEqual(["debug workers"]);
    const other = await stageConfig(board, { "buildkitd.toml": "other" });
    await ok(activate([], other));
    expect(asked()).toEqual(step);
  });

  test("goes back to what ran before when no step runs, and the last line has the reason", async () => {
    await ok(activate());
    putRelease(board, "buildkit", "v3");
    executable(
      board,
      `${folderOf("buildkit", "v3")}/bin/buildctl`,
      `case "$*" in *" build "*) echo "#2 1.1 runc run failed: no such device" >&2; echo 'error: failed to solve: exit code: 1' >&2; exit 1 ;; esac
       printf 'ID\\nworker\\n'`,
    );
    const { exitCode, all } = await board.boardctl(activation("v3", config), certificates);
    expect(exitCode).toBe(1);
    const lines = all.split("\n");
    const reason = "a step of a build does not run: runc run failed: no such device";
    expect(lines).toContain(`board: buildkitd.service is not healthy: ${reason}`);
    expect(lines).toContain("board: what ran before runs again and is healthy");
    expect(lines.at(-1)).toBe(
      `board: the update failed: buildkitd.service is not healthy: ${reason}`,
    );
  });

  test("is not called unhealthy because other builds have all the room there is", async () => {
    await ok(activate());
    board.program("systemctl", ":");
    board.program(
      "timeout",
      'case "$*" in *" build "*) exit 124 ;; esac; exec /usr/bin/timeout "$@"',
    );
    executable(
      board,
      `${folderOf("buildkit", "v1")}/bin/buildctl`,
      "echo STARTED a b; printf 'ID\\nworker\\n'",
    );
    rmSync(board.at(`${folderOf("buildkit", "v1")}/sums`));
    putRelease(board, "runc", "v2");
    const words = activation("v1", config).map((word, index, all) =>
      all[index - 1] === "--runc" ? "v2" : word,
    );
    const said = await ok(board.boardctl(words, certificates));
    expect(said).toContain(
      "board: warning: the daemon is busy with other builds, so no step was tried",
    );
  });

  test("has a reason even where the daemon gave none", async () => {
    board.program(
      "systemctl",
      'case "$1 $2" in "restart "*) exit 1 ;; "show --property=Result"*) printf "Result=signal\\nExecMainStatus=11\\n" ;; "is-active "*) exit 1 ;; esac',
    );
    const { all } = await activate();
    expect(all.split("\n").at(-1)).toBe(
      "board: the update failed: containerd.service is not healthy: it ended with status 11 (signal)",
    );
  });

  test("asks the daemon that it goes back to by its socket, where that one trusts another CA", async () => {
    await ok(activate());
    const tcp = "  sl  local_address\n   0: 0100007F:04D2 00000000:0000 0A 0 0 0 0 0 4711\n";
    board.write("/proc/net/tcp", tcp);
    const asks = `echo "$*" >>${board.at("/asked")}; case "$*" in *tcp://*) echo bad certificate >&2; exit 1 ;; esac; printf 'ID\\nworker\\n'`;
    executable(board, `${folderOf("buildkit", "v1")}/bin/buildctl`, asks);
    rmSync(board.at(`${folderOf("buildkit", "v1")}/sums`));
    const renewed = bundle({ ...certificateFiles, "ca.pem": "ANOTHER CA" });
    const { exitCode, all } = await activate([], config, renewed);
    expect(exitCode).toBe(1);
    expect(all).toContain("board: what ran before runs again and is healthy");
    expect(text("/asked")).toContain("--addr unix:///run/buildkit/buildkitd.sock debug workers\n");
    expect(all.split("\n").at(-1)).toBe(
      "board: the update failed: buildkitd.service is not healthy: bad certificate",
    );
  });

  test.each([
    ["runc", ["--runc", "v2"], []],
    ["containerd", ["--containerd", "v3"], ["containerd.service"]],
    ["buildkit", ["--buildkit", "v2"], ["buildkitd.service"]],
  ])("restarts what changed, here %s", async (component, [option, version], units) => {
    await ok(activate());
    board.program("systemctl", `echo "$*" >>${board.at("/calls")}`);
    const before = calls().length;
    putRelease(board, component, String(version));
    const words = activation("v1", config).map((word, index, all) =>
      all[index - 1] === option ? String(version) : word,
    );
    await ok(board.boardctl(words, certificates));
    const restarts =
      calls()
        .slice(before)
        .match(/^restart .*$/gm) ?? [];
    expect(restarts).toEqual(units.length ? [`restart ${units.join(" ")}`] : []);
  });

  test("has its list of units as long as they are, and no list lies beside it", async () => {
    await ok(
      activate(
        [],
        await stageConfig(board, { "buildkitd.toml": "", "buildkitd.service__a.conf": "" }),
      ),
    );
    expect(text(`${home}/units`)).toBe(
      "buildkitd.service\ncontainerd.service\nbuildkitd.service__a.conf\n",
    );
    await ok(activate([], await stageConfig(board, { "buildkitd.toml": "" })));
    expect(text(`${home}/units`)).toBe("buildkitd.service\ncontainerd.service\n");
    expect(readdirSync(board.at(home)).filter((name) => name.startsWith("units"))).toEqual([
      "units",
    ]);
  });
});

describe("the step of the health check", () => {
  test("is a build of one program on the folder that holds it", async () => {
    const { stdout } = await board.functions('printf %s "$STEP"');
    // Fields of protocol buffers, as BuildKit's ops.proto numbers them.
    const field = (number: number, ...content: (string | Buffer)[]): Buffer => {
      const bytes = Buffer.concat(content.map((one) => Buffer.from(one)));
      return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
    };
    const inputOf = (op: Buffer) =>
      field(1, field(1, `sha256:${createHash("sha256").update(op).digest("hex")}`));
    const folder = field(3, field(1, "local://buildhosts-health"));
    const meta = field(1, field(1, "/buildhosts-health"), field(3, "/"));
    const step = Buffer.concat([inputOf(folder), field(2, meta, field(2, field(3, "/")))]);
    const definition = [folder, step, inputOf(step)].map((op) => field(1, op));
    expect(stdout).toBe(Buffer.concat(definition).toString("base64"));
  });

  test("is a program that this very machine runs, and for each kind of board an ELF file of its own", async () => {
    const program = board.at("/step");
    const made = async (machine: string) => {
      const { exitCode } = await board.functions(
        `uname() { echo ${machine}; }; step_program ${program}`,
      );
      return exitCode === 0 ? readFileSync(program) : undefined;
    };
    const { stdout: here } = await execa("uname", ["-m"]);
    expect(await made(here)).toHaveLength(132);
    expect((await execa(program, { reject: false })).exitCode).toBe(0);
    for (const [machine, number] of [
      ["x86_64", 62],
      ["aarch64", 183],
      ["riscv64", 243],
    ] as const) {
      const elf = (await made(machine)) as Buffer;
      expect(elf.subarray(0, 4).toString("latin1")).toBe("\x7fELF");
      expect(elf.readUInt16LE(18)).toBe(number);
      expect(elf.readBigUInt64LE(24)).toBe(0x400078n);
    }
    expect(await made("s390x")).toBeUndefined();
  });
});

describe("a download", () => {
  const fetch = (url: string, environment = "") =>
    board.functions(`${environment}
      fetch ${url} ${board.at("/file")} && echo fetched || echo "$fetch_error"`);

  test("that begins with https and is led away from it is refused, by curl itself", async () => {
    const key = board.at("/tls.key");
    const cert = board.at("/tls.crt");
    await execa("openssl", [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
      ],
      ...[
        "-keyout",
        key,
        "-out",
        cert,
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
      ],
    ]);
    const plain = createHttpServer((_, response) => response.end("from anybody"));
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    const elsewhere = `http://127.0.0.1:${(plain.address() as AddressInfo).port}/file`;
    const secure = createHttpsServer(
      { key: readFileSync(key), cert: readFileSync(cert) },
      ({ url }, response) => {
        if (url === "/file") response.end("whole");
        else response.writeHead(302, { location: url === "/here" ? "/file" : elsewhere }).end();
      },
    );
    await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
    const at = `https://localhost:${(secure.address() as AddressInfo).port}`;
    try {
      const trusting = `export CURL_CA_BUNDLE=${cert}`;
      expect((await fetch(`${at}/away`, trusting)).all).toBe(
        `${at}/away redirects to an address without https, which is refused: name a mirror that stays with https`,
      );
      expect(existsSync(board.at("/file"))).toBe(false);
      expect((await fetch(`${at}/here`, trusting)).all).toBe("fetched");
      expect(text("/file")).toBe("whole");
      expect((await fetch(elsewhere)).all).toBe("fetched");
    } finally {
      plain.close();
      secure.close();
    }
  });

  test("is followed step by step where there is only wget, which would go anywhere", async () => {
    const withoutCurl = 'command() { [ "$2" != curl ] || return 1; }';
    board.program(
      "wget",
      `case "$*" in
         --help) echo "  --max-redirect=NUM" ;;
         *one.lan/away) printf '  HTTP/1.1 302 Found\\r\\n  Location: http://one.lan/x\\r\\n' >&2; exit 8 ;;
         *one.lan/cdn) printf '  HTTP/1.1 302 Found\\n  location: https://cdn.lan/a?b=1\\n' >&2; exit 8 ;;
         *cdn.lan/a?b=1) printf '  Location: /whole\\n' >&2; exit 8 ;;
         *"-O ${board.at("/file")} https://cdn.lan/whole") echo whole >${board.at("/file")} ;;
         *) exit 4 ;;
       esac`,
    );
    expect((await fetch("https://one.lan/away", withoutCurl)).all).toBe(
      "https://one.lan/away redirects to an address without https, which is refused: name a mirror that stays with https",
    );
    expect((await fetch("https://one.lan/cdn", withoutCurl)).all).toBe("fetched");
    expect(text("/file")).toBe("whole\n");
    board.program("wget", "exit 1");
    expect((await fetch("https://one.lan/cdn", withoutCurl)).all).toBe(
      "https://one.lan/cdn cannot be fetched: this wget follows redirects away from https; install curl",
    );
  });

  test("is not begun where there is no room for what it becomes, and the last line says how much there is", async () => {
    board.program("df", "printf 'header\\nx 1 1 292969 1 /\\n'");
    board.program("curl", `echo called >>${board.at("/calls")}`);
    putRelease(board, "runc", "v1");
    const url = "http://mirror.lan/x";
    const words = ["runc", "v1", url, url, "runc", "v2", url, url, "buildkit", "v9", url, url];
    const { exitCode, all } = await board.boardctl(["install", ...words]);
    expect(exitCode).toBe(1);
    expect(all).toBe(
      `board: the installation stopped: only 300 MB are free for ${board.at(home)}; 450 MB are needed for runc v2, buildkit v9: free disk space there; the running service was not touched`,
    );
    expect(calls()).toBe("");
    // What is there already needs no room.
    expect(await ok(board.boardctl(["install", ...words.slice(0, 4)]))).toBe(
      "board: runc v1 is there",
    );
  });
});

describe("a drop-in", () => {
  const ours = "/usr/local/lib/systemd/system/buildkitd.service.d/run-steps.conf";
  const foreign = "/etc/systemd/system/buildkitd.service.d/override.conf";
  const units = { "buildkitd.toml": "", "buildkitd.service": "[Service]\n" };
  beforeEach(() => putReleases(board));

  test("of ours that the next configuration does not have goes, and never comes back", async () => {
    const first = await stageConfig(board, { ...units, "buildkitd.service__run-steps.conf": "a" });
    await ok(board.boardctl(activation("v1", first), certificates));
    expect(text(ours)).toBe("a\n");
    const second = await stageConfig(board, units);
    const said = await ok(board.boardctl(activation("v1", second), certificates));
    expect(said).not.toContain("put aside");
    expect(existsSync(board.at(ours))).toBe(false);
    await ok(board.boardctl(["deactivate"]));
    expect(existsSync(board.at(ours))).toBe(false);
  });

  test("of somebody else that changes our unit is put aside, and comes back on removal", async () => {
    const config = await stageConfig(board, units);
    await ok(board.boardctl(activation("v1", config), certificates));
    board.write(foreign, "[Service]\nEnvironment=A=B\n");
    const said = await ok(board.boardctl(activation("v1", config), certificates));
    expect(said).toContain(`board: ${board.at(foreign)} of an earlier installation was put aside`);
    expect(existsSync(board.at(foreign))).toBe(false);
    await ok(board.boardctl(["deactivate"]));
    expect(text(foreign)).toBe("[Service]\nEnvironment=A=B\n");
  });
});

describe("a file of an earlier installation", () => {
  const path = "/usr/local/bin/buildkitd";
  /** The board's whole path, which begins with that of the folder here. */
  let aside: string;
  let config: string;
  const activate = () => board.boardctl(activation("v1", config), certificates);
  beforeEach(async () => {
    putReleases(board);
    config = await stageConfig(board, { "buildkitd.toml": "" });
    aside = `${home}/displaced${board.at(path)}`;
    executable(board, path, "echo by hand");
  });

  test.each(["cp", "mv"])(
    "stays where it is when it cannot be put aside (%s), and nothing is changed",
    async (program) => {
      board.program(program, `case "$*" in *displaced*) exit 1 ;; esac; exec /bin/${program} "$@"`);
      const { exitCode, all } = await activate();
      expect(exitCode).toBe(1);
      expect(all.split("\n").at(-1)).toMatch(
        new RegExp(
          `: ${board.at(path)} of an earlier installation cannot be put aside: is the disk full\\? .*; nothing was changed$`,
        ),
      );
      expect(text(path)).toBe("#!/bin/sh\necho by hand\n");
      expect([
        existsSync(board.at(`${home}/current`)),
        existsSync(board.at(`${home}/pending`)),
      ]).toEqual([false, false]);
      expect(
        readdirSync(board.at(`${home}/displaced`), { recursive: true, withFileTypes: true }).filter(
          (one) => one.isFile(),
        ),
      ).toEqual([]);
    },
  );

  test("and a newer one in the same place never become one", async () => {
    board.write(aside, "put aside before");
    const { exitCode, all } = await activate();
    expect(exitCode).toBe(1);
    expect(all).toContain(
      `board: ${board.at(path)} is not buildhosts', and another one was put aside from there already, as ${board.at(aside)}: move one of the two away`,
    );
    expect([text(path), text(aside)]).toEqual(["#!/bin/sh\necho by hand\n", "put aside before"]);
    expect(existsSync(board.at(`${home}/current`))).toBe(false);
  });

  test("comes back as it was, also after a kill between putting it aside and taking its place", async () => {
    await ok(
      board.functions(
        `mkdir -p ${board.at(aside).replace("/buildkitd", "")}; cp -p ${board.at(path)} ${board.at(aside)}`,
      ),
    );
    await ok(activate());
    expect(text(path)).toBe("#!/bin/sh\necho 1.0\n");
    expect(await ok(board.boardctl(["uninstall"]))).toContain(
      `board: ${board.at(path)} of the earlier installation is back`,
    );
    expect(text(path)).toBe("#!/bin/sh\necho by hand\n");
  });

  test("is not lost when it cannot be put back", async () => {
    await ok(activate());
    board.program("mv", `case "$*" in *displaced*) exit 1 ;; esac; exec /bin/mv "$@"`);
    const { exitCode, all } = await board.boardctl(["uninstall"]);
    expect(exitCode).toBe(1);
    expect(all).toContain(`${board.at(path)} of the earlier installation cannot be put back`);
    expect(text(aside)).toBe("#!/bin/sh\necho by hand\n");
  });
});

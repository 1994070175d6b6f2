import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { architectures } from "../../proving-ground/board/architectures.ts";
import { isStatic, registrationOf, smallestProgram } from "../../proving-ground/board/emulation.ts";
import { ensureHostPackages } from "../../proving-ground/board/hostPackages.ts";
import { machineKey, type QemuOptions, qemuArguments } from "../../proving-ground/board/qemu.ts";
import { monitor, qmp, readRegister, writeRegister } from "../../proving-ground/board/qmp.ts";
import {
  connectionFile,
  instanceOf,
  startVirtualBoard,
} from "../../proving-ground/board/virtualBoard.ts";
import {
  aptSources,
  debianMirror,
  parseDeb822,
  parseOneLine,
} from "../../proving-ground/debian/aptSources.ts";
import { ensurePrograms } from "../../proving-ground/debian/programs.ts";
import { linesTo } from "../../runtime/progress.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "board-test-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe("the Debian mirror comes from apt's own sources", () => {
  const main = { uri: "http://mirror.example/debian", components: ["main"] };

  test.each([
    ["plain", "deb http://mirror.example/debian bookworm main", [{ ...main, suite: "bookworm" }]],
    [
      "with options, several components and a comment",
      "deb [arch=amd64 signed-by=/k.gpg]  http://mirror.example/debian bookworm main contrib # why",
      [{ ...main, suite: "bookworm", components: ["main", "contrib"] }],
    ],
    ["a source package archive", "deb-src http://mirror.example/debian bookworm main", []],
    ["commented out", "# deb http://mirror.example/debian bookworm main", []],
    ["empty", "", []],
  ])("one line, %s", (_, text, expected) => {
    expect(parseOneLine(text)).toEqual(expected);
  });

  test.each([
    [
      "two suites, a comment inside",
      "Types: deb deb-src\n# URIs: http://other.example/debian\nURIs: http://mirror.example/debian\n" +
        "Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n",
      [
        { ...main, suite: "bookworm" },
        { ...main, suite: "bookworm-updates" },
      ],
    ],
    [
      "a key in the stanza, and fields in another case",
      "types: deb\nuris: http://mirror.example/debian\nsuites: sid\ncomponents: main\n" +
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n URIs: x\n",
      [{ ...main, suite: "sid" }],
    ],
    [
      "disabled",
      "Enabled: no\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: sid\nComponents: main\n",
      [],
    ],
    ["source packages only", "Types: deb-src\nURIs: http://m.example/\nSuites: sid\n", []],
    ["empty", "\n\n", []],
  ])("deb822, %s", (_, text, expected) => {
    expect(parseDeb822(text)).toEqual(expected);
  });

  test("neither security, nor a third party's, nor Ubuntu's archive is taken for one", () => {
    const others = [
      { uri: "http://mirror.example/debian-security", suite: "stable", components: ["main"] },
      { uri: "http://vendor.example/apt", suite: "vendor-stable", components: ["main"] },
      { uri: "http://mirror.example/ubuntu", suite: "noble", components: ["main", "universe"] },
    ];
    expect(debianMirror(others)).toBeUndefined();
    expect(debianMirror([...others, { ...main, suite: "trixie" }])).toBe(main.uri);
  });

  test("both formats are read from where apt has them", async () => {
    const write = async (name: string, text: string) => {
      const path = join(folder, "etc/apt", name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    };
    await write("sources.list", "deb http://a.example/debian sid main\n");
    await write("sources.list.d/b.list", "deb http://b.example/debian sid main\n");
    await write(
      "sources.list.d/c.sources",
      "Types: deb\nURIs: http://c.example/debian\nSuites: sid\nComponents: main\n",
    );
    await write("sources.list.d/d.list.save", "deb http://d.example/debian sid main\n");
    const uris = (await aptSources(folder)).map(({ uri }) => new URL(uri).host);
    expect(uris).toEqual(["a.example", "b.example", "c.example"]);
  });

  test("a machine without apt has none", async () => {
    expect(await aptSources(folder)).toEqual([]);
  });
});

describe("QEMU's arguments", () => {
  const options: QemuOptions = {
    architecture: architectures["linux/riscv64"],
    paths: {
      kernel: "/i/kernel",
      initrd: "/i/initrd",
      disk: "/b,1/disk.qcow2",
      pidFile: "/b,1/pid",
      consoleLog: "/b,1/console.log",
      monitorSocket: "/b,1/monitor.sock",
      clockSocket: "/b,1/clock.sock",
      registerSocket: "/b,1/registers.sock",
    },
    forwards: [
      { port: 20022, boardPort: 22 },
      { port: 21234, boardPort: 1234 },
    ],
  };

  test("forward ports from the loopback only", () => {
    const [netdev] = qemuArguments(options).filter((argument) => argument.startsWith("user,"));
    expect(netdev).toBe(
      "user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:20022-:22,hostfwd=tcp:127.0.0.1:21234-:1234",
    );
  });

  test("double the commas of a path, which QEMU would take for an option's end", () => {
    expect(qemuArguments(options)).toContain(
      "if=none,id=disk,format=qcow2,discard=unmap,file=/b,,1/disk.qcow2",
    );
  });

  test("load a snapshot only when there is one to load, and wait there for its time to be set", () => {
    expect(qemuArguments(options)).not.toContain("-loadvm");
    expect(qemuArguments(options)).not.toContain("-S");
    expect(qemuArguments({ ...options, snapshot: "booted" }).slice(-3)).toEqual([
      "-loadvm",
      "booted",
      "-S",
    ]);
  });

  test("are the same machine for every instance, and another for each architecture", () => {
    expect(machineKey(architectures["linux/riscv64"])).not.toBe(
      machineKey(architectures["linux/arm64"]),
    );
    expect(machineKey(architectures["linux/riscv64"])).not.toContain("20022");
  });
});

describe("QEMU's sockets", () => {
  const heard: string[] = [];
  let server: Server;
  const path = () => join(folder, "qemu.sock");
  const serve = async (greeting: string, answer: (line: string) => string | undefined) => {
    heard.length = 0;
    server = createServer((socket) => {
      socket.write(greeting);
      socket.setEncoding("utf8").on("data", (text: string) => {
        for (const line of text.trim().split("\n")) {
          heard.push(line);
          const reply = answer(line);
          if (reply === undefined) socket.destroy();
          else socket.write(reply);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(path(), resolve));
  };
  afterEach(() => server?.close());

  const greeting = '{"QMP": {"version": {}}}\r\n';
  const qemuThatAnswers = (last: object | undefined) =>
    serve(greeting, (line) => {
      const { execute, id } = JSON.parse(line);
      if (execute === "qmp_capabilities") return `{"return": {}, "id": ${id}}\r\n`;
      // An event may come at any time.
      return last && `{"event": "STOP"}\r\n${JSON.stringify({ ...last, id })}\r\n`;
    });

  test("a command's answer comes back past events", async () => {
    await qemuThatAnswers({ return: { running: true } });
    expect(await qmp(path(), "query-status")).toEqual({ running: true });
    expect(heard.map((line) => JSON.parse(line).execute)).toEqual([
      "qmp_capabilities",
      "query-status",
    ]);
  });

  test("QEMU's refusal is the error", async () => {
    await qemuThatAnswers({ error: { class: "GenericError", desc: "no such thing" } });
    await expect(qmp(path(), "quit")).rejects.toThrow("QEMU: quit: no such thing");
  });

  test("what the human monitor prints is an error", async () => {
    await qemuThatAnswers({ return: "Error: no snapshot x\r\n" });
    await expect(monitor(path(), "loadvm x")).rejects.toThrow("loadvm x: Error: no snapshot x");
  });

  test("a QEMU that ends meanwhile is said to have ended", async () => {
    await qemuThatAnswers(undefined);
    await expect(qmp(path(), "quit")).rejects.toThrow("QEMU ended while it was asked to quit");
  });

  test("a silent QEMU is given up on", async () => {
    await serve("", () => "");
    await expect(qmp(path(), "quit", {}, 0.1)).rejects.toThrow(/did not answer quit within 0.1 s/);
  });

  test("no QEMU is an error, not a crash", async () => {
    await expect(qmp(path(), "quit")).rejects.toThrow(/ENOENT/);
    await expect(readRegister(path(), 1)).rejects.toThrow(/ENOENT/);
  });

  test("a register is read and written with all of its 64 bits", async () => {
    await serve("", (line) => (line.startsWith("readq") ? "OK 0xfffffffffffffff7\n" : "OK\n"));
    expect(await readRegister(path(), 0x200_bff8)).toBe(0xffff_ffff_ffff_fff7n);
    await writeRegister(path(), 0x200_bff8, 0xffff_ffff_ffff_fff7n);
    expect(heard).toEqual(["readq 0x200bff8", "writeq 0x200bff8 0xfffffffffffffff7"]);
  });

  test("a refused register is an error", async () => {
    await serve("", () => "FAIL Unknown command\n");
    await expect(writeRegister(path(), 1, 0n)).rejects.toThrow("FAIL Unknown command");
  });
});

describe("a board", () => {
  const log = linesTo(() => {});

  test("leaves its connection where the program looks for it", () => {
    expect(connectionFile("/clone", "linux/arm64")).toBe(
      "/clone/.buildhosts/virtual-board/arm64.json",
    );
  });

  test("is another one in another clone", () => {
    expect(instanceOf("/a")).not.toBe(instanceOf("/b"));
    expect(instanceOf("/a")).toBe(instanceOf("/a/."));
  });

  test.each(["", "../x", "A", "a b", "-a", "a".repeat(42)])("cannot be called %j", async (name) => {
    const started = startVirtualBoard({ platform: "linux/riscv64", instance: name, log });
    await expect(started).rejects.toThrow(`instance: "${name}" is no name for a board`);
  });
});

test("a missing program without apt to bring it is named with its package", async () => {
  const path = process.env.PATH;
  process.env.PATH = folder;
  try {
    const missing = [{ program: "/no/such", debian: ["new-name", "old-name"] }];
    await expect(
      ensurePrograms(
        missing,
        linesTo(() => {}),
      ),
    ).rejects.toThrow("missing: /no/such (package new-name or old-name)");
  } finally {
    process.env.PATH = path;
  }
});

describe("a machine that cannot run a virtual board says what is missing, and how to go on:", () => {
  const quiet = linesTo(() => {});
  const howToGoOn =
    "\nA board of your own needs none of this: `npm run up -- --stack <yours>` (see the README).";
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  test.each(["darwin", "win32"] as const)("one with %s", async (platform) => {
    vi.spyOn(process, "platform", "get").mockReturnValue(platform);
    await expect(ensureHostPackages(architectures["linux/riscv64"], quiet)).rejects.toThrow(
      `The virtual board linux/riscv64 cannot run here: it needs Linux with QEMU, and this is ${platform}.${howToGoOn}`,
    );
  });

  test("one without the programs, for a user who may not install them", async () => {
    // apt-get is there, and no QEMU.
    await writeFile(join(folder, "apt-get"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    vi.stubEnv("PATH", folder);
    vi.spyOn(process, "getuid").mockReturnValue(1000);
    await expect(ensureHostPackages(architectures["linux/riscv64"], quiet)).rejects.toThrow(
      /^The virtual board linux\/riscv64 cannot run here: missing: qemu-system-riscv64 \(package .+\), .+\. Install them, or run this as root once\.\nA board of your own/,
    );
  });
});

describe("programs of another architecture", () => {
  test.each([
    // Debian's own entries, of qemu-user 10.0, but for the name, QEMU's path and the flag F.
    [
      "riscv64",
      String.raw`:ours:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/q:OPF`,
    ],
    [
      "arm64",
      String.raw`:ours:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/q:OPF`,
    ],
  ] as const)("of %s are known by what Debian knows them by", (architecture, entry) => {
    expect(registrationOf(architecture, "ours", "/q")).toBe(entry);
  });

  test.each(["riscv64", "arm64"] as const)(
    "are tried with one of %s that needs nothing",
    async (architecture) => {
      const program = smallestProgram(architecture);
      expect(Buffer.from(program).toString("base64")).toMatchSnapshot();
      const path = join(folder, "program");
      await writeFile(path, program);
      expect(await isStatic(path)).toBe(true);
    },
  );

  test("are not run by what needs libraries, is no program, or is not there", async () => {
    const script = join(folder, "script");
    await writeFile(script, `#!/bin/sh\n${" ".repeat(100)}`);
    expect(await isStatic(process.execPath)).toBe(false);
    expect(await isStatic(script)).toBe(false);
    expect(await isStatic(join(folder, "nothing"))).toBe(false);
  });
});

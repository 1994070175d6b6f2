import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { removeKeys, writeClientFiles } from "../../commands/lib/clientFiles.ts";
import { eventually } from "../integration/onBoard.ts";

const root = join(import.meta.dirname, "../..");

/** The temporary folder of a tool's process. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "buildhosts-tools-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const left = () => readdirSync(folder).filter((name) => name.startsWith("buildhosts-"));

/** A program of TypeScript in a process of its own. */
function start(script: string, nodeOptions: string[] = [], args: string[] = []) {
  return spawn(process.execPath, [...nodeOptions, script, ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: folder, BUILDHOSTS_CACHE: join(folder, "cache") },
    stdio: ["ignore", "ignore", "pipe"],
  });
}

describe("the engine's event log, which holds keys in the clear,", () => {
  /** A stand-in for pulumi: it writes a key into the log, and ends as `onInterrupt` says. */
  function engine(onInterrupt: string, furtherSignals: unknown = undefined) {
    const pulumi = join(folder, "pulumi");
    writeFileSync(
      pulumi,
      `#!/bin/sh
trap '${onInterrupt}' INT
for log; do :; done
echo KEY >"$log"
echo "$log" >${folder}/ready
n=0; while [ -e ${folder}/ready ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
`,
      { mode: 0o755 },
    );
    const main = join(folder, "main.ts");
    writeFileSync(
      main,
      `import { runEngine } from ${JSON.stringify(join(root, "commands/lib/runEngine.ts"))};
await runEngine(${JSON.stringify({ pulumi, args: ["up"], logFlags: ["--event-log"], furtherSignals })});`,
    );
    return start(main);
  }
  async function writing(child: ReturnType<typeof start>) {
    await eventually("pulumi to write", 10, async () => readdirSync(folder).includes("ready"));
    const log = readFileSync(join(folder, "ready"), "utf8").trim();
    expect(readFileSync(log, "utf8")).toBe("KEY\n");
    return { ended: once(child, "exit") };
  }

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "goes when %s ends the tool, and pulumi winds down first",
    async (signal) => {
      const child = engine(`sleep 0.3; ls ${folder} >${folder}/wound-down; exit 1`);
      const { ended } = await writing(child);
      child.kill(signal);
      expect(await ended).toEqual([null, signal]);
      // While pulumi wound down the log was still there: it was waited for.
      expect(readFileSync(join(folder, "wound-down"), "utf8")).toContain("buildhosts-events-");
      expect(left()).toEqual([]);
    },
  );

  test("goes even if pulumi does not end by itself", async () => {
    const child = engine("", [
      [100, "SIGINT"],
      [100, "SIGKILL"],
    ]);
    const { ended } = await writing(child);
    child.kill("SIGTERM");
    expect(await ended).toEqual([null, "SIGTERM"]);
    expect(left()).toEqual([]);
  });

  test("goes with the next run after the tool was killed; that of a run which is at work stays", async () => {
    const killed = engine("exit 1");
    const { ended } = await writing(killed);
    killed.kill("SIGKILL");
    await ended;
    const [stale] = left();
    expect(stale).toMatch(/^buildhosts-events-\d+-/);
    const atWork = `buildhosts-events-${process.pid}-abcdef`;
    mkdirSync(join(folder, atWork));
    rmSync(join(folder, "ready"));

    const next = engine("exit 1");
    const run = await writing(next);
    expect(left()).not.toContain(stale);
    next.kill("SIGTERM");
    await run.ended;
    expect(left()).toEqual([atWork]);
  });
});

describe("a machine that cannot run a virtual board", () => {
  const darwin = 'Object.defineProperty(process, "platform", { value: "darwin" })';

  test.each(["up", "preview"])("is told so by %s, which then ends", async (tool) => {
    const child = start(`commands/${tool}.ts`, [
      `--import=data:text/javascript,${encodeURIComponent(darwin)}`,
    ]);
    const [said, ended] = await Promise.all([text(child.stderr), once(child, "close")]);
    expect(said).toBe(
      "✗ The virtual board linux/riscv64 cannot run here: it needs Linux with QEMU, and this is darwin.\n" +
        "A board of your own needs none of this: `npm run up -- --stack <yours>` (see the README).\n" +
        `  The whole log is in ${join(root, ".buildhosts/logs", `${tool}.log`)}\n`,
    );
    expect(ended).toEqual([1, null]);
  });
});

describe("the first step that fails", () => {
  /** A tool of which one step would go on for an hour in another process, and another fails. */
  function tool(log: string) {
    const main = join(folder, "main.ts");
    const at = (path: string) => JSON.stringify(join(root, path));
    writeFileSync(
      main,
      `import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from ${at("node_modules/execa/index.js")};
import { runTool } from ${at("commands/lib/ending.ts")};
import { toolLog } from ${at("commands/lib/toolLog.ts")};
const log = toolLog("up", ${JSON.stringify(log)});
const pid = ${JSON.stringify(join(folder, "pid"))};
await runTool(async () => {
  await Promise.all([
    log.step("compile", () => execa("sh", ["-c", 'echo $$ >"$1.part"; mv "$1.part" "$1"; exec sleep 3600', "sh", pid])),
    log.step("make a Debian", async () => {
      while (!existsSync(pid)) await pause(10);
      log.detail("dpkg: a hundred lines");
      await log.step("fetch", () => Promise.reject(new Error("the mirror is out of reach: see to it")))
        .catch((error) => { throw new Error(\`no Debian: \${error.message}\`, { cause: error }); });
    }),
  ]);
  return 0;
}, log);`,
    );
    return start(main);
  }

  /** In a container nobody may be there who takes notice of an orphan's end. */
  function isRunning(pid: number): boolean {
    const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", `${pid}`], { encoding: "utf8" });
    return !/^(Z|$)/.test(stdout.trim());
  }

  /** The lines without their times, which differ. */
  const timeless = (text: string) => text.replace(/\(\d+\.\d s\)/g, "(… s)");

  test("ends the others, and the last lines say which it was, why, and where the log is", async () => {
    const logs = join(folder, "logs");
    const child = tool(logs);
    const [said, ended] = await Promise.all([text(child.stderr), once(child, "close")]);
    expect(timeless(said)).toBe(
      "… compile\n… make a Debian\n… fetch\n✗ fetch (… s)\n✗ make a Debian (… s)\n" +
        "✗ failed: fetch\n✗ no Debian: the mirror is out of reach: see to it\n" +
        `  The whole log is in ${join(logs, "up.log")}\n`,
    );
    expect(ended).toEqual([1, null]);
    const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
    await eventually(`the end of process ${pid}`, 10, async () => !isRunning(pid));
    const lines = readFileSync(join(logs, "up.log"), "utf8").split("\n");
    const times = /^\d{4}-\d\d-\d\dT[\d:.]+Z /;
    expect(lines.slice(0, 7).map((line) => timeless(line.replace(times, "")))).toEqual([
      ...["… compile", "… make a Debian", "dpkg: a hundred lines", "… fetch"],
      ...["✗ fetch (… s)", "✗ make a Debian (… s)"],
      "Error: no Debian: the mirror is out of reach: see to it",
    ]);
    expect(statSync(join(logs, "up.log")).mode & 0o777).toBe(0o600);
  });

  test("is told also where no log can be written", async () => {
    writeFileSync(join(folder, "file"), "");
    const child = tool(join(folder, "file", "logs"));
    const [said, ended] = await Promise.all([text(child.stderr), once(child, "close")]);
    expect(said.split("\n").slice(-3)).toEqual([
      "✗ failed: fetch",
      "✗ no Debian: the mirror is out of reach: see to it",
      "",
    ]);
    expect(ended).toEqual([1, null]);
  });
});

describe("a stack of the proving ground, which is changed without asking,", () => {
  /** Whether the tools take a stack file: what is said otherwise. */
  async function said(stack: string, config: unknown): Promise<string> {
    const clone = join(folder, "clone");
    mkdirSync(join(clone, "commands/lib"), { recursive: true });
    for (const folder of ["config", "hosts"]) mkdirSync(join(clone, folder));
    for (const file of ["commands/lib/stackFile.ts", "config/versions.ts", "hosts/writtenHosts.ts"])
      writeFileSync(join(clone, file), readFileSync(join(root, file)));
    writeFileSync(join(clone, `Pulumi.${stack}.yaml`), JSON.stringify({ config }));
    const main = join(clone, "main.ts");
    writeFileSync(join(clone, "package.json"), '{"type":"module"}');
    writeFileSync(
      main,
      `import { requireStackFile } from "./commands/lib/stackFile.ts";
await requireStackFile(${JSON.stringify(stack)}).catch((error) => process.stderr.write(error.message));`,
    );
    symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
    const child = start(main);
    const [message] = await Promise.all([text(child.stderr), once(child, "close")]);
    return message;
  }

  const virtual = { name: "riscv64", virtual: true, platform: "riscv64" };
  const real = { name: "lab", host: "lab.example.com" };

  test.each([
    ["dev", "boards[1] ('lab')", { "buildhosts:boards": [virtual, real] }],
    ["docker", "dockerHosts[0] ('lab')", { "buildhosts:dockerHosts": [real] }],
    ["docker", "boards[0] ('lab')", { "buildhosts:boards": JSON.stringify([real]) }],
    ["github", "github", { "buildhosts:boards": [virtual], "buildhosts:github": { owner: "a" } }],
    ["github", "boards", { "buildhosts:boards": { secure: "v1:x" } }],
  ])("is refused where it names what is not virtual: %s with %s", async (stack, what, config) => {
    expect(await said(stack, config)).toBe(
      `stack '${stack}': ${what} is not virtual; the stacks dev, docker, github and native are changed without asking, with a passphrase that buildhosts chose: put hosts of your own into a stack of your own (README, 'A board of your own')`,
    );
  });

  test("is taken as it was committed; a stack of another name may name any host", async () => {
    for (const stack of ["dev", "docker", "github", "native"]) {
      const { config } = parse(readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8"));
      expect(await said(stack, config)).toBe("");
      rmSync(join(folder, "clone"), { recursive: true });
    }
    expect(await said("home", { "buildhosts:boards": [real] })).toBe("");
  });
});

test("a client's files are the user's alone, whatever was in the folder", async () => {
  const names = ["ca.pem", "cert.pem", "key.pem"];
  for (const name of names) writeFileSync(join(folder, name), "OLD", { mode: 0o644 });
  // Whoever has opened the old file goes on to read that.
  const old = openSync(join(folder, "key.pem"), "r");
  const clientCertificates = { alice: { ca: "CA", cert: "CERT", key: "KEY" } };
  await writeClientFiles({ clientCertificates }, "alice", folder);
  expect(readFileSync(old, "utf8")).toBe("OLD");
  closeSync(old);
  expect(
    names.map((name) => [
      readFileSync(join(folder, name), "utf8"),
      statSync(join(folder, name)).mode & 0o777,
    ]),
  ).toEqual([
    ["CA", 0o600],
    ["CERT", 0o600],
    ["KEY", 0o600],
  ]);
  expect(readdirSync(folder).sort()).toEqual(names);
});

test("a stack that is down leaves no key in the clone, and other stacks' stay", async () => {
  for (const path of ["clients/home/alice", "docker/home/lab", "docker/other/lab"]) {
    mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, path, "id"), "KEY");
  }
  await removeKeys("home", folder);
  expect(
    readdirSync(folder, { recursive: true }).filter((path) => /id$/.test(String(path))),
  ).toEqual(["docker/other/lab/id"]);
});

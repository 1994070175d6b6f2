import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

/** A clone that holds bootstrap.mjs, one dependency in its lock file, and an npm that only records it. */
let clone: string;
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), "buildhosts-bootstrap-"));
  mkdirSync(join(clone, "commands"));
  copyFileSync(
    new URL("../../commands/bootstrap.mjs", import.meta.url),
    join(clone, "commands/bootstrap.mjs"),
  );
  lock("1.0.0");
  writeFileSync(
    join(clone, "npm.cjs"),
    `const { mkdirSync, copyFileSync, appendFileSync } = require("node:fs");
    appendFileSync("npm.log", process.argv.slice(2).join(" ") + "\\n");
    console.log("npm's own words");
    if (process.env.NPM_FAILS) process.exit(1);
    mkdirSync("node_modules", { recursive: true });
    copyFileSync("package-lock.json", "node_modules/.package-lock.json");`,
  );
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

function lock(version: string): void {
  const packages = {
    "": { name: "clone" },
    "node_modules/dependency": { version, integrity: `sha512-${version}` },
    "node_modules/for-another-machine": { version, optional: true },
  };
  writeFileSync(join(clone, "package-lock.json"), JSON.stringify({ packages }));
}

function start(script: string, args: string[] = [], env: Record<string, string> = {}) {
  writeFileSync(join(clone, "script.ts"), script);
  return spawn(
    process.execPath,
    [join(clone, "commands/bootstrap.mjs"), join(clone, "script.ts"), ...args],
    {
      env: { PATH: process.env.PATH, npm_execpath: join(clone, "npm.cjs"), HOME: clone, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
}

async function run(...parameters: Parameters<typeof start>) {
  const child = start(...parameters);
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { stdout, stderr, code, signal };
}

describe("bootstrap", () => {
  test("installs the dependencies in a fresh clone, and says so in two lines", async () => {
    const { stdout, stderr, code } = await run("const n: number = 1; console.log(n);");
    expect({ stdout, code }).toEqual({ stdout: "1\n", code: 0 });
    expect(stderr).toMatch(
      /^… install the dependencies \(npm ci\)\n✓ install the dependencies \(npm ci\) \(.* s\)\n$/,
    );
  });

  test("is silent when they are installed, with or without what is for another machine", async () => {
    await run("");
    const record = { "node_modules/dependency": { version: "1.0.0", integrity: "sha512-1.0.0" } };
    writeFileSync(
      join(clone, "node_modules/.package-lock.json"),
      JSON.stringify({ packages: record }),
    );
    expect((await run("")).stderr).toBe("");
  });

  test("installs again when the lock file names other versions", async () => {
    await run("");
    lock("1.0.1");
    expect((await run("")).stderr).toContain("npm ci");
    expect((await run("")).stderr).toBe("");
  });

  test("shows npm's output when it fails, and does not run the script", async () => {
    const { stdout, stderr, code } = await run("console.log(1)", [], { NPM_FAILS: "1" });
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toContain("npm's own words\n");
    expect(stderr.trimEnd().split("\n").at(-1)).toBe(
      "npm ci failed, see above; mend that and run this again.",
    );
    expect(existsSync(join(clone, "node_modules"))).toBe(false);
  });

  test("passes on arguments, the exit code, and a `node` of the right version by PATH", async () => {
    const { stdout, code } = await run(
      "console.log(JSON.stringify([process.argv.slice(2), process.env.PATH])); process.exit(7)",
      ["--stack", "a b"],
    );
    const [args, path] = JSON.parse(stdout);
    expect(args).toEqual(["--stack", "a b"]);
    expect(join(path.split(delimiter)[0], "node")).toBe(process.execPath);
    expect(code).toBe(7);
  });

  test("gives the program a compile cache outside the clone, unless the user has one", async () => {
    const script = "console.log(process.env.NODE_COMPILE_CACHE)";
    const cache = join(clone, "cache");
    expect((await run(script, [], { BUILDHOSTS_CACHE: cache })).stdout).toBe(
      `${join(cache, "node-compile")}\n`,
    );
    const own = join(clone, "own");
    expect((await run(script, [], { NODE_COMPILE_CACHE: own })).stdout).toBe(`${own}\n`);
  });

  test("passes on a signal and ends by it", async () => {
    const child = start("setInterval(() => {}, 1000); console.log('ready');");
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    expect(await once(child, "close")).toEqual([null, "SIGTERM"]);
  });

  test("names the choices when there is no Node.js that runs TypeScript", async () => {
    const old = "Object.defineProperty(process, 'version', { value: 'v20.1.0' })";
    const { stderr, code } = await run("", [], {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(old)}`,
    });
    expect(code).toBe(1);
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(
      /^Node.js v20\.1\.0 is too old: 22\.18 or newer .* npm rebuild node --ignore-scripts=false$/,
    );
  });
});

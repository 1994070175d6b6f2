// Runs a TypeScript program of this repository in a fresh clone, with whatever Node.js started it:
//
//   node commands/bootstrap.mjs commands/up.ts [arguments]
//
// installs the dependencies when they are missing or older than package-lock.json, and hands over to a
// Node.js that runs TypeScript. Plain JavaScript for Node.js 20, since that is what may be there.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The first Node.js that strips types without a flag. */
const needed = [22, 18];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, "node_modules", ".bin");

const [script, ...rest] = process.argv.slice(2);
if (script === undefined || script === "--help" || script === "-h") {
  console.log("Usage: node commands/bootstrap.mjs SCRIPT.ts [ARGUMENT…]");
  process.exit(script === undefined ? 2 : 0);
}
if (!isInstalled()) install();
handOver(chooseNode());

/**
 * Whether npm's own record of what it installed says the same as package-lock.json. Optional packages may
 * be absent: most are for other machines.
 */
function isInstalled() {
  const record = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return false;
  const installed = packagesIn(record);
  return Object.entries(packagesIn(join(root, "package-lock.json"))).every(([path, wanted]) => {
    if (path === "" || wanted.link) return true;
    const found = installed[path];
    if (!found) return wanted.optional === true || wanted.devOptional === true;
    return found.version === wanted.version && found.integrity === wanted.integrity;
  });
}

function packagesIn(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages ?? {};
}

/** Installs what package-lock.json names, and says nothing more than that unless it fails. */
function install() {
  console.error("… install the dependencies (npm ci)");
  const started = Date.now();
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const options = { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 };
  // Under `npm run`, npm says which program it is; `npm` on PATH may be another, and on Windows is no
  // program that can be started without a shell.
  const npm = process.env.npm_execpath;
  const result = npm?.endsWith("js")
    ? spawnSync(process.execPath, [npm, ...args], options)
    : spawnSync("npm", args, { ...options, shell: process.platform === "win32" });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
    fail(
      result.error
        ? `npm: cannot be started (${result.error.message}); install npm, or run \`npm ci\` by hand.`
        : "npm ci failed, see above; mend that and run this again.",
    );
  }
  console.error(
    `✓ install the dependencies (npm ci) (${((Date.now() - started) / 1000).toFixed(1)} s)`,
  );
}

/** The Node.js among the dependencies, or else the one that runs this, if it is new enough. */
function chooseNode() {
  const own = join(
    root,
    "node_modules",
    "node",
    "bin",
    process.platform === "win32" ? "node.exe" : "node",
  );
  if (existsSync(own)) {
    // A binary for another machine is there when node_modules was copied or is shared with one.
    const { stdout } = spawnSync(own, ["--version"], { encoding: "utf8" });
    if (isNewEnough(stdout ?? "")) return own;
  }
  if (isNewEnough(process.version)) return process.execPath;
  fail(
    `Node.js ${process.version} is too old: ${needed.join(".")} or newer is needed, and the npm package ` +
      "`node`, which would bring one, has not done so here. Either install Node.js 22.18 or newer, or let " +
      "that package run its install script: npm rebuild node --ignore-scripts=false",
  );
}

function isNewEnough(version) {
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(version) ?? [0, 0, 0];
  return Number(major) > needed[0] || (Number(major) === needed[0] && Number(minor) >= needed[1]);
}

/** Runs the script and ends as it ends: same exit code, or the same signal. */
function handOver(node) {
  const env = { ...process.env };
  // The engine looks for `node` on PATH to run the Pulumi program with.
  const ownFolder = node === process.execPath ? dirname(node) : dirname(node) + delimiter + bin;
  const pathName = Object.keys(env).find((name) => name.toUpperCase() === "PATH") ?? "PATH";
  env[pathName] = `${ownFolder}${delimiter}${env[pathName] ?? ""}`;
  // Compiled code is kept between runs, the Pulumi program's too, which inherits this.
  env.NODE_COMPILE_CACHE ||= join(cacheDir(), "node-compile");
  // `fetch` looks at HTTPS_PROXY and its like only when told to.
  env.NODE_USE_ENV_PROXY ||= "1";
  // Node.js 22 calls node:sqlite, which our locks are made of, experimental.
  const args = ["--disable-warning=ExperimentalWarning", script, ...rest];
  const child = spawn(node, args, { stdio: "inherit", env });
  // Ctrl-C in a terminal reaches the child by itself; a second one from here would make Pulumi stop
  // without waiting for what it has begun.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`${node}: cannot be started: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** The same folder as cacheDir() in runtime/cache.ts, which this cannot import. */
function cacheDir() {
  const { BUILDHOSTS_CACHE, XDG_CACHE_HOME } = process.env;
  return BUILDHOSTS_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "buildhosts");
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

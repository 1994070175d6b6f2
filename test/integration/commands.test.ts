import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import {
  connectionFile,
  findVirtualBoard,
  instanceOf,
} from "../../proving-ground/board/virtualBoard.ts";
import { makeClone, removeClone } from "./clone.ts";

/** The clone that the commands run in: its own board, its own state. */
let clone: string;

beforeAll(async () => {
  clone = await makeClone();
});

afterAll(async () => {
  await (await board())?.stop();
  await removeClone(clone);
});

/** As `npm run <command> -- <args>` does it. */
async function npmRun(command: string, args: string[] = [], env: Record<string, string> = {}) {
  const { exitCode, stdout, stderr } = await execa(
    process.execPath,
    [join("commands", "bootstrap.mjs"), join("commands", `${command}.ts`), ...args],
    {
      cwd: clone,
      // A backend, an agent or a passphrase of the developer's is not for this.
      env: {
        PULUMI_BACKEND_URL: `file://${join(clone, ".buildhosts", "state")}`,
        SSH_AUTH_SOCK: "",
        PULUMI_CONFIG_PASSPHRASE: undefined,
        PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
        ...env,
      },
      stdin: "ignore",
      reject: false,
      timeout: 300_000,
    },
  );
  return { code: exitCode, stdout, stderr, lastLine: stderr.trimEnd().split("\n").at(-1) };
}

const board = () => findVirtualBoard(instanceOf(clone), "linux/riscv64");
const connection = () => connectionFile(clone, "linux/riscv64");

/** Each test begins where the one before it ended. */
describe("in a clone,", () => {
  test("a stack without a virtual board starts none", async () => {
    const key = join(clone, "id");
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    const [type, hostKey] = (await readFile(`${key}.pub`, "utf8")).split(" ");
    const boards = [
      { name: "lab", host: "192.0.2.1", hostKey: `${type} ${hostKey}`, platform: "riscv64" },
    ];
    const config = { "buildhosts:boards": boards, "buildhosts:ssh": { privateKeyFile: key } };
    await writeFile(join(clone, "Pulumi.home.yaml"), stringify({ config }));
    const env = { PULUMI_CONFIG_PASSPHRASE: "home" };
    const { code, stdout, stderr, lastLine } = await npmRun("preview", ["--stack", "home"], env);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("lab-preflight");
    expect(lastLine).toBe("✓ previewed stack 'home'; nothing was changed");
    expect(await board()).toBeUndefined();
    expect(existsSync(connection())).toBe(false);
    expect(await readdir(join(clone, ".buildhosts"))).toEqual(["logs", "state"]);
  });

  test("a backend that cannot be had ends a command with its one line, though a board is up by then", async () => {
    const env = { PULUMI_BACKEND_URL: "file:///nonexistent/state" };
    const { code, stderr, lastLine } = await npmRun("preview", [], env);
    expect(stderr).toMatch(/^✗ stack 'dev': .*\/nonexistent\/state/m);
    expect(lastLine).toMatch(/^ {2}The whole log is in .*\/\.buildhosts\/logs\/preview\.log/);
    expect(code).toBe(1);
  });

  test("preview shows what would be made", async () => {
    const { code, stdout, stderr, lastLine } = await npmRun("preview");
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("riscv64-service");
    expect(lastLine).toBe("✓ previewed stack 'dev'; nothing was changed");
  });

  test("up makes the board a builder, builds an image there, and says how it is used", async () => {
    const { code, stdout, stderr, lastLine } = await npmRun("up");
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^✓ build an image on riscv64 over mutual TLS \([\d.]+ s\)$/m);
    expect(stderr).toMatch(
      /^ +\.buildhosts\/images\/sample-riscv64\.oci\.tar: sha256:[0-9a-f]{64}, [\d.]+ MB, in [\d.]+ s$/m,
    );
    const { host, buildkitPort } = (await board())?.connection ?? {};
    const endpoint = `tcp://${host}:${buildkitPort}`;
    expect(stdout).toContain(
      [
        "Builders:",
        `  riscv64  ${endpoint}  linux/riscv64`,
        "",
        "Use them:",
        "  cd .buildhosts/clients/dev/default",
        `  buildctl --addr ${endpoint} --tlsservername ${host} --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem debug workers`,
        "  docker buildx create --name buildhosts --node riscv64 --driver remote --platform linux/riscv64 ",
      ].join("\n"),
    );
    expect(lastLine).toBe("✓ stack 'dev' is up");
    expect((await readdir(join(clone, ".buildhosts/clients/dev/default"))).sort()).toEqual([
      "ca.pem",
      "cert.pem",
      "key.pem",
    ]);
  });

  test("a second up changes nothing", async () => {
    const before = (await board())?.pid;
    const { code, stdout, stderr, lastLine } = await npmRun("up");
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/Resources:\n\s+\d+ unchanged\n/);
    expect(lastLine).toBe("✓ stack 'dev' is up");
    expect((await board())?.pid).toBe(before);
  });

  test("down of a preview takes nothing away", async () => {
    const { code, stderr, lastLine } = await npmRun("down", ["--", "--preview-only"]);
    expect(code, stderr).toBe(0);
    expect(lastLine).toBe("✓ previewed the end of stack 'dev'; nothing was changed");
    expect(await (await board())?.running()).toBe(true);
  });

  test("down leaves no process, no connection and no client's key", async () => {
    const pid = (await board())?.pid ?? 0;
    const { code, stderr, lastLine } = await npmRun("down");
    expect(code, stderr).toBe(0);
    expect(lastLine).toBe("✓ stack 'dev' is down; its machines are stopped");
    expect(await board()).toBeUndefined();
    expect(existsSync(connection())).toBe(false);
    expect(existsSync(join(clone, ".buildhosts/clients/dev"))).toBe(false);
    // A zombie until its parent looks, where that is not init.
    const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    expect(state === "" || /\) [ZX] /.test(state)).toBe(true);
    const { stdout } = await execa("ps", ["-e", "-o", "args="]);
    expect(stdout).not.toContain(instanceOf(clone));
    expect(stdout.split("\n").filter((line) => line.includes(clone))).toEqual([]);
  });
});

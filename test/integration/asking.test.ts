// The question of an update on a terminal: `script` gives the command one. What comes of each answer in which order is shown by
// unit/asking.test.ts.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { anotherKey } from "./anotherKey.ts";
import { makeClone, removeClone } from "./clone.ts";

const QUESTION = "Update stack 'lab'? (yes, no, details)";
const SENTENCE =
  /^visionfive: becomes a builder, gets containerd v[\d.]+, runc v[\d.]+, buildkit v[\d.]+$/m;

let clone: string;

beforeAll(async () => {
  clone = await makeClone();
  const { publicLine, privateKey } = anotherKey();
  const key = join(clone, "id");
  await writeFile(key, privateKey, { mode: 0o600 });
  // Nothing listens there.
  const host = { host: "127.0.0.1", port: 9, hostKey: publicLine };
  const config = {
    "buildhosts:driftCheck": false,
    "buildhosts:ssh": { privateKeyFile: key },
    "buildhosts:boards": [{ name: "visionfive", platform: "riscv64", ...host }],
  };
  await writeFile(join(clone, "Pulumi.lab.yaml"), stringify({ config }));
});
afterAll(() => removeClone(clone));

/** Runs `up` on a terminal; each question gets the next answer. */
async function up(answers: string[]): Promise<{ code: number | undefined; said: string }> {
  const { CI: _, ...env } = process.env;
  const command = `'${process.execPath}' commands/up.ts --stack lab`;
  const child = execa("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    cwd: clone,
    env: { ...env, TERM: "xterm", PULUMI_CONFIG_PASSPHRASE: "x" },
    extendEnv: false,
    reject: false,
    timeout: 300_000,
  });
  let said = "";
  let asked = 0;
  child.stdout.on("data", (text: Buffer) => {
    said += text;
    if (said.split(QUESTION).length - 1 <= asked) return;
    child.stdin.write(answers[asked++] ?? "no\r");
  });
  const { exitCode } = await child;
  return { code: exitCode, said: stripVTControlCharacters(said).replaceAll("\r", "") };
}

const INTERRUPT = "\u0003";

describe("up on a terminal", () => {
  test("says what happens to each host before it asks, shows details, and changes nothing after a no", async () => {
    const { code, said } = await up(["details\r", "no\r"]);
    const [first = "", second = "", end = ""] = said.split(QUESTION);
    for (const before of [first, second]) expect(before).toMatch(SENTENCE);
    // Pulumi's own question would stand before the sentences.
    expect(said).not.toContain("Do you want to perform this");
    expect(second).toContain("boardctl stage-config");
    expect(end).toContain("✗ stack 'lab': nothing was changed");
    expect(code).toBe(1);
  });

  test("takes an interrupt for a no", async () => {
    const { code, said } = await up([INTERRUPT]);
    expect(said.split(QUESTION).at(-1)).toContain("✗ stack 'lab': nothing was changed");
    expect(code).toBe(1);
  });

  test("updates after a yes, without another preview", async () => {
    const { said } = await up(["yes\r"]);
    const [, after = ""] = said.split(QUESTION);
    expect(after).toContain("Updating (lab)");
    expect(after).not.toContain("Previewing");
    expect(after).toContain("✗ up failed on stack 'lab'");
  });
});

test("up without a terminal asks nothing, and says how to go on", async () => {
  const { exitCode, all } = await execa(process.execPath, ["commands/up.ts", "--stack", "lab"], {
    cwd: clone,
    env: { PULUMI_CONFIG_PASSPHRASE: "x" },
    all: true,
    reject: false,
    stdin: "ignore",
  });
  expect(exitCode).not.toBe(0);
  expect(String(all)).toContain("--yes or --skip-preview");
  expect(String(all)).not.toContain(QUESTION);
});

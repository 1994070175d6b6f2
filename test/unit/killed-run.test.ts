import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Ask, forgetRepeatable, takeLockAway } from "../../commands/lib/killedRun.ts";
import { linesTo } from "../../runtime/progress.ts";

let folder: string;
let locks: string;
let lines: string[];
const log = linesTo((line) => lines.push(line.trim()));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "buildhosts-killed-"));
  locks = join(folder, ".pulumi/locks/organization/buildhosts/home");
  mkdirSync(locks, { recursive: true });
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The id of a process that was killed. */
async function killedPid(): Promise<number> {
  const child = spawn("sleep", ["60"]);
  child.kill("SIGKILL");
  await once(child, "exit");
  return child.pid ?? 0;
}

function lock(pid: number, host = hostname()): void {
  const content = { pid, username: "me", hostname: host, timestamp: "2026-11-27T10:00:00Z" };
  writeFileSync(join(locks, `${pid}.json`), JSON.stringify(content));
}

const refuse: Ask = async (question) => {
  lines.push(question);
  return false;
};

describe("a stack's lock", () => {
  const session = () => ({ stack: "home", project: "buildhosts", backend: `file://${folder}` });

  test("of a killed run is taken away, where that is agreed", async () => {
    const pid = await killedPid();
    lock(pid);
    expect(await takeLockAway(session(), true, log, refuse)).toBeUndefined();
    expect(readdirSync(locks)).toEqual([]);
    expect(lines).toEqual([
      `stack 'home': it is locked by process ${pid} of me@${hostname()} since 2026-11-27T10:00:00Z, which was killed; its lock is removed`,
    ]);
  });

  test("of a killed run is taken away after a yes, and after a no the command is named that does it here", async () => {
    const pid = await killedPid();
    lock(pid);
    const owner = `process ${pid} of me@${hostname()} since 2026-11-27T10:00:00Z`;
    expect(await takeLockAway(session(), false, log, refuse)).toBe(
      `stack 'home': it is locked by ${owner}, which was killed; to remove its lock: npm run pulumi -- --stack home -- cancel`,
    );
    expect(lines).toEqual([
      `stack 'home': it is locked by ${owner}, which was killed. Remove its lock and go on?`,
    ]);
    expect(readdirSync(locks)).toEqual([`${pid}.json`]);
    expect(await takeLockAway(session(), false, log, async () => true)).toBeUndefined();
    expect(readdirSync(locks)).toEqual([]);
  });

  test.each([
    ["that works", process.pid, hostname()],
    ["of another machine, of which nobody here knows whether it works", 1, "elsewhere"],
  ])("of a run %s stays, whatever is agreed", async (_, pid, host) => {
    lock(await killedPid());
    lock(pid, host);
    expect(await takeLockAway(session(), true, log, refuse)).toBe(
      `stack 'home': it is locked by process ${pid} of me@${host} since 2026-11-27T10:00:00Z; wait for its end, or, if that does not run any more: npm run pulumi -- --stack home -- cancel`,
    );
    expect(readdirSync(locks).length).toBe(2);
    expect(lines).toEqual([]);
  });

  test("that is being written is somebody's", async () => {
    writeFileSync(join(locks, "x.json"), "");
    expect(await takeLockAway(session(), true, log, refuse)).toMatch(
      /^stack 'home': it is locked by a process that is just starting; wait/,
    );
  });

  test.each(["s3://bucket", "https://api.pulumi.com", undefined])(
    "is the affair of the backend %s",
    async (backend) => {
      expect(await takeLockAway({ ...session(), backend }, true, log, refuse)).toBeUndefined();
    },
  );

  test("is none where there was never one, and that of another stack is left alone", async () => {
    lock(await killedPid());
    expect(await takeLockAway({ ...session(), stack: "other" }, true, log, refuse)).toBeUndefined();
    expect(readdirSync(locks).length).toBe(1);
  });
});

describe("an unfinished operation", () => {
  const operation = (type: string, name: string, op = "creating") => ({
    type: op,
    resource: { type, urn: `urn:pulumi:home::buildhosts::${type}::${name}` },
  });
  const step = operation("command:remote:Command", "lab-install");
  const key = operation("tls:index/privateKey:PrivateKey", "lab-server-key");
  const secret = operation("github:index/actionsSecret:ActionsSecret", "images-key");

  async function forget(...pending: object[]) {
    const imports: unknown[] = [];
    const deployment = {
      resources: [{ urn: "a" }],
      ...(pending.length && { pending_operations: pending }),
    };
    await forgetRepeatable(
      {
        stack: "home",
        exported: async () => ({ version: 3, deployment }) as never,
        imported: async (state) => void imports.push(state),
      },
      log,
    );
    return imports;
  }

  test("of a board or of a key is forgotten, because the update repeats it", async () => {
    expect(await forget(step, key)).toEqual([
      { version: 3, deployment: { resources: [{ urn: "a" }], pending_operations: [] } },
    ]);
    expect(lines).toEqual([
      "stack 'home': a run was killed at lab-install, lab-server-key; this run repeats the unfinished ones that the stack still has",
    ]);
  });

  test("of what would be made twice stays, and the command is named that works here", async () => {
    expect(await forget(secret, step)).toEqual([
      { version: 3, deployment: { resources: [{ urn: "a" }], pending_operations: [secret] } },
    ]);
    expect(lines[1]).toBe(
      "stack 'home': a run was killed at images-key; if they exist and are not in the stack, remove them. Then run: npm run pulumi -- --stack home -- refresh --clear-pending-creates",
    );
    expect(await forget(secret)).toEqual([]);
  });

  test("is what most states have none of: they stay as they are", async () => {
    expect(await forget()).toEqual([]);
    expect(lines).toEqual([]);
  });
});

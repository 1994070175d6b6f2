import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { withLock } from "../../runtime/lock.ts";
import { contentKey, makeOnce } from "../../runtime/makeOnce.ts";
import { linesTo } from "../../runtime/progress.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "buildhosts-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const silent = linesTo(() => {});

describe("withLock", () => {
  test("lets one caller at a time do its work, and returns its result", async () => {
    const events: string[] = [];
    const caller = (name: string) =>
      withLock(join(folder, "lock"), async () => {
        events.push(`${name} in`);
        await new Promise((resolve) => setImmediate(resolve));
        events.push(`${name} out`);
        return name;
      });
    expect(await Promise.all([caller("a"), caller("b")])).toEqual(["a", "b"]);
    // Whoever comes first: a lock makes no queue.
    const [first = ""] = events[0]?.split(" ") ?? [];
    const second = first === "a" ? "b" : "a";
    expect(events).toEqual([`${first} in`, `${first} out`, `${second} in`, `${second} out`]);
  });

  test("is free again after its work has failed", async () => {
    const path = join(folder, "lock");
    await expect(withLock(path, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await withLock(path, async () => 1)).toBe(1);
  });

  test("is free again when its owner is killed, and tells who waits", async () => {
    const path = join(folder, "lock");
    const lock = new URL("../../runtime/lock.ts", import.meta.url).href;
    const program = `import { withLock } from ${JSON.stringify(lock)};
      await withLock(${JSON.stringify(path)}, () => { console.log("held"); return new Promise(() => setInterval(() => {}, 1000)); });`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", program]);
    await once(owner.stdout, "data");
    let waits = 0;
    const second = withLock(path, async () => "mine", {
      onWait: () => {
        waits++;
        owner.kill("SIGKILL");
      },
    });
    expect(await second).toBe("mine");
    expect(waits).toBe(1);
  });

  test("gives up after the bound and names the lock", async () => {
    const path = join(folder, "lock");
    await withLock(path, async () => {
      await expect(withLock(path, async () => 1, { waitMinutes: 0 })).rejects.toThrow(
        `${path}: another process has held this lock for 0 minutes`,
      );
    });
  });
});

describe("makeOnce", () => {
  test("makes the folder once, whole", async () => {
    const target = join(folder, "thing-1");
    let made = 0;
    const make = async (temporary: string) => {
      made++;
      expect(existsSync(target)).toBe(false);
      writeFileSync(join(temporary, "file"), "content");
    };
    await Promise.all([makeOnce(target, make, silent), makeOnce(target, make, silent)]);
    expect(made).toBe(1);
    expect(readdirSync(target)).toEqual(["file"]);
  });

  test("leaves nothing behind when making fails, and removes what a killed run left", async () => {
    const target = join(folder, "thing-1");
    const fail = async (temporary: string) => {
      writeFileSync(join(temporary, "half"), "");
      throw new Error("disk full");
    };
    await expect(makeOnce(target, fail, silent)).rejects.toThrow("disk full");
    expect(readdirSync(folder)).toEqual(["thing-1.lock"]);
    writeFileSync(join(folder, "thing-1.tmp-99"), "");
    await makeOnce(target, async () => {}, silent);
    expect(readdirSync(folder).sort()).toEqual(["thing-1", "thing-1.lock"]);
  });
});

test("a content key depends on every part and on where it ends", () => {
  expect(contentKey("ab", "c")).not.toBe(contentKey("a", "bc"));
  expect(contentKey("ab", "c")).toBe(contentKey("ab", "c"));
});

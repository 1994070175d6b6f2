import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runScript } from "./runScript.ts";

let tools: string;
let caches: string;
beforeEach(async () => {
  tools = await mkdtemp(join(tmpdir(), "buildhosts-cache-"));
  caches = join(tools, "buildhosts");
});
afterEach(() => rm(tools, { recursive: true }));

const keep = (env: Record<string, string> = { RUNNER_TOOL_CACHE: tools }) =>
  runScript("keep-local-cache.sh", { SCOPE: "app", ...env });

/** Makes caches, each with its own name in it. */
async function having(...names: string[]): Promise<void> {
  for (const name of names) {
    await mkdir(join(caches, name, "blobs"), { recursive: true });
    await writeFile(join(caches, name, "blobs", "of"), name);
  }
}
/** From the name of each cache that is there to the name that it was made under. */
const there = async () =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(caches)).map(
        async (name) => [name, await readFile(join(caches, name, "blobs", "of"), "utf8")] as const,
      ),
    ),
  );

describe("keep-local-cache.sh", () => {
  test("leaves the cache as it is where the build wrote none", async () => {
    await having("app");
    expect((await keep()).code).toBe(0);
    expect(await there()).toEqual({ app: "app" });
  });

  test.each([
    ["the first cache of an image", ["app.new"]],
    ["what an earlier build wrote", ["app", "app.new"]],
    ["what was left by a run that was cut off before its end", ["app", "app.old", "app.new"]],
    ["the place that a run left empty when it was cut off in the middle", ["app.old", "app.new"]],
  ])("puts what was written in the place of %s, and touches no other image's", async (_, names) => {
    await having(...names, "app-2");
    const { code, log } = await keep();
    expect(code, log).toBe(0);
    expect(await there()).toEqual({ app: "app.new", "app-2": "app-2" });
  });

  test("fails where the runner keeps nothing", async () => {
    const { code, log } = await keep({});
    expect(code).not.toBe(0);
    expect(log).toContain("RUNNER_TOOL_CACHE");
  });
});

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { heldPins } from "../../commands/lib/heldPins.ts";
import { actionPin, behindPins, modulesOf, newestRelease } from "../../commands/lib/pins.ts";

const root = join(import.meta.dirname, "..", "..");

const pin = (version: string, newest: string, name = "a") => ({
  name,
  file: "package.json",
  version,
  newest,
});

describe("a pin", () => {
  test.each([
    ["1.2.3", "1.2.3"],
    ["v1.2.3", "1.2.3"],
    ["1.3.0", "1.2.9"],
  ])("of %s is not behind %s", (version, newest) => {
    expect(behindPins([pin(version, newest)], {})).toEqual([]);
  });

  test.each([
    ["1.2.3", "1.2.4"],
    ["v0.34.2", "v0.35.0"],
    ["9.6.1", "10.0.0"],
  ])("of %s is behind %s", (version, newest) => {
    expect(behindPins([pin(version, newest)], {})).toEqual([
      { ...pin(version, newest), reason: undefined, isHeld: false },
    ]);
  });

  test("stays for a reason until a newer version than that of the reason is there", () => {
    const held = { a: { seen: "2.0.0", reason: "needs Node.js 30" } };
    const [known] = behindPins([pin("1.0.0", "2.0.0")], held);
    expect(known).toMatchObject({ reason: "needs Node.js 30", isHeld: true });
    const [newer] = behindPins([pin("1.0.0", "2.0.1")], held);
    expect(newer).toMatchObject({ reason: "needs Node.js 30", isHeld: false });
  });

  test("that has to be raised comes before those that stay", () => {
    const held = { a: { seen: "2.0.0", reason: "needs Node.js 30" } };
    const behind = behindPins([pin("1.0.0", "2.0.0"), pin("1.0.0", "2.0.0", "b")], held);
    expect(behind.map(({ name }) => name)).toEqual(["b", "a"]);
  });
});

test("the newest release is found among tags of major versions, pre-releases and other names", () => {
  const tags = ["v4", "v4.1.0", "v4.10.0", "v4.9.2", "v5.0.0-rc.1", "codeql-bundle-v9.9.9"];
  expect(newestRelease(tags)).toBe("v4.10.0");
  expect(newestRelease(["latest"])).toBeUndefined();
});

test("a go.mod asks for its tools and for what is not indirect", () => {
  const read = (folder: string) => modulesOf(readFileSync(join(root, folder, "go.mod"), "utf8"));
  expect(read("runtime/engine").map(({ name }) => name)).toEqual([
    "github.com/pulumi/pulumi/pkg/v3",
  ]);
  expect(read("proving-ground/linters/actionlint").map(({ name }) => name)).toEqual([
    "github.com/rhysd/actionlint",
  ]);
  expect(read("runtime/githubPlugin").map(({ name }) => name)).toEqual([
    "github.com/integrations/terraform-provider-github/v6",
    "github.com/pulumi/pulumi-terraform-bridge/v3",
    "github.com/pulumi/pulumi/sdk/v3",
  ]);
});

test("an action's newest release is that of its tags on GitHub", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buildhosts-pins-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const repository = join(folder, "docker", "login-action");
  const author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
  await execa("git", ["init", "--quiet", repository]);
  const git = (...args: string[]) => execa("git", [...author, ...args], { cwd: repository });
  await git("commit", "--quiet", "--allow-empty", "--message", "first");
  for (const tag of ["v4", "v4.1.0", "v4.2.0"]) await git("tag", tag);
  vi.stubEnv("GIT_CONFIG_COUNT", "1");
  vi.stubEnv("GIT_CONFIG_KEY_0", `url.file://${folder}/.insteadOf`);
  vi.stubEnv("GIT_CONFIG_VALUE_0", "https://github.com/");
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(await actionPin("docker/login-action", "v4.1.0")).toEqual({
    name: "docker/login-action",
    file: "components/github/actions.ts",
    version: "v4.1.0",
    newest: "v4.2.0",
  });
  await expect(actionPin("docker/absent", "v1.0.0")).rejects.toThrow("docker/absent");
});

test("each pin that stays is one that this project has", () => {
  const files = [
    "package.json",
    "proving-ground/package.json",
    "config/versions.ts",
    "components/github/actions.ts",
    "runtime/engine/go.mod",
    "runtime/githubPlugin/go.mod",
    "proving-ground/linters/actionlint/go.mod",
    "proving-ground/linters/zizmor.txt",
  ];
  const text = files.map((file) => readFileSync(join(root, file), "utf8")).join("\n");
  expect(Object.keys(heldPins).filter((name) => !text.includes(name))).toEqual([]);
});

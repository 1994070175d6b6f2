import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { runScript } from "./runScript.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const OLD = "2026-01-01T00:00:00Z";
const NEW = "2026-11-20T00:00:00Z";
const NOW = String(Date.parse("2026-11-21T00:00:00Z") / 1000);

/** What each index consists of, as the registry says it. */
const INDEXES: Record<string, string[]> = {
  [digest("a")]: [digest("1"), digest("2")],
  [digest("f")]: [digest("3")],
};

let github: Github;
let registry: ReturnType<typeof createServer>;
let isDown = false;

beforeEach(async () => {
  isDown = false;
  github = await startGithub({ organizations: ["builders"] });
  registry = createServer((request, response) => {
    const name = request.url?.split("/").at(-1) ?? "";
    response.writeHead(isDown ? 404 : 200);
    response.end(
      JSON.stringify({ manifests: (INDEXES[name] ?? []).map((one) => ({ digest: one })) }),
    );
  });
  await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
  const version = (letter: string, createdAt: string, ...tags: string[]) => ({
    digest: digest(letter),
    tags,
    createdAt,
  });
  github.packages.push({
    owner: "builders",
    name: "buildkit-riscv64",
    visibility: "public",
    versions: [
      version("a", NEW, "v0.34.2-riscv64", "latest"),
      version("b", "2026-11-15T00:00:00Z", "master-20261115"),
      version("c", "2026-11-08T00:00:00Z", "master-20261108"),
      version("d", "2026-11-01T00:00:00Z", "master-20261101"),
      version("e", NEW),
      version("f", OLD, `sha256-${"a".repeat(64)}`),
      version("9", OLD, `sha256-${"7".repeat(64)}`),
      version("1", OLD),
      version("2", OLD),
      version("3", OLD),
      version("4", OLD),
    ],
  });
});
afterEach(async () => {
  expect(github.problems).toEqual([]);
  registry.close();
  await github.stop();
});

const prune = () =>
  runScript("prune-package.sh", {
    GITHUB_API_URL: github.apiUrl,
    GITHUB_REPOSITORY: "builders/riscv64",
    GH_TOKEN: github.token,
    PACKAGE: "buildkit-riscv64",
    KEEP_DEVELOPMENT_BUILDS: "2",
    KEEP_UNTAGGED_DAYS: "7",
    REGISTRY: `http://127.0.0.1:${(registry.address() as AddressInfo).port}`,
    NOW,
  });

const left = () => github.packages[0]?.versions.map((one) => one.digest.at(-1)).join("");

test("takes old development builds away, and what belongs to nothing that stays", async () => {
  const { code, log } = await prune();
  expect(code, log).toBe(0);
  // d is the third development build; 9 is about a digest that is gone; 4 belongs to nothing. e is new.
  expect(left()).toBe("abcef123");
  expect((await prune()).log).toBe("");
});

test("takes nothing away while the registry does not say what belongs together", async () => {
  isDown = true;
  const { code, log } = await prune();
  expect(log).toContain("::error::the registry does not say what sha256:");
  expect(code).toBe(1);
  expect(left()).toBe("abcdef91234");
}, 60_000);

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { runScript } from "./runScript.ts";

const COMMENTS = "/repos/builders/stack/issues/1/comments";

let github: Github;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "buildhosts-comment-"));
  github = await startGithub({ organizations: ["builders"] });
  await github.ask("POST", "/orgs/builders/repos", { name: "stack", auto_init: true });
  await github.ask("POST", "/repos/builders/stack/issues", { title: "A pull request" });
});
afterEach(async () => {
  expect(github.problems).toEqual([]);
  await github.stop();
  await rm(folder, { recursive: true, force: true });
});

async function comment(diff: string, result = "success", author = github.user) {
  await writeFile(join(folder, "preview.txt"), diff);
  const run = await runScript(
    "comment-preview.sh",
    {
      GITHUB_API_URL: github.apiUrl,
      GITHUB_REPOSITORY: "builders/stack",
      GH_TOKEN: github.token,
      AUTHOR: author,
      PULL_REQUEST: "1",
      RESULT: result,
      DIFF: "preview.txt",
    },
    folder,
  );
  expect(run.code, run.log).toBe(0);
  return (await github.ask("GET", COMMENTS)) as unknown as { body: string }[];
}

test("each run writes the one comment anew, and leaves others' alone", async () => {
  await github.ask("POST", COMMENTS, { body: "Looks good" });
  await comment("~ board-install");
  const all = await comment("+ board-config", "failure");
  expect(all).toHaveLength(2);
  expect(all[0]?.body).toBe("Looks good");
  expect(all[1]?.body).toContain("**The preview failed.**");
  expect(all[1]?.body).toContain("+ board-config");
  expect(all[1]?.body).not.toContain("board-install");
});

test("a comment of somebody else's that begins the same way stays as it is", async () => {
  const theirs = "<!-- preview of the builders -->\nNothing changes, believe me";
  await github.ask("POST", COMMENTS, { body: theirs });
  const all = await comment("~ board-install", "success", "github-actions[bot]");
  expect(all.map(({ body }) => body)).toEqual([theirs, expect.stringContaining("~ board-install")]);
});

test("a preview cannot end its own frame, and a long one shows its end", async () => {
  const [one] = await comment(
    `${"x\n".repeat(40_000)}\`\`\`\n[not a link](https://example.com)\nthe end`,
  );
  expect(one?.body.length).toBeLessThan(65_536);
  expect(one?.body).toContain("\n````diff\n");
  expect(one?.body).toContain("the end\n````");
});

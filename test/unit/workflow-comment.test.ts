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

async function comment(
  diff: string,
  {
    result = "success",
    author = github.user,
    table,
  }: { result?: string; author?: string; table?: string } = {},
) {
  await writeFile(join(folder, "preview.txt"), diff);
  if (table !== undefined) await writeFile(join(folder, "preview.md"), table);
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
      TABLE: "preview.md",
    },
    folder,
  );
  expect(run.code, run.log).toBe(0);
  return (await github.ask("GET", COMMENTS)) as unknown as { body: string }[];
}

test("each run writes the one comment anew, and leaves others' alone", async () => {
  await github.ask("POST", COMMENTS, { body: "Looks good" });
  await comment("~ board-install");
  const all = await comment("+ board-config", { result: "failure" });
  expect(all).toHaveLength(2);
  expect(all[0]?.body).toBe("Looks good");
  expect(all[1]?.body).toContain("**The preview failed.**");
  expect(all[1]?.body).toContain("+ board-config");
  expect(all[1]?.body).not.toContain("board-install");
});

test("a comment of somebody else's that begins the same way stays as it is", async () => {
  const theirs = "<!-- preview of the builders -->\nNothing changes, believe me";
  await github.ask("POST", COMMENTS, { body: theirs });
  const all = await comment("~ board-install", { author: "github-actions[bot]" });
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

const table = `| | What happens | Are builds interrupted? |
| --- | --- | --- |
| lab | buildkit v0.34.1 → v0.34.2<br>buildkitd restarts | **yes**, after 600 s at most |
`;

test("what happens to each host stands above the diff, which is folded then", async () => {
  const [one] = await comment("~ lab-install", { table });
  expect(one?.body).toBe(`<!-- preview of the builders -->
What this pull request would change on the builders:

${table}
<details>
<summary>The whole diff</summary>

\`\`\`diff
~ lab-install
\`\`\`

</details>`);
});

test("without a table, as of a preview that failed, the diff is open", async () => {
  const [one] = await comment("error: no", { table, result: "failure" });
  expect(one?.body).toContain("<details open>\n<summary>The whole diff</summary>");
  expect(one?.body).not.toContain("What happens");
});

test("a table of a hostile pull request has no link, mention, picture, HTML or fence", async () => {
  const [one] = await comment("x", {
    table:
      "| <img src=x> | @octocat see [this](https://example.com) ![x](y) www.example.com | x<br>y |\n```\n~~~\n</details><script>\n",
  });
  const [shown = ""] = one?.body.split("<details>") ?? [];
  expect(shown.replace("<!-- preview of the builders -->", "").replace("<br>", "")).not.toMatch(
    /<|@|\[|`|~~|:\/\/|www\./,
  );
});

test("a table that is as long as it may be leaves room for the end of the diff", async () => {
  const [one] = await comment(`${"x\n".repeat(40_000)}the end`, {
    table: "| é |\n".repeat(20_000),
  });
  expect(one?.body.length).toBeLessThan(65_536);
  expect(one?.body).toContain(
    "The end of the diff; the artifact 'preview' of the run has all of it",
  );
  expect(one?.body).toContain("the end\n```");
});

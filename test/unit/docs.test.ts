import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import GithubSlugger from "github-slugger";
import { marked, type Token, type Tokens } from "marked";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type StackFileReader, stackFileReader } from "./stackFiles.ts";

const root = join(import.meta.dirname, "..", "..");

const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

const textOf = (page: string) => readFileSync(join(root, page), "utf8");

/** Everything of a page that has a type, nested as it may be. */
function tokensOf<Type extends Token["type"]>(page: string, type: Type) {
  const found: Extract<Tokens.Heading | Tokens.Link | Tokens.Code, { type: Type }>[] = [];
  marked.walkTokens(marked.lexer(textOf(page)), (token) => {
    if (token.type === type) found.push(token as (typeof found)[number]);
  });
  return found;
}

/** The anchors that GitHub gives the headings of a page. */
function anchorsOf(page: string): Set<string> {
  const slugger = new GithubSlugger();
  return new Set(tokensOf(page, "heading").map(({ text }) => slugger.slug(plain(text))));
}

/** A heading's words, without the marks of code, emphasis and links. */
const plain = (text: string) => text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*]/g, "");

const isElsewhere = (href: string) => /^[a-z]+:/.test(href);

describe.each(pages)("%s", (page) => {
  test("has links that lead somewhere", () => {
    const broken = tokensOf(page, "link")
      .map(({ href }) => href)
      .filter((href) => !isElsewhere(href) && !leadsSomewhere(page, href));
    expect(broken).toEqual([]);
  });

  test("has fenced YAML that can be read", () => {
    for (const { text } of fencedYaml(page)) expect(() => parse(text), text).not.toThrow();
  });
});

function leadsSomewhere(page: string, href: string): boolean {
  const [path = "", anchor] = href.split("#", 2);
  const target = path === "" ? page : relative(root, join(root, dirname(page), path));
  if (!existsSync(join(root, target))) return false;
  return anchor === undefined || (target.endsWith(".md") && anchorsOf(target).has(anchor));
}

const fencedYaml = (page: string) => tokensOf(page, "code").filter(({ lang }) => lang === "yaml");

/** A whole stack file, and not a part of one. */
const isStackFile = (text: string) => /^config:$/m.test(text);

describe("a whole stack file", () => {
  const examples = pages.flatMap((page) =>
    fencedYaml(page)
      .filter(({ text }) => isStackFile(text))
      .map(({ text }) => [page, text] as const),
  );
  let reader: StackFileReader;
  beforeAll(async () => {
    reader = await stackFileReader();
  });
  afterAll(() => reader.close());

  test("is in the pages on boards, Podman and GitHub", () => {
    const withOne = examples.map(([page]) => page);
    expect(withOne).toEqual(
      expect.arrayContaining(["docs/boards.md", "docs/podman.md", "docs/github.md"]),
    );
  });

  test.each(examples)("of %s is accepted", (_, text) => {
    expect(() => reader.read(text)).not.toThrow();
  });
});

test("each key of docs/configuration.md has a heading that can be linked", () => {
  const headings = tokensOf("docs/configuration.md", "heading").map(({ text }) => plain(text));
  const slugger = new GithubSlugger();
  // The slugger counts on where a heading has the anchor of an earlier one.
  const counted = headings.filter((text) => slugger.slug(text) !== new GithubSlugger().slug(text));
  expect(counted).toEqual([]);
  expect(headings).toEqual(
    expect.arrayContaining(["boards[].listen.port", "buildkitd.worker.gcpolicy[].keepDuration"]),
  );
});

describe("README.md", () => {
  test("has at most 150 lines", () => {
    expect(textOf("README.md").split("\n").length).toBeLessThanOrEqual(151);
  });

  test("names the command that tests everything, which CI runs", () => {
    expect(textOf("README.md")).toMatch(/^npm test$/m);
  });

  test("has a link to every page of docs/", () => {
    const links = tokensOf("README.md", "link").map(({ href }) => href.split("#")[0]);
    const unlinked = pages.filter((page) => page.startsWith("docs/") && !links.includes(page));
    expect(unlinked).toEqual([]);
  });
});

test("the sections that messages name exist", () => {
  const named = [...sources().matchAll(/\((README|docs\/[\w-]+\.md), '([^']+)'\)/g)].map(
    ([, page = "", section = ""]) => ({
      page: page === "README" ? "README.md" : page,
      section,
    }),
  );
  expect(named.map(({ page }) => page)).toEqual(
    expect.arrayContaining(["README.md", "docs/operations.md"]),
  );
  const absent = named.filter(
    ({ page, section }) =>
      !existsSync(join(root, page)) ||
      !tokensOf(page, "heading").some(({ text }) => plain(text).startsWith(section)),
  );
  expect(absent).toEqual([]);
});

describe("docs/troubleshooting.md", () => {
  // Letters and digits count; how a message is quoted in code does not.
  const words = (text: string) => text.replace(/[\\"'`]/g, "").replace(/\s+/g, " ");

  test("has messages that exist in the code, but for those of other programs", () => {
    const code = words(sources());
    const unknown = messagesIn("docs/troubleshooting.md").flatMap((message) =>
      message
        .split("…")
        .map((part) =>
          words(part)
            .trim()
            .replace(/^[.,;:]+|[?:]+$/g, "")
            .trim(),
        )
        .filter((part) => part.length > 4 && !code.includes(part))
        .map((part) => ({ message, part })),
    );
    expect(unknown).toEqual([]);
  });
});

/** The first cells of the tables; the messages of other programs are marked as code there. */
function messagesIn(page: string): string[] {
  const messages: string[] = [];
  marked.walkTokens(marked.lexer(textOf(page)), (token) => {
    if (token.type !== "table") return;
    for (const [first] of (token as Tokens.Table).rows) {
      if (first && !first.text.startsWith("`")) messages.push(first.text);
    }
  });
  return messages;
}

/** The text of all that prints messages: the program, its commands and what runs on hosts. */
function sources(): string {
  const files: string[] = [];
  const collect = (folder: string) => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (name === "node_modules") continue;
      if (statSync(path).isDirectory()) collect(path);
      else if (/\.(ts|mjs|sh|yml)$/.test(name)) files.push(readFileSync(path, "utf8"));
    }
  };
  for (const folder of ["components", "config", "hosts", "stack", "commands"])
    collect(join(root, folder));
  return files.join("\n");
}

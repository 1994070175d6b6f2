import { createHash } from "node:crypto";
import type { GithubConfig, RepositoryConfig } from "../../config/stackConfig.ts";
import { askGithub } from "./api.ts";

/**
 * Those of `files`, from path to text, that the default branch has not got in this form, and which are left to propose.
 * All of them if the repository or the branch does not exist yet.
 */
export async function unmergedFiles(
  github: GithubConfig,
  { name, defaultBranch }: RepositoryConfig,
  files: Record<string, string>,
): Promise<Record<string, string>> {
  const tree = `repos/${github.owner}/${name}/git/trees/${encodeURIComponent(defaultBranch)}`;
  // 409: the repository has no commit.
  const { body } = await askGithub(github, `${tree}?recursive=1`, { accept: [200, 404, 409] });
  const entries = (body.tree ?? []) as { path: string; sha: string }[];
  const merged = new Map(entries.map(({ path, sha }) => [path, sha]));
  return Object.fromEntries(
    Object.entries(files).filter(([path, text]) => merged.get(path) !== blobId(text)),
  );
}

/** Git's name for a file of this text. */
function blobId(text: string): string {
  const bytes = Buffer.from(text);
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

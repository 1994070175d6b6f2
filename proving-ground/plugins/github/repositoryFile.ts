import type { Resource } from "../provider/plugin.ts";
import { type Client, GithubError, type Parameters } from "./client.ts";
import {
  BOOLEAN,
  githubResource,
  idPart,
  idParts,
  NOT_HERE,
  STRING,
  unlessArchived,
} from "./githubResource.ts";
import { REPOSITORY, repositoryId } from "./repositoryId.ts";

interface Inputs {
  readonly repository: string;
  readonly file: string;
  readonly content: string;
  readonly branch?: string;
  readonly commitMessage?: string;
  readonly commitAuthor?: string;
  readonly commitEmail?: string;
  readonly overwriteOnCreate?: boolean;
}

interface State extends Inputs {
  readonly repositoryId: number;
  readonly ref: string;
  readonly commitSha: string;
  readonly sha: string;
}

interface Contents {
  readonly content: string;
  readonly sha: string;
  readonly url: string;
}

interface Commit {
  readonly sha: string;
  readonly commit: {
    readonly message: string;
    readonly committer: { readonly name: string; readonly email: string };
  };
}

const CONTENTS = "/repos/{owner}/{repo}/contents/{+path}";

/** `github:index/repositoryFile:RepositoryFile`: a file on a branch; each change of it is a commit. */
export function repositoryFile(client: () => Client): Resource {
  return githubResource<Inputs, State>(client, {
    attributes: {
      repository: REPOSITORY,
      file: { shape: STRING, required: true, replaces: true },
      content: { shape: STRING, required: true },
      branch: { shape: STRING, computed: true, replaces: true },
      commitMessage: { shape: STRING, computed: true },
      commitAuthor: { shape: STRING },
      commitEmail: { shape: STRING },
      overwriteOnCreate: { shape: BOOLEAN, unset: false },
      autocreateBranch: { shape: BOOLEAN, unsupported: NOT_HERE },
      autocreateBranchSourceBranch: { shape: STRING, unsupported: NOT_HERE },
      autocreateBranchSourceSha: { shape: STRING, computed: true, unsupported: NOT_HERE },
    },
    outputs: ["commitSha", "ref", "repositoryId", "sha"],
    schemaVersion: 1,

    refuse: ({ commitAuthor, commitEmail }) =>
      (commitAuthor === undefined) === (commitEmail === undefined)
        ? []
        : [{ property: "commitAuthor", reason: "commitAuthor and commitEmail go together" }],

    async create(inputs, client) {
      const { repository: repo, file } = inputs;
      const { data } = await client.ask<{ readonly id: number; readonly default_branch: string }>(
        "GET /repos/{owner}/{repo}",
        { repo },
      );
      const branch = inputs.branch ?? data.default_branch;
      if (inputs.branch !== undefined) await demandBranch(repo, branch, client);
      const there = await contentsOf(repo, file, branch, client);
      if (there !== undefined && !inputs.overwriteOnCreate) {
        throw new Error(
          "refusing to overwrite existing file: configure `overwrite_on_create` to `true` to override",
        );
      }
      const message = inputs.commitMessage ?? `Add ${file}`;
      const commitSha = await put({ ...inputs, branch }, message, there?.sha, client);
      return {
        id: `${repo}:${idPart(file)}:${branch}`,
        known: { branch, repositoryId: data.id, commitSha },
      };
    },

    async read(_, state, client) {
      const { repository: repo, file } = state;
      const found = await contentsOf(repo, file, state.branch, client);
      if (found === undefined) return undefined;
      const ref = new URL(found.url).searchParams.get("ref") ?? "";
      const commit = await commitOf(state, ref, client);
      const { name, email } = commit.commit.committer;
      const signed = name === "GitHub" || email === "noreply@github.com";
      return {
        content: Buffer.from(found.content, "base64").toString("utf8"),
        sha: found.sha,
        ref,
        branch: state.branch ?? ref,
        commitSha: commit.sha,
        commitMessage: commit.commit.message,
        ...(!signed &&
          state.commitAuthor &&
          state.commitEmail && { commitAuthor: name, commitEmail: email }),
        ...(await repositoryId(state, client)),
      };
    },

    async update(_, inputs, old, client) {
      const { file, commitMessage = "" } = inputs;
      const message = commitMessage === `Add ${file}` ? `Update ${file}` : commitMessage;
      return { commitSha: await put(inputs, message, old.sha, client) };
    },

    async remove(_, state, client) {
      const { repository: repo, file, branch, sha, commitMessage = "" } = state;
      const message = commitMessage === `Add ${file}` ? `Delete ${file}` : commitMessage;
      const parameters = { repo, path: file, branch, sha, message, ...identity(state) };
      await unlessArchived(client.ask(`DELETE ${CONTENTS}`, parameters));
    },

    imported(id) {
      const [repository = "", file = "", branch = ""] = idParts(id, 3);
      return { repository, file, ...(branch !== "" && { branch }), overwriteOnCreate: false };
    },
  });
}

async function put(
  inputs: Inputs,
  message: string,
  sha: string | undefined,
  client: Client,
): Promise<string> {
  const { data } = await client.ask<{ readonly commit: { readonly sha: string } }>(
    `PUT ${CONTENTS}`,
    {
      repo: inputs.repository,
      path: inputs.file,
      message,
      content: Buffer.from(inputs.content).toString("base64"),
      branch: inputs.branch,
      ...(sha !== undefined && { sha }),
      ...identity(inputs),
    },
  );
  return data.commit.sha;
}

function identity({ commitAuthor: name, commitEmail: email }: Inputs): Parameters {
  if (!name || !email) return {};
  return { author: { name, email }, committer: { name, email } };
}

/** The file, or nothing where there is none; a folder is none either. */
async function contentsOf(
  repo: string,
  path: string,
  ref: string | undefined,
  client: Client,
): Promise<Contents | undefined> {
  const found = await client.find<Contents | readonly unknown[]>(`GET ${CONTENTS}`, {
    repo,
    path,
    ...(ref !== undefined && { ref }),
  });
  if (found === undefined || Array.isArray(found.data)) return undefined;
  return found.data as Contents;
}

/** The commit that wrote the file: the one that is known, or else the last that touched it. */
async function commitOf(state: State, ref: string, client: Client): Promise<Commit> {
  const { repository: repo, file: path, commitSha } = state;
  if (commitSha) {
    const route = "GET /repos/{owner}/{repo}/commits/{ref}";
    return (await client.ask<Commit>(route, { repo, ref: commitSha })).data;
  }
  const route = "GET /repos/{owner}/{repo}/commits";
  const { data } = await client.ask<readonly Commit[]>(route, { repo, path, sha: ref });
  const [last] = data;
  if (last === undefined)
    throw new Error(`cannot find file ${path} in repo ${client.owner}/${repo}`);
  return last;
}

async function demandBranch(repo: string, branch: string, client: Client): Promise<void> {
  try {
    await client.ask("GET /repos/{owner}/{repo}/branches/{branch}", { repo, branch });
  } catch (error) {
    if (!(error instanceof GithubError && error.status === 404)) throw error;
    const where = `repository ${client.owner}/${repo} or repository is not readable`;
    throw new Error(`branch ${branch} not found in ${where}`);
  }
}

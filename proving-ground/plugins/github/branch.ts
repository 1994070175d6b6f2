import type { Resource } from "../provider/plugin.ts";
import { type Client, GithubError } from "./client.ts";
import { githubResource, idParts, NOT_HERE, STRING } from "./githubResource.ts";
import { REPOSITORY } from "./repositoryId.ts";

interface Inputs {
  readonly repository: string;
  readonly branch: string;
  readonly sourceBranch: string;
  readonly sourceSha?: string;
}

interface State extends Inputs {
  readonly etag: string;
  readonly ref: string;
  readonly sha: string;
}

interface Reference {
  readonly ref: string;
  readonly object: { readonly sha: string };
}

/** `github:index/branch:Branch`. */
export function branch(client: () => Client): Resource {
  return githubResource<Inputs, State>(client, {
    attributes: {
      repository: REPOSITORY,
      branch: { shape: STRING, required: true },
      sourceBranch: { shape: STRING, unset: "main", replaces: true },
      sourceSha: { shape: STRING, computed: true, replaces: true },
      etag: { shape: STRING, computed: true, unsupported: NOT_HERE },
    },
    outputs: ["ref", "sha"],

    async create(inputs, client) {
      const { repository: repo, branch, sourceBranch } = inputs;
      const sourceSha =
        inputs.sourceSha ??
        (await telling("querying", repo, sourceBranch, client, () =>
          client.ask<Reference>("GET /repos/{owner}/{repo}/git/ref/{+ref}", {
            repo,
            ref: `heads/${sourceBranch}`,
          }),
        ).then(({ data }) => data.object.sha));
      await telling("creating", repo, branch, client, async () => {
        try {
          await client.ask("POST /repos/{owner}/{repo}/git/refs", {
            repo,
            ref: `refs/heads/${branch}`,
            sha: sourceSha,
          });
        } catch (error) {
          // As the official plugin: a branch that is there already is taken as it is.
          const there =
            error instanceof GithubError && /Reference already exists/.test(error.message);
          if (!there) throw error;
        }
      });
      return { id: `${repo}:${branch}`, known: { sourceSha } };
    },

    async read(_, { repository: repo, branch, sourceSha }, client) {
      const found = await telling("querying", repo, branch, client, () =>
        client.find<Reference>("GET /repos/{owner}/{repo}/git/ref/{+ref}", {
          repo,
          ref: `heads/${branch}`,
        }),
      );
      if (found === undefined) return undefined;
      const { ref, object } = found.data;
      return { etag: found.etag, ref, sha: object.sha, ...(sourceSha && { sourceSha }) };
    },

    async update(_, { repository: repo, branch }, old, client) {
      if (branch !== old.branch) {
        await client.ask("POST /repos/{owner}/{repo}/branches/{branch}/rename", {
          repo,
          branch: old.branch,
          new_name: branch,
        });
      }
      return undefined;
    },

    async remove(_, { repository: repo, branch }, client) {
      await telling("deleting", repo, branch, client, () =>
        client.ask("DELETE /repos/{owner}/{repo}/git/refs/{+ref}", {
          repo,
          ref: `heads/${branch}`,
        }),
      );
    },

    imported(id) {
      const [repository = "", branch = "", sourceBranch = "main"] = id.split(":");
      return { repository, branch: branch || (idParts(id, 2)[1] ?? ""), sourceBranch };
    },
  });
}

async function telling<Result>(
  doing: string,
  repository: string,
  branch: string,
  client: Client,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const what = `${client.owner}/${repository} (refs/heads/${branch})`;
    throw new Error(`error ${doing} GitHub branch reference ${what}: ${reason}`);
  }
}

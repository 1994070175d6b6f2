import type { Resource } from "../provider/plugin.ts";
import { type Client, GithubError } from "./client.ts";
import { githubResource, idParts, NOT_HERE, STRING } from "./githubResource.ts";
import { REPOSITORY } from "./repositoryId.ts";

interface Inputs {
  readonly repository: string;
  readonly name: string;
  readonly color: string;
  readonly description?: string;
}

interface State extends Inputs {
  readonly etag: string;
  readonly url: string;
}

const LABELS = "/repos/{owner}/{repo}/labels";

/** `github:index/issueLabel:IssueLabel`. */
export function issueLabel(client: () => Client): Resource {
  return githubResource<Inputs, State>(client, {
    attributes: {
      repository: REPOSITORY,
      name: { shape: STRING },
      color: { shape: STRING, required: true },
      description: { shape: STRING },
      etag: { shape: STRING, computed: true, unsupported: NOT_HERE },
    },
    outputs: ["url"],
    autoName: true,

    async create({ repository: repo, name, color, description = "" }, client) {
      await client.ask(`POST ${LABELS}`, { repo, name, color, description });
      return { id: `${repo}:${name}` };
    },

    async read(_, { repository: repo, name }, client) {
      const found = await client.find<{
        readonly color: string;
        readonly description: string | null;
        readonly url: string;
      }>(`GET ${LABELS}/{name}`, { repo, name });
      if (found === undefined) return undefined;
      const { color, description, url } = found.data;
      return { color, description: description ?? "", url, etag: found.etag };
    },

    async update(_, { repository: repo, name, color, description = "" }, old, client) {
      const change = { repo, name: old.name, new_name: name, color, description };
      await client.ask(`PATCH ${LABELS}/{name}`, change);
      return undefined;
    },

    async remove(_, { repository: repo, name }, client) {
      try {
        await client.ask(`DELETE ${LABELS}/{name}`, { repo, name });
      } catch (error) {
        // It is gone already, or all is read-only in the archive.
        if (!(error instanceof GithubError && [403, 404].includes(error.status))) throw error;
      }
    },

    imported(id) {
      const [repository = "", name = ""] = idParts(id, 2);
      return { repository, name };
    },
  });
}

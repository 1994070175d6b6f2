import type { Resource } from "../provider/plugin.ts";
import type { Client } from "./client.ts";
import { BOOLEAN, githubResource, idParts, STRING } from "./githubResource.ts";

interface Inputs {
  readonly owner?: string;
  readonly baseRepository: string;
  readonly baseRef: string;
  readonly headRef: string;
  readonly title: string;
  readonly body?: string;
  readonly maintainerCanModify: boolean;
}

interface State extends Inputs {
  readonly baseSha: string;
  readonly draft: boolean;
  readonly headSha: string;
  readonly labels: readonly string[];
  readonly number: number;
  readonly openedAt: number;
  readonly openedBy: string;
  readonly state: string;
  readonly updatedAt: number;
}

interface PullRequest {
  readonly number: number;
  readonly state: string;
  readonly title: string;
  readonly body: string | null;
  readonly draft?: boolean;
  readonly maintainer_can_modify?: boolean;
  readonly base: { readonly ref: string; readonly sha: string };
  readonly head: { readonly ref: string; readonly sha: string };
  readonly labels: readonly { readonly name: string }[];
  readonly user: { readonly login: string } | null;
  readonly created_at: string;
  readonly updated_at: string;
}

const ONE = "/repos/{owner}/{repo}/pulls/{number}";

/** `github:index/repositoryPullRequest:RepositoryPullRequest`; delete closes it. */
export function pullRequest(client: () => Client): Resource {
  return githubResource<Inputs, State>(client, {
    attributes: {
      owner: { shape: STRING, replaces: true },
      baseRepository: { shape: STRING, required: true, replaces: true },
      baseRef: { shape: STRING, required: true },
      headRef: { shape: STRING, required: true, replaces: true },
      title: { shape: STRING, required: true },
      body: { shape: STRING },
      maintainerCanModify: { shape: BOOLEAN, unset: false },
    },
    outputs: [
      "baseSha",
      "draft",
      "headSha",
      "labels",
      "number",
      "openedAt",
      "openedBy",
      "state",
      "updatedAt",
    ],

    async create(inputs, client) {
      const { owner = client.owner, baseRepository: repo, headRef, body = "" } = inputs;
      const { data } = await client.ask<PullRequest>("POST /repos/{owner}/{repo}/pulls", {
        owner,
        repo,
        title: inputs.title,
        head: owner === client.owner ? headRef : `${client.owner}:${headRef}`,
        base: inputs.baseRef,
        body,
        maintainer_can_modify: inputs.maintainerCanModify,
      });
      return { id: `${owner}:${repo}:${data.number}` };
    },

    async read(id, _, client) {
      // As the official plugin: one that is gone is an error; GitHub deletes none.
      const { data } = await client.ask<PullRequest>(`GET ${ONE}`, named(id));
      return {
        number: data.number,
        headRef: data.head.ref,
        headSha: data.head.sha,
        baseRef: data.base.ref,
        baseSha: data.base.sha,
        body: data.body ?? "",
        title: data.title,
        draft: data.draft ?? false,
        maintainerCanModify: data.maintainer_can_modify ?? false,
        state: data.state,
        openedAt: seconds(data.created_at),
        updatedAt: seconds(data.updated_at),
        openedBy: data.user?.login ?? "",
        labels: data.labels.map(({ name }) => name),
      };
    },

    async update(id, inputs, old, client) {
      await client.ask(`PATCH ${ONE}`, {
        ...named(id),
        title: inputs.title,
        body: inputs.body ?? "",
        maintainer_can_modify: inputs.maintainerCanModify,
        ...(inputs.baseRef !== old.baseRef && { base: inputs.baseRef }),
      });
      return undefined;
    },

    async remove(id, { state }, client) {
      if (state === "open") await client.ask(`PATCH ${ONE}`, { ...named(id), state: "closed" });
    },

    imported: (id) => ({ baseRepository: idParts(id, 3)[1] ?? "" }),
  });
}

function named(id: string) {
  const [owner, repo, number] = idParts(id, 3);
  return { owner, repo, number };
}

function seconds(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}

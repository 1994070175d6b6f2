import type { Attribute } from "../provider/plan.ts";
import type { Client } from "./client.ts";
import { STRING } from "./githubResource.ts";

/**
 * The repository that something is in: in another one it is made anew. Of a new name the official plugin
 * asks GitHub whether it is the old repository's, and then replaces nothing; the stand-in does not ask.
 */
export const REPOSITORY: Attribute = { shape: STRING, required: true, replaces: true };

/** The number of the repository that something is in: looked up once, then kept in the state. */
export async function repositoryId(
  state: { readonly repository: string; readonly repositoryId?: number },
  client: Client,
): Promise<{ readonly repositoryId: number }> {
  if (state.repositoryId) return { repositoryId: state.repositoryId };
  const route = "GET /repos/{owner}/{repo}";
  const { data } = await client.ask<{ readonly id: number }>(route, { repo: state.repository });
  return { repositoryId: data.id };
}

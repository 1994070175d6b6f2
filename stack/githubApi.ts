import { RunError } from "@pulumi/pulumi";
import type { GithubConfig } from "../config/stackConfig.ts";

/** What GitHub answered to a question. */
export interface GithubAnswer {
  status: number;
  headers: Headers;
  /** Empty where there is none. */
  body: Record<string, unknown>;
}

export interface GithubChange {
  method: "DELETE" | "PATCH";
  /** JSON. */
  body?: string;
}

const PATIENCE_MS = 15_000;

/**
 * Asks the API of the stack's GitHub, in the name of its token. To change what is there is for resources to do;
 * `change` is for what one of them has left half-done.
 *
 * @throws when there is no answer; the message has no token in it
 */
export async function askGithub(
  { baseUrl, token }: Pick<GithubConfig, "baseUrl" | "token">,
  path: string,
  change?: GithubChange,
): Promise<GithubAnswer> {
  const { hostname } = new URL(baseUrl);
  // As the provider does it: everything else than github.com is a GitHub Enterprise Server.
  const api = hostname === "api.github.com" ? baseUrl : new URL("api/v3/", baseUrl).href;
  let response: Response;
  try {
    response = await fetch(new URL(path, api), {
      ...change,
      headers: { authorization: `Bearer ${token}`, accept: "application/vnd.github+json" },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string } };
    throw new RunError(`${api} does not answer (${cause?.code ?? message})`);
  }
  const text = await response.text();
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // A proxy's page, say; the status tells enough.
  }
  return { status: response.status, headers: response.headers, body };
}

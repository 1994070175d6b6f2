import { setTimeout as pause } from "node:timers/promises";
import { RunError } from "@pulumi/pulumi";
import { FINE_GRAINED_PERMISSIONS } from "../../config/githubToken.ts";
import type { GithubConfig } from "../../config/stackConfig.ts";

/** GitHub's response. */
export interface GithubAnswer {
  status: number;
  headers: Headers;
  /** Empty where there is none. */
  body: Record<string, unknown>;
}

export interface GithubChange {
  method: "DELETE" | "PATCH" | "PUT";
  /** JSON. */
  body?: string;
}

export interface GithubQuestion {
  /** Default: a GET, which changes nothing. */
  change?: GithubChange;
  /** Statuses that are an answer; every other is an error. Default: 200 and 404, "there" and "not there". */
  accept?: readonly number[];
}

/** There is no GitHub at the address, or nothing that speaks as one. */
export class GithubUnreachable extends RunError {}

const PATIENCE_MS = 15_000;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 250;
/** Beyond this a limit of requests is said instead of waited for. */
const LONGEST_PAUSE_MS = 60_000;

/**
 * Asks the API of the stack's GitHub with the stack's token. Resources make changes; `change` is for the half-done
 * work of one of them. It tries a question four times in all after errors of GitHub and at its limit of requests, so
 * every question must be safe to repeat.
 *
 * @throws RunError when there is no answer, or another than is accepted; the message has no token in it
 */
export async function askGithub(
  { baseUrl, token }: Pick<GithubConfig, "baseUrl" | "token">,
  path: string,
  { change, accept = [200, 404] }: GithubQuestion = {},
): Promise<GithubAnswer> {
  const { hostname } = new URL(baseUrl);
  // As the provider does it: everything else than github.com is a GitHub Enterprise Server.
  const api = hostname === "api.github.com" ? baseUrl : new URL("api/v3/", baseUrl).href;
  const said = `${change?.method ?? "GET"} ${path}`;
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt === ATTEMPTS;
    const backOff = FIRST_PAUSE_MS * 2 ** attempt;
    let answer: GithubAnswer;
    try {
      answer = await once(new URL(path, api), token, change);
    } catch (error) {
      const { cause, message } = error as Error & { cause?: { code?: string } };
      // Where nothing listens or speaks, nothing will in a second.
      if (/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/.test(cause?.code ?? "") && !isLast) {
        await pause(backOff);
        continue;
      }
      throw new GithubUnreachable(`${api} does not answer (${cause?.code ?? message})`);
    }
    if (accept.includes(answer.status)) return answer;
    const waitMs = answer.status >= 500 ? backOff : limitedForMs(answer, backOff);
    if (waitMs !== undefined && waitMs > LONGEST_PAUSE_MS) {
      throw new RunError(
        `GitHub's limit of requests is used up (${said}: ${answer.status}); run this again in ${Math.ceil(waitMs / 60_000)} minutes.`,
      );
    }
    if (waitMs === undefined || isLast) throw new RunError(`${said}: ${refusal(answer, attempt)}`);
    await pause(waitMs);
  }
}

async function once(
  url: URL,
  token: string,
  change: GithubChange | undefined,
): Promise<GithubAnswer> {
  const response = await fetch(url, {
    ...change,
    headers: { authorization: `Bearer ${token}`, accept: "application/vnd.github+json" },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const text = await response.text();
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // A proxy's page, say; the status tells enough.
  }
  return { status: response.status, headers: response.headers, body };
}

/** How long GitHub wants to be left in peace; undefined where it refuses for another reason. */
function limitedForMs(
  { status, headers, body }: GithubAnswer,
  backOff: number,
): number | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const after = headers.get("retry-after");
  if (after !== null) return Number(after) * 1000;
  if (headers.get("x-ratelimit-remaining") === "0") {
    return Math.max(0, Number(headers.get("x-ratelimit-reset")) * 1000 - Date.now()) + backOff;
  }
  return status === 429 || /rate limit/i.test(String(body.message)) ? backOff : undefined;
}

function refusal({ status, headers, body }: GithubAnswer, attempts: number): string {
  const why = typeof body.message === "string" ? ` (${body.message})` : "";
  if (status === 403 && headers.get("x-oauth-scopes") === null) {
    return `GitHub answers 403${why}. A fine-grained token needs ${FINE_GRAINED_PERMISSIONS}.`;
  }
  const again = status >= 500 || status === 429 ? `, ${attempts} times; run this again later` : "";
  return `GitHub answers ${status}${why}${again}.`;
}

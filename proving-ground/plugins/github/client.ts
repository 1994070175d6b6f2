import { setTimeout as wait } from "node:timers/promises";
import { Octokit } from "@octokit/core";

/** The provider's configuration, complete. */
export interface ClientOptions {
  readonly baseUrl: string;
  readonly owner: string;
  readonly token: string;
  readonly readDelayMs: number;
  readonly writeDelayMs: number;
  readonly retryDelayMs: number;
  readonly maxRetries: number;
  readonly parallelRequests: boolean;
}

/** GitHub, in the name of the provider's owner. */
export interface Client {
  readonly owner: string;
  readonly isOrganization: boolean;
  /** Asks for a route such as `GET /repos/{owner}/{repo}`; `owner` is filled in. @throws GithubError */
  ask<Data>(route: string, parameters?: Parameters): Promise<Reply<Data>>;
  /** The same, where "not found" is an answer too. */
  find<Data>(route: string, parameters?: Parameters): Promise<Reply<Data> | undefined>;
}

export interface Parameters {
  readonly [name: string]: unknown;
}

export interface Reply<Data> {
  readonly data: Data;
  readonly etag: string;
}

/** An error that GitHub answered, in the words of the official plugin. */
export class GithubError extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }

  get archived(): boolean {
    return this.status === 403 && this.message.toLowerCase().includes("archived");
  }
}

/** As the official plugin: what is not among these is not tried again. */
const RETRIED = [500, 502, 503, 504];

/** How long GitHub is left alone when it asks for patience and does not say how much. */
const PATIENCE_SECONDS = 60;

/** @throws GithubError or one line when GitHub cannot be reached, or refuses the token. */
export async function connect(options: ClientOptions): Promise<Client> {
  const octokit = new Octokit({
    baseUrl: apiUrlOf(options.baseUrl),
    userAgent: "buildhosts-proving-ground",
    ...(options.token !== "" && { auth: options.token }),
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  paced(octokit, options);

  let owner = options.owner;
  const ask = async <Data>(route: string, parameters: Parameters = {}): Promise<Reply<Data>> => {
    try {
      // What is no part of the route would stand in the body.
      const ofOwner = route.includes("{owner}") ? { owner } : {};
      const { data, headers, status, url } = await octokit.request(route, {
        ...ofOwner,
        ...parameters,
      });
      // As GitHub answers where there is such a thing already; Go's client finds nowhere to go on.
      if (Number(status) === 303)
        throw new GithubError(
          `${route.split(" ")[0]} "${url}": 303 response missing Location header`,
          status,
        );
      return { data: data as Data, etag: headers.etag ?? "" };
    } catch (error) {
      throw inWordsOfGo(error);
    }
  };
  const find = async <Data>(
    route: string,
    parameters?: Parameters,
  ): Promise<Reply<Data> | undefined> => {
    try {
      return await ask<Data>(route, parameters);
    } catch (error) {
      if (error instanceof GithubError && error.status === 404) return undefined;
      throw error;
    }
  };

  if (owner === "" && options.token !== "") {
    try {
      owner = (await ask<{ readonly login: string }>("GET /user")).data.login;
    } catch (error) {
      throw new Error(`owner cannot be found by token: ${messageOf(error)}`);
    }
  }
  let isOrganization = false;
  if (owner !== "") {
    try {
      isOrganization = (await find("GET /orgs/{org}", { org: owner })) !== undefined;
    } catch (error) {
      throw new Error(`failed to lookup organization "${owner}": ${messageOf(error)}`);
    }
  }
  return { owner, isOrganization, ask, find };
}

/** Away from github.com, the API is that of an Enterprise Server. */
function apiUrlOf(baseUrl: string): string {
  const url = URL.parse(baseUrl);
  if (url === null) throw new Error("base url must be absolute");
  if (["github.com", "api.github.com"].includes(url.host)) {
    if (url.protocol !== "https:") {
      throw new Error("base url for github.com or ghe.com must use the https scheme");
    }
    return "https://api.github.com";
  }
  const root = url.href.replace(/\/$/, "").replace(/\/api\/v3$/, "");
  return `${root}/api/v3`;
}

/**
 * Lets requests follow each other with the delays that are configured, and tries again what GitHub failed
 * at or had no time for. As with the official plugin, a request whose answer was lost is tried again too.
 */
function paced(octokit: Octokit, options: ClientOptions): void {
  const { readDelayMs, writeDelayMs, retryDelayMs, maxRetries, parallelRequests } = options;
  let before: Promise<unknown> = Promise.resolve();
  let delayMs = 0;

  octokit.hook.wrap("request", async (request, parameters) => {
    const attempt = async () => {
      for (;;) {
        if (delayMs > 0) await wait(delayMs);
        delayMs = parameters.method === "GET" ? readDelayMs : writeDelayMs;
        try {
          return await request(parameters);
        } catch (error) {
          const patienceMs = patienceOf(error);
          if (patienceMs === undefined) throw error;
          delayMs = 0;
          await wait(patienceMs);
        }
      }
    };
    const inTurn = () => {
      if (parallelRequests) return attempt();
      const turn = before.then(attempt, attempt);
      before = turn.catch(() => {});
      return turn;
    };
    for (let retry = 0; ; retry++) {
      try {
        return await inTurn();
      } catch (error) {
        if (retry >= maxRetries || !isRetried(error)) throw error;
        await wait(retryDelayMs);
      }
    }
  });
}

function isRetried(error: unknown): boolean {
  const { status, response } = error as RequestError;
  // Without an answer there was none from GitHub.
  return response === undefined || RETRIED.includes(status ?? 0);
}

/** For how long GitHub refuses everything, when that is what an error says. */
function patienceOf(error: unknown): number | undefined {
  const { status, response } = error as RequestError;
  if (response === undefined || (status !== 403 && status !== 429)) return undefined;
  const { headers, data } = response;
  if (headers["x-ratelimit-remaining"] === "0") {
    return Math.max(0, Number(headers["x-ratelimit-reset"]) * 1000 - Date.now());
  }
  if (!/secondary rate limit/i.test(data?.message ?? "")) return undefined;
  return Number(headers["retry-after"] ?? PATIENCE_SECONDS) * 1000;
}

/** What Octokit throws. */
interface RequestError {
  readonly status?: number;
  readonly request?: { readonly method: string; readonly url: string };
  readonly response?: {
    readonly headers: { readonly [name: string]: string };
    readonly data?: { readonly message?: string; readonly errors?: readonly unknown[] };
  };
}

function inWordsOfGo(error: unknown): Error {
  const { status = 0, request, response } = error as RequestError;
  if (request === undefined) return error instanceof Error ? error : new Error(String(error));
  const { method, url } = request;
  if (response === undefined) {
    const verb = method.charAt(0) + method.slice(1).toLowerCase();
    return new GithubError(`${verb} "${url}": ${reasonOf(error)}`, 0);
  }
  const errors = (response.data?.errors ?? []).map(detail).join(" ");
  const message = response.data?.message ?? "";
  return new GithubError(`${method} ${url}: ${status} ${message} [${errors}]`, status);
}

function detail(error: unknown): string {
  if (typeof error === "string") return `{Resource: Field: Code: Message:${error}}`;
  const {
    resource = "",
    field = "",
    code = "",
    message = "",
  } = error as { [name: string]: string };
  return `{Resource:${resource} Field:${field} Code:${code} Message:${message}}`;
}

/** What broke the connection, below what Octokit says of it. */
function reasonOf(error: unknown): string {
  const { cause } = error as Error;
  return cause instanceof Error ? reasonOf(cause) : messageOf(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

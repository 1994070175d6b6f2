// The words that the routes of the GitHub on loopback are written in.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** A request for one operation of GitHub's REST API. */
export interface Call {
  readonly method: string;
  /** Below the API's prefix, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The values in the path, by the names in braces of the operation. */
  readonly parameters: { readonly [name: string]: string };
  /** Parsed where it is JSON; undefined where there is none. */
  readonly body: unknown;
  /** As it came. */
  readonly rawBody: Buffer;
  readonly headers: { readonly [name: string]: string };
}

export interface Answer {
  readonly status: number;
  /** JSON, or what is not JSON; undefined for none. */
  readonly body?: Json | Buffer;
  readonly headers?: { readonly [name: string]: string };
}

export type Route = (call: Call) => Answer | Promise<Answer>;

/** Routes by operation, as GitHub's description names it: `GET /repos/{owner}/{repo}`. */
export type Routes = { readonly [operation: string]: Route };

/** Ends a call with an error as GitHub words it. */
export class ApiError extends Error {
  readonly status: number;
  readonly errors: readonly Json[] | undefined;

  constructor(status: number, message: string, errors?: readonly Json[]) {
    super(message);
    this.status = status;
    this.errors = errors;
  }

  get answer(): Answer {
    return {
      status: this.status,
      body: {
        message: this.message,
        ...(this.errors !== undefined && { errors: this.errors }),
        documentation_url: "https://docs.github.com/rest",
        status: String(this.status),
      },
    };
  }
}

export const NOT_FOUND = new ApiError(404, "Not Found");

export function ok(body: Json): Answer {
  return { status: 200, body };
}

export const NO_CONTENT: Answer = { status: 204 };

/** The state that the routes share. */
export interface World {
  /** The address that clients know, without a slash at its end. */
  readonly url: string;
  /** Asks the emulator in the caller's name. */
  emulator(call: Pick<Call, "method" | "path"> & Partial<Call>): Promise<Answer>;
  /** The repository that a call's path names, as the emulator has it. @throws what GitHub answers when it may not be seen */
  repository(call: Call): Promise<Repository>;
  /** The organization that a call's path names. @throws 404 */
  organization(call: Call): Promise<JsonObject & { readonly login: string; readonly id: number }>;
  /** The next number of GitHub's own; each is given once. */
  nextId(): number;
}

export interface Repository {
  readonly id: number;
  readonly name: string;
  readonly full_name: string;
  readonly archived: boolean;
  readonly visibility: string;
  readonly json: JsonObject;
}

/**
 * The time of a change, to the second as GitHub gives it. What was changed at `previous` is not changed
 * again in the same second, so that no change outside goes unseen.
 */
export function changeTime(previous?: string): string {
  const least = previous === undefined ? 0 : Date.parse(previous) + 1000;
  return toTheSecond(Math.max(Date.now(), least));
}

function toTheSecond(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/** The part of `all` that a call asks for, with the header that names the other parts. */
export function page(
  call: Call,
  world: World,
  all: readonly Json[],
): Pick<Answer, "headers"> & {
  readonly items: readonly Json[];
} {
  const size = Math.min(Number(call.query.get("per_page") ?? 30), 100);
  const number = Number(call.query.get("page") ?? 1);
  const items = all.slice((number - 1) * size, number * size);
  if (all.length <= number * size) return { items };
  const query = new URLSearchParams(call.query);
  query.set("page", String(number + 1));
  return { items, headers: { link: `<${world.url}/api/v3${call.path}?${query}>; rel="next"` } };
}

// A GitHub on loopback: the emulator of the npm package `emulate`, behind a server that speaks as a
// GitHub Enterprise Server does (`/api/v3/`), has what the emulator lacks, holds every request and
// answer against GitHub's own description of its API, and fails on demand.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { closeHttpServer, createEmulator, type Emulator } from "emulate";
import {
  type Answer,
  ApiError,
  type Call,
  type Json,
  type JsonObject,
  NOT_FOUND,
  type Repository,
  type Routes,
  type World,
} from "./api.ts";
import { complete } from "./complete.ts";
import { answerOf, type Fault, Faults } from "./faults.ts";
import { Description } from "./openapi/description.ts";
import { accountRoutes } from "./routes/accounts.ts";
import { branchRoutes } from "./routes/branches.ts";
import { Environments, environmentRoutes } from "./routes/environments.ts";
import { type ContainerPackage, packageRoutes } from "./routes/packages.ts";
import { AllActionsPermissions, permissionRoutes } from "./routes/permissions.ts";
import { pullRoutes } from "./routes/pulls.ts";
import { releaseRoutes } from "./routes/releases.ts";
import { AllRepositoryExtras, readOnly, repositoryRoutes } from "./routes/repositories.ts";
import { type Rulesets, rulesetRoutes } from "./routes/rulesets.ts";
import { type Setting, Settings, scopeOf, settingsRoutes } from "./routes/secrets.ts";
import { type WorkflowRun, type WorkflowStates, workflowRoutes } from "./routes/workflows.ts";
import { checkScopes } from "./scopes.ts";
import { createSecretBox } from "./secretBox.ts";

export interface GithubOptions {
  /** The user whose token opens everything, and who administers the organizations. */
  readonly user?: string;
  readonly organizations?: readonly string[];
  /** Scopes of the user's token, a classic one; all that the proving ground checks unless said. */
  readonly scopes?: readonly string[];
  /** Whether the token does not say what it may do, as fine-grained ones do not. */
  readonly fineGrained?: boolean;
  /** Container packages of GHCR; more can be added later. */
  readonly packages?: readonly ContainerPackage[];
  /** The plan that the organizations and the user have: `free`, `team`. Not told unless said. */
  readonly plan?: string;
  /** A free one unless said. */
  readonly port?: number;
}

/** A request that came, and how it was answered; 0 where the answer was lost. */
export interface Served {
  readonly operation: string;
  readonly path: string;
  readonly status: number;
}

export interface Github {
  /** `http://127.0.0.1:<port>`: what `baseUrl` of the provider is set to. */
  readonly url: string;
  readonly apiUrl: string;
  readonly user: string;
  readonly token: string;
  readonly faults: Faults;
  readonly packages: ContainerPackage[];
  /** Runs of workflows that were asked for. */
  readonly runs: WorkflowRun[];
  /** Workflows that are switched off, by `owner/repository/file`. */
  readonly workflowStates: WorkflowStates;
  /** Everything asked, in its order. */
  readonly served: readonly Served[];
  /** How many requests were under way at a time, at most. */
  readonly mostAtOnce: number;
  /** Requests and answers that do not fit GitHub's description. A test ends with none. */
  readonly problems: string[];
  /** A secret in the clear, where `place` is `owner`, `owner/repository` or `owner/repository/environment`. */
  secret(place: string, name: string): Promise<Setting | undefined>;
  variable(place: string, name: string): Promise<Setting | undefined>;
  /** Changes a secret as somebody else would. */
  setSecret(place: string, name: string, value: string): Promise<void>;
  /**
   * Asks the API in the user's name, without faults and unlisted in `served`, for what a test looks at or changes by hand.
   * @throws when the answer is no success
   */
  ask(method: string, path: string, body?: JsonObject): Promise<Json>;
  stop(): Promise<void>;
}

const TOKEN_SCOPES = [
  "repo",
  "workflow",
  "admin:org",
  "delete_repo",
  "read:packages",
  "delete:packages",
  "user",
];

/** Starts a GitHub, empty but for a user and organizations. */
export async function startGithub(options: GithubOptions = {}): Promise<Github> {
  const user = options.user ?? "octocat";
  const token = "ghp_provingground000000000000000000000000";
  const scopes = options.scopes ?? TOKEN_SCOPES;
  const saidScopes = options.fineGrained ? undefined : scopes;
  const [description, box, emulator] = await Promise.all([
    Description.load(),
    createSecretBox(),
    createEmulator({
      service: "github",
      port: 0,
      seed: {
        tokens: { [token]: { login: user, scopes: [...scopes] } },
        github: {
          users: [{ login: user }],
          orgs: (options.organizations ?? []).map((login) => ({
            login,
            members: [{ login: user, role: "admin" }],
          })),
        },
      },
    }),
  ]);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const secrets = new Settings();
  const variables = new Settings();
  const environments = new Environments();
  const packages = [...(options.packages ?? [])];
  const runs: WorkflowRun[] = [];
  const workflowStates: WorkflowStates = new Map();
  const faults = new Faults();
  const served: Served[] = [];
  const problems: string[] = [];
  let lastId = 1_000_000;
  let underWay = 0;
  let mostAtOnce = 0;

  const world: World = {
    url,
    emulator: (call) => askEmulator(emulator, url, call),
    async repository(call) {
      const { owner, repo } = call.parameters;
      const answer = await world.emulator({
        method: "GET",
        path: `/repos/${owner}/${repo}`,
        headers: call.headers,
      });
      return repositoryIn(answer);
    },
    async organization(call) {
      const path = `/orgs/${call.parameters.org}`;
      const answer = await world.emulator({ method: "GET", path, headers: call.headers });
      if (answer.status !== 200) throw NOT_FOUND;
      return answer.body as JsonObject & { login: string; id: number };
    },
    nextId: () => ++lastId,
  };
  const extras = new AllRepositoryExtras();
  const rulesets: Rulesets = new Map();
  const routes: Routes = {
    ...accountRoutes(world, options.plan),
    ...repositoryRoutes(world, extras),
    ...branchRoutes(world),
    ...pullRoutes(world),
    ...settingsRoutes(world, box, secrets, variables, environments),
    ...environmentRoutes(world, environments, (repositoryId, name) => {
      for (const settings of [secrets, variables]) {
        settings.deleteScope(scopeOf.environment(repositoryId, name));
      }
    }),
    ...permissionRoutes(world, new AllActionsPermissions()),
    ...rulesetRoutes(world, rulesets),
    ...packageRoutes(world, packages),
    ...releaseRoutes(world),
    ...workflowRoutes(world, runs, workflowStates),
  };

  /** One call, held against the description before and after. */
  const handle = async (call: Call): Promise<Answer> => {
    const { authorization } = call.headers;
    if (authorization !== undefined && !authorization.endsWith(` ${token}`)) {
      throw new ApiError(401, "Bad credentials");
    }
    const operation = description.find(call.method, call.path);
    if (operation === undefined) {
      return misfit(
        problems,
        `${call.method} ${call.path}: GitHub's description knows no such path`,
      );
    }
    const described = { ...call, parameters: operation.parameters };
    const problem = operation.checkRequest(call.body);
    if (problem !== undefined) return misfit(problems, `${operation.name}: request ${problem}`);
    checkScopes(operation.name, described, scopes);
    if (call.method !== "GET" && call.path.startsWith("/repos/")) {
      const { archived } = await world.repository(described);
      const whole = operation.name.endsWith(" /repos/{owner}/{repo}");
      if (archived && !whole) throw readOnly();
    }
    const route = routes[operation.name] ?? ((unlike: Call) => world.emulator(unlike));
    const answer = complete(world, operation.name, await route(described));
    const misanswer = Buffer.isBuffer(answer.body)
      ? undefined
      : operation.checkResponse(answer.status, answer.body);
    if (misanswer !== undefined) {
      return misfit(problems, `${operation.name}: answer ${answer.status} ${misanswer}`);
    }
    return answer;
  };

  const answerTo = async (call: Call): Promise<Answer> => {
    try {
      return await handle(await withRepositoryName(call, world));
    } catch (error) {
      if (error instanceof ApiError) return error.answer;
      return misfit(problems, `${call.method} ${call.path}: ${error}`);
    }
  };

  server.on("request", async (request: IncomingMessage, response: ServerResponse) => {
    mostAtOnce = Math.max(mostAtOnce, ++underWay);
    response.once("close", () => --underWay);
    const { pathname, searchParams } = new URL(request.url ?? "/", url);
    const path = /^\/api\/(?:v3|uploads)(\/.*)$/.exec(pathname)?.[1];
    const asked = await callOf(request, path ?? pathname, searchParams);
    if (path === undefined) {
      send(request, response, await world.emulator(asked), saidScopes);
      return;
    }
    const call = await withRepositoryName(asked, world).catch(() => asked);
    const operation =
      description.find(call.method, call.path)?.name ?? `${call.method} ${call.path}`;
    const fault: Fault | undefined = faults.take(operation, path);
    const answer =
      fault === undefined || fault.kind === "lost-answer" ? await answerTo(call) : answerOf(fault);
    const lost = fault?.kind === "lost-answer";
    served.push({ operation, path, status: lost ? 0 : answer.status });
    if (lost) request.socket.resetAndDestroy();
    else send(request, response, answer, saidScopes);
  });

  const ownHeaders = { authorization: `Bearer ${token}` };
  const ask = async (method: string, path: string, body?: JsonObject): Promise<Json> => {
    const { pathname, searchParams } = new URL(path, url);
    const answer = await answerTo({
      method,
      path: pathname,
      query: searchParams,
      parameters: {},
      body,
      rawBody: Buffer.from(body === undefined ? "" : JSON.stringify(body)),
      headers: ownHeaders,
    });
    if (answer.status >= 400) {
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    return Buffer.isBuffer(answer.body)
      ? answer.body.toString("utf8")
      : ((answer.body ?? null) as Json);
  };
  const scopeIn = async (place: string): Promise<string> => {
    const [owner = "", repository, ...environment] = place.split("/");
    if (repository === undefined) return scopeOf.organization(owner);
    const path = `/repos/${owner}/${repository}`;
    const { id } = repositoryIn(await world.emulator({ method: "GET", path, headers: ownHeaders }));
    if (environment.length === 0) return scopeOf.repository(id);
    return scopeOf.environment(id, environment.join("/"));
  };

  return {
    url,
    apiUrl: `${url}/api/v3`,
    user,
    token,
    faults,
    packages,
    runs,
    workflowStates,
    served,
    get mostAtOnce() {
      return mostAtOnce;
    },
    problems,
    secret: async (place, name) => secrets.get(await scopeIn(place), name),
    variable: async (place, name) => variables.get(await scopeIn(place), name),
    setSecret: async (place, name, value) => secrets.set(await scopeIn(place), { name, value }),
    ask,
    async stop() {
      await Promise.all([closeHttpServer(server as Server), emulator.close()]);
    },
  };
}

/** A mistake of the proving ground or of its caller: loud, and nobody repeats the request. */
function misfit(problems: string[], problem: string): Answer {
  problems.push(problem);
  return { status: 501, body: { message: `the GitHub of the proving ground: ${problem}` } };
}

function repositoryIn(answer: Answer): Repository {
  const json = answer.body as JsonObject;
  if (answer.status !== 200) throw new ApiError(answer.status, String(json.message));
  const { id, name, full_name, archived, visibility } = json;
  return { id, name, full_name, archived, visibility, json } as unknown as Repository;
}

/** `/repositories/<id>/…`, which GitHub serves without describing it, as `/repos/<owner>/<name>/…`. */
async function withRepositoryName(call: Call, world: World): Promise<Call> {
  const matched = /^\/repositories\/(\d+)(\/.*)?$/.exec(call.path);
  if (matched === null) return call;
  const answer = await world.emulator({
    method: "GET",
    path: `/repositories/${matched[1]}`,
    headers: call.headers,
  });
  const { full_name } = repositoryIn(answer);
  return { ...call, path: `/repos/${full_name}${matched[2] ?? ""}` };
}

async function callOf(
  request: IncomingMessage,
  path: string,
  query: URLSearchParams,
): Promise<Call> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const rawBody = Buffer.concat(chunks);
  const headers: { [name: string]: string } = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value === "string") headers[name] = value;
  }
  return {
    method: request.method ?? "GET",
    path,
    query,
    parameters: {},
    body: parsed(rawBody),
    rawBody,
    headers,
  };
}

function parsed(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return body;
  }
}

/** Headers of a request that the emulator looks at. */
const PASSED_ON = ["accept", "authorization", "content-type"];

async function askEmulator(
  emulator: Emulator,
  url: string,
  call: Pick<Call, "method" | "path"> & Partial<Call>,
): Promise<Answer> {
  const headers: { [name: string]: string } = {};
  for (const name of PASSED_ON) {
    const value = call.headers?.[name];
    if (value !== undefined) headers[name] = value;
  }
  const json = call.body === undefined ? undefined : JSON.stringify(call.body);
  const body = Buffer.isBuffer(call.body) ? new Uint8Array(call.body) : json;
  const query = call.query?.size ? `?${call.query}` : "";
  const response = await fetch(`${emulator.url}${call.path}${query}`, {
    method: call.method,
    headers,
    ...(body !== undefined && { body }),
    redirect: "manual",
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const type = response.headers.get("content-type") ?? "";
  const link = response.headers.get("link");
  const outside = (text: string) => withPublicUrls(text, emulator.url, url);
  const answer = {
    status: response.status,
    ...(link !== null && { headers: { link: outside(link) } }),
  };
  if (bytes.length === 0) return answer;
  if (!type.includes("json")) return { ...answer, body: bytes };
  return { ...answer, body: JSON.parse(outside(bytes.toString("utf8"))) as Json };
}

/** First parts of the API's paths, where the emulator has one address for the API and the pages. */
const OF_THE_API =
  "repos|users|orgs|teams|user|organizations|repositories|search|app|installations";

function withPublicUrls(text: string, inside: string, outside: string): string {
  const escaped = inside.replace(/[.:/]/g, "\\$&");
  return text
    .replace(
      new RegExp(`${escaped}/repos/([^"]*/assets\\{)`, "g"),
      `${outside}/api/uploads/repos/$1`,
    )
    .replace(new RegExp(`${escaped}/(${OF_THE_API})(?=[/"?])`, "g"), `${outside}/api/v3/$1`)
    .replaceAll(inside, outside)
    .replaceAll(new URL(inside).host, new URL(outside).host);
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers = {} }: Answer,
  scopes: readonly string[] | undefined,
): void {
  const bytes =
    body === undefined
      ? undefined
      : Buffer.isBuffer(body)
        ? body
        : Buffer.from(JSON.stringify(body));
  if (scopes) response.setHeader("x-oauth-scopes", scopes.join(", "));
  response.setHeader("x-github-request-id", "proving-ground");
  response.setHeader("x-github-enterprise-version", "3.19.0");
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (bytes === undefined) {
    response.writeHead(status).end();
    return;
  }
  const etag = `"${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}"`;
  if (status === 200) response.setHeader("etag", etag);
  if (status === 200 && request.headers["if-none-match"] === etag) {
    response.writeHead(304).end();
    return;
  }
  const type = Buffer.isBuffer(body)
    ? "application/octet-stream"
    : "application/json; charset=utf-8";
  response.writeHead(status, { "content-type": type, "content-length": bytes.length }).end(bytes);
}

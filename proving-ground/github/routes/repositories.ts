import type { Answer, Call, Json, JsonObject, Routes, World } from "../api.ts";
import { ApiError, NO_CONTENT, ok } from "../api.ts";

/** The settings of a repository that the emulator does not keep. */
export interface RepositoryExtras {
  /** Properties of the repository's own description, by GitHub's names. */
  readonly properties: JsonObject;
  readonly vulnerabilityAlerts: boolean;
  readonly automatedSecurityFixes: boolean;
  readonly privateVulnerabilityReporting: boolean;
}

const AT_FIRST: RepositoryExtras = {
  properties: {
    allow_update_branch: false,
    use_squash_pr_title_as_default: false,
    squash_merge_commit_title: "COMMIT_OR_PR_TITLE",
    squash_merge_commit_message: "COMMIT_MESSAGES",
    merge_commit_title: "MERGE_MESSAGE",
    merge_commit_message: "PR_TITLE",
    web_commit_signoff_required: false,
    security_and_analysis: {
      secret_scanning: { status: "disabled" },
      secret_scanning_push_protection: { status: "disabled" },
      dependabot_security_updates: { status: "disabled" },
    },
  },
  vulnerabilityAlerts: false,
  automatedSecurityFixes: false,
  privateVulnerabilityReporting: false,
};

/** By repository's id. */
export class AllRepositoryExtras {
  readonly #all = new Map<number, RepositoryExtras>();

  get(repositoryId: number): RepositoryExtras {
    return this.#all.get(repositoryId) ?? AT_FIRST;
  }

  change(repositoryId: number, change: Partial<RepositoryExtras>): void {
    this.#all.set(repositoryId, { ...this.get(repositoryId), ...change });
  }
}

/** What the emulator takes in a change of a repository, and forgets when one is created. */
const LATER = [
  "allow_auto_merge",
  "allow_forking",
  "has_discussions",
  "has_downloads",
  "is_template",
  "visibility",
];

export function repositoryRoutes(world: World, extras: AllRepositoryExtras): Routes {
  const one = "/repos/{owner}/{repo}";

  /** The repository with what the emulator does not know of it. */
  const whole = (repository: JsonObject): JsonObject => ({
    ...repository,
    pushed_at: repository.pushed_at ?? repository.created_at ?? null,
    ...extras.get(Number(repository.id)).properties,
    network_count: 0,
    subscribers_count: 0,
  });

  const keep = (repositoryId: number, body: JsonObject) => {
    const { properties } = extras.get(repositoryId);
    const kept: { [name: string]: Json } = { ...properties };
    for (const name of Object.keys(AT_FIRST.properties)) {
      const value = body[name];
      if (value === undefined || value === null) continue;
      kept[name] =
        name === "security_and_analysis"
          ? { ...(properties[name] as JsonObject), ...(value as JsonObject) }
          : value;
    }
    extras.change(repositoryId, { properties: kept });
  };

  const change = async (call: Call, path: string, body: JsonObject): Promise<Answer> => {
    const { headers } = call;
    const answer = await world.emulator({ method: "PATCH", path, body, headers });
    if (answer.status !== 200) return answer;
    const repository = answer.body as JsonObject;
    keep(Number(repository.id), body);
    return ok(whole(repository));
  };

  const create = async (call: Call): Promise<Answer> => {
    const body = call.body as JsonObject;
    const visibility = body.visibility ?? (body.private === true ? "private" : "public");
    const answer = await world.emulator(call);
    if (answer.status === 422 && JSON.stringify(answer.body).includes("already exists")) {
      throw new ApiError(422, "Repository creation failed.", [
        {
          resource: "Repository",
          code: "custom",
          field: "name",
          message: "name already exists on this account",
        },
      ]);
    }
    if (answer.status !== 201) return answer;
    const { full_name } = answer.body as JsonObject;
    const later = Object.entries({ ...body, visibility }).filter(
      ([name]) => LATER.includes(name) || name in AT_FIRST.properties,
    );
    const changed = await change(call, `/repos/${full_name}`, Object.fromEntries(later));
    return { ...changed, status: 201 };
  };

  /** A setting that PUT turns on and DELETE off. */
  const toggle = (
    path: string,
    name: "vulnerabilityAlerts" | "automatedSecurityFixes" | "privateVulnerabilityReporting",
  ): Routes => {
    const turn = (on: boolean) => async (call: Call) => {
      extras.change((await world.repository(call)).id, { [name]: on });
      return NO_CONTENT;
    };
    return { [`PUT ${path}`]: turn(true), [`DELETE ${path}`]: turn(false) };
  };

  return {
    "POST /user/repos": create,
    "POST /orgs/{org}/repos": create,
    async [`GET ${one}`](call) {
      return ok(whole((await world.repository(call)).json));
    },
    async [`PATCH ${one}`](call) {
      const { archived } = await world.repository(call);
      const body = (call.body ?? {}) as JsonObject;
      if (archived && body.archived !== false) throw readOnly();
      return change(call, call.path, body);
    },
    ...toggle(`${one}/vulnerability-alerts`, "vulnerabilityAlerts"),
    async [`GET ${one}/vulnerability-alerts`](call) {
      const { id } = await world.repository(call);
      if (!extras.get(id).vulnerabilityAlerts) {
        throw new ApiError(404, "Vulnerability alerts are disabled.");
      }
      return NO_CONTENT;
    },
    ...toggle(`${one}/automated-security-fixes`, "automatedSecurityFixes"),
    async [`GET ${one}/automated-security-fixes`](call) {
      const { id } = await world.repository(call);
      return ok({ enabled: extras.get(id).automatedSecurityFixes, paused: false });
    },
    ...toggle(`${one}/private-vulnerability-reporting`, "privateVulnerabilityReporting"),
    async [`GET ${one}/private-vulnerability-reporting`](call) {
      const { id } = await world.repository(call);
      return ok({ enabled: extras.get(id).privateVulnerabilityReporting });
    },
  };
}

/** GitHub's word for every change below an archived repository. */
export function readOnly(): ApiError {
  return new ApiError(403, "Repository was archived so is read-only.");
}

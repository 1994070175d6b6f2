import { parse } from "yaml";
import type { Call, JsonObject, Routes, World } from "../api.ts";
import { ApiError, changeTime, NO_CONTENT, NOT_FOUND, ok, page } from "../api.ts";

/** A run of a workflow, which this GitHub starts and never works on: tests say how it ends. */
export interface WorkflowRun {
  readonly id: number;
  /** `owner/name` */
  readonly repository: string;
  /** File name of the workflow. */
  readonly workflow: string;
  readonly branch: string;
  readonly headSha: string;
  /** What the workflow's `run-name` makes of the inputs. */
  readonly title: string;
  readonly inputs: JsonObject;
  readonly createdAt: string;
  status: "queued" | "in_progress" | "completed";
  conclusion: "success" | "failure" | "cancelled" | null;
}

/** The states of inactive workflows, by `owner/name/file`. */
export type WorkflowStates = Map<string, "disabled_inactivity" | "disabled_manually">;

/** Workflows by file name, as they lie on the default branch; the emulator does not read their files. */
export function workflowRoutes(world: World, runs: WorkflowRun[], states: WorkflowStates): Routes {
  const all = "/repos/{owner}/{repo}/actions/workflows";
  const one = `${all}/{workflow_id}`;

  const workflow = (fullName: string, file: string): JsonObject => {
    const url = `${world.url}/api/v3/repos/${fullName}/actions/workflows/${file}`;
    return {
      id: 1,
      node_id: "",
      name: file,
      path: `.github/workflows/${file}`,
      state: states.get(`${fullName}/${file}`) ?? "active",
      created_at: "2026-01-01T00:00:00Z",
      updated_at: "2026-01-01T00:00:00Z",
      url,
      html_url: url,
      badge_url: url,
    };
  };

  const find = async (call: Call) => {
    const repository = await world.repository(call);
    const file = call.parameters.workflow_id ?? "";
    const path = `/repos/${repository.full_name}/contents/.github/workflows/${file}`;
    const { status, body } = await world.emulator({ method: "GET", path, headers: call.headers });
    if (status !== 200) throw NOT_FOUND;
    const text = Buffer.from(String((body as JsonObject).content), "base64").toString("utf8");
    return { repository, file, definition: parse(text) as Definition };
  };

  return {
    async [`GET ${all}`](call) {
      const { full_name } = await world.repository(call);
      const path = `/repos/${full_name}/contents/.github/workflows`;
      const { status, body } = await world.emulator({ method: "GET", path, headers: call.headers });
      const files = status === 200 ? (body as readonly JsonObject[]) : [];
      const workflows = files.map(({ name }) => workflow(full_name, String(name)));
      return ok({ total_count: workflows.length, workflows });
    },

    async [`GET ${one}`](call) {
      const { repository, file } = await find(call);
      return ok(workflow(repository.full_name, file));
    },

    async [`PUT ${one}/enable`](call) {
      const { repository, file } = await find(call);
      states.delete(`${repository.full_name}/${file}`);
      return NO_CONTENT;
    },

    async [`GET ${one}/runs`](call) {
      const { repository, file } = await find(call);
      const wanted = runs.filter(
        (run) =>
          run.repository === repository.full_name &&
          run.workflow === file &&
          ["", null, "workflow_dispatch"].includes(call.query.get("event")) &&
          ["", null, run.status, run.conclusion].includes(call.query.get("status")),
      );
      const described = wanted.map((run) => describe(world, run, repository.json)).reverse();
      const { items, headers } = page(call, world, described);
      return {
        ...ok({ total_count: wanted.length, workflow_runs: items }),
        ...(headers && { headers }),
      };
    },

    async [`POST ${one}/dispatches`](call) {
      const { repository, file, definition } = await find(call);
      const { ref, inputs: given = {} } = call.body as { ref: string; inputs?: JsonObject };
      const known = definition.on.workflow_dispatch?.inputs ?? {};
      if (!("workflow_dispatch" in definition.on)) {
        throw new ApiError(422, "Workflow does not have 'workflow_dispatch' trigger");
      }
      const unknown = Object.keys(given).filter((name) => !(name in known));
      if (unknown.length > 0) {
        throw new ApiError(422, `Unexpected inputs provided: ${JSON.stringify(unknown)}`);
      }
      const path = `/repos/${repository.full_name}/branches/${ref}`;
      const branch = await world.emulator({ method: "GET", path, headers: call.headers });
      if (branch.status !== 200) throw new ApiError(422, `No ref found for: ${ref}`);
      const inputs = {
        ...Object.fromEntries(
          Object.entries(known).map(([name, input]) => [name, input.default ?? ""]),
        ),
        ...given,
      };
      runs.push({
        id: world.nextId(),
        repository: repository.full_name,
        workflow: file,
        branch: ref,
        headSha: String(((branch.body as JsonObject).commit as JsonObject).sha),
        title: titleOf(definition, inputs),
        inputs,
        createdAt: changeTime(),
        status: "queued",
        conclusion: null,
      });
      return NO_CONTENT;
    },
  };
}

interface Definition {
  readonly name: string;
  readonly "run-name"?: string;
  readonly on: {
    readonly workflow_dispatch?: {
      readonly inputs?: Record<string, { readonly default?: string }>;
    } | null;
  };
}

/** `run-name` with `${{ inputs.<name> }}` and `${{ inputs.<name> || '<text>' }}`; no other expression. */
function titleOf(definition: Definition, inputs: JsonObject): string {
  return (definition["run-name"] ?? definition.name).replace(
    /\$\{\{\s*inputs\.([\w-]+)(?:\s*\|\|\s*'([^']*)')?\s*\}\}/g,
    (_, name: string, otherwise = "") => String(inputs[name] || otherwise),
  );
}

function describe(world: World, run: WorkflowRun, repository: JsonObject): JsonObject {
  const url = `${world.url}/api/v3/repos/${run.repository}/actions/runs/${run.id}`;
  return {
    id: run.id,
    node_id: "",
    head_branch: run.branch,
    head_sha: run.headSha,
    path: `.github/workflows/${run.workflow}`,
    run_number: run.id,
    event: "workflow_dispatch",
    status: run.status,
    conclusion: run.conclusion,
    workflow_id: 1,
    display_title: run.title,
    url,
    html_url: `${world.url}/${run.repository}/actions/runs/${run.id}`,
    pull_requests: [],
    created_at: run.createdAt,
    updated_at: run.createdAt,
    jobs_url: `${url}/jobs`,
    logs_url: `${url}/logs`,
    check_suite_url: `${url}/check-suite`,
    artifacts_url: `${url}/artifacts`,
    cancel_url: `${url}/cancel`,
    rerun_url: `${url}/rerun`,
    workflow_url: `${world.url}/api/v3/repos/${run.repository}/actions/workflows/${run.workflow}`,
    head_commit: null,
    repository,
    head_repository: repository,
  };
}

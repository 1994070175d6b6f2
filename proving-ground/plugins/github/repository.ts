import type { Attributes } from "../provider/plan.ts";
import type { Resource } from "../provider/plugin.ts";
import type { Shape } from "../provider/shapes.ts";
import type { PropertyMap, Value } from "../provider/values.ts";
import { type Client, GithubError } from "./client.ts";
import { BOOLEAN, githubResource, NOT_HERE, NUMBER, STRING, STRINGS } from "./githubResource.ts";

const STATUS: Shape = {
  kind: "object",
  fields: {
    status: { shape: { kind: "string", allowed: ["enabled", "disabled"] }, required: true },
  },
};

const NOT_STATUS = { shape: STATUS, unsupported: NOT_HERE } as const;

const ATTRIBUTES: Attributes = {
  name: { shape: STRING },
  description: { shape: STRING },
  homepageUrl: { shape: STRING },
  private: { shape: BOOLEAN, computed: true },
  visibility: {
    shape: { kind: "string", allowed: ["public", "private", "internal"] },
    computed: true,
  },
  fork: { shape: STRING, computed: true, unsupported: NOT_HERE },
  sourceOwner: { shape: STRING, computed: true, unsupported: NOT_HERE },
  sourceRepo: { shape: STRING, computed: true, unsupported: NOT_HERE },
  securityAndAnalysis: {
    shape: {
      kind: "object",
      fields: {
        advancedSecurity: { shape: STATUS },
        secretScanning: { shape: STATUS },
        secretScanningPushProtection: { shape: STATUS },
        codeSecurity: NOT_STATUS,
        secretScanningAiDetection: NOT_STATUS,
        secretScanningNonProviderPatterns: NOT_STATUS,
      },
    },
    computed: true,
  },
  hasIssues: { shape: BOOLEAN },
  hasDiscussions: { shape: BOOLEAN },
  hasProjects: { shape: BOOLEAN },
  hasDownloads: { shape: BOOLEAN },
  hasWiki: { shape: BOOLEAN },
  isTemplate: { shape: BOOLEAN },
  allowMergeCommit: { shape: BOOLEAN, unset: true },
  allowSquashMerge: { shape: BOOLEAN, unset: true },
  allowRebaseMerge: { shape: BOOLEAN, unset: true },
  allowAutoMerge: { shape: BOOLEAN, unset: false },
  allowForking: { shape: BOOLEAN, computed: true },
  squashMergeCommitTitle: { shape: STRING, unset: "COMMIT_OR_PR_TITLE" },
  squashMergeCommitMessage: { shape: STRING, unset: "COMMIT_MESSAGES" },
  mergeCommitTitle: { shape: STRING, unset: "MERGE_MESSAGE" },
  mergeCommitMessage: { shape: STRING, unset: "PR_TITLE" },
  deleteBranchOnMerge: { shape: BOOLEAN, unset: false },
  webCommitSignoffRequired: { shape: BOOLEAN, computed: true },
  autoInit: { shape: BOOLEAN },
  defaultBranch: { shape: STRING, computed: true, unsupported: NOT_HERE },
  licenseTemplate: { shape: STRING },
  gitignoreTemplate: { shape: STRING },
  archived: { shape: BOOLEAN, unset: false },
  archiveOnDestroy: { shape: BOOLEAN },
  pages: { shape: { kind: "any" }, unsupported: NOT_HERE },
  topics: { shape: STRINGS, computed: true, unordered: true },
  vulnerabilityAlerts: { shape: BOOLEAN, computed: true },
  ignoreVulnerabilityAlertsDuringRead: { shape: BOOLEAN, unset: false },
  etag: { shape: STRING, computed: true, unsupported: NOT_HERE },
  template: { shape: { kind: "any" }, unsupported: NOT_HERE },
  allowUpdateBranch: { shape: BOOLEAN },
};

/** What stands in requests under GitHub's name, by the input's. */
const IN_REQUESTS: { readonly [input: string]: string } = {
  name: "name",
  homepageUrl: "homepage",
  hasDownloads: "has_downloads",
  hasIssues: "has_issues",
  hasDiscussions: "has_discussions",
  hasProjects: "has_projects",
  hasWiki: "has_wiki",
  isTemplate: "is_template",
  allowMergeCommit: "allow_merge_commit",
  allowSquashMerge: "allow_squash_merge",
  allowRebaseMerge: "allow_rebase_merge",
  allowAutoMerge: "allow_auto_merge",
  allowUpdateBranch: "allow_update_branch",
  deleteBranchOnMerge: "delete_branch_on_merge",
  description: "description",
  archived: "archived",
};

/** What stands in answers under GitHub's name and only there, by the output's. */
const IN_ANSWERS: { readonly [output: string]: string } = {
  primaryLanguage: "language",
  private: "private",
  visibility: "visibility",
  fullName: "full_name",
  defaultBranch: "default_branch",
  htmlUrl: "html_url",
  sshCloneUrl: "ssh_url",
  svnUrl: "svn_url",
  gitCloneUrl: "git_url",
  httpCloneUrl: "clone_url",
  nodeId: "node_id",
  repoId: "id",
};

/** What GitHub does not tell of an archived repository, or the official plugin does not listen to. */
const UNTIL_ARCHIVED: { readonly [output: string]: string } = {
  allowAutoMerge: "allow_auto_merge",
  allowMergeCommit: "allow_merge_commit",
  allowRebaseMerge: "allow_rebase_merge",
  allowSquashMerge: "allow_squash_merge",
  allowUpdateBranch: "allow_update_branch",
  allowForking: "allow_forking",
  deleteBranchOnMerge: "delete_branch_on_merge",
  webCommitSignoffRequired: "web_commit_signoff_required",
  hasDownloads: "has_downloads",
  mergeCommitMessage: "merge_commit_message",
  mergeCommitTitle: "merge_commit_title",
  squashMergeCommitMessage: "squash_merge_commit_message",
  squashMergeCommitTitle: "squash_merge_commit_title",
};

interface Inputs extends PropertyMap {
  readonly name: string;
  readonly topics: readonly string[];
}

interface Status {
  readonly status: string;
}

interface Answered {
  readonly [name: string]: Value;
}

/** `github:index/repository:Repository`. */
export function repository(client: () => Client): Resource {
  return githubResource<Inputs, Inputs>(client, {
    attributes: ATTRIBUTES,
    outputs: [
      "fullName",
      "gitCloneUrl",
      "htmlUrl",
      "httpCloneUrl",
      "nodeId",
      "primaryLanguage",
      "repoId",
      "sshCloneUrl",
      "svnUrl",
    ],
    schemaVersion: 1,
    autoName: true,
    refuse: refused,

    async create(inputs, client) {
      const route = client.isOrganization ? "POST /orgs/{owner}/repos" : "POST /user/repos";
      const body = requestFor(inputs);
      const { name, autoInit = false, licenseTemplate = "", gitignoreTemplate = "" } = inputs;
      await client.ask(route, {
        ...body,
        visibility: visibilityOf(inputs),
        auto_init: autoInit,
        ...(licenseTemplate !== "" && { license_template: licenseTemplate }),
        ...(gitignoreTemplate !== "" && { gitignore_template: gitignoreTemplate }),
      });
      return { id: name };
    },

    complete: (id, inputs, client) => adjust(id, inputs, {}, client),

    async read(id, state, client) {
      const found = await client.find<Answered>("GET /repos/{owner}/{repo}", { repo: id });
      if (found === undefined) return undefined;
      const { data, etag } = found;
      const outputs: { [name: string]: Value } = {
        etag,
        ...named({ ...IN_ANSWERS, ...without(IN_REQUESTS, UNTIL_ARCHIVED) }, data),
        ...(data.archived === true && state.archived === true ? {} : named(UNTIL_ARCHIVED, data)),
        fork: "false",
        sourceOwner: "",
        sourceRepo: "",
        topics: [...((data.topics ?? []) as string[])].sort(),
      };
      if (data.security_and_analysis) {
        const alerts = await client.find("GET /repos/{owner}/{repo}/vulnerability-alerts", {
          repo: id,
        });
        outputs.vulnerabilityAlerts = alerts !== undefined;
        outputs.securityAndAnalysis = analysis(data.security_and_analysis as PropertyMap);
      }
      return outputs;
    },

    async update(id, inputs, old, client) {
      // GitHub changes nothing in an archived repository but that.
      if (inputs.archived !== true || old.archived !== true) await adjust(id, inputs, old, client);
      return undefined;
    },

    async remove(id, state, client) {
      if (state.archiveOnDestroy !== true) {
        await client.ask("DELETE /repos/{owner}/{repo}", { repo: id });
      } else if (state.archived !== true) {
        await client.ask("PATCH /repos/{owner}/{repo}", { repo: id, archived: true });
      }
    },

    imported: (id) => ({ name: id }),
  });
}

/** Brings what `repository` is to what `inputs` say. */
async function adjust(
  repository: string,
  inputs: Inputs,
  old: PropertyMap,
  client: Client,
): Promise<void> {
  const changed = (name: string) => JSON.stringify(inputs[name]) !== JSON.stringify(old[name]);
  const route = "PATCH /repos/{owner}/{repo}";
  const body = requestFor(inputs);
  const security = changed("securityAndAnalysis") && inputs.securityAndAnalysis;
  await client.ask(route, {
    repo: repository,
    ...body,
    ...(security && { security_and_analysis: securityFor(security as PropertyMap) }),
  });
  const repo = inputs.name;
  if (inputs.topics !== undefined && changed("topics")) {
    await client.ask("PUT /repos/{owner}/{repo}/topics", { repo, names: inputs.topics });
  }
  if (inputs.vulnerabilityAlerts !== undefined && changed("vulnerabilityAlerts")) {
    const method = inputs.vulnerabilityAlerts ? "PUT" : "DELETE";
    await client.ask(`${method} /repos/{owner}/{repo}/vulnerability-alerts`, { repo });
  }
  const before = old.visibility;
  if (before !== undefined && visibilityOf(inputs, String(before)) !== before) {
    const visibility = visibilityOf(inputs);
    await client.ask(route, { repo, visibility }).catch((error) => {
      const already = `Visibility is already ${visibility}`;
      if (!(error instanceof GithubError && error.message.includes(already))) throw error;
    });
  }
}

function requestFor(inputs: Inputs): { readonly [name: string]: Value } {
  const body: { [name: string]: Value } = {};
  for (const [input, name] of Object.entries(IN_REQUESTS)) {
    const text = input === "name" || input === "homepageUrl" || input === "description";
    const value = inputs[input] ?? (text ? "" : false);
    // GitHub does not archive what it is just being told otherwise about.
    if (name !== "archived" || value === true) body[name] = value;
  }
  if (inputs.allowMergeCommit) {
    body.merge_commit_title = inputs.mergeCommitTitle ?? null;
    body.merge_commit_message = inputs.mergeCommitMessage ?? null;
  }
  if (inputs.allowSquashMerge) {
    body.squash_merge_commit_title = inputs.squashMergeCommitTitle ?? null;
    body.squash_merge_commit_message = inputs.squashMergeCommitMessage ?? null;
  }
  if (inputs.allowForking !== undefined && visibilityOf(inputs) !== "public") {
    body.allow_forking = inputs.allowForking;
  }
  if (inputs.webCommitSignoffRequired !== undefined) {
    body.web_commit_signoff_required = inputs.webCommitSignoffRequired;
  }
  return body;
}

function visibilityOf(inputs: Inputs, otherwise = "public"): string {
  if (typeof inputs.visibility === "string") return inputs.visibility;
  if (typeof inputs.private === "boolean") return inputs.private ? "private" : "public";
  return otherwise;
}

const SECURITY = {
  advancedSecurity: "advanced_security",
  secretScanning: "secret_scanning",
  secretScanningPushProtection: "secret_scanning_push_protection",
} as const;

function securityFor(settings: PropertyMap): { readonly [name: string]: Value } {
  return Object.fromEntries(
    Object.entries(SECURITY).flatMap(([input, name]) =>
      settings[input] ? [[name, settings[input]] as const] : [],
    ),
  );
}

function analysis(found: PropertyMap): PropertyMap {
  const settings: { [name: string]: Value } = {
    advancedSecurity: null,
    codeSecurity: null,
    secretScanningAiDetection: null,
    secretScanningNonProviderPatterns: null,
  };
  for (const [output, name] of Object.entries(SECURITY)) {
    const { status } = (found[name] ?? {}) as Partial<Status>;
    if (status !== undefined) settings[output] = { status };
  }
  return settings;
}

/** What answers hold, under the outputs' names; what is missing there is nothing of its kind. */
function named(names: { readonly [output: string]: string }, data: Answered): PropertyMap {
  return Object.fromEntries(
    Object.entries(names).map(([output, name]) => [output, data[name] ?? nothing(output)]),
  );
}

function nothing(output: string): Value {
  const shape = ATTRIBUTES[output]?.shape ?? STRING;
  if (shape === BOOLEAN) return false;
  return shape === STRINGS ? [] : shape === NUMBER ? 0 : "";
}

function without(
  names: { readonly [name: string]: string },
  others: { readonly [name: string]: string },
): { readonly [name: string]: string } {
  return Object.fromEntries(Object.entries(names).filter(([name]) => !(name in others)));
}

function refused(inputs: PropertyMap) {
  const failures = [];
  const { name, topics } = inputs;
  if (typeof name === "string" && !/^[-a-zA-Z0-9_.]{1,100}$/.test(name)) {
    const rule = "must include only alphanumeric characters, underscores or hyphens";
    const reason = `is ${JSON.stringify(name)}; ${rule} and consist of 100 characters or less`;
    failures.push({ property: "name", reason });
  }
  for (const [index, topic] of (Array.isArray(topics) ? topics : []).entries()) {
    if (typeof topic !== "string" || /^[a-z0-9][a-z0-9-]{0,49}$/.test(topic)) continue;
    const rule = "must include only lowercase alphanumeric characters or hyphens";
    const reason = `is ${JSON.stringify(topic)}; ${rule} and cannot start with a hyphen and consist of 50 characters or less`;
    failures.push({ property: `topics[${index}]`, reason });
  }
  if (inputs.private !== undefined && inputs.visibility !== undefined) {
    failures.push({ property: "private", reason: "conflicts with visibility" });
  }
  return failures;
}

import * as pulumi from "@pulumi/pulumi";
import { hasReusable } from "../../components/github/repositoryFiles.ts";
import { shown } from "../../components/schema/expected.ts";
import { ConfigError, Findings } from "../../config/findings.ts";
import type { GithubConfig, RepositoryConfig } from "../../config/stackConfig.ts";
import { askGithub, GithubUnreachable } from "./api.ts";

/**
 * Asks GitHub before an update whether the update can succeed: whether the owner exists, the token has the rights, and
 * the existing repositories are there. Warns about packages with a visibility that the stack does not ask for.
 *
 * @throws {ConfigError} with every problem in one message
 */
export async function checkGithub(github: GithubConfig): Promise<void> {
  const findings = new Findings();
  try {
    await checkAll(github, findings);
  } catch (error) {
    if (!(error instanceof pulumi.RunError)) throw error;
    if (error instanceof GithubUnreachable) {
      findings.refuse(
        ["github", "baseUrl"],
        `received ${shown(github.baseUrl)}; ${error.message}.`,
      );
    } else {
      findings.refuse(["github"], error.message);
    }
  }
  if (findings.problems.length > 0) throw new ConfigError(findings.problems);
}

async function checkAll(github: GithubConfig, findings: Findings): Promise<void> {
  const user = await askGithub(github, "user", { accept: [200, 401] });
  if (user.status === 401) {
    findings.refuse(
      ["githubToken"],
      "GitHub refuses the token (401): it is wrong, revoked or expired. Make a new one.",
    );
    return;
  }
  checkScopes(github, user.headers.get("x-oauth-scopes"), findings);
  const owner = await account(github);
  if (owner === undefined) {
    findings.refuse(
      ["github", "owner"],
      `received ${shown(github.owner)}; GitHub has no such user or organization.`,
    );
    return;
  }
  checkOwner(github, owner, user.body.login, findings);
  const isFree = (await plan(github, owner, user.body)) === "free";
  if (isFree && github.organizationSecrets?.visibility === "private") {
    findings.refuse(
      ["github", "organizationSecrets", "visibility"],
      `received "private"; ${owner.login} is on the plan Free, where an organization's secrets do not reach private repositories. Take all, for its public ones, or give each repository a client instead.`,
    );
  }
  await Promise.all(
    github.repositories.map(async (repository, index) => {
      const at = findings.at("github", "repositories", index);
      const visibility = await (repository.existing ? checkExisting : checkOwn)(
        github,
        repository,
        at,
      );
      if (isFree) refuseBeyondFree(repository, owner, visibility, at);
      await warnOfPackage(github, repository, owner);
    }),
  );
}

/** The owner's plan, in lower case, where the token may see it. */
async function plan(
  github: GithubConfig,
  { login, isOrganization }: Account,
  user: Record<string, unknown>,
): Promise<string | undefined> {
  const isOwnAccount = String(user.login).toLowerCase() === login.toLowerCase();
  const account = isOrganization
    ? (await askGithub(github, `orgs/${login}`, { accept: [200, 403, 404] })).body
    : isOwnAccount
      ? user
      : {};
  return (account.plan as { name?: string } | undefined)?.name?.toLowerCase();
}

/** Features that GitHub answers with 403 in a private repository of the plan Free. */
function refuseBeyondFree(
  { environment, protectDefaultBranch }: RepositoryConfig,
  { login, isOrganization }: Account,
  visibility: string,
  findings: Findings,
): void {
  if (visibility === "public") return;
  const why = `${login} is on the plan Free, where only public repositories have`;
  const fix = `Make it public, take the plan ${isOrganization ? "Team" : "Pro"}, or remove it`;
  if (environment) {
    findings.refuse(
      ["environment"],
      `received ${shown(environment.name)}, and the repository is ${visibility}; ${why} environments. ${fix}.`,
    );
  }
  if (protectDefaultBranch) {
    findings.refuse(
      ["protectDefaultBranch"],
      `received true, and the repository is ${visibility}; ${why} rules for their branches. ${fix}.`,
    );
  }
}

export interface Account {
  login: string;
  isOrganization: boolean;
}

/** The stack's owner, if GitHub knows one of that name. */
export async function account(github: GithubConfig): Promise<Account | undefined> {
  const { status, body } = await askGithub(github, `users/${github.owner}`);
  return status === 200
    ? { login: String(body.login), isOrganization: body.type === "Organization" }
    : undefined;
}

/** A classic token says what it may do; others do not, and fail where they may not. */
function checkScopes(
  { repositories, organizationSecrets }: GithubConfig,
  header: string | null,
  findings: Findings,
): void {
  if (header === null) return;
  const has = header.split(/,\s*/).filter((scope) => scope !== "");
  const needed = [
    ...(repositories.length > 0 ? ["repo"] : []),
    ...(repositories.some(({ workflows }) => Object.keys(workflows).length > 0)
      ? ["workflow"]
      : []),
    ...(repositories.some(({ deleteOnDestroy }) => deleteOnDestroy) ? ["delete_repo"] : []),
    ...(organizationSecrets ? ["admin:org"] : []),
  ];
  const lacks = needed.filter((scope) => !has.includes(scope));
  if (lacks.length === 0) return;
  findings.refuse(
    ["githubToken"],
    `lacks ${lacks.length > 1 ? "the scopes" : "the scope"} ${lacks.join(", ")}; it has ${has.join(", ") || "none"}. Add what is missing where the token was made: Settings, Developer settings, Personal access tokens.`,
  );
}

function checkOwner(
  github: GithubConfig,
  { login, isOrganization }: Account,
  user: unknown,
  findings: Findings,
): void {
  if (isOrganization) return;
  if (github.organizationSecrets) {
    findings.refuse(
      ["github", "organizationSecrets"],
      `${login} is a user, and only organizations have secrets of their own. Give each repository a client instead.`,
    );
  }
  const makes = github.repositories.some(({ existing }) => !existing);
  if (makes && typeof user === "string" && user.toLowerCase() !== login.toLowerCase()) {
    findings.refuse(
      ["github", "owner"],
      `received ${shown(login)}, but the token is ${user}'s: only ${login} can make repositories there. Use a token of theirs.`,
    );
  }
}

/** @returns its visibility. */
async function checkExisting(
  github: GithubConfig,
  { name, client, environment, requireShaPins, allowedActions, workflows }: RepositoryConfig,
  findings: Findings,
): Promise<string> {
  const { status, body } = await askGithub(github, `repos/${github.owner}/${name}`);
  if (status !== 200) {
    findings.refuse(
      ["name"],
      `received ${shown(name)}; ${github.owner} has no such repository, or the token may not see it. Without existing: true, it is made.`,
    );
    return "private";
  }
  const visibility = String(body.visibility);
  if (body.archived === true) {
    findings.refuse(
      ["name"],
      `received ${shown(name)}, which is archived: it takes no change. Unarchive it first.`,
    );
  }
  const { admin } = (body.permissions ?? {}) as { admin?: boolean };
  if ((client || environment) && admin === false) {
    findings.refuse(
      ["name"],
      `received ${shown(name)}, whose secrets and environments the token may not change: it must be an admin's.`,
    );
  }
  if (hasReusable(workflows) && body.visibility !== "public") {
    const path = `repos/${github.owner}/${name}/actions/permissions/access`;
    const { body: access } = await askGithub(github, path);
    if (access.access_level === "none") {
      void pulumi.log.warn(
        `repository ${name} is ${body.visibility} and lets no other one use its workflows: they get "workflow was not found". Change that by hand in its settings, under Actions, General, Access.`,
      );
    }
  }
  if (workflows.buildkitBuild?.attest === undefined && workflows.buildkitBuild) {
    if (body.visibility !== "public") {
      findings.refuse(
        ["workflows", "buildkitBuild", "attest"],
        `missing; ${name} is ${body.visibility}, where attestations take GitHub Enterprise Cloud, and a build would fail at its end. With that: attest: true; else attest: false.`,
      );
    }
  }
  if (!requireShaPins || allowedActions) return visibility;
  const { body: actions } = await askGithub(
    github,
    `repos/${github.owner}/${name}/actions/permissions`,
  );
  if (actions.allowed_actions === "selected" || actions.allowed_actions === "local_only") {
    findings.refuse(
      ["requireShaPins"],
      `received true, but ${name} allows chosen actions only, which would be undone: name them in allowedActions too.`,
    );
  }
  return visibility;
}

/**
 * The topic of a repository that this stack made. The state knows that too, but the program does not see the state.
 */
export function stackTopic(): string {
  const stack = pulumi
    .getStack()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
  return `buildhosts-${stack}`.slice(0, 50).replace(/-+$/, "");
}

/** @returns the visibility that the stack asks for. */
async function checkOwn(
  github: GithubConfig,
  { name, visibility = "private" }: RepositoryConfig,
  findings: Findings,
): Promise<string> {
  const { status, body } = await askGithub(github, `repos/${github.owner}/${name}`);
  if (status !== 200) return visibility;
  if (!(body.topics as string[]).includes(stackTopic())) {
    findings.refuse(
      ["name"],
      `received ${shown(name)}, which ${github.owner} has already. To use it as it is: existing: true. If this stack made it: give it back its topic ${stackTopic()}; and if the up that made it was cut off, delete it: nothing is in it yet.`,
    );
  } else if (body.archived === true) {
    findings.refuse(
      ["name"],
      `received ${shown(name)}, which is archived, as destroy leaves it. Unarchive it and set existing: true, or delete it.`,
    );
  }
  return visibility;
}

/** No API sets a package's visibility, so that the step by hand is said until it is done. */
async function warnOfPackage(
  github: GithubConfig,
  { name, workflows }: RepositoryConfig,
  owner: Account,
): Promise<void> {
  if (!workflows.buildkitBuild) return;
  const { packageName = "buildkit-riscv64", visibility = "public" } = workflows.buildkitBuild;
  const kind = owner.isOrganization ? "orgs" : "users";
  const path = `${kind}/${owner.login}/packages/container/${encodeURIComponent(packageName)}`;
  const { status, body } = await askGithub(github, path, { accept: [200, 403, 404] });
  if (status === 403) {
    void pulumi.log.warn(
      `package ${packageName}: the token may not see who can pull it; a classic one needs the scope read:packages.`,
    );
    return;
  }
  if (status === 404) {
    void pulumi.log.info(
      `package ${packageName} is not there, or the token may not see it: it appears with its first push, private.`,
    );
    return;
  }
  const repository = `${owner.login}/${name}`;
  const linked = (body.repository as { full_name?: string } | null | undefined)?.full_name;
  if (linked?.toLowerCase() !== repository.toLowerCase()) {
    void pulumi.log.warn(
      `package ${packageName} belongs to ${linked ?? "no repository"}, not to ${repository}, whose workflows then cannot push to it. By hand: open ${settingsOf(body)}, and under Manage Actions access add ${repository} with the role Write.`,
    );
  }
  if (body.visibility === visibility) return;
  void pulumi.log.warn(
    `package ${packageName} is ${body.visibility} and should be ${visibility}. By hand, as GitHub has no API for it: open ${settingsOf(body)}, and under Danger Zone choose Change visibility, ${visibility}.`,
  );
}

function settingsOf({ html_url }: Record<string, unknown>): string {
  return `${String(html_url).replace("/container/package/", "/container/")}/settings`;
}

import * as github from "@pulumi/github";
import * as pulumi from "@pulumi/pulumi";

/** The visibility of a repository; `internal` is for organizations of an enterprise. */
export const RepositoryVisibility = {
  public: "public",
  private: "private",
  internal: "internal",
} as const;
export type RepositoryVisibility = (typeof RepositoryVisibility)[keyof typeof RepositoryVisibility];

/** Whose repositories may use the workflows of a repository that is not public. */
export const WorkflowAccess = {
  none: "none",
  user: "user",
  organization: "organization",
  enterprise: "enterprise",
} as const;
export type WorkflowAccess = (typeof WorkflowAccess)[keyof typeof WorkflowAccess];

/** An environment of a repository, which can hold secrets. */
export interface RepositoryEnvironmentArgs {
  name: string;
  /** Patterns of the branches whose workflows may use it. Default: every branch. */
  branches?: string[];
  /** Ids of users, one of whom must approve each job that uses it. Default: nobody. */
  reviewerUserIds?: number[];
}

export interface BuilderRepositoryArgs {
  /** The repository's name without its owner, which the provider has. Default: the resource's name. */
  repository?: string;
  /**
   * Uses an existing repository that another owner manages. The component changes only the settings that the
   * arguments below ask for. Delete restores these, except those of `requireShaPins` and `allowedActions`.
   * Default: false.
   */
  existing?: boolean;
  /** Default: none. */
  description?: pulumi.Input<string>;
  /** Default: none. */
  topics?: pulumi.Input<pulumi.Input<string>[]>;
  /** Default: `private`. */
  visibility?: RepositoryVisibility;
  /** Whether delete really deletes the repository and all its history; it is archived otherwise. Default: false. */
  deleteOnDestroy?: boolean;
  /** Whether actions must be pinned by their commit's full hash. Default: true, but false where `existing`. */
  requireShaPins?: boolean;
  /**
   * The repositories that may call the reusable workflows of a repository that is not public: those of the same `user`,
   * `organization` or `enterprise`. Default: unchanged; a new repository has `none`.
   */
  workflowAccess?: WorkflowAccess;
  /**
   * Whether workflows may open pull requests, and approve some: GitHub has one switch for both. Default: false.
   */
  workflowsPropose?: boolean;
  /**
   * Patterns such as `docker/*` of the actions that may be used, beside GitHub's own and those of this
   * repository. Default: all may.
   */
  allowedActions?: string[];
  /**
   * Whether the default branch can be neither deleted nor rewritten, and changes by pull request only; the
   * repository's admins excepted. Default: false.
   */
  protectDefaultBranch?: boolean;
  /** Default: none. */
  environment?: RepositoryEnvironmentArgs;
}

/** GitHub's number of the role "repository admin". */
const REPOSITORY_ADMIN = 5;

/**
 * A repository is ready for workflows that use builders: it demands pinned actions, gives workflows a
 * token that can only read unless they ask for more, and has an environment for secrets if one is named.
 *
 * On GitHub it makes `-repository` with its `-alerts`, unless the repository is an `existing` one; `-actions` and
 * `-token` (the rights of workflows), `-workflow-access` (their callers), `-ruleset` and `-environment`. Delete archives a
 * repository that it made, unless `deleteOnDestroy`.
 *
 * ```ts
 * new BuilderRepository("images", {
 *   description: "Images for riscv64",
 *   environment: { name: "builders", branches: ["main"] },
 * }, { provider: new github.Provider("example", { owner: "example" }) });
 * ```
 */
export class BuilderRepository extends pulumi.ComponentResource {
  /**
   * Its name, without the owner. Resources in the repository should depend on the whole component: secrets should
   * wait until only the environment's branches can read them.
   */
  readonly repositoryName: pulumi.Output<string>;
  /** The environment's name. Empty if there is none. */
  readonly environmentName: pulumi.Output<string>;

  constructor(
    name: string,
    args: BuilderRepositoryArgs = {},
    opts: pulumi.ComponentResourceOptions = {},
  ) {
    super("buildhosts:index:BuilderRepository", name, {}, opts);
    const { repository = name, existing = false, environment } = args;
    this.repositoryName = existing
      ? pulumi.output(repository)
      : newRepository(name, repository, args, this);

    const made = { name, repository: this.repositoryName, parent: this };
    limitActions(made, args);
    if (!existing) limitTokens(made, args);
    if (args.workflowAccess) shareWorkflows(made, args.workflowAccess);
    if (args.protectDefaultBranch) protectDefaultBranch(made);
    this.environmentName = environment
      ? repositoryEnvironment(made, environment)
      : pulumi.output("");

    this.registerOutputs({
      repositoryName: this.repositoryName,
      environmentName: this.environmentName,
    });
  }
}

/** A repository, and the parent of its other resources. */
interface Made {
  name: string;
  repository: pulumi.Output<string>;
  parent: pulumi.Resource;
}

function newRepository(
  name: string,
  repositoryName: string,
  args: BuilderRepositoryArgs,
  parent: pulumi.Resource,
): pulumi.Output<string> {
  const { name: repository } = new github.Repository(
    `${name}-repository`,
    {
      name: repositoryName,
      description: args.description,
      topics: args.topics,
      visibility: args.visibility ?? "private",
      // Private ones have it by a license of their own, and GitHub refuses it without.
      ...(args.visibility === "public" && {
        securityAndAnalysis: {
          secretScanning: { status: "enabled" },
          secretScanningPushProtection: { status: "enabled" },
        },
      }),
      // Without a first commit there is no default branch to write workflows to.
      autoInit: true,
      hasIssues: true,
      hasProjects: false,
      hasWiki: false,
      allowMergeCommit: false,
      allowRebaseMerge: false,
      allowSquashMerge: true,
      deleteBranchOnMerge: true,
      archiveOnDestroy: !args.deleteOnDestroy,
    },
    {
      parent,
      // GitHub makes the first commit once: a repository that has one would be replaced for it.
      ignoreChanges: ["autoInit"],
      // The provider would delete first, because of the name; made first, GitHub refuses a second one of it.
      deleteBeforeReplace: false,
    },
  );
  new github.RepositoryVulnerabilityAlerts(
    `${name}-alerts`,
    { repository, enabled: true },
    { parent },
  );
  return repository;
}

/** Decides which actions workflows may use, and whether they must pin them. */
function limitActions({ name, repository, parent }: Made, args: BuilderRepositoryArgs): void {
  const { existing = false } = args;
  const requireShaPins = args.requireShaPins ?? !existing;
  if (!requireShaPins && !args.allowedActions) return;
  new github.ActionsRepositoryPermissions(
    `${name}-actions`,
    {
      repository,
      enabled: true,
      shaPinningRequired: requireShaPins,
      ...(args.allowedActions
        ? {
            allowedActions: "selected",
            allowedActionsConfig: {
              githubOwnedAllowed: true,
              verifiedAllowed: false,
              patternsAlloweds: args.allowedActions,
            },
          }
        : { allowedActions: "all" }),
    },
    // The provider's delete would allow all actions, of whoever, in a repository that lives on.
    { parent, retainOnDelete: existing },
  );
}

/** Gives workflows a token that can only read, unless they ask for more. */
function limitTokens({ name, repository, parent }: Made, args: BuilderRepositoryArgs): void {
  new github.WorkflowRepositoryPermissions(
    `${name}-token`,
    {
      repository,
      defaultWorkflowPermissions: "read",
      canApprovePullRequestReviews: args.workflowsPropose ?? false,
    },
    { parent },
  );
}

function shareWorkflows({ name, repository, parent }: Made, accessLevel: WorkflowAccess): void {
  new github.ActionsRepositoryAccessLevel(
    `${name}-workflow-access`,
    { repository, accessLevel },
    { parent },
  );
}

function protectDefaultBranch({ name, repository, parent }: Made): void {
  new github.RepositoryRuleset(
    `${name}-ruleset`,
    {
      name: "buildhosts default branch",
      repository,
      target: "branch",
      enforcement: "active",
      conditions: { refName: { includes: ["~DEFAULT_BRANCH"], excludes: [] } },
      // Workflows are written to the default branch by this stack's token.
      bypassActors: [
        { actorId: REPOSITORY_ADMIN, actorType: "RepositoryRole", bypassMode: "always" },
      ],
      rules: {
        deletion: true,
        nonFastForward: true,
        pullRequest: { requiredApprovingReviewCount: 0, dismissStaleReviewsOnPush: true },
      },
    },
    { parent },
  );
}

/** @returns the environment's name */
function repositoryEnvironment(
  { name, repository, parent }: Made,
  { name: environmentName, branches, reviewerUserIds }: RepositoryEnvironmentArgs,
): pulumi.Output<string> {
  const { environment } = new github.RepositoryEnvironment(
    `${name}-environment`,
    {
      repository,
      environment: environmentName,
      ...(branches && {
        deploymentBranchPolicy: { customBranchPolicies: true, protectedBranches: false },
      }),
      ...(reviewerUserIds && { reviewers: [{ users: reviewerUserIds }] }),
    },
    { parent },
  );
  for (const branchPattern of branches ?? []) {
    new github.RepositoryEnvironmentDeploymentPolicy(
      `${name}-environment-${branchPattern.replaceAll(/[^A-Za-z0-9]+/g, "-")}`,
      { repository, environment, branchPattern },
      { parent },
    );
  }
  return environment;
}

import * as github from "@pulumi/github";
import * as pulumi from "@pulumi/pulumi";
import { shortHash } from "./shortHash.ts";

/** How files reach the default branch: written to it, or proposed by a pull request. */
export const WorkflowDelivery = { commit: "commit", pullRequest: "pullRequest" } as const;
export type WorkflowDelivery = (typeof WorkflowDelivery)[keyof typeof WorkflowDelivery];

export interface RepositoryWorkflowsArgs {
  /** The repository's name, without its owner. */
  repository: pulumi.Input<string>;
  /** The files, from path to text: `.github/workflows/build.yml`. */
  files: Record<string, string>;
  /** Default: `commit`. */
  delivery?: WorkflowDelivery;
  /** Branch that pull requests are for. Default: `main`. */
  defaultBranch?: pulumi.Input<string>;
}

/**
 * Files are in a repository as given, workflows and their scripts: on its default branch, one
 * commit for each changed file, or in a pull request that proposes them.
 *
 * The next `up` with a refresh restores a file that somebody changed by hand. Delete removes the files,
 * or closes the pull request that proposed them; its branch stays.
 *
 * ```ts
 * new RepositoryWorkflows("images", {
 *   repository: "images",
 *   files: { ".github/workflows/build.yml": readFileSync("build.yml", "utf8") },
 * });
 * ```
 */
export class RepositoryWorkflows extends pulumi.ComponentResource {
  constructor(
    name: string,
    args: RepositoryWorkflowsArgs,
    opts: pulumi.ComponentResourceOptions = {},
  ) {
    super("buildhosts:index:RepositoryWorkflows", name, {}, opts);
    const { repository } = args;
    const files = Object.entries(args.files).sort(([a], [b]) => (a < b ? -1 : 1));
    const proposed = args.delivery === "pullRequest";
    // A branch that was merged is deleted, so that each proposal needs a new one.
    const branchName = `buildhosts/workflows-${contentId(files)}`;
    const child = { parent: this, retainOnDelete: proposed };

    const branch = proposed
      ? new github.Branch(
          `${name}-branch`,
          { repository, branch: branchName, sourceBranch: args.defaultBranch ?? "main" },
          child,
        )
      : undefined;
    const written: github.RepositoryFile[] = [];
    for (const [path, content] of files) {
      const file = new github.RepositoryFile(
        `${name}-${path.split("/").at(-1)}`,
        {
          repository,
          branch: branch?.branch,
          file: path,
          content,
          commitMessage: `Write ${path}`,
          // A run whose answer was lost has written it already.
          overwriteOnCreate: true,
        },
        // Each is a commit on top of the one before; GitHub refuses two at once (409).
        { ...child, dependsOn: written.slice(-1) },
      );
      written.push(file);
    }
    if (branch) {
      new github.RepositoryPullRequest(
        `${name}-pull-request`,
        {
          baseRepository: repository,
          baseRef: args.defaultBranch ?? "main",
          headRef: branch.branch,
          title: "Update the workflows that use the builders",
          body: `Proposed by the stack that runs the builders: ${files.map(([path]) => `\`${path}\``).join(", ")}.`,
        },
        // One that another takes the place of is closed; GitHub deletes none.
        { parent: this, dependsOn: written },
      );
    }
    this.registerOutputs({});
  }
}

/** 12 hex digits by which the content of files is told apart. */
function contentId(files: readonly (readonly [string, string])[]): string {
  return shortHash(JSON.stringify(files));
}

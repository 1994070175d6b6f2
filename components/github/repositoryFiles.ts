import {
  type BuildkitBuildArgs,
  buildkitBuildFiles,
  containerImage,
} from "./buildkitBuildWorkflow.ts";
import { type BuildOnBuildersArgs, buildOnBuildersWorkflow } from "./buildOnBuildersWorkflow.ts";
import { type PulumiWorkflowArgs, pulumiWorkflow } from "./pulumiWorkflow.ts";
import { type ReleaseTrackerArgs, releaseTrackerWorkflow } from "./releaseTrackerWorkflow.ts";
import {
  type OwnBuildkitdArgs,
  ownBuildkitdWorkflow,
  type ServiceContainerArgs,
  serviceContainerWorkflow,
  type WindowsArgs,
  windowsWorkflow,
} from "./runnerWorkflows.ts";

/** The workflows of a repository: those that are named. */
export interface RepositoryWorkflowSet {
  buildOnBuilders?: BuildOnBuildersArgs;
  buildkitBuild?: Omit<BuildkitBuildArgs, "owner">;
  releaseTracker?: Omit<ReleaseTrackerArgs, "image" | "buildWorkflow" | "builds">;
  serviceContainer?: ServiceContainerArgs;
  ownBuildkitd?: OwnBuildkitdArgs;
  windows?: WindowsArgs;
  pulumi?: PulumiWorkflowArgs;
}

const PULUMI_WORKFLOW = "builders.yml";

/** Those that other repositories call. */
const REUSABLE = ["buildOnBuilders", "serviceContainer", "ownBuildkitd", "windows"] as const;

/** Whether other repositories call some of these workflows. */
export function hasReusable(workflows: RepositoryWorkflowSet): boolean {
  return REUSABLE.some((name) => workflows[name] !== undefined);
}

/** The files that a repository of `owner` has these workflows by, from path to text. */
export function repositoryFiles(
  owner: string,
  workflows: RepositoryWorkflowSet,
): Record<string, string> {
  const { buildkitBuild, releaseTracker } = workflows;
  const image = containerImage(owner, buildkitBuild?.packageName);
  const rendered: Record<string, string | undefined> = {
    "build-on-builders.yml":
      workflows.buildOnBuilders && buildOnBuildersWorkflow(workflows.buildOnBuilders),
    "track-buildkit-releases.yml":
      releaseTracker &&
      releaseTrackerWorkflow({
        ...releaseTracker,
        image,
        builds: buildkitBuild !== undefined,
        ...(releaseTracker.stack && {
          stack: {
            ...releaseTracker.stack,
            ...(workflows.pulumi && { previewWorkflow: PULUMI_WORKFLOW }),
          },
        }),
      }),
    "build-in-service-container.yml":
      workflows.serviceContainer && serviceContainerWorkflow(workflows.serviceContainer),
    "build-with-own-buildkitd.yml":
      workflows.ownBuildkitd && ownBuildkitdWorkflow(workflows.ownBuildkitd),
    "build-on-windows.yml": workflows.windows && windowsWorkflow(workflows.windows),
    [PULUMI_WORKFLOW]: workflows.pulumi && pulumiWorkflow(workflows.pulumi),
  };
  const files: Record<string, string> = buildkitBuild
    ? buildkitBuildFiles({ ...buildkitBuild, owner })
    : {};
  for (const [file, text] of Object.entries(rendered)) {
    if (text !== undefined) files[`.github/workflows/${file}`] = text;
  }
  return files;
}

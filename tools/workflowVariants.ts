import { buildkitBuildWorkflow } from "../components/github/buildkitBuildWorkflow.ts";
import { buildOnBuildersWorkflow } from "../components/github/buildOnBuildersWorkflow.ts";
import { releaseTrackerWorkflow } from "../components/github/releaseTrackerWorkflow.ts";

/**
 * Every workflow in every form that its arguments make of it, by file name: what the linters read, and the
 * snapshots show.
 */
export function workflowVariants(): Record<string, string> {
  const image = "ghcr.io/example/buildkit-riscv64";
  return {
    "build-on-builders.yml": buildOnBuildersWorkflow(),
    "build-on-builders-own-runner.yml": buildOnBuildersWorkflow({
      maxBuilders: 1,
      runsOn: ["self-hosted", "linux"],
    }),
    "buildkit-weekly-build.yml": buildkitBuildWorkflow({ owner: "example" }),
    "buildkit-weekly-build-all.yml": buildkitBuildWorkflow({
      owner: "Example",
      packageName: "buildkit",
      runsOn: ["ubuntu-24.04-riscv"],
      schedule: "0 3 * * 6",
      visibility: "private",
      keepDevelopmentBuilds: 2,
      keepUntaggedDays: 30,
    }),
    "track-buildkit-releases.yml": releaseTrackerWorkflow({ image }),
    "track-buildkit-releases-stack.yml": releaseTrackerWorkflow({
      image,
      schedule: "30 4 * * 1",
      stack: { file: "Pulumi.home.yaml", components: ["containerd", "runc"] },
    }),
  };
}

import { buildkitBuildWorkflow } from "../../components/github/buildkitBuildWorkflow.ts";
import { buildOnBuildersWorkflow } from "../../components/github/buildOnBuildersWorkflow.ts";
import { pulumiWorkflow } from "../../components/github/pulumiWorkflow.ts";
import { releaseTrackerWorkflow } from "../../components/github/releaseTrackerWorkflow.ts";
import {
  ownBuildkitdWorkflow,
  serviceContainerWorkflow,
  windowsWorkflow,
} from "../../components/github/runnerWorkflows.ts";

/**
 * Every workflow in every form that its arguments give it, by file name. The linters read these forms, and the
 * snapshots show them.
 */
export function workflowVariants(): Record<string, string> {
  const buildkitImage = `moby/buildkit:v0.34.2@sha256:${"0".repeat(64)}`;
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
      attest: false,
      images: {
        buildkit: `moby/buildkit:v0.34.2@sha256:${"1".repeat(64)}`,
        scanner: `docker/buildkit-syft-scanner:stable-1@sha256:${"2".repeat(64)}`,
        base: `debian:trixie-slim@sha256:${"3".repeat(64)}`,
        binfmt: `tonistiigi/binfmt:qemu-v10.2.3@sha256:${"4".repeat(64)}`,
      },
      keepDevelopmentBuilds: 2,
      keepUntaggedDays: 30,
    }),
    "track-buildkit-releases.yml": releaseTrackerWorkflow({ image }),
    "track-buildkit-releases-stack.yml": releaseTrackerWorkflow({
      image,
      schedule: "30 4 * * 1",
      stack: {
        file: "Pulumi.home.yaml",
        components: ["containerd", "runc"],
        previewWorkflow: "builders.yml",
      },
    }),
    "track-buildkit-releases-stack-only.yml": releaseTrackerWorkflow({
      image,
      builds: false,
      stack: { file: "Pulumi.home.yaml" },
    }),
    "build-in-service-container.yml": serviceContainerWorkflow({ buildkitImage }),
    "build-in-service-container-all.yml": serviceContainerWorkflow({
      buildkitImage,
      runsOn: ["self-hosted", "talos"],
      config: "/etc/buildkit/buildkitd.toml",
    }),
    "build-with-own-buildkitd.yml": ownBuildkitdWorkflow({ buildkitImage }),
    "build-with-own-buildkitd-all.yml": ownBuildkitdWorkflow({
      buildkitImage,
      runsOn: ["self-hosted", "linux"],
      config: "/etc/buildkit/buildkitd.toml",
    }),
    "build-on-windows.yml": windowsWorkflow(),
    "build-on-windows-all.yml": windowsWorkflow({
      runsOn: ["windows-2022"],
      containerd: "v1.7.15",
      buildkit: "v0.13.1",
      buildx: "v0.13.1",
    }),
    "builders.yml": pulumiWorkflow({ stack: "home" }),
    "builders-all.yml": pulumiWorkflow({
      stack: "lab",
      runsOn: ["self-hosted", "linux"],
      driftSchedule: "0 1 * * 1",
      branch: "trunk",
      previewEnvironment: "read",
      upEnvironment: "write",
      policyPack: "policy",
      policyPackConfig: "policy-config.json",
    }),
  };
}

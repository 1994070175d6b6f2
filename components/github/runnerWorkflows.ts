import { renderWorkflow, setInStep, setRunner } from "./workflow.ts";

export interface ServiceContainerArgs {
  /** BuildKit's image with its digest: `moby/buildkit:v0.34.2@sha256:…`. A tag alone may become another image. */
  buildkitImage: string;
  /** Labels of the runner. Default: `self-hosted`, `linux`. */
  runsOn?: string[];
  /** Path of buildkitd.toml on the runner. Default: `/usr/etc/buildkit/buildkitd.toml`. */
  config?: string;
}

/** A reusable workflow whose buildkitd is a service container beside the job, on a runner of one's own. */
export function serviceContainerWorkflow({
  buildkitImage,
  runsOn = ["self-hosted", "linux"],
  config = "/usr/etc/buildkit/buildkitd.toml",
}: ServiceContainerArgs): string {
  return renderWorkflow("build-in-service-container.yml", (workflow) => {
    setRunner(workflow, "build", runsOn);
    const service = ["jobs", "build", "services", "buildkitd"];
    workflow.setIn([...service, "image"], buildkitImage);
    workflow.setIn([...service, "volumes", 1], `${config}:/etc/buildkit/buildkitd.toml:ro`);
  });
}

export interface OwnBuildkitdArgs {
  /** BuildKit's image with its digest: `moby/buildkit:v0.34.2@sha256:…`. A tag alone may become another image. */
  buildkitImage: string;
  /** Labels of the runner. Default: `ubuntu-latest`. */
  runsOn?: string[];
  /** Path of a buildkitd.toml on the runner. Default: none. */
  config?: string;
}

/** A reusable workflow whose buildkitd is started by a step. */
export function ownBuildkitdWorkflow({
  buildkitImage,
  runsOn = ["ubuntu-latest"],
  config = "",
}: OwnBuildkitdArgs): string {
  return renderWorkflow("build-with-own-buildkitd.yml", (workflow) => {
    setRunner(workflow, "build", runsOn);
    const set = (key: string, value: string) =>
      setInStep(workflow, { job: "build", step: "Start buildkitd", path: ["env", key], value });
    set("BUILDKIT_IMAGE", buildkitImage);
    set("CONFIG", config);
  });
}

export interface WindowsArgs {
  /** Default: `windows-2025`. */
  runsOn?: string[];
  /** Versions of what is installed. Default: the newest that were there when this was written. */
  containerd?: string;
  buildkit?: string;
  buildx?: string;
}

/** A reusable workflow that installs containerd and buildkitd as services of Windows, and builds there. */
export function windowsWorkflow({
  runsOn = ["windows-2025"],
  containerd = NEWEST.containerd,
  buildkit = NEWEST.buildkit,
  buildx = NEWEST.buildx,
}: WindowsArgs = {}): string {
  return renderWorkflow("build-on-windows.yml", (workflow) => {
    setRunner(workflow, "build", runsOn);
    const set = (key: string, value: string) =>
      setInStep(workflow, {
        job: "build",
        step: "Install containerd, BuildKit and buildx",
        path: ["env", key],
        value,
      });
    set("CONTAINERD_VERSION", containerd);
    set("BUILDKIT_VERSION", buildkit);
    set("BUILDX_VERSION", buildx);
  });
}

const NEWEST = { buildkit: "v0.34.2", containerd: "v2.4.2", buildx: "v0.38.2" } as const;

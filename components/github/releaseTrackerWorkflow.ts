import { removeJob, renderWorkflow, setInStep } from "./workflow.ts";

export interface ReleaseTrackerArgs {
  /** Whether releases are built in the same repository; else it only looks after the stack. Default: true. */
  builds?: boolean;
  /** File name of the workflow that builds a release. Default: `buildkit-weekly-build.yml`. */
  buildWorkflow?: string;
  /** Name of the image that it pushes, `ghcr.io/<owner>/buildkit-riscv64`. */
  image: string;
  /** When it looks, in UTC. Default: `0 9 * * *`, daily at 09:00. */
  schedule?: string;
  /** How often a build that ends without a release is started again. Default: 3. */
  maxAttempts?: number;
  /** A stack in the same repository whose versions it proposes to raise. Default: none. */
  stack?: TrackedStackArgs;
}

/** A stack whose pinned versions are looked after. */
export interface TrackedStackArgs {
  /** Path of its file: `Pulumi.home.yaml`. */
  file: string;
  /** Of `buildkit`, `containerd` and `runc`. Default: all three. */
  components?: string[];
  /** File name of the repository's workflow that previews a pull request. Default: none. */
  previewWorkflow?: string;
}

/**
 * A workflow that looks daily for a new release of BuildKit, starts its build, and tracks it in an issue
 * from the start until the release is there. For a stack it proposes newer releases.
 */
export function releaseTrackerWorkflow({
  builds = true,
  buildWorkflow = "buildkit-weekly-build.yml",
  image,
  schedule = "0 9 * * *",
  maxAttempts = 3,
  stack,
}: ReleaseTrackerArgs): string {
  return renderWorkflow("track-buildkit-releases.yml", (workflow) => {
    workflow.setIn(["on", "schedule", 0, "cron"], schedule);
    const set = (job: string, step: string, env: Record<string, string>) => {
      for (const [key, value] of Object.entries(env))
        setInStep(workflow, { job, step, path: ["env", key], value });
    };
    if (builds) {
      set("track", "Look for a release and have it built", {
        BUILD_WORKFLOW: buildWorkflow,
        IMAGE: image,
        MAX_ATTEMPTS: String(maxAttempts),
      });
    } else {
      removeJob(workflow, "track");
    }
    if (!stack) {
      removeJob(workflow, "bump");
      return;
    }
    set("bump", "Propose new versions for the stack", {
      STACK_FILE: stack.file,
      COMPONENTS: (stack.components ?? ["buildkit", "containerd", "runc"]).join(" "),
      PREVIEW_WORKFLOW: stack.previewWorkflow ?? "",
    });
    set("bump", "Propose new digests for its images", {
      STACK_FILE: stack.file,
      PREVIEW_WORKFLOW: stack.previewWorkflow ?? "",
    });
    if (!stack.previewWorkflow) workflow.deleteIn(["jobs", "bump", "permissions", "actions"]);
  });
}

import { renderWorkflow, setRunner } from "./workflow.ts";

export interface PulumiWorkflowArgs {
  /** The stack that lies in the repository, as `Pulumi.<stack>.yaml`. */
  stack: string;
  /** Labels of a runner that reaches the stack's hosts. Default: `ubuntu-latest`. */
  runsOn?: string[];
  /** When it looks for drift, in UTC. Default: `15 5 * * *`, daily at 05:15. */
  driftSchedule?: string;
  /** The branch that is brought up. Default: `main`. */
  branch?: string;
  /** Environment with the secrets of previews. Default: `preview`. */
  previewEnvironment?: string;
  /** Folder of the repository with a policy pack that a preview must pass, such as `policy`. Default: none. */
  policyPack?: string;
  /** JSON file of the repository with the pack's configuration. Default: none. */
  policyPackConfig?: string;
  /** Environment with the secrets of `up`, which may ask somebody first. Default: `production`. */
  upEnvironment?: string;
}

/** The step of the job `preview` that previews. */
const PREVIEW_STEP = 2;

/**
 * A workflow for the repository that a stack lies in: its preview as a comment on each pull request, a
 * look for drift each day, and `up` on the main branch behind an environment.
 */
export function pulumiWorkflow({
  stack,
  runsOn = ["ubuntu-latest"],
  driftSchedule = "15 5 * * *",
  branch = "main",
  previewEnvironment = "preview",
  policyPack = "",
  policyPackConfig = "",
  upEnvironment = "production",
}: PulumiWorkflowArgs): string {
  return renderWorkflow("pulumi.yml", (workflow) => {
    workflow.setIn(["env", "STACK"], stack);
    workflow.setIn(["on", "schedule", 0, "cron"], driftSchedule);
    workflow.setIn(["on", "push", "branches", 0], branch);
    for (const job of ["preview", "drift", "up"]) setRunner(workflow, job, runsOn);
    for (const job of ["preview", "drift"])
      workflow.setIn(["jobs", job, "environment"], previewEnvironment);
    workflow.setIn(["jobs", "up", "environment"], upEnvironment);
    const env = ["jobs", "preview", "steps", PREVIEW_STEP, "env"];
    workflow.setIn([...env, "POLICY_PACK"], policyPack);
    workflow.setIn([...env, "POLICY_PACK_CONFIG"], policyPackConfig);
  });
}

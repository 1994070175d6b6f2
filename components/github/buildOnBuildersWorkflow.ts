import { renderWorkflow, setInStep, setRunner } from "./workflow.ts";

export interface BuildOnBuildersArgs {
  /** How many builders a build can be given. Default: 10. */
  maxBuilders?: number;
  /** Where its jobs run, labels of a runner that reaches the builders. Default: `ubuntu-latest`. */
  runsOn?: string[];
}

/**
 * A reusable workflow that builds an image on the builders of a stack, one node for each that answers.
 * It takes a client's certificate as secrets, and the builders from the variable BUILDER_NODES.
 */
export function buildOnBuildersWorkflow({
  maxBuilders = 10,
  runsOn = ["ubuntu-latest"],
}: BuildOnBuildersArgs = {}): string {
  return renderWorkflow("build-on-builders.yml", (workflow) => {
    for (const job of ["builders", "build"]) setRunner(workflow, job, runsOn);
    setInStep(workflow, {
      job: "builders",
      step: "Ask every builder",
      path: ["env", "MAX_NODES"],
      value: String(maxBuilders),
    });
    setInStep(workflow, {
      job: "build",
      step: "Connect to the builders",
      path: ["env"],
      value: clientOfEveryNode(maxBuilders),
    });
  });
}

/** The variables from which docker/setup-buildx-action reads the client's PEM texts: one name for each node's number. */
function clientOfEveryNode(nodes: number): Record<string, string> {
  const env: Record<string, string> = {};
  for (let node = 0; node < nodes; node++) {
    for (const part of ["CACERT", "CERT", "KEY"]) {
      env[`BUILDER_NODE_${node}_AUTH_TLS_${part}`] = `\${{ secrets.BUILDER_AUTH_TLS_${part} }}`;
    }
  }
  return env;
}

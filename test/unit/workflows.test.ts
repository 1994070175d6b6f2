import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Language, Parser } from "web-tree-sitter";
import { isScalar, parse, parseDocument, visit } from "yaml";
import { workflowVariants } from "../../commands/lib/workflowVariants.ts";
import { actions } from "../../components/github/actions.ts";
import { renderWorkflow, script } from "../../components/github/workflow.ts";

const require = createRequire(import.meta.url);

interface Job {
  permissions?: Record<string, string>;
  "timeout-minutes"?: number;
  environment?: string;
  if?: string;
  steps: { uses?: string; run?: string; with?: Record<string, unknown>; env?: object }[];
}
interface Workflow {
  on: Record<string, unknown>;
  permissions: object;
  concurrency?: object;
  jobs: Record<string, Job>;
}

const scripts = readdirSync(join(import.meta.dirname, "../../components/github/workflows")).filter(
  (name) => /\.(sh|ps1)$/.test(name),
);
const variants = Object.entries(workflowVariants());
const parsed = variants.map(([file, text]) => [file, parse(text) as Workflow] as const);

test.each(variants)("%s is what its arguments make of it", (_, text) => {
  expect(withoutScripts(text)).toMatchSnapshot();
});

/** A workflow with the names of its scripts in their place: they are tested by themselves. */
function withoutScripts(text: string): string {
  const names = new Map(scripts.map((name) => [script(name), name]));
  const workflow = parseDocument(text);
  visit(workflow, {
    Pair(_, { key, value }) {
      if (!isScalar(key) || key.value !== "run" || !isScalar(value)) return;
      value.value = names.get(String(value.value)) ?? value.value;
    },
  });
  return workflow.toString({ lineWidth: 0 });
}

describe.each(parsed)("%s", (file, workflow) => {
  const text = workflowVariants()[file] ?? "";

  test("grants nothing at the top, and each job says what it needs", () => {
    expect(workflow.permissions).toEqual({});
    for (const [name, job] of Object.entries(workflow.jobs))
      expect.soft(job.permissions, name).toBeDefined();
  });

  test("ends by itself, and runs once at a time where two would meet", () => {
    expect(workflow.concurrency).toBeDefined();
    for (const [name, job] of Object.entries(workflow.jobs))
      expect.soft(job["timeout-minutes"], name).toBeGreaterThan(0);
  });

  test("pins every action by its commit, the version beside it", () => {
    const uses = text.split("\n").filter((line) => /^\s*(- )?uses:/.test(line));
    for (const line of uses)
      expect.soft(line).toMatch(/uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test("leaves no credentials in a checkout", () => {
    for (const { steps } of Object.values(workflow.jobs))
      for (const { uses, with: given } of steps)
        if (uses?.startsWith("actions/checkout@"))
          expect.soft(given?.["persist-credentials"]).toBe(false);
  });

  test("puts nothing into a script that came from outside: scripts have variables", () => {
    for (const { steps } of Object.values(workflow.jobs))
      for (const { run } of steps) expect.soft(run ?? "").not.toContain("${{");
  });

  test("runs for no pull request with the rights of the repository", () => {
    expect(Object.keys(workflow.on)).not.toContain("pull_request_target");
  });
});

test("every pinned action is used", () => {
  const all = variants.map(([, text]) => text).join("");
  for (const name of Object.keys(actions)) expect.soft(all, name).toContain(`uses: ${name}@`);
});

test("a preview has no secret of a fork's pull request, and nothing of it runs where a comment is written", () => {
  const { preview, comment, up } = (parse(workflowVariants()["builders.yml"] ?? "") as Workflow)
    .jobs;
  expect(preview?.if).toContain(
    "github.event.pull_request.head.repo.full_name == github.repository",
  );
  expect(preview?.permissions).toEqual({ contents: "read" });
  expect(comment?.permissions).toEqual({ "pull-requests": "write" });
  expect(comment?.steps.some(({ uses }) => uses?.startsWith("actions/checkout@"))).toBe(false);
  expect(JSON.stringify(comment)).not.toContain("secrets.");
  expect(up).toMatchObject({ environment: "production", if: "github.event_name == 'push'" });
});

test("what looks for drift waits in no line with what brings up", () => {
  const group = (
    parse(workflowVariants()["builders.yml"] ?? "") as { concurrency: { group: string } }
  ).concurrency.group;
  expect(group).toContain("github.event_name == 'push' && 'up'");
  expect(group).toContain("|| 'drift'");
});

test("a matrix over any input ends none of its own builds", () => {
  for (const [file, workflow] of parsed) {
    const call = workflow.on.workflow_call as { inputs: Record<string, unknown> } | undefined;
    if (!call) continue;
    const { group } = workflow.concurrency as { group: string };
    for (const input of ["image", "tags", "context", "file", "target", "platforms"])
      if (input in call.inputs) expect.soft(group, file).toContain(`\${{ inputs.${input} }}`);
  }
});

test("the issue is closed by the build itself, after it has published", () => {
  const { jobs } = parse(workflowVariants()["buildkit-weekly-build.yml"] ?? "") as {
    jobs: Record<string, Job & { needs?: string[] }>;
  };
  expect(jobs.tracked?.needs).toContain("publish");
  expect(jobs.tracked?.steps[0]?.env).toMatchObject({ CLOSE_ONLY: "true" });
});

test("the scan sees the repository's .trivyignore", () => {
  const { jobs } = parse(workflowVariants()["buildkit-weekly-build.yml"] ?? "") as Workflow;
  const uses = (jobs.scan?.steps ?? []).map((step) => step.uses?.split("@")[0]);
  expect(uses).toEqual(["actions/checkout", "aquasecurity/trivy-action"]);
});

test("without attestations no job is granted them, and none is made", () => {
  const text = workflowVariants()["buildkit-weekly-build-all.yml"] ?? "";
  expect(text).not.toContain("actions/attest@");
  expect((parse(text) as Workflow).jobs.publish?.permissions).not.toHaveProperty("attestations");
});

test("the Windows steps end a service before they write over its program", () => {
  const text = script("install-buildkit.ps1");
  const [end, unpack, start] = ["Stop-Service -Force", "tar.exe -xf", "Start-Service"].map((one) =>
    text.indexOf(one),
  ) as [number, number, number];
  expect(end).toBeGreaterThan(0);
  expect([end, unpack, start]).toEqual([end, unpack, start].sort((a, b) => a - b));
});

test("nothing is published before every test phase has passed", () => {
  const { jobs } = parse(workflowVariants()["buildkit-weekly-build.yml"] ?? "") as {
    jobs: Record<string, { name: string; needs?: string[] }>;
  };
  const phases = Object.entries(jobs).filter(([, { name }]) => name.startsWith("Test phase"));
  expect(phases).toHaveLength(5);
  expect(jobs.publish?.needs).toEqual(expect.arrayContaining(phases.map(([job]) => job)));
});

test("a script stands in its step whole, with what it takes in", () => {
  expect(script("track-releases.sh")).toContain('fail() {\n  echo "::error::$*"');
  expect(script("track-releases.sh")).not.toMatch(/^\. /m);
});

test("an action without a pin is refused", () => {
  expect(() =>
    renderWorkflow("pulumi.yml", (workflow) => {
      workflow.setIn(["jobs", "preview", "steps", 0, "uses"], "somebody/something");
    }),
  ).toThrow("action 'somebody/something' has no pin; add it to components/github/actions.ts");
});

test("the PowerShell of the Windows steps is PowerShell: it parses, and what is broken does not", async () => {
  await Parser.init();
  const grammar = require.resolve("tree-sitter-powershell/tree-sitter-powershell.wasm");
  const parser = new Parser().setLanguage(await Language.load(grammar));
  const isWhole = (text: string) => parser.parse(text)?.rootNode.hasError === false;
  for (const name of scripts.filter((one) => one.endsWith(".ps1"))) {
    expect.soft(isWhole(script(name)), name).toBe(true);
    expect.soft(isWhole(script(name).replace("{", "")), name).toBe(false);
    expect.soft(isWhole(script(name).replace(/'\n/, "\n")), name).toBe(false);
  }
});

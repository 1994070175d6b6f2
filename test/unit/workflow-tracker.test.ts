import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildkitBuildWorkflow } from "../../components/github/buildkitBuildWorkflow.ts";
import { pulumiWorkflow } from "../../components/github/pulumiWorkflow.ts";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { runScript } from "./runScript.ts";

const TITLE = "Building BuildKit v0.34.2 for RISC-V64";
const TAG = "buildkit-v0.34.2-riscv64";
const REPOSITORY = "/repos/builders/riscv64";
const RELEASES = {
  "moby/buildkit": ["v0.33.0", "v0.34.2", "v0.34.10-rc1", "dockerfile/1.20.0", "v0.34.1"],
  "containerd/containerd": ["v2.4.2", "v1.7.99"],
  "opencontainers/runc": ["v1.5.2"],
};

let github: Github;

beforeEach(async () => {
  github = await startGithub({
    organizations: ["builders", "moby", "containerd", "opencontainers"],
  });
  await github.ask("POST", "/orgs/builders/repos", { name: "riscv64", auto_init: true });
  for (const [repository, tags] of Object.entries(RELEASES)) {
    const [owner, name = ""] = repository.split("/");
    await github.ask("POST", `/orgs/${owner}/repos`, { name, auto_init: true });
    for (const tag_name of tags)
      await github.ask("POST", `/repos/${repository}/releases`, {
        tag_name,
        prerelease: tag_name.includes("rc"),
      });
  }
  await write(
    ".github/workflows/buildkit-weekly-build.yml",
    buildkitBuildWorkflow({ owner: "builders" }),
  );
});
afterEach(async () => {
  // What GitHub itself would not understand of what the scripts ask.
  expect(github.problems).toEqual([]);
  await github.stop();
});

function write(path: string, text: string) {
  return github.ask("PUT", `${REPOSITORY}/contents/${path}`, {
    message: `Write ${path}`,
    content: Buffer.from(text).toString("base64"),
  });
}

const runner = () => ({
  GITHUB_API_URL: github.apiUrl,
  GITHUB_SERVER_URL: github.url,
  GITHUB_REPOSITORY: "builders/riscv64",
  UPSTREAM_API: github.apiUrl,
  GH_TOKEN: github.token,
});

function track(env: Record<string, string> = {}) {
  return runScript("track-releases.sh", {
    ...runner(),
    BUILD_WORKFLOW: "buildkit-weekly-build.yml",
    IMAGE: "ghcr.io/builders/buildkit-riscv64",
    MAX_ATTEMPTS: "3",
    ...env,
  });
}

interface Issue {
  number: number;
  title: string;
  state: string;
  body: string;
  labels: { name: string }[];
}

async function issues(): Promise<Issue[]> {
  return (await github.ask("GET", `${REPOSITORY}/issues?state=all`)) as unknown as Issue[];
}

/** What GitHub was asked to change. */
const changes = () =>
  github.served
    .filter(({ operation }) => !operation.startsWith("GET "))
    .map((one) => one.operation);

describe("track-releases.sh", () => {
  test("opens the issue and starts the build of upstream's newest release", async () => {
    const { code, log } = await track();
    expect(log).not.toContain("::error::");
    expect(code).toBe(0);
    expect(github.runs).toEqual([
      expect.objectContaining({
        title: "Build BuildKit v0.34.2",
        inputs: { buildkit_ref: "v0.34.2" },
        branch: "main",
      }),
    ]);
    const [issue, ...others] = await issues();
    expect(others).toEqual([]);
    expect(issue).toMatchObject({ title: TITLE, state: "open" });
    expect(issue?.labels.map(({ name }) => name).sort()).toEqual([
      "build-in-progress",
      "buildkit-release",
    ]);
    expect(issue?.body).toContain(`- [ ] release \`${TAG}\``);
    expect(issue?.body).toContain("gh run list --workflow buildkit-weekly-build.yml");
    expect(log).not.toContain(github.token);
  });

  test("does nothing the second time, while the build goes on", async () => {
    await track();
    const before = changes().length;
    const { log } = await track();
    expect(log).toContain("a build of v0.34.2 is under way");
    expect(changes().length).toBe(before);
  });

  test("closes the issue once the release is there, and leaves it alone from then on", async () => {
    await track();
    await github.ask("POST", `${REPOSITORY}/releases`, { tag_name: TAG });
    const { code } = await track();
    expect(code).toBe(0);
    const [issue] = await issues();
    expect(issue?.state).toBe("closed");
    expect(issue?.labels.map(({ name }) => name)).toEqual(["buildkit-release"]);
    const comments = await github.ask("GET", `${REPOSITORY}/issues/${issue?.number}/comments`);
    expect(comments).toMatchObject([{ body: expect.stringContaining(`releases/tag/${TAG}`) }]);
    const before = changes().length;
    await track();
    expect(changes().length).toBe(before);
  });

  test("closes the issue of a version that was built after upstream has released the next", async () => {
    await track();
    await github.ask("POST", "/repos/moby/buildkit/releases", { tag_name: "v0.35.0" });
    await track();
    await github.ask("POST", `${REPOSITORY}/releases`, { tag_name: TAG });
    await track();
    expect(Object.fromEntries((await issues()).map(({ title, state }) => [title, state]))).toEqual({
      [TITLE]: "closed",
      "Building BuildKit v0.35.0 for RISC-V64": "open",
    });
  });

  test("closes what is built and asks upstream nothing, at the end of a build", async () => {
    await track();
    for (const title of ["Something else", "Building BuildKit v0.1.0 for RISC-V64"])
      await github.ask("POST", `${REPOSITORY}/issues`, { title, labels: ["buildkit-release"] });
    const asked = github.served.length;
    const close = () => track({ CLOSE_ONLY: "true", UPSTREAM_API: "http://127.0.0.1:1" });
    expect((await close()).code).toBe(0);
    expect((await issues()).map(({ state }) => state)).toEqual(["open", "open", "open"]);
    await github.ask("POST", `${REPOSITORY}/releases`, { tag_name: TAG });
    const { code, log } = await close();
    expect(code, log).toBe(0);
    const open = (await issues()).filter(({ state }) => state === "open");
    expect(open.map(({ title }) => title)).not.toContain(TITLE);
    expect(open).toHaveLength(2);
    expect(github.runs).toHaveLength(1);
    const paths = github.served.slice(asked).map(({ path }) => path);
    expect(paths.filter((path) => path.includes("moby"))).toEqual([]);
  });

  test("starts a build that failed again, three times at most", async () => {
    const end = () => {
      for (const run of github.runs)
        Object.assign(run, { status: "completed", conclusion: "failure" });
    };
    for (let attempt = 1; attempt <= 3; attempt++) {
      await track();
      expect(github.runs).toHaveLength(attempt);
      end();
    }
    const { code, log } = await track();
    expect(log).toContain("::error::3 builds of v0.34.2 have ended and there is no release");
    expect(code).toBe(1);
    expect(github.runs).toHaveLength(3);
    expect(await issues()).toHaveLength(1);
  });

  test.each([
    ["the labels", "POST /repos/{owner}/{repo}/labels"],
    ["the issue", "POST /repos/{owner}/{repo}/issues"],
    ["the build", "POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches"],
  ])("goes on where it was interrupted: the answer about %s was lost", async (_, operation) => {
    github.faults.add({ operation, fault: { kind: "lost-answer" } });
    const { code, log } = await track();
    expect(log).toContain("::error::POST ");
    expect(code).toBe(1);
    const again = await track();
    expect(again.code).toBe(0);
    expect(await issues()).toHaveLength(1);
    expect(github.runs).toHaveLength(1);
  });

  test("tries again what only looks, when GitHub fails or limits it", async () => {
    github.faults.add({
      operation: "GET /repos/{owner}/{repo}/releases",
      fault: { kind: "status", status: 500 },
    });
    github.faults.add({
      operation: "GET /repos/{owner}/{repo}/issues",
      fault: { kind: "lost-answer" },
    });
    expect((await track()).code).toBe(0);
    expect(github.runs).toHaveLength(1);
  }, 60_000);

  test("closes what was opened twice", async () => {
    await track();
    await github.ask("POST", `${REPOSITORY}/issues`, {
      title: TITLE,
      labels: ["buildkit-release"],
    });
    await track();
    expect((await issues()).map(({ state }) => state).sort()).toEqual(["closed", "open"]);
  });

  test("changes nothing in a dry run, and says what it would do", async () => {
    const { code, log } = await track({ DRY_RUN: "true" });
    expect(code).toBe(0);
    expect(log).toContain(`would open the issue '${TITLE}'`);
    expect(log).toContain("would start buildkit-weekly-build.yml for v0.34.2");
    expect(changes()).toEqual([]);
  });

  test("says what is missing where there is no workflow that builds", async () => {
    const { code, log } = await track({ BUILD_WORKFLOW: "other.yml" });
    expect(log).toContain("::error::there is no workflow other.yml on the default branch");
    expect(code).toBe(1);
  });

  test("says what GitHub says to a bad token", async () => {
    const { code, log } = await track({ GH_TOKEN: "ghp_wrong" });
    expect(log).toMatch(/::error::GET .*: status 401: Bad credentials/);
    expect(log).not.toContain("ghp_wrong");
    expect(code).toBe(1);
  });
});

describe("bump-versions.sh", () => {
  const STACK = `# yaml-language-server: $schema=./schema/stack.schema.json
config:
  buildhosts:releases:
    buildkit: v0.33.0 # pinned
    containerd: "2.4.2"
  buildhosts:boards:
    - name: a
    buildkit: v0.1.0
`;
  const bump = (env: Record<string, string> = {}) =>
    runScript("bump-versions.sh", {
      ...runner(),
      STACK_FILE: "Pulumi.home.yaml",
      COMPONENTS: "buildkit containerd runc",
      ...env,
    });
  const pulls = async () =>
    (await github.ask("GET", `${REPOSITORY}/pulls?state=all`)) as unknown as {
      title: string;
      state: string;
      number: number;
      body: string;
    }[];
  const overwrite = async (text: string) => {
    const path = `${REPOSITORY}/contents/Pulumi.home.yaml`;
    const { sha } = (await github.ask("GET", path)) as { sha: string };
    const content = Buffer.from(text).toString("base64");
    await github.ask("PUT", path, { message: "Write", content, sha });
  };
  const stackOn = async (branch: string) => {
    const file = (await github.ask(
      "GET",
      `${REPOSITORY}/contents/Pulumi.home.yaml?ref=${branch}`,
    )) as { content: string };
    return Buffer.from(file.content, "base64").toString("utf8");
  };

  beforeEach(() => write("Pulumi.home.yaml", STACK));

  test("proposes what is newer, and changes that line alone", async () => {
    const { code, log } = await bump();
    expect(log).toContain("buildkit: proposed v0.34.2 instead of v0.33.0");
    expect(log).toContain("containerd: 2.4.2 is the newest");
    expect(log).toContain("runc: Pulumi.home.yaml pins no version");
    expect(code).toBe(0);
    expect((await pulls()).map(({ title }) => title)).toEqual(["Take buildkit v0.34.2"]);
    expect(await stackOn("buildhosts/buildkit-v0.34.2")).toBe(
      STACK.replace("v0.33.0 # pinned", "v0.34.2 # pinned"),
    );
    expect(await stackOn("main")).toBe(STACK);
  });

  test("proposes nothing twice, not even what was refused", async () => {
    await bump();
    const [pull] = await pulls();
    await github.ask("PATCH", `${REPOSITORY}/pulls/${pull?.number}`, { state: "closed" });
    const { log } = await bump();
    expect(log).toContain("buildkit: v0.34.2 is proposed already");
    expect(await pulls()).toHaveLength(1);
  });

  test.each([
    "POST /repos/{owner}/{repo}/git/refs",
    "PUT /repos/{owner}/{repo}/contents/{path}",
    "POST /repos/{owner}/{repo}/pulls",
  ])(
    "goes on where it was interrupted: the answer of %s was lost",
    async (operation) => {
      github.faults.add({
        operation,
        fault: { kind: "lost-answer" },
      });
      expect((await bump()).code).toBe(1);
      expect((await bump()).code).toBe(0);
      expect(await pulls()).toHaveLength(1);
      expect(await stackOn("buildhosts/buildkit-v0.34.2")).toContain("buildkit: v0.34.2");
    },
    60_000,
  );

  describe("where the stack has checksums", () => {
    const old = "0".repeat(64);
    const sums = `config:
  buildhosts:releases:
    buildkit: v0.33.0
    containerd: "v2.4.1"
    runc: v1.5.1
    checksums:
      buildkit-v0.33.0.linux-riscv64.tar.gz: ${old}
      "buildkit-v0.33.0.linux-arm64.tar.gz": "${old}"
      containerd-2.4.1-linux-riscv64.tar.gz: ${old}
      runc.riscv64: ${old}
  buildhosts:other:
    runc.riscv64: ${old}
`;
    const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

    /** Gives upstream's release a file. */
    async function asset(repository: string, tag: string, name: string) {
      const { upload_url } = (await github.ask(
        "GET",
        `/repos/${repository}/releases/tags/${tag}`,
      )) as { upload_url: string };
      const uploaded = await fetch(`${upload_url.split("{")[0]}?name=${name}`, {
        method: "POST",
        headers: { authorization: `Bearer ${github.token}`, "content-type": "application/gzip" },
        body: name,
      });
      expect(uploaded.status).toBe(201);
    }

    test("raises those that go with the version, in its pull request, and no others", async () => {
      await overwrite(sums);
      await asset("moby/buildkit", "v0.34.2", "buildkit-v0.34.2.linux-riscv64.tar.gz");
      await asset("moby/buildkit", "v0.34.2", "buildkit-v0.34.2.linux-arm64.tar.gz");
      await asset("opencontainers/runc", "v1.5.2", "runc.riscv64");
      const { code, log } = await bump();
      expect(code, log).toBe(0);
      expect(await stackOn("buildhosts/buildkit-v0.34.2")).toBe(
        sums
          .replace("buildkit: v0.33.0", "buildkit: v0.34.2")
          .replace(
            `buildkit-v0.33.0.linux-riscv64.tar.gz: ${old}`,
            `buildkit-v0.34.2.linux-riscv64.tar.gz: ${sha256("buildkit-v0.34.2.linux-riscv64.tar.gz")}`,
          )
          .replace(
            `"buildkit-v0.33.0.linux-arm64.tar.gz": "${old}"`,
            `"buildkit-v0.34.2.linux-arm64.tar.gz": "${sha256("buildkit-v0.34.2.linux-arm64.tar.gz")}"`,
          ),
      );
      expect(await stackOn("buildhosts/runc-v1.5.2")).toBe(
        sums
          .replace("runc: v1.5.1", "runc: v1.5.2")
          .replace(`runc.riscv64: ${old}`, `runc.riscv64: ${sha256("runc.riscv64")}`),
      );
    });

    test("says which it could not raise, and leaves that to whoever merges", async () => {
      await overwrite(sums);
      await bump({ COMPONENTS: "containerd" });
      expect(await stackOn("buildhosts/containerd-v2.4.2")).toBe(
        sums.replace('containerd: "v2.4.1"', 'containerd: "v2.4.2"'),
      );
      expect((await pulls())[0]?.body).toContain(
        "- `containerd-2.4.1-linux-riscv64.tar.gz` in `checksums` is left as it is: GitHub gives no checksum of `containerd-2.4.2-linux-riscv64.tar.gz`. **Replace it before you merge**, or that file is refused, or no longer checked.",
      );
    });
  });

  describe("GitHub starts no workflow for what a workflow proposes:", () => {
    const previews = () => github.runs.filter(({ workflow }) => workflow === "builders.yml");
    const withPreview = () => bump({ PREVIEW_WORKFLOW: "builders.yml", COMPONENTS: "buildkit" });

    beforeEach(() => write(".github/workflows/builders.yml", pulumiWorkflow({ stack: "home" })));

    test("the preview is started by the tracker, once", async () => {
      const { code, log } = await withPreview();
      expect(code, log).toBe(0);
      const [pull] = await pulls();
      expect(previews()).toEqual([
        expect.objectContaining({
          branch: "buildhosts/buildkit-v0.34.2",
          inputs: { "pull-request": String(pull?.number) },
        }),
      ]);
      expect(log).toContain(`started the preview of #${pull?.number}`);
      await withPreview();
      expect(previews()).toHaveLength(1);
    });

    test("the preview is started by the next run where this one was cut off", async () => {
      github.faults.add({
        operation: "POST /repos/{owner}/{repo}/pulls",
        fault: { kind: "lost-answer" },
      });
      expect((await withPreview()).code).toBe(1);
      expect(previews()).toEqual([]);
      expect((await withPreview()).code).toBe(0);
      expect(previews()).toHaveLength(1);
    });

    test("no preview is started of what was refused, and where there is none it is said", async () => {
      await bump({ COMPONENTS: "buildkit" });
      const [pull] = await pulls();
      expect(pull?.body).toContain(
        "- GitHub starts no workflow for a pull request that a workflow made: close it and open it again to have yours run.",
      );
      await github.ask("PATCH", `${REPOSITORY}/pulls/${pull?.number}`, { state: "closed" });
      expect((await withPreview()).code).toBe(0);
      expect(previews()).toEqual([]);
    });
  });

  test("says which path is wrong", async () => {
    const { code, log } = await bump({ STACK_FILE: "Pulumi.work.yaml" });
    expect(log).toContain("::error::there is no Pulumi.work.yaml on main: correct the path");
    expect(code).toBe(1);
  });
});

describe("bump-images.sh", () => {
  const [old, now] = ["0".repeat(64), "1".repeat(64)];
  const stack = `config:
  # moby/buildkit:v0.1.0@sha256:${old}
  buildhosts:dockerHosts:
    - emulationImage: tonistiigi/binfmt:qemu-v10.2.3@sha256:${now}
      builders:
        - image: "moby/buildkit:v0.34.2@sha256:${old}"
        - image: registry.lan:5000/moby/buildkit:v0.34.2@sha256:${old}
  buildhosts:github:
    repositories: [{ workflows: { buildkitBuild: { images: { base: debian:trixie-slim@sha256:${old} } } } }]
`;

  /** The script, where every tag but those of the registry on the LAN can be asked for. */
  async function bump(env: Record<string, string> = {}) {
    const bin = await mkdtemp(join(tmpdir(), "buildhosts-docker-"));
    try {
      const answer = `echo '{"digest": "sha256:${now}"}'`;
      const text = `#!/bin/sh\ncase $4 in registry.lan*) exit 1 ;; esac\n${answer}\n`;
      await writeFile(join(bin, "docker"), text, { mode: 0o755 });
      const PATH = `${bin}:${process.env.PATH}`;
      return await runScript("bump-images.sh", {
        ...runner(),
        PATH,
        STACK_FILE: "Pulumi.home.yaml",
        ...env,
      });
    } finally {
      await rm(bin, { recursive: true });
    }
  }
  const pulls = async () =>
    (await github.ask("GET", `${REPOSITORY}/pulls?state=all`)) as unknown as {
      title: string;
      body: string;
      head: { ref: string };
    }[];

  test("proposes the digests that tags are on now, all at once, and once", async () => {
    await write("Pulumi.home.yaml", stack);
    const { code, log } = await bump();
    expect(code, log).toBe(0);
    expect(log).toContain(
      "::warning::registry.lan:5000/moby/buildkit:v0.34.2: its registry does not say what it is on now",
    );
    const [pull, ...others] = await pulls();
    expect(others).toEqual([]);
    expect(pull?.title).toBe("Take the images that their tags are on now");
    expect(pull?.body.split("\n").slice(0, 4)).toEqual([
      "Tags have moved since `Pulumi.home.yaml` was written:",
      "",
      `- \`debian:trixie-slim\` is on \`sha256:${now}\``,
      `- \`moby/buildkit:v0.34.2\` is on \`sha256:${now}\``,
    ]);
    const path = `${REPOSITORY}/contents/Pulumi.home.yaml?ref=${pull?.head.ref}`;
    const { content } = (await github.ask("GET", path)) as { content: string };
    expect(Buffer.from(content, "base64").toString()).toBe(
      stack
        .replace(`"moby/buildkit:v0.34.2@sha256:${old}"`, `"moby/buildkit:v0.34.2@sha256:${now}"`)
        .replace(`trixie-slim@sha256:${old}`, `trixie-slim@sha256:${now}`),
    );
    expect((await bump()).log).toContain("is proposed already");
    expect(await pulls()).toHaveLength(1);
  });

  test("proposes nothing where every image is what its tag is on, or in a dry run", async () => {
    await write("Pulumi.home.yaml", stack);
    expect((await bump({ DRY_RUN: "true" })).log).toContain("would propose: Tags have moved");
    expect(await pulls()).toEqual([]);
    expect(changes()).toEqual([]);
  });

  test("has nothing to say of a stack without such images", async () => {
    await write("Pulumi.home.yaml", "config: {}\n");
    const { code, log } = await bump();
    expect(log).toBe("every image of Pulumi.home.yaml is what its tag is on");
    expect(code).toBe(0);
  });
});

describe("stay-enabled.sh", () => {
  const stay = () =>
    runScript("stay-enabled.sh", {
      ...runner(),
      GITHUB_WORKFLOW_REF:
        "builders/riscv64/.github/workflows/buildkit-weekly-build.yml@refs/heads/main",
    });

  test("enables its own workflow, so that 60 days begin anew", async () => {
    github.workflowStates.set("builders/riscv64/buildkit-weekly-build.yml", "disabled_inactivity");
    const { code, log } = await stay();
    expect(log).toBe("buildkit-weekly-build.yml stays enabled");
    expect(code).toBe(0);
    expect(github.workflowStates.size).toBe(0);
  });

  test("says what GitHub says where it may not", async () => {
    github.faults.add({
      operation: "PUT /repos/{owner}/{repo}/actions/workflows/{workflow_id}/enable",
      fault: { kind: "status", status: 403, message: "Resource not accessible by integration" },
    });
    const { code, log } = await stay();
    expect(log).toContain("status 403: Resource not accessible by integration");
    expect(code).toBe(1);
  });
});

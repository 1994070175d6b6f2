import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { buildkitBuildFiles } from "../../components/github/buildkitBuildWorkflow.ts";
import { workflowFile } from "../../components/github/workflow.ts";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { runScript } from "./runScript.ts";

const REPOSITORY = "/repos/builders/riscv64";
const SHA = "0123456789abcdef0123456789abcdef01234567";

let github: Github;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "buildhosts-build-"));
  github = await startGithub({ organizations: ["builders", "moby"] });
  await github.ask("POST", "/orgs/builders/repos", { name: "riscv64", auto_init: true });
  await github.ask("POST", "/orgs/moby/repos", { name: "buildkit", auto_init: true });
});
afterEach(async () => {
  expect(github.problems).toEqual([]);
  await github.stop();
  await rm(folder, { recursive: true, force: true });
});

const runner = () => ({
  GITHUB_API_URL: github.apiUrl,
  GITHUB_SERVER_URL: github.url,
  GITHUB_REPOSITORY: "builders/riscv64",
  UPSTREAM_API: github.apiUrl,
  GH_TOKEN: github.token,
});

describe("plan-build.sh", () => {
  const plan = (ref: string) =>
    runScript("plan-build.sh", { ...runner(), BUILDKIT_REF: ref, DATE: "20261121" });

  /** Makes a tag or a branch of moby/buildkit. */
  async function upstream(ref: string): Promise<string> {
    const { object } = (await github.ask("GET", "/repos/moby/buildkit/git/ref/heads/main")) as {
      object: { sha: string };
    };
    await github.ask("POST", "/repos/moby/buildkit/git/refs", { ref, sha: object.sha });
    return object.sha;
  }

  test.each([
    ["v0.34.2", "tags", "true", "buildkit-v0.34.2-riscv64", "v0.34.2-riscv64"],
    ["v0.35.0-rc1", "tags", "true", "buildkit-v0.35.0-rc1-riscv64", "v0.35.0-rc1-riscv64"],
    ["master", "heads", "false", "buildkit-v20261121-dev", "master-20261121"],
    ["v0.34", "heads", "false", "buildkit-v20261121-dev", "v0.34-20261121"],
    ["fix/a-b", "heads", "false", "buildkit-v20261121-dev", "fix-a-b-20261121"],
  ])(
    "%s, of %s: official is %s, release %s, image tag %s",
    async (ref, kind, official, release, tag) => {
      const sha = await upstream(`refs/${kind}/${ref}`);
      const { code, outputs, log } = await plan(ref);
      expect(code, log).toBe(0);
      expect(outputs).toMatchObject({ build: "true", sha, official, release, "image-tag": tag });
    },
  );

  test("an official release that is there is not built again; a development build is", async () => {
    await upstream("refs/tags/v0.34.2");
    await upstream("refs/heads/master");
    for (const tag_name of ["buildkit-v0.34.2-riscv64", "buildkit-v20261121-dev"])
      await github.ask("POST", `${REPOSITORY}/releases`, { tag_name });
    expect((await plan("v0.34.2")).outputs.build).toBe("false");
    expect((await plan("master")).outputs.build).toBe("true");
  });

  test.each([
    ["v9.9.9", "::error::moby/buildkit has no branch, tag or commit 'v9.9.9'"],
    ["", "::error::input buildkit_ref is ''"],
    ["a b", "::error::input buildkit_ref is 'a b'"],
    ["../../x", "::error::input buildkit_ref is '../../x'"],
    ["$(touch x)", "::error::input buildkit_ref is"],
  ])("refuses %j", async (ref, message) => {
    const { code, log } = await plan(ref);
    expect(log).toContain(message);
    expect(code).toBe(1);
  });
});

describe("publish-release.sh", () => {
  beforeEach(async () => {
    await mkdir(join(folder, "release"));
    await writeFile(join(folder, "release", "buildkitd"), "daemon");
    await writeFile(join(folder, "release", "SHA256SUMS"), "sums");
    await writeFile(join(folder, "notes.md"), 'Notes with `code` and "quotes"\n');
  });

  const publish = (official: boolean, env: Record<string, string> = {}) =>
    runScript(
      "publish-release.sh",
      {
        ...runner(),
        RELEASE: official ? "buildkit-v0.34.2-riscv64" : "buildkit-v20261121-dev",
        TITLE: "BuildKit",
        OFFICIAL: String(official),
        PRERELEASE: String(!official),
        FILES: "release",
        NOTES: "notes.md",
        COMMITISH: "main",
        ...env,
      },
      folder,
    );
  const latest = async () =>
    (await github.ask("GET", `${REPOSITORY}/releases/latest`)) as { tag_name: string };
  const releases = async () =>
    (await github.ask("GET", `${REPOSITORY}/releases`)) as unknown as {
      id: number;
      draft: boolean;
      prerelease: boolean;
      body: string;
      assets: { name: string }[];
    }[];

  test("publishes every file, and an official release once", async () => {
    const { code, log } = await publish(true);
    expect(code, log).toBe(0);
    const [release, ...others] = await releases();
    expect(others).toEqual([]);
    expect(release).toMatchObject({ draft: false, prerelease: false });
    expect(release?.body).toContain('`code` and "quotes"');
    expect(release?.assets.map(({ name }) => name).sort()).toEqual(["SHA256SUMS", "buildkitd"]);
    expect((await publish(true)).log).toContain("is published already");
    expect((await releases()).map(({ id }) => id)).toEqual([release?.id]);
  });

  test("puts a development build in the place of the one before", async () => {
    await publish(false);
    const [first] = await releases();
    const { code, log } = await publish(false);
    expect(code, log).toBe(0);
    const [second, ...others] = await releases();
    expect(others).toEqual([]);
    expect(second?.id).not.toBe(first?.id);
    expect(second).toMatchObject({ draft: false, prerelease: true });
  });

  test("calls nothing the latest: which one is, is not known before it is published", async () => {
    await github.ask("POST", `${REPOSITORY}/releases`, {
      tag_name: "buildkit-v0.34.1-riscv64",
      make_latest: "true",
    });
    const { code, log } = await publish(true);
    expect(code, log).toBe(0);
    expect((await latest()).tag_name).toBe("buildkit-v0.34.1-riscv64");
  });

  test("clears away the half release of a run that was interrupted", async () => {
    github.faults.add({
      operation: "POST /repos/{owner}/{repo}/releases/{release_id}/assets",
      fault: { kind: "status", status: 500 },
    });
    const interrupted = await publish(true);
    expect(interrupted.log).toContain("::error::SHA256SUMS: the upload ended with status 500");
    expect((await releases()).map(({ draft }) => draft)).toEqual([true]);
    expect((await publish(true)).code).toBe(0);
    expect((await releases()).map(({ draft }) => draft)).toEqual([false]);
  });
});

describe("set-latest.sh", () => {
  const IMAGE = "ghcr.io/builders/buildkit-riscv64";

  /** The script, with a registry whose images have their tag's name in their digest. */
  async function setLatest(built: { official: boolean; tag: string }, missing = "none") {
    await writeFile(
      join(folder, "docker"),
      `#!/bin/sh
echo "$*" >>${folder}/asked
case $3 in
create) echo "$*" | sed 's/.*@//' >${folder}/latest ;;
inspect)
  case $4 in
  *:${missing}) exit 1 ;;
  *:latest) digest=$(cat ${folder}/latest) ;;
  *) digest=sha256:\${4##*:} ;;
  esac
  echo "{\\"digest\\": \\"$digest\\"}" ;;
esac
`,
      { mode: 0o755 },
    );
    const run = await runScript("set-latest.sh", {
      ...runner(),
      PATH: `${folder}:${process.env.PATH}`,
      IMAGE,
      OFFICIAL: String(built.official),
      IMAGE_TAG: built.tag,
    });
    const image = await readFile(join(folder, "latest"), "utf8").catch(() => "");
    const release = await github.ask("GET", `${REPOSITORY}/releases/latest`).catch(() => undefined);
    return { ...run, image: image.trim(), release: (release as { tag_name?: string })?.tag_name };
  }
  const version = (tag: string) => ({ official: true, tag: `${tag}-riscv64` });
  const master = { official: false, tag: "master-20261121" };

  test.each([
    ["the first version", ["v0.34.2"], version("v0.34.2"), "v0.34.2"],
    ["a newer one", ["v0.34.2", "v0.9.9", "v0.34.10"], version("v0.34.10"), "v0.34.10"],
    ["not an older one that took longer", ["v0.34.10", "v0.34.9"], version("v0.34.9"), "v0.34.10"],
    ["not a run that is repeated", ["v0.34.2", "v0.35.0"], version("v0.34.2"), "v0.35.0"],
    ["not a candidate", ["v0.34.2", "v0.35.0-rc1"], version("v0.35.0-rc1"), "v0.34.2"],
    ["not master after a version", ["v0.1.0"], master, "v0.1.0"],
  ])("calls the newest version the latest: %s", async (_, published, built, expected) => {
    for (const one of published) {
      await github.ask("POST", `${REPOSITORY}/releases`, {
        tag_name: `buildkit-${one}-riscv64`,
        prerelease: one.includes("-"),
      });
    }
    const { code, log, image, release } = await setLatest(built);
    expect(code, log).toBe(0);
    expect({ image, release }).toEqual({
      image: `sha256:${expected}-riscv64`,
      release: `buildkit-${expected}-riscv64`,
    });
  });

  test("calls a development build so, only until there is a version, and no candidate", async () => {
    expect(await setLatest(version("v0.35.0-rc1"))).toMatchObject({
      code: 0,
      image: "",
      log: "no version is published yet, and a candidate is not the latest",
    });
    expect(await setLatest(master)).toMatchObject({ code: 0, image: "sha256:master-20261121" });
  });

  test("says which image is missing", async () => {
    await github.ask("POST", `${REPOSITORY}/releases`, { tag_name: "buildkit-v0.34.2-riscv64" });
    const { code, log } = await setLatest(version("v0.34.2"), "v0.34.2-riscv64");
    expect(log).toContain(
      `::error::there is no image ${IMAGE}:v0.34.2-riscv64, which is to be called latest`,
    );
    expect(code).toBe(1);
  });
});

describe("check-package.sh", () => {
  const check = () =>
    runScript("check-package.sh", {
      ...runner(),
      PACKAGE: "buildkit-riscv64",
      VISIBILITY: "public",
    });
  const having = (visibility: "public" | "private", repository = "builders/riscv64") =>
    github.packages.push({
      owner: "builders",
      name: "buildkit-riscv64",
      visibility,
      repository,
      versions: [],
    });

  test("says the step by hand where the package is private", async () => {
    having("private");
    const { code, log } = await check();
    expect(log).toContain(
      `::warning::package buildkit-riscv64 is private and should be public. By hand, as GitHub has no API for it: open ${github.url}/orgs/builders/packages/container/buildkit-riscv64/settings, and under Danger Zone choose Change visibility, public.`,
    );
    expect(code).toBe(0);
  });

  test("has nothing to say where it is as it should be", async () => {
    having("public");
    const { log } = await check();
    expect(log.trim()).toBe(
      "the package buildkit-riscv64 is public and belongs to builders/riscv64",
    );
  });

  test("says that it is not there yet", async () => {
    expect((await check()).log).toContain("::warning::the package buildkit-riscv64 is not there");
  });
});

describe("build-binaries.sh", () => {
  /** A module with BuildKit's name, two programs, and the variables of its version. */
  async function source(): Promise<string> {
    const module = join(folder, "source");
    for (const program of ["buildkitd", "buildctl"]) {
      await mkdir(join(module, "cmd", program), { recursive: true });
      await writeFile(
        join(module, "cmd", program, "main.go"),
        `package main\nimport ("fmt"; "github.com/moby/buildkit/version")\nfunc main() { fmt.Println("${program}", version.Package, version.Version, version.Revision) }\n`,
      );
    }
    await mkdir(join(module, "version"));
    await writeFile(
      join(module, "version", "version.go"),
      'package version\nvar Package, Version, Revision = "", "", ""\n',
    );
    await writeFile(join(module, "go.mod"), "module github.com/moby/buildkit\n\ngo 1.21\n");
    return module;
  }

  const go = async () => ({
    GO_CACHE: (await execa("go", ["env", "GOCACHE"])).stdout,
    GOTOOLCHAIN: "local",
  });

  test("builds both programs, with what describes them; phase 1 finds nothing wrong with them", async () => {
    const env = {
      ...(await go()),
      SHA,
      BUILDKIT_REF: "v0.34.2",
      OFFICIAL: "true",
      IMAGE: "ghcr.io/builders/buildkit-riscv64",
      IMAGE_TAG: "v0.34.2-riscv64",
      RELEASE: "buildkit-v0.34.2-riscv64",
      SOURCE: await source(),
    };
    const { code, log } = await runScript("build-binaries.sh", env, folder);
    expect(code, log).toBe(0);
    const read = (name: string) => readFile(join(folder, "dist", name), "utf8");
    expect(await read("VERSION.txt")).toBe(
      `buildkitd github.com/moby/buildkit v0.34.2 ${SHA}\nbuildctl github.com/moby/buildkit v0.34.2 ${SHA}\n`,
    );
    expect(await read("IMAGE_TAG.txt")).toBe("v0.34.2-riscv64\n");
    expect(await read("REGISTRY.txt")).toBe("ghcr.io/builders/buildkit-riscv64:v0.34.2-riscv64\n");
    expect(JSON.parse(await read("BUILD.json"))).toMatchObject({ version: "v0.34.2", commit: SHA });

    const machine = (await execa("uname", ["-m"])).stdout;
    const wrong = await runScript("test-binaries.sh", { ...env, MACHINE: "vax" }, folder);
    expect(wrong.log).toContain(`::error::this runner is ${machine}, not vax`);
    const other = await runScript(
      "test-binaries.sh",
      { ...env, MACHINE: machine, BUILDKIT_REF: "v0.34.1" },
      folder,
    );
    expect(other.log).toContain("::error::buildkitd says another version than v0.34.1");
    const commit = await runScript(
      "test-binaries.sh",
      { ...env, MACHINE: machine, SHA: SHA.replaceAll("0", "1") },
      folder,
    );
    expect(commit.log).toContain("::error::buildkitd says another commit than");
  }, 120_000);

  test("keeps away from what other jobs have left to Go on the runner", async () => {
    // What a pull request of a fork can write to: the caches, and the settings that go env -w makes.
    const bin = join(folder, "bin");
    await mkdir(bin);
    await writeFile(
      join(bin, "go"),
      `#!/bin/sh
env | grep ^GO | sort >${folder}/seen
exit 3
`,
      { mode: 0o755 },
    );
    const { code } = await runScript("build-binaries.sh", {
      PATH: `${bin}:${process.env.PATH}`,
      GOCACHE: "/poisoned",
      GOMODCACHE: "/poisoned",
      SHA,
      BUILDKIT_REF: "v0.34.2",
      OFFICIAL: "true",
      SOURCE: folder,
    });
    expect(code).toBe(3);
    const seen = await readFile(join(folder, "seen"), "utf8");
    expect(seen).toMatch(/^GOCACHE=.*\/go-\w{6}\/cache$/m);
    expect(seen).toMatch(/^GOMODCACHE=.*\/go-\w{6}\/modules$/m);
    expect(seen).toMatch(/^GOENV=off$/m);
    expect(seen).not.toContain("poisoned");
  });

  test("builds what it clones, at that commit, and names a development build after the last release", async () => {
    const git = (cwd: string, ...args: string[]) =>
      execa("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], { cwd });
    const work = await source();
    await git(work, "init", "--quiet", "--initial-branch=master");
    const commit = async (message: string) => {
      await git(work, "add", ".");
      await git(work, "commit", "--quiet", "--allow-empty", "--message", message);
      return (await git(work, "rev-parse", "HEAD")).stdout;
    };
    await commit("A release");
    await git(work, "tag", "v0.34.2");
    const sha = await commit("Something new");
    // Neither is what the version is made from, nor what is built.
    await git(work, "tag", "dockerfile/1.99.0");
    await rm(join(work, "cmd"), { recursive: true });
    await commit("Nothing to build any more");
    const bare = join(folder, "buildkit.git");
    await git(folder, "clone", "--quiet", "--bare", work, bare);
    await git(bare, "config", "uploadpack.allowFilter", "true");
    await git(bare, "config", "uploadpack.allowAnySHA1InWant", "true");
    const { code, log } = await runScript(
      "build-binaries.sh",
      {
        ...(await go()),
        SHA: sha,
        BUILDKIT_REF: "master",
        OFFICIAL: "false",
        IMAGE: "ghcr.io/builders/buildkit-riscv64",
        IMAGE_TAG: "master-20261121",
        RELEASE: "buildkit-v20261121-dev",
        LATEST: "false",
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: `url.file://${bare}.insteadOf`,
        GIT_CONFIG_VALUE_0: "https://github.com/moby/buildkit",
      },
      folder,
    );
    expect(code, log).toBe(0);
    const version = `v0.34.2-1-g${sha.slice(0, 7)}`;
    expect(log).toContain(`buildkitd github.com/moby/buildkit ${version} ${sha}\n`);
    expect(await readFile(join(folder, "dist", "REGISTRY.txt"), "utf8")).toBe(
      "ghcr.io/builders/buildkit-riscv64:master-20261121\n",
    );
  }, 120_000);

  test("says what is missing on a runner without Go", async () => {
    const bin = join(folder, "bin");
    await mkdir(bin);
    await symlink((await execa("which", ["bash"])).stdout, join(bin, "bash"));
    const { code, log } = await runScript(
      "build-binaries.sh",
      { PATH: bin, SHA, BUILDKIT_REF: "v0.34.2", OFFICIAL: "true" },
      folder,
    );
    expect(log).toContain("::error::there is no go on this runner: install Go 1.21 or newer");
    expect(code).not.toBe(0);
  });
});

test("the image's job finds in the repository what it builds from", () => {
  const files = buildkitBuildFiles({ owner: "builders" });
  const { jobs } = parse(files[".github/workflows/buildkit-weekly-build.yml"] ?? "");
  const { with: build } = jobs.image.steps.find(({ id }: { id?: string }) => id === "build");
  const dockerfile = files[build.file] ?? "";
  // A context or an argument that the Dockerfile does not know is ignored by BuildKit without an error.
  const [stage, folder] = build["build-contexts"].split("=");
  expect(dockerfile).toMatch(new RegExp(`^FROM .* AS ${stage}$`, "m"));
  const { with: fetched } = jobs.image.steps.find(({ uses = "" }) =>
    uses.startsWith("actions/download-artifact@"),
  );
  expect(`./${fetched.path}`).toBe(`${folder}/buildkit/bin`);
  expect(dockerfile).toContain(`COPY --from=${stage} --chmod=755 /buildkit/bin/build* /usr/bin/`);
  for (const [, name] of build["build-args"].matchAll(/^(\w+)=/gm))
    expect.soft(dockerfile).toMatch(new RegExp(`^ARG ${name}(=|$)`, "m"));
  const copied = [...dockerfile.matchAll(/^COPY --chmod=755 (\S+) /gm)].map(([, name]) => name);
  expect(copied).toEqual(["verify-release.sh", "entrypoint.sh"]);
  for (const name of copied) expect(files).toHaveProperty([`${build.context}/${name}`]);
});

describe("package-binaries.sh", () => {
  test.each([
    ["v0.34.2", "0.34.2"],
    ["v0.35.0-rc1", "0.35.0~rc1"],
    ["v0.34.2-15-gabcdef0", "0.34.2+15.gabcdef0"],
    ["v0.35.0-rc1-3-gabcdef0", "0.35.0~rc1+3.gabcdef0"],
    ["abcdef0", "0.0.0~git.0123456789ab"],
  ])(
    "%s is the package version %s",
    async (version, expected) => {
      await mkdir(join(folder, "dist"));
      for (const program of ["buildkitd", "buildctl"])
        await copyFile("/bin/true", join(folder, "dist", program));
      await writeFile(join(folder, "dist", "BUILD.json"), JSON.stringify({ version, commit: SHA }));
      await writeFile(join(folder, "nfpm.yaml"), workflowFile("nfpm.buildkit-riscv64.yaml"));
      const go = Object.fromEntries(
        Object.entries(
          JSON.parse(
            (await execa("go", ["env", "-json", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB"]))
              .stdout,
          ),
        ).map(([key, value]) => [key, String(value)]),
      );
      const { code, log } = await runScript(
        "package-binaries.sh",
        {
          ...go,
          NFPM: "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.44.1",
          NFPM_CONFIG: "nfpm.yaml",
          MAINTAINER: "builders <builders@users.noreply.github.com>",
          ARCH: "riscv64",
        },
        folder,
      );
      expect(code, log).toBe(0);
      expect(log).toContain(`package version ${expected}\n`);
      const packages = await readdir(join(folder, "packages"));
      const [deb = "", ...others] = packages.filter((name) => name.endsWith("_riscv64.deb"));
      expect(others).toEqual([]);
      const depends = ["--field", join(folder, "packages", deb), "Depends"];
      expect((await execa("dpkg-deb", depends)).stdout).toBe("runc | containerd.io");
      expect(packages.filter((name) => name.endsWith(".riscv64.rpm"))).toHaveLength(1);
    },
    300_000,
  );
});

describe("describe-release.sh", () => {
  test("gathers everything with its checksum", async () => {
    for (const [path, text] of Object.entries({
      "binaries/buildkitd": "daemon",
      "binaries/buildctl": "client",
      "binaries/BUILD.json": JSON.stringify({ version: "v0.34.2", commit: SHA }),
      "packages/buildkit_0.34.2_riscv64.deb": "deb",
      "packages/buildkit-0.34.2-1.riscv64.rpm": "rpm",
      "sbom/buildkit.spdx.json": "{}",
    })) {
      await mkdir(join(folder, path, ".."), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    const describeIt = (ATTESTED: string) =>
      runScript(
        "describe-release.sh",
        {
          ...runner(),
          IMAGE: "ghcr.io/builders/buildkit-riscv64",
          IMAGE_TAG: "v0.34.2-riscv64",
          DIGEST: `sha256:${"0".repeat(64)}`,
          RELEASE: "buildkit-v0.34.2-riscv64",
          ATTESTED,
        },
        folder,
      );
    expect((await describeIt("false")).code).toBe(0);
    const without = await readFile(join(folder, "notes.md"), "utf8");
    expect(without).toMatch(/SHA256SUMS\ncosign verify/);
    const { code, log } = await describeIt("true");
    expect(code, log).toBe(0);
    const release = join(folder, "release");
    await execa("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: release });
    const { stdout } = await execa("tar", [
      "-tzf",
      join(release, "buildkit-v0.34.2-riscv64.tar.gz"),
    ]);
    expect(stdout.split("\n")).toEqual(["bin/buildkitd", "bin/buildctl"]);
    const notes = await readFile(join(folder, "notes.md"), "utf8");
    expect(notes).toContain("sudo apt install ./buildkit_0.34.2_riscv64.deb");
    expect(notes).toContain("\ngh attestation verify buildkitd --repo builders/riscv64\n");
  });
});

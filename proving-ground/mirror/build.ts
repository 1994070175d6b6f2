import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type GoTarget, goBuild, goModule, withReplacements } from "../../runtime/golang.ts";
import type { Progress } from "../../runtime/progress.ts";
import { ensureCrossCompiler } from "./libseccomp.ts";
import type { Project } from "./releaseAssets.ts";
import { packTarball } from "./tarball.ts";

/**
 * Says how the builds below are done; part of the name of the folder that keeps their results. Raise it
 * when a change here must reach machines that have built already.
 */
export const recipeRevision = "1";

/** The Go module of each project. containerd and rootlesskit put their major version into its path. */
function modulePath(project: Project | "cni", version: string): string {
  const major = /^v(\d+)\./.exec(version)?.[1] ?? "";
  switch (project) {
    case "containerd":
      return `github.com/containerd/containerd/v${major}`;
    case "runc":
      return "github.com/opencontainers/runc";
    case "buildkit":
      return "github.com/moby/buildkit";
    case "rootlesskit":
      return `github.com/rootless-containers/rootlesskit/v${major}`;
    case "cni":
      return "github.com/containernetworking/plugins";
  }
}

/**
 * The checksums, as go.sum has them, of the modules that we build from; any other version is taken on
 * the word of the checksum database alone. Each is built as the main module, with the go.mod and go.sum
 * that its authors published, so its dependencies are those of the release, and pinned by its authors.
 */
const moduleSums: Record<string, string> = {
  "github.com/containerd/containerd/v2@v2.1.1": "h1:znnkm7Ajz8lg8BcIPMhc/9yjBRN3B+OkNKqKisKfwwM=",
  "github.com/containerd/containerd/v2@v2.4.2": "h1:p6Qg+xbEz8lvwdhHDx0U469xENvp4LgGBx+E7djXkGw=",
  "github.com/containernetworking/plugins@v1.7.1":
    "h1:CNAR0jviDj6FS5Vg85NTgKWLDzZPfi/lj+VJfhMDTIs=",
  "github.com/containernetworking/plugins@v1.9.1":
    "h1:8oU6WsIsU3bpnNZuvHp74a6cE1MJwbj2P7s4/yTUNlA=",
  "github.com/moby/buildkit@v0.22.0": "h1:aWN06w1YGSVN1XfeZbj2ZbgY+zi5xDAjEFI8Cy9fTjA=",
  "github.com/moby/buildkit@v0.34.1": "h1:jVdxsXX0UpU0q1Et+9lFezPmh9sGE6vF0TrKZaGlfy4=",
  "github.com/moby/buildkit@v0.34.2": "h1:fXgOe79JW5zJNDumRtwTemOklLX66otQokObUXuiGJo=",
  "github.com/opencontainers/runc@v1.2.6": "h1:P7Hqg40bsMvQGCS4S7DJYhUZOISMLJOB2iGX5COWiPk=",
  "github.com/opencontainers/runc@v1.3.0": "h1:cvP7xbEvD0QQAs0nZKLzkVog2OPZhI/V2w3WmTmUSXI=",
  "github.com/opencontainers/runc@v1.5.2": "h1:eUUowc2WJCnFYzI87C1WqRcu356Dk/wsoi90y+2wEfE=",
  "github.com/rootless-containers/rootlesskit/v2@v2.3.6":
    "h1:m/26nAx0DbHZYaM46+uoQjfpu9G77QLzWj2jz25chO8=",
  "github.com/rootless-containers/rootlesskit/v3@v3.2.0":
    "h1:yNzNHcceg+8ST+ckreY/U5BYti2UVXXwQYNldtXUtRM=",
};

/**
 * Dependencies of BuildKit 0.34 that module proxies which hold back young releases refused, and the
 * newest versions before them, which they served. The programs differ from the release in these alone.
 */
const heldBack: Record<string, string> = {
  "github.com/moby/policy-helpers@v0.0.0-20261006174519-bd98f4747414":
    "github.com/moby/policy-helpers@v0.0.0-20260901142052-72f704e6cdb6",
  "github.com/moby/profiles/seccomp@v0.2.4": "github.com/moby/profiles/seccomp@v0.2.3",
  "github.com/tonistiigi/fsutil@v0.0.0-20261103091533-a72de9dcf763":
    "github.com/tonistiigi/fsutil@v0.0.0-20260819142231-83cac42c1c52",
  "github.com/tonistiigi/go-actions-cache@v0.0.0-20260930145529-afe8013b5ac4":
    "github.com/tonistiigi/go-actions-cache@v0.0.0-20260120203934-54bc28c26fd2",
};

/** The asset that `buildAsset` builds. */
export interface AssetBuild {
  project: Project;
  tag: string;
  target: GoTarget;
  /** Where the asset is put, whole or not at all; its folder exists. */
  output: string;
  /** Provides a runc of another version, for BuildKit's own copy of it. */
  runc: (tag: string) => Promise<string>;
  log: Progress;
}

const workPrefix = ".build-";

/**
 * Builds one release asset from Go modules: the same programs in the same places as in upstream's. One
 * at a time for each folder: what an earlier, killed build left there is removed.
 */
export async function buildAsset(build: AssetBuild): Promise<void> {
  const folder = dirname(build.output);
  for (const name of await readdir(folder))
    if (name.startsWith(workPrefix)) await rm(join(folder, name), { recursive: true });
  // Beside the output, so that the rename at the end stays in one file system.
  const work = await mkdtemp(join(folder, workPrefix));
  try {
    await rename(await recipes[build.project](build, work), build.output);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Each writes the asset below `work` and returns its path. */
const recipes: Record<Project, (build: AssetBuild, work: string) => Promise<string>> = {
  containerd: buildContainerd,
  runc: buildRunc,
  buildkit: buildBuildkit,
  rootlesskit: buildRootlesskit,
};

const staticTags = ["osusergo", "netgo", "static_build"];

async function buildContainerd({ tag, target }: AssetBuild, work: string): Promise<string> {
  const bin = join(work, "bin");
  await mkdir(bin);
  const module = await source("containerd", tag);
  const path = modulePath("containerd", tag);
  const variables = { [`${path}/version.Version`]: tag, [`${path}/version.Package`]: path };
  const tags = ["urfave_cli_no_docs", ...staticTags];
  const packages = ["./cmd/containerd", "./cmd/containerd-stress", "./cmd/ctr"];
  await goBuild({ ...target, module, packages, output: bin, variables, tags });
  await goBuild({
    ...target,
    module,
    packages: ["./cmd/containerd-shim-runc-v2"],
    output: bin,
    variables,
    tags: [...tags, "no_grpc"],
  });
  return tarball(work, ["bin"]);
}

/** libseccomp makes this the one program that needs a C compiler; without it, BuildKit's `RUN` fails. */
async function buildRunc({ tag, target, log }: AssetBuild, work: string): Promise<string> {
  const output = join(work, "runc");
  const module = await source("runc", tag);
  const main = await readFile(join(module, "main.go"), "utf8");
  await goBuild({
    ...target,
    module,
    packages: ["."],
    output,
    // Since 1.3 the version is embedded from a file.
    variables: main.includes("//go:embed VERSION") ? {} : { "main.version": tag.slice(1) },
    tags: ["seccomp", "urfave_cli_no_docs", "netgo", "osusergo"],
    cgo: await ensureCrossCompiler(target.goarch, log),
  });
  return output;
}

/**
 * runc and the CNI plugins are of the versions that the release's own Dockerfile names. Upstream's
 * archive also holds buildkit-qemu-*, emulators for other architectures, which no Go module brings.
 */
async function buildBuildkit(build: AssetBuild, work: string): Promise<string> {
  const { tag, target } = build;
  const bin = join(work, "bin");
  await mkdir(bin);
  await goBuildkit(tag, target, ["./cmd/buildkitd", "./cmd/buildctl"], bin);
  const dockerfile = await readFile(join(await source("buildkit", tag), "Dockerfile"), "utf8");
  await buildCniPlugins(dockerfileArg(dockerfile, "CNI_VERSION"), target, bin);
  const runc = await build.runc(dockerfileArg(dockerfile, "RUNC_VERSION"));
  await copyFile(runc, join(bin, "buildkit-runc"));
  return tarball(work, ["bin"]);
}

/** Builds `packages` of BuildKit into the folder or file `output`. */
export async function goBuildkit(
  tag: string,
  target: GoTarget,
  packages: string[],
  output: string,
): Promise<void> {
  const path = modulePath("buildkit", tag);
  await goBuild({
    ...target,
    module: await source("buildkit", tag),
    packages,
    output,
    variables: { [`${path}/version.Version`]: tag, [`${path}/version.Package`]: path },
    tags: [...staticTags, "seccomp"],
    replace: heldBack,
  });
}

/** Calls `use` with BuildKit's source, which is read-only, and the flags that `go build` needs beside its own there. */
export async function withBuildkitSource(
  tag: string,
  use: (folder: string, flags: string[]) => Promise<unknown>,
): Promise<void> {
  const module = await source("buildkit", tag);
  await withReplacements({ module, replace: heldBack }, (flags) => use(module, flags));
}

async function buildCniPlugins(version: string, target: GoTarget, bin: string): Promise<void> {
  const plugins = ["main/bridge", "main/loopback", "ipam/host-local", "meta/firewall"];
  const module = await source("cni", version);
  const variable = `${modulePath("cni", version)}/pkg/utils/buildversion.BuildVersion`;
  for (const plugin of plugins)
    await goBuild({
      ...target,
      module,
      packages: [`./plugins/${plugin}`],
      output: join(bin, `buildkit-cni-${plugin.split("/")[1]}`),
      variables: { [variable]: version },
    });
}

async function buildRootlesskit({ tag, target }: AssetBuild, work: string): Promise<string> {
  const names = ["rootlessctl", "rootlesskit", "rootlesskit-docker-proxy"];
  await goBuild({
    ...target,
    module: await source("rootlesskit", tag),
    packages: names.map((name) => `./cmd/${name}`),
    output: work,
  });
  return tarball(work, names);
}

async function source(project: Project | "cni", version: string): Promise<string> {
  const path = modulePath(project, version);
  return goModule(path, version, moduleSums[`${path}@${version}`]);
}

async function tarball(work: string, names: string[]): Promise<string> {
  const archive = join(work, "asset.tar.gz");
  await packTarball(archive, work, names);
  return archive;
}

/** The default of a Dockerfile's `ARG`. */
export function dockerfileArg(dockerfile: string, name: string): string {
  const value = new RegExp(`^ARG ${name}=(\\S+)$`, "m").exec(dockerfile)?.[1];
  if (!value) throw new Error(`BuildKit's Dockerfile has no \`ARG ${name}=…\``);
  return value;
}

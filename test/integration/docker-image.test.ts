// The image of ours, from its Dockerfile to builders that run it: made by a builder of a stack on a Docker host,
// pushed to a registry, run from there by its digest, with root and without.

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { buildkitBuildFiles } from "../../components/github/buildkitBuildWorkflow.ts";
import { defaultVersions } from "../../config/versions.ts";
import { type ArchiveProxy, startArchiveProxy } from "../../proving-ground/debian/archiveProxy.ts";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { ensureDebianImage } from "../../proving-ground/docker/debianImage.ts";
import { ensureEmulationImage } from "../../proving-ground/docker/emulationImage.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import {
  debianCache,
  dockerHostWithDebian,
  type VirtualDockerHost,
} from "../../proving-ground/docker/virtualDockerHost.ts";
import { ensureReleaseAsset } from "../../proving-ground/mirror/assets.ts";
import { toStderr as log } from "../../proving-ground/progress.ts";
import { cachedSteps, clientOf, dockerfile } from "./building.ts";
import { freshDockerHost } from "./freshDockerHost.ts";
import { projectDir, type Run, TestStack } from "./ground.ts";
import { on } from "./onBoard.ts";

const platform = "linux/riscv64";
const image = join(projectDir, "image");
let folder: string;
let host: VirtualDockerHost;
let registry: Registry;
let proxy: ArchiveProxy;
let stack: TestStack;
/** The registry's address as the host sees it, where it is taken for an insecure one. */
let address: string;
/** What the registry has, each by its digest. */
const images = { debian: "", emulation: "", root: "", rootless: "" };

beforeAll(async () => {
  host = await freshDockerHost("-image", { kind: dockerHostWithDebian, platform });
  folder = await mkdtemp(join(tmpdir(), "bh-image-"));
  registry = await startRegistry(join(folder, "registry"), log);
  proxy = await startArchiveProxy(log);
  address = `${host.connection.gateway}:${registry.port}`;
  const debian = await ensureDebianImage(platform, log);
  await registry.push(debian, "library/debian", "trixie-slim");
  images.debian = `${address}/library/debian:trixie-slim@${debian.digest}`;
  const emulation = await ensureEmulationImage(platform, host.busybox, log);
  await registry.push(emulation, "test/binfmt", "amd64");
  images.emulation = `${address}/test/binfmt:amd64@${emulation.digest}`;
  // It is there before anything of the stack is.
  await on(host, "docker network create builders");
  const withHost = { ...inject("ground"), board: host };
  stack = await TestStack.makeAlone(withHost, "images");
});

afterAll(async () => {
  await host?.stop();
  await proxy?.close();
  await registry?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** The stack's builders, on the one host `farm`, which is reached over TLS. */
async function configure(...builders: { name: string; port: 1234 | 1235 | 1236 }[]): Promise<void> {
  const { host: loopback, dockerPort, docker, builderPorts } = host.connection;
  await stack.configureAlone({
    "buildhosts:dockerHosts": [
      {
        name: "farm",
        docker: `tcp://${loopback}:${dockerPort}`,
        tls: docker,
        platform: "riscv64",
        emulation: ["linux/amd64"],
        emulationImage: images.emulation,
        builders: builders.map(({ port, ...builder }) => ({
          endpoint: `tcp://${loopback}:${builderPorts[port]}`,
          publish: { port },
          // Emulated, a container takes a minute and more to be healthy, and two at once up to three.
          startSeconds: 600,
          ...builder,
        })),
      },
    ],
  });
}

/** Of upstream's image, in a network of its own, with a cache that an earlier builder has left. */
const maker = () => ({
  name: "maker",
  port: 1234 as const,
  cacheVolume: debianCache,
  adoptCache: true,
  networks: ["builders"],
  buildkitd: { registry: { [address]: { http: true } } },
});
/** Of our image, with a network and proxies for build steps. */
const owner = () => ({
  name: "owner",
  port: 1235 as const,
  image: images.root,
  network: "bridge",
  proxies: { http: "http://proxy.example.com:3128", no: ["registry.example.com", ".lan"] },
});
const rootless = () => ({
  name: "rootless",
  port: 1236 as const,
  image: images.rootless,
  rootless: true,
});

const ok = ({ code, output }: Run) => expect(code, output).toBe(0);
const statuses = () => on(host, "docker ps --format '{{.Names}} {{.Status}}' | sort");
const allHealthy = /^maker Up .* \(healthy\)\nowner Up .* \(healthy\)\nrootless Up .* \(healthy\)$/;

/** What a repository gets that builds BuildKit, its image among it. */
const repositoryFiles = buildkitBuildFiles({ owner: "example" });

/** Debian's packages that its workflow has in the image. Both images get them: emulated, they take a minute to install. */
const packages = /^ *RUNTIME_PACKAGES=(.+)$/m.exec(
  repositoryFiles[".github/workflows/buildkit-weekly-build.yml"] ?? "",
)?.[1];

/** The rootless image, of upstream's releases. */
const ofReleases = [
  ...["--local", `context=${image}`, "--local", `dockerfile=${image}`],
  ...["--opt", "target=rootless"],
];

/**
 * The image as a repository's workflow builds it: from the files that the repository gets, with the two binaries in a
 * context that takes the place of the stage of upstream's releases.
 */
async function ofBinaries(): Promise<string[]> {
  const repository = join(folder, "repository");
  for (const [path, text] of Object.entries(repositoryFiles)) {
    await mkdir(dirname(join(repository, path)), { recursive: true });
    await writeFile(join(repository, path), text);
  }
  const binaries = join(repository, "releases/buildkit");
  await mkdir(binaries, { recursive: true });
  const archive = await ensureReleaseAsset("buildkit", defaultVersions.buildkit, platform, log);
  const two = ["bin/buildkitd", "bin/buildctl"];
  await execa("tar", [`--directory=${binaries}`, "-xzf", archive, ...two]);
  return [
    ...["--local", `context=${join(repository, "image")}`, "--local", `dockerfile=${repository}`],
    ...["--opt", "filename=Dockerfile.buildkit-riscv64"],
    ...["--local", `releases=${join(repository, "releases")}`],
    ...["--opt", "context:releases=local:releases"],
  ];
}

/** Builds what `from` says of the image's Dockerfile and pushes it; its reference, with the digest. */
async function buildImage(target: "buildkit" | "rootless", from: string[]): Promise<string> {
  const client = await clientOf(stack, "default", "maker");
  const { gateway } = host.connection;
  const { mirror } = stack.ground;
  const name = `${address}/buildhosts/${target}:${defaultVersions.buildkit}`;
  const metadata = join(folder, `${target}.json`);
  const buildArgs = {
    BASE_IMAGE: images.debian,
    RUNTIME_PACKAGES: packages,
    RELEASE_MIRROR: `http://${gateway}:${mirror.port}`,
    IMAGE_SOURCE: "https://github.com/example/buildkit",
    http_proxy: `http://${gateway}:${proxy.port}`,
  };
  const { code, output } = await client.buildctl(
    ...["build", "--progress", "plain", "--frontend", "dockerfile.v0"],
    ...from,
    ...Object.entries(buildArgs).flatMap(([key, value]) => ["--opt", `build-arg:${key}=${value}`]),
    // Compression takes longer under emulation than it saves.
    ...["--output", `type=image,name=${name},push=true,compression=uncompressed`],
    ...["--metadata-file", metadata],
  );
  expect(code, output).toBe(0);
  const digest = JSON.parse(await readFile(metadata, "utf8"))["containerimage.digest"];
  expect(await registry.digestOf(`buildhosts/${target}`, defaultVersions.buildkit)).toBe(digest);
  return `${name}@${digest}`;
}

/** Each test begins where the one before it ended. */
describe("a Docker host", () => {
  test("that is reached over tcp:// and TLS gets, from nothing, a builder in a network of its own", async () => {
    await configure(maker());
    ok(await stack.up());
    expect(await statuses()).toMatch(/^maker Up .* \(healthy\)$/);
    const networks = "docker inspect --format '{{json .NetworkSettings.Networks}}' maker";
    expect(Object.keys(JSON.parse(await on(host, networks)))).toEqual(["builders"]);
  });

  test("emulates another platform: its builder offers it, and runs a step of it", async () => {
    const { builders } = await stack.outputs();
    expect(builders).toMatchObject([{ platforms: ["linux/riscv64", "linux/amd64"] }]);
    const debian = { suite: "bookworm", architecture: "amd64", names: ["busybox-static"] };
    const busybox = join(await ensureUnpacked(debian, log), "bin/busybox");
    const client = await clientOf(stack);
    const build = await client.build({ platform: "linux/amd64", busybox });
    expect(build.code, build.output).toBe(0);
    expect(await build.file("built-on")).toBe("built on x86_64\n");
  });
});

describe("the image of ours", () => {
  test("is built by that builder and pushed, for root and for rootless builders", async () => {
    images.root = await log.step("build our image", async () =>
      buildImage("buildkit", await ofBinaries()),
    );
    images.rootless = await log.step("build our rootless image", () =>
      buildImage("rootless", ofReleases),
    );
  });

  test("runs by its digest, healthy, beside the builder that made it", async () => {
    await configure(maker(), owner(), rootless());
    const up = await stack.up();
    ok(up);
    expect(up.changes.replace ?? []).toEqual([]);
    expect(await statuses()).toMatch(allHealthy);
    const format = "'{{index .Config.Labels \"org.opencontainers.image.source\"}}'";
    for (const [name, reference] of [
      ["owner", images.root],
      ["rootless", images.rootless],
    ] as const) {
      const digest = reference.split("@")[1];
      const id = await on(host, `docker inspect --format '{{.Image}}' ${name}`);
      expect(
        await on(host, `docker image inspect --format '{{join .RepoDigests " "}}' ${id}`),
      ).toContain(`@${digest}`);
      expect(await on(host, `docker inspect --format ${format} ${name}`)).toBe(
        "https://github.com/example/buildkit",
      );
      const runc = "command -v buildkit-runc || command -v runc";
      expect(await on(host, `docker exec ${name} sh -c '${runc}'`)).toMatch(
        name === "owner" ? /^\/usr\/s?bin\/runc$/ : /\/buildkit-runc$/,
      );
      expect(await on(host, `docker exec ${name} cat /proc/1/comm`)).toBe("tini");
      expect(await on(host, `docker exec ${name} readlink /sbin/docker-init`)).toBe(
        "/usr/bin/tini",
      );
    }
  });

  test("runs build steps, in a network of their own, with a cache of its builder alone", async () => {
    const client = await clientOf(stack, "default", "owner");
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(0);
    expect(await build.file("built-on")).toBe("built on riscv64\n");
    const network = await client.build({
      dockerfile: dockerfile("network"),
      buildArgs: {
        OUTSIDE: `${host.connection.gateway}:${registry.port}`,
        DAEMON: "10.10.0.1:1234",
      },
    });
    expect(network.code, network.output).toBe(0);
    expect(await network.file("addresses")).toMatch(/ eth0 +inet 10\.10\.\d+\.\d+\/16 /);
    expect(await network.file("outside")).toBe("reached\n");
    const environment = (await network.file("environment")).split("\n");
    expect(environment.filter((line) => /proxy/i.test(line)).sort()).toEqual([
      "HTTP_PROXY=http://proxy.example.com:3128",
      "NO_PROXY=registry.example.com,.lan",
      "http_proxy=http://proxy.example.com:3128",
      "no_proxy=registry.example.com,.lan",
    ]);
  });

  test("runs build steps without root, in a container without privileges", async () => {
    const { Privileged, CapAdd, SecurityOpt, MaskedPaths, ReadonlyPaths } = JSON.parse(
      await on(host, "docker inspect --format '{{json .HostConfig}}' rootless"),
    );
    expect({ Privileged, CapAdd: CapAdd ?? [], SecurityOpt, MaskedPaths, ReadonlyPaths }).toEqual({
      Privileged: false,
      CapAdd: [],
      SecurityOpt: ["apparmor=unconfined", "seccomp=unconfined"],
      // What the docker command and the provider make of systempaths=unconfined.
      MaskedPaths: [],
      ReadonlyPaths: [],
    });
    const user = "stat --format %u $(dirname $(grep -l ^buildkitd$ /proc/[0-9]*/comm))";
    expect(await on(host, `docker exec rootless sh -c '${user}'`)).toMatch(/^(1000\n?)+$/);
    const client = await clientOf(stack, "default", "rootless");
    const build = await client.build();
    expect(build.code, build.output).toBe(0);
    expect(cachedSteps(build.output)).toBe(0);
    expect(await build.file("built-on")).toBe("built on riscv64\n");
  });

  test("is left alone by a refresh and a second update", async () => {
    const up = await stack.up("--refresh");
    ok(up);
    expect(Object.keys(up.changes).sort(), up.output).toEqual(["refresh", "same"]);
  });
});

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { expect, inject } from "vitest";
import { buildkitBuildFiles } from "../../components/github/buildkitBuildWorkflow.ts";
import { defaultVersions } from "../../config/versions.ts";
import { architectures, type Platform } from "../../proving-ground/board/architectures.ts";
import { type ArchiveProxy, startArchiveProxy } from "../../proving-ground/debian/archiveProxy.ts";
import { ensureDebianImage } from "../../proving-ground/docker/debianImage.ts";
import {
  emulatedPlatform,
  ensureEmulationImage,
} from "../../proving-ground/docker/emulationImage.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import {
  debianCache,
  dockerHostWithDebian,
  type VirtualDockerHost,
} from "../../proving-ground/docker/virtualDockerHost.ts";
import { ensureReleaseAsset } from "../../proving-ground/mirror/assets.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { clientOf } from "./building.ts";
import { freshDockerHost } from "./freshDockerHost.ts";
import { projectDir, TestStack } from "./ground.ts";
import { on } from "./onBoard.ts";

const image = join(projectDir, "components/image");

/** What a repository gets that builds BuildKit, its image among it. */
const repositoryFiles = buildkitBuildFiles({ owner: "example" });

/** Debian's packages that its workflow has in the image. */
const packages = /^ *RUNTIME_PACKAGES=(.+)$/m.exec(
  repositoryFiles[".github/workflows/buildkit-weekly-build.yml"] ?? "",
)?.[1];

/** What our images are made and run on: a Docker host of a stack, and a registry that both sides reach. */
export interface ImageGround {
  host: VirtualDockerHost;
  registry: Registry;
  stack: TestStack;
  /** What the host emulates when it is configured to. */
  emulated: Platform;
  /** Images of the registry, each by its digest. */
  images: { debian: string; emulation: string };
  /** The stack's builders, on the one host `farm`, which is reached over TLS. */
  configure(builders: ImageBuilder[], host?: object): Promise<void>;
  /** A builder of upstream's image, with a cache that an earlier builder has left. */
  maker(): ImageBuilder;
  /** Builds our image as the target says, has `maker` push it; its reference, with the digest. */
  build(target: "buildkit" | "rootless"): Promise<string>;
  close(): Promise<void>;
}

export interface ImageBuilder extends Record<string, unknown> {
  name: string;
  /** Of the host; it is published under a port of loopback. */
  port: 1234 | 1235 | 1236;
}

/** An `ImageGround` whose host has nothing but Debian's image and the volume that `maker` adopts. */
export async function imageGround(platform: Platform): Promise<ImageGround> {
  const host = await freshDockerHost("-image", { kind: dockerHostWithDebian, platform });
  const folder = await mkdtemp(join(tmpdir(), "bh-image-"));
  const registry = await startRegistry(join(folder, "registry"), log);
  const proxy = await startArchiveProxy(log);
  const address = `${host.connection.gateway}:${registry.port}`;
  const debian = await ensureDebianImage(platform, log);
  await registry.push(debian, "library/debian", "trixie-slim");
  const emulation = await ensureEmulationImage(platform, host.busybox, log);
  await registry.push(emulation, "test/binfmt", "emulation");
  // It is there before anything of the stack is.
  await on(host, "docker network create builders");
  const withHost = { ...inject("ground"), board: host };
  const stack = await TestStack.makeAlone(withHost, "images");
  const images = {
    debian: `${address}/library/debian:trixie-slim@${debian.digest}`,
    emulation: `${address}/test/binfmt:emulation@${emulation.digest}`,
  };
  return {
    host,
    registry,
    stack,
    emulated: emulatedPlatform(platform),
    images,
    async configure(builders, settings = {}) {
      const { host: loopback, dockerPort, docker, builderPorts } = host.connection;
      await stack.configureAlone({
        "buildhosts:dockerHosts": [
          {
            name: "farm",
            docker: `tcp://${loopback}:${dockerPort}`,
            tls: docker,
            platform: architectures[platform].debian,
            ...settings,
            builders: builders.map(({ port, ...builder }) => ({
              endpoint: `tcp://${loopback}:${builderPorts[port]}`,
              publish: { port },
              // An emulated host takes a minute and more to have a container healthy.
              startSeconds: 600,
              ...builder,
            })),
          },
        ],
      });
    },
    maker: () => ({
      name: "maker",
      port: 1234,
      cacheVolume: debianCache,
      adoptCache: true,
      networks: ["builders"],
      buildkitd: { registry: { [address]: { http: true } } },
    }),
    build: (target) =>
      buildImage(target, { platform, folder, stack, registry, proxy, host, debian: images.debian }),
    async close() {
      await host.stop();
      await proxy.close();
      await registry.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Making {
  platform: Platform;
  folder: string;
  stack: TestStack;
  registry: Registry;
  proxy: ArchiveProxy;
  host: VirtualDockerHost;
  debian: string;
}

/** The rootless image, of upstream's releases. */
const ofReleases = [
  ...["--local", `context=${image}`, "--local", `dockerfile=${image}`],
  ...["--opt", "target=rootless"],
];

/**
 * The image as a repository's workflow builds it: from the files that the repository gets, with the two binaries in a
 * context that takes the place of the stage of upstream's releases.
 */
async function ofBinaries({ folder, platform }: Making): Promise<string[]> {
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

async function buildImage(target: "buildkit" | "rootless", making: Making): Promise<string> {
  const { folder, stack, registry, proxy, host, debian } = making;
  const client = await clientOf(stack, "default", "maker");
  const { gateway } = host.connection;
  const { mirror } = stack.ground;
  const name = `${gateway}:${registry.port}/buildhosts/${target}:${defaultVersions.buildkit}`;
  const metadata = join(folder, `${target}.json`);
  const buildArgs = {
    BASE_IMAGE: debian,
    // Both images get them: what Debian installs is cached for the second.
    RUNTIME_PACKAGES: packages,
    RELEASE_MIRROR: `http://${gateway}:${mirror.port}`,
    IMAGE_SOURCE: "https://github.com/example/buildkit",
    http_proxy: `http://${gateway}:${proxy.port}`,
  };
  const { code, output } = await client.buildctl(
    ...["build", "--progress", "plain", "--frontend", "dockerfile.v0"],
    ...(target === "rootless" ? ofReleases : await ofBinaries(making)),
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

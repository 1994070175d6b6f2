// The scripts of the workflows that work with Docker, on a real Docker host with the real buildkitd.

import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { defaultVersions } from "../../config/versions.ts";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { ensureBuildkitImage } from "../../proving-ground/docker/buildkitImage.ts";
import {
  emulatedPlatform,
  ensureEmulationImage,
} from "../../proving-ground/docker/emulationImage.ts";
import {
  blobPath,
  type Image,
  type ImageConfig,
  manifestOf,
  packLayer,
  writeImage,
} from "../../proving-ground/docker/ociImage.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import type { VirtualDockerHost } from "../../proving-ground/docker/virtualDockerHost.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { runScript, type ScriptRun } from "../unit/runScript.ts";
import { boardArchitecture, boardMachine, boardPlatform } from "./boardPlatform.ts";
import { dockerEnvironment } from "./dockerCommands.ts";
import { freshDockerHost } from "./freshDockerHost.ts";
import { on } from "./onBoard.ts";

const platform = boardPlatform;
let folder: string;
let host: VirtualDockerHost;
let registry: Registry;
let env: Record<string, string>;
/** References, each with its digest, as the host reaches them. */
const images = { plain: "", withInit: "", broken: "" };

beforeAll(async () => {
  host = await freshDockerHost();
  folder = await mkdtemp(join(tmpdir(), "bh-workflow-"));
  registry = await startRegistry(join(folder, "registry"), log);
  env = await dockerEnvironment(join(folder, "docker"), host.connection, log);
  const plain = await ensureBuildkitImage(defaultVersions.buildkit, platform, host.busybox, log);
  images.plain = await pushed(plain, "plain");
  images.withInit = await pushed(await variant(plain, "init"), "init");
  images.broken = await pushed(await variant(plain, "broken", "#!/bin/sh\nexit 3\n"), "broken");
});

afterEach(async () => {
  expect(await on(host, "docker ps --all --quiet"), "containers that a script left").toBe("");
});

afterAll(async () => {
  host?.disconnect();
  await registry?.close();
  await rm(folder, { recursive: true, force: true });
});

async function pushed(image: Image, name: string): Promise<string> {
  await registry.push(image, `builders/${name}`, "tested");
  return `${host.connection.gateway}:${registry.port}/builders/${name}@${image.digest}`;
}

/** The image of `base` with Debian's tini, as the project's own has it, and perhaps another buildkitd. */
async function variant(base: Image, name: string, buildkitd?: string): Promise<Image> {
  const root = join(folder, `root-${name}`);
  await mkdir(join(root, "usr/bin"), { recursive: true });
  await mkdir(join(root, "sbin"));
  await mkdir(join(root, "bin"));
  const debian = await ensureUnpacked(
    { suite: "trixie", architecture: boardArchitecture, names: ["tini"] },
    log,
  );
  await copyFile(join(debian, "usr/bin/tini-static"), join(root, "usr/bin/tini"));
  await symlink("/usr/bin/tini", join(root, "sbin/docker-init"));
  await symlink("busybox", join(root, "bin/readlink"));
  if (buildkitd) {
    await writeFile(join(root, "usr/bin/buildkitd"), buildkitd);
    await chmod(join(root, "usr/bin/buildkitd"), 0o755);
  }
  const layer = join(folder, `${name}.tar`);
  await packLayer(layer, root);
  const { layers, config } = await manifestOf(base);
  const { config: settings } = JSON.parse(await readFile(blobPath(base, config.digest), "utf8"));
  const lower = layers.map(({ digest }) => blobPath(base, digest));
  return writeImage(join(folder, `image-${name}`), platform, [...lower, layer], {
    ...(settings as ImageConfig),
    Entrypoint: ["/usr/bin/tini", "--", "buildkitd"],
  });
}

const run = (name: string, variables: Record<string, string>): Promise<ScriptRun> =>
  log.step(`${name} ${Object.values(variables)[0]}`, () =>
    runScript(name, { ...env, ...variables }, folder, 300),
  );

function fails({ code, log: said }: ScriptRun, message: string | RegExp): void {
  expect(said).toMatch(message);
  expect(code).not.toBe(0);
}

const missing = () => images.plain.replace(/[0-9a-f]{8}$/, "00000000");

describe("test-image.sh", () => {
  test.each([
    ["that is not there", missing, /not found|manifest unknown/],
    ["without an init", () => images.plain, /::error::\/sbin\/docker-init is not the image's tini/],
    [
      "whose daemon does not start",
      () => images.broken,
      /::error::the daemon in the image does not answer, see its log above/,
    ],
  ])("refuses an image %s", async (_, image, message) => {
    fails(await run("test-image.sh", { IMAGE: image() }), message);
  });

  test("passes one whose init and daemon work", async () => {
    const { code, log: said } = await run("test-image.sh", { IMAGE: images.withInit });
    expect(code, said).toBe(0);
    expect(said).toContain("tini version 0.");
    expect(said).toContain(boardPlatform);
  });
});

/** Each test begins where the one before it ended. */
describe("test-buildx.sh", () => {
  const alpine = "library/alpine";
  let forBoard: Image;

  beforeAll(async () => {
    // Stands in for the registry that alpine comes from: what buildx gives every builder of its user.
    const address = `${host.connection.gateway}:${registry.port}`;
    await mkdir(join(folder, "docker/buildx"), { recursive: true });
    await writeFile(
      join(folder, "docker/buildx/buildkitd.default.toml"),
      `[registry."docker.io"]\n  mirrors = ["${address}"]\n[registry."${address}"]\n  http = true\n`,
    );
    forBoard = await busyboxImage(platform, host.busybox);
    await registry.push(forBoard, alpine, "latest");
  });

  async function busyboxImage(of: string, busybox: string): Promise<Image> {
    const name = of.replace("/", "-");
    const root = join(folder, `root-${name}`);
    await mkdir(join(root, "bin"), { recursive: true });
    await copyFile(busybox, join(root, "bin/busybox"));
    for (const applet of ["sh", "cat", "uname"])
      await symlink("busybox", join(root, "bin", applet));
    const layer = join(folder, `${name}.tar`);
    await packLayer(layer, root);
    return writeImage(join(folder, `image-${name}`), of, [layer], { Env: ["PATH=/bin"] });
  }
  const foreign = emulatedPlatform(platform);
  const [foreignArchitecture = "", foreignMachine = ""] = {
    "linux/amd64": ["amd64", "x86_64"],
    "linux/riscv64": ["riscv64", "riscv64"],
    "linux/arm64": ["arm64", "aarch64"],
  }[foreign];
  const both = `${platform},${foreign}`;
  const build = (image: string) => run("test-buildx.sh", { IMAGE: image, PLATFORMS: both });

  test("refuses an image from which no builder starts", async () => {
    fails(await build(missing()), /::error::the builder does not start from /);
  });

  test("refuses a builder that runs the steps of one platform on another", async () => {
    fails(
      await build(images.plain),
      `::error::the step for ${foreign} ran on something else: Hello from ${boardMachine}`,
    );
  });

  test("passes a builder that runs them where they should, the foreign ones emulated on the board", async () => {
    const emulation = await pushed(
      await ensureEmulationImage(platform, host.busybox, log),
      "binfmt",
    );
    await on(
      host,
      `docker run --rm --privileged --volume /proc/sys/fs/binfmt_misc:/mnt:ro ${emulation} --install ${foreignArchitecture}`,
    );
    const debian = {
      suite: "trixie",
      architecture: foreignArchitecture,
      names: ["busybox-static"],
    };
    const busybox = join(await ensureUnpacked(debian, log), "usr/bin/busybox");
    await registry.push(forBoard, alpine, "own");
    await registry.push(await busyboxImage(foreign, busybox), alpine, "foreign");
    const at = `${registry.address}/${alpine}`;
    const index = ["--tag", `${at}:latest`, `${at}:own`, `${at}:foreign`];
    await execa("docker", ["buildx", "imagetools", "create", ...index], { env });

    const { code, log: said } = await build(images.withInit);
    expect(code, said).toBe(0);
    expect(said).toContain(
      `${platform}: Hello from ${boardMachine}\n${foreign}: Hello from ${foreignMachine}`,
    );
  });
});

describe("tag-image.sh", () => {
  /** As this machine, on which the job's tools run, reaches it. */
  const image = () => `${registry.address}/builders/init`;
  const manifest = () => images.withInit.split("@")[1] ?? "";
  const tag = (tags: string, digest: string) =>
    run("tag-image.sh", { IMAGE: image(), DIGEST: digest, TAGS: tags });

  test("gives no tag to what is not there", async () => {
    fails(await tag("v1 latest", `sha256:${"0".repeat(64)}`), "not found");
    expect(await registry.digestOf("builders/init", "v1")).toBeUndefined();
  });

  test("says so where buildx wraps what was tested into something else", async () => {
    fails(
      await tag("wrapped", manifest()),
      /^::error::the tag wrapped is on sha256:[0-9a-f]{64}, not on /m,
    );
  });

  test("gives every tag to exactly what was tested, and can be run again", async () => {
    // What the workflow pushes is an index, because attestations lie beside the image.
    const index = (await registry.digestOf("builders/init", "wrapped")) ?? "";
    expect(index).not.toBe(manifest());
    for (const _ of ["first", "again"]) {
      const { code, log: said } = await tag("v0.34.2-riscv64 latest", index);
      expect(code, said).toBe(0);
      for (const name of ["v0.34.2-riscv64", "latest"])
        expect(await registry.digestOf("builders/init", name)).toBe(index);
    }
  });
});

describe("start-buildkitd.sh", () => {
  const state = "/var/lib/buildkit/example/app";
  const start = (name: string, config = "") =>
    run("start-buildkitd.sh", {
      BUILDKITD: name,
      BUILDKIT_IMAGE: images.plain,
      STATE: state,
      CONFIG: config,
    });
  const stop = (...names: string[]) => execa("docker", ["rm", "--force", ...names], { env });

  test("says what is missing on a runner without the configuration, and starts nothing", async () => {
    fails(
      await start("none", "/etc/buildkit/none.toml"),
      "::error::there is no /etc/buildkit/none.toml on this runner",
    );
  });

  test("starts a daemon that answers, by the runner's configuration; a second one on its state is refused", async () => {
    // One machine is runner and Docker host elsewhere; here the file lies on both.
    const config = join(folder, "buildkitd.toml");
    const text = '[worker.oci]\n  [worker.oci.labels]\n    of = "example"\n';
    await writeFile(config, text);
    await on(host, `mkdir -p ${folder}`);
    await host.ssh(`cat >${config}`, text);
    try {
      const { code, log: said } = await start("first", config);
      expect(code, said).toBe(0);
      const workers = await execa(
        "docker",
        ["exec", "first", "buildctl", "debug", "workers", "--verbose"],
        { env },
      );
      expect(workers.stdout).toMatch(/of:\s+example/);
      expect(await on(host, `ls ${state}`)).toContain("buildkitd.lock");

      const second = await start("second");
      fails(second, `Does another job on this runner use ${state}?`);
      expect(second.log).toContain("buildkitd.lock");
    } finally {
      await stop("first", "second");
    }
  });
});

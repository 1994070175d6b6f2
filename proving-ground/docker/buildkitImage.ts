import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { defaultVersions } from "../../config/versions.ts";
import type { Platform } from "../board/architectures.ts";
import { contentKey } from "../makeOnce.ts";
import { ensureReleaseAsset } from "../mirror/assets.ts";
import { sha256 } from "../mirror/checksums.ts";
import type { Progress } from "../progress.ts";
import { ensureDebianImage } from "./debianImage.ts";
import {
  blobPath,
  ensureImage,
  type Image,
  type ImageConfig,
  manifestOf,
  packLayer,
  writeImage,
} from "./ociImage.ts";

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** As upstream's image has it, from its Dockerfile. */
const config: ImageConfig = {
  Entrypoint: ["buildkitd"],
  Env: [path, "BUILDKIT_SETUP_CGROUPV2_ROOT=1"],
  Volumes: { "/var/lib/buildkit": {} },
};

/** The same, of upstream's rootless image. */
const rootlessConfig: ImageConfig = {
  Entrypoint: ["rootlesskit", "buildkitd"],
  User: "1000:1000",
  Env: [
    path,
    "HOME=/home/user",
    "USER=user",
    "XDG_RUNTIME_DIR=/run/user/1000",
    "TMPDIR=/home/user/.local/tmp",
    "BUILDKIT_HOST=unix:///run/user/1000/buildkit/buildkitd.sock",
  ],
  Volumes: { "/home/user/.local/share/buildkit": {} },
};

/** What a shell in the container, and scripts of buildx and of health checks, may call. */
const applets =
  "sh awk cat chmod cp cut date env find grep head id kill ls mkdir mount mv ps rm sed sleep stat tail tar test touch true umount uname unshare wget".split(
    " ",
  );

/** Says how the image is made; raise it when a change below must reach machines that have one already. */
const recipe = JSON.stringify([3, config, rootlessConfig, applets]);

/**
 * The image that stands in for moby/buildkit where no registry of the internet answers: BuildKit's release `tag`
 * on a busybox. It is for privileged containers. Of what is in upstream's image it lacks git, SSH, iptables and
 * the certificates of public authorities, so it builds from local contexts and plain registries.
 *
 * @param busybox a static one for `platform`.
 */
export async function ensureBuildkitImage(
  tag: string,
  platform: Platform,
  busybox: string,
  log: Progress,
): Promise<Image> {
  const release = await ensureReleaseAsset("buildkit", tag, platform, log);
  const key = contentKey(recipe, await sha256(release), await sha256(busybox));
  return ensureImage(
    `buildkit-${tag}-${platform.replace("/", "-")}-${key}`,
    (folder) =>
      withLayer(
        async (root) => {
          for (const name of ["bin", "etc", "proc", "root", "run", "sys", "var/lib/buildkit"])
            await mkdir(join(root, name), { recursive: true });
          await mkdir(join(root, "tmp"));
          await execa("chmod", ["1777", join(root, "tmp")]);
          await symlink("../run", join(root, "var/run"));
          await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
          await writeFile(join(root, "etc/group"), "root:x:0:\n");
          await copyFile(busybox, join(root, "bin/busybox"));
          for (const applet of applets) await symlink("busybox", join(root, "bin", applet));
          await addBuildkit(root, release);
        },
        (layer) => writeImage(folder, platform, [layer], config),
      ),
    log,
  );
}

/**
 * The image that stands in for moby/buildkit:<tag>-rootless: BuildKit and RootlessKit on the Debian of
 * `ensureDebianImage`, which has newuidmap. It is for containers with the security options of rootless builders.
 */
export async function ensureRootlessBuildkitImage(
  tag: string,
  platform: Platform,
  log: Progress,
): Promise<Image> {
  const release = await ensureReleaseAsset("buildkit", tag, platform, log);
  const rootlesskit = await ensureReleaseAsset(
    "rootlesskit",
    defaultVersions.rootlesskit,
    platform,
    log,
  );
  const debian = await ensureDebianImage(platform, log);
  const key = contentKey(recipe, await sha256(release), await sha256(rootlesskit), debian.digest);
  return ensureImage(
    `buildkit-${tag}-rootless-${platform.replace("/", "-")}-${key}`,
    (folder) =>
      withLayer(
        async (root) => {
          await addBuildkit(root, release);
          await unpack(rootlesskit, join(root, "usr/bin"));
          const files = {
            passwd: "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
            group: "root:x:0:\nuser:x:1000:\n",
            subuid: "user:100000:65536\n",
            subgid: "user:100000:65536\n",
          };
          for (const [name, text] of Object.entries(files))
            await writeFile(join(root, "etc", name), text);
          for (const name of ["run/user/1000", "home/user/.local/tmp"])
            await mkdir(join(root, name), { recursive: true });
          await mkdir(join(root, "home/user/.local/share/buildkit"), { recursive: true });
          await execa("chown", [
            "-R",
            "1000:1000",
            join(root, "home/user"),
            join(root, "run/user/1000"),
          ]);
        },
        async (layer) => {
          const { layers } = await manifestOf(debian);
          const lower = layers.map(({ digest }) => blobPath(debian, digest));
          return writeImage(folder, platform, [...lower, layer], rootlessConfig);
        },
      ),
    log,
  );
}

/** Calls `use` with the layer of what `fill` puts into an empty folder. */
async function withLayer(
  fill: (root: string) => Promise<void>,
  use: (layer: string) => Promise<Image>,
): Promise<Image> {
  const work = await mkdtemp(join(tmpdir(), "buildhosts-image-"));
  try {
    await mkdir(join(work, "root"));
    await fill(join(work, "root"));
    await packLayer(join(work, "layer.tar"), join(work, "root"));
    return await use(join(work, "layer.tar"));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Where buildkitd looks for descriptions of devices; it warns of each that is missing. */
const cdi = ["etc/cdi", "etc/buildkit/cdi", "run/cdi"];

async function addBuildkit(root: string, release: string): Promise<void> {
  for (const name of ["usr", ...cdi]) await mkdir(join(root, name), { recursive: true });
  await unpack(release, join(root, "usr"));
}

async function unpack(archive: string, folder: string): Promise<void> {
  await execa("tar", [`--directory=${folder}`, "--no-same-owner", "-xzf", archive]);
}

import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { contentKey } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import type { Platform } from "../board/architectures.ts";
import { ensureReleaseAsset } from "../mirror/assets.ts";
import { sha256 } from "../mirror/checksums.ts";
import { ensureImage, type Image, type ImageConfig, withLayer, writeImage } from "./ociImage.ts";

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** As upstream's image has it, from its Dockerfile. */
const config: ImageConfig = {
  Entrypoint: ["buildkitd"],
  Env: [path, "BUILDKIT_SETUP_CGROUPV2_ROOT=1"],
  Volumes: { "/var/lib/buildkit": {} },
};

/** The programs for a shell in the container, and for scripts of buildx and of health checks. */
const applets =
  "sh awk base64 cat chmod cp cut date env find grep head id kill ls mkdir mktemp mount mv ps rm sed sleep stat tail tar test timeout touch true umount uname unshare wget".split(
    " ",
  );

/** Says how the image is made; raise it when a change below must reach machines that have one already. */
const recipe = JSON.stringify([3, config, applets]);

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
          for (const name of ["usr", ...cdi]) await mkdir(join(root, name), { recursive: true });
          await execa("tar", [`--directory=${root}/usr`, "--no-same-owner", "-xzf", release]);
        },
        (layer) => writeImage(folder, platform, [layer], config),
      ),
    log,
  );
}

/** Where buildkitd looks for descriptions of devices; it warns of each that is missing. */
const cdi = ["etc/cdi", "etc/buildkit/cdi", "run/cdi"];

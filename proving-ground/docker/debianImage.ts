import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { contentKey } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { architectures, type Platform } from "../board/architectures.ts";
import { ensureHostPackages } from "../board/hostPackages.ts";
import { makeDebian, suite } from "../board/image.ts";
import { ensureImage, type Image, type ImageConfig, writeImage } from "./ociImage.ts";

/**
 * What components/image/Dockerfile installs and is large, or slow to configure: to install it under emulation took minutes. The
 * rest is left to the Dockerfile.
 */
const packages = [
  ...["apt", "ca-certificates", "git", "openssh-client", "iptables", "xz-utils", "uidmap", "fuse3"],
];

const config: ImageConfig = {
  Cmd: ["bash"],
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
};

const here = import.meta.dirname;

/**
 * The image that stands in for debian:trixie-slim where no registry of the internet answers, with more packages in
 * it, and without time zones, what of perl its base package lacks and some programs of git. Its apt asks for what
 * proving-ground/debian/archiveProxy.ts serves.
 */
export async function ensureDebianImage(platform: Platform, log: Progress): Promise<Image> {
  const architecture = architectures[platform];
  const script = join(here, "make-debian.sh");
  const recipe = [script, join(here, "../board/image/root.sh")].map((path) => readFile(path));
  const key = contentKey(JSON.stringify([suite, packages, config]), ...(await Promise.all(recipe)));
  await ensureHostPackages(architecture, log);
  return ensureImage(
    `debian-${suite}-${architecture.debian}-${key}`,
    (folder) =>
      log.step(`make an image of Debian ${suite} for ${architecture.debian}`, async () => {
        await makeDebian(script, architecture, packages, folder, log);
        const layer = join(folder, "layer.tar");
        const image = await writeImage(folder, platform, [layer], config);
        await rm(layer);
        return image;
      }),
    log,
  );
}

import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { packLayer, writeImage } from "../../proving-ground/docker/ociImage.ts";
import type { Registry } from "../../proving-ground/docker/registry.ts";
import { thisMachine } from "../../runtime/golang.ts";
import { toStderr as log } from "../../runtime/progress.ts";

/** What buildkitd says after what is wrong: more lines than are shown. */
const trace = `for frame in 1 2 3 4 5 6; do echo runtime.step$frame; printf '\\truntime/proc.go:%s\\n' $frame; done`;

/**
 * An image whose buildkitd is a script: it says what the tests want it to say, and builds nothing. What a
 * container is replaced by, and what comes back, does not depend on what runs in it; and this needs neither
 * privileges nor minutes.
 */
export async function pushScriptedImage(
  registry: Registry,
  folder: string,
  tag: string,
  health: "healthy" | "sick",
): Promise<string> {
  const root = join(folder, `root-${tag}`);
  await mkdir(join(root, "bin"), { recursive: true });
  const packages = {
    suite: "bookworm",
    architecture: thisMachine.goarch,
    names: ["busybox-static"],
  };
  await copyFile(
    join(await ensureUnpacked(packages, log), "bin/busybox"),
    join(root, "bin/busybox"),
  );
  await chmod(join(root, "bin/busybox"), 0o755);
  for (const name of ["sh", "sleep", "cat", "stat"]) {
    await symlink("busybox", join(root, "bin", name));
  }
  const program = async (name: string, text: string) => {
    await writeFile(join(root, "bin", name), `#!/bin/sh\n${text}\n`);
    await chmod(join(root, "bin", name), 0o755);
  };
  await program(
    "buildkitd",
    `echo "scripted buildkitd ${tag} is ${health}"; ${trace}; trap 'exit 0' TERM; while :; do sleep 1 & wait; done`,
  );
  await program("buildctl", health === "healthy" ? "exit 0" : "echo no worker answers; exit 1");
  const layer = join(folder, `layer-${tag}.tar`);
  await packLayer(layer, root);
  const image = await writeImage(
    join(folder, `image-${tag}`),
    `linux/${thisMachine.goarch}`,
    [layer],
    { Entrypoint: ["buildkitd"], Env: ["PATH=/bin"] },
  );
  await registry.push(image, "test/buildkit", tag);
  return `${registry.address}/test/buildkit:${tag}@${image.digest}`;
}

import { execa } from "execa";

/**
 * Packs `names` of `folder` into the gzipped tar `archive`. The same files give the same bytes, whoever
 * packs them and when: entries sorted, owned by root, at time 0.
 */
export async function packTarball(archive: string, folder: string, names: string[]): Promise<void> {
  await execa("tar", [
    "--sort=name",
    "--mtime=@0",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=u=rwX,go=rX",
    "--use-compress-program=gzip -n",
    `--directory=${folder}`,
    "-cf",
    archive,
    ...names,
  ]);
}

/** Takes `name` out of a gzipped tar into `folder`, keeping its path. */
export async function unpackFromTarball(
  archive: string,
  name: string,
  folder: string,
): Promise<void> {
  await execa("tar", [`--directory=${folder}`, "-xzf", archive, name]);
}

import { createHash } from "node:crypto";
import {
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir } from "../../runtime/cache.ts";
import { exists, makeOnce } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { sha256 } from "../mirror/checksums.ts";

/** The fields of an image's config that we set, in the words of the OCI image specification. */
export interface ImageConfig {
  Entrypoint?: string[];
  Cmd?: string[];
  Env?: string[];
  User?: string;
  WorkingDir?: string;
  ExposedPorts?: Record<string, Record<string, never>>;
  Volumes?: Record<string, Record<string, never>>;
  Labels?: Record<string, string>;
}

/** An image in a folder: a file for each blob, named by its sha256. */
export interface Image {
  folder: string;
  /** `sha256:…` of the manifest, by which the image can be pulled. */
  digest: string;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

export interface Manifest {
  schemaVersion: 2;
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
}

/**
 * Packs `folder` into the tar `archive`, for an image's layer: everything keeps its mode and owner, and the same
 * files give the same bytes. Not compressed: a board would spend longer on that than on fetching it.
 */
export async function packLayer(archive: string, folder: string): Promise<void> {
  await execa("tar", [
    ...["--sort=name", "--mtime=@0", "--numeric-owner", "--format=posix"],
    // The time of the archive's making would stand in it.
    "--pax-option=delete=atime,delete=ctime",
    ...[`--directory=${folder}`, "-cf", archive, "."],
  ]);
}

/** Calls `use` with the layer of what `fill` puts into an empty folder. */
export async function withLayer(
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

/** The image `name` of the cache, which `make` writes into the folder that it is given, if it is not there yet. */
export async function ensureImage(
  name: string,
  make: (folder: string) => Promise<Image>,
  log: Progress,
): Promise<Image> {
  const folder = cacheDir("images", name);
  await makeOnce(
    folder,
    async (temporary) => writeFile(join(temporary, "digest"), (await make(temporary)).digest),
    log,
  );
  return { folder, digest: await readFile(join(folder, "digest"), "utf8") };
}

/** Writes the image of `layers`, tars from the lowest on, into `folder`. */
export async function writeImage(
  folder: string,
  platform: string,
  layers: readonly string[],
  config: ImageConfig,
): Promise<Image> {
  await mkdir(folder, { recursive: true });
  const digests: string[] = [];
  const descriptors: Descriptor[] = [];
  for (const layer of layers) {
    const hex = await sha256(layer);
    const blob = join(folder, hex);
    if (!(await exists(blob))) await link(layer, blob).catch(() => copyFile(layer, blob));
    digests.push(`sha256:${hex}`);
    descriptors.push(await descriptor(folder, "application/vnd.oci.image.layer.v1.tar", hex));
  }
  const [os, architecture] = platform.split("/");
  const image = { os, architecture, config, rootfs: { type: "layers", diff_ids: digests } };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: await writeBlob(folder, "application/vnd.oci.image.config.v1+json", image),
    layers: descriptors,
  };
  const { digest } = await writeBlob(folder, manifest.mediaType, manifest);
  return { folder, digest };
}

/** The blob in `image` with that digest. */
export function blobPath(image: Image, digest: string): string {
  return join(image.folder, digest.replace(/^sha256:/, ""));
}

async function writeBlob(folder: string, mediaType: string, value: object): Promise<Descriptor> {
  const text = JSON.stringify(value);
  const hex = createHash("sha256").update(text).digest("hex");
  await writeFile(join(folder, `${hex}.part`), text);
  await rename(join(folder, `${hex}.part`), join(folder, hex));
  return descriptor(folder, mediaType, hex);
}

async function descriptor(folder: string, mediaType: string, hex: string): Promise<Descriptor> {
  const { size } = await stat(join(folder, hex));
  return { mediaType, digest: `sha256:${hex}`, size };
}

/** Reads the manifest of `image`. */
export async function manifestOf(image: Image): Promise<Manifest> {
  return JSON.parse(await readFile(blobPath(image, image.digest), "utf8"));
}

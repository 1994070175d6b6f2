import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import type { Progress } from "../../runtime/progress.ts";
import { parseChecksums, sha256 } from "./checksums.ts";
import { type Project, releaseAssets } from "./releaseAssets.ts";

const github = "https://github.com";

/** How long upstream may take to answer, and to send one asset. */
const limits = { answerMs: 10_000, assetMs: 10 * 60_000 };

/** Upstream cannot be had from here; whoever asked may go on without it. */
export class OutOfReach extends Error {}

/**
 * Puts the asset of a release below `root`, if its sha256 is the one in the checksum file, and then that
 * file.
 *
 * @throws OutOfReach when upstream does not answer or has no such file; another error on a wrong sum.
 */
export async function downloadRelease(
  root: string,
  project: Project,
  tag: string,
  platform: string,
  log: Progress,
  upstream: string = github,
): Promise<void> {
  const { folder, asset, checksums } = releaseAssets(project, tag, platform);
  const text = await (await request(`${upstream}/${folder}/${checksums}`)).text();
  const expected = parseChecksums(project, text)[asset];
  if (!expected) throw new Error(`${upstream}/${folder}/${checksums}: no sha256 of ${asset} in it`);
  await log.step(`download ${project} ${tag} for ${platform}`, () =>
    downloadAsset(join(root, folder), asset, `${upstream}/${folder}/${asset}`, expected),
  );
  await writeFile(join(root, folder, checksums), text);
}

async function downloadAsset(
  directory: string,
  asset: string,
  url: string,
  expected: string,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const partial = join(directory, `.${asset}.part`);
  try {
    const { body } = await request(url);
    await pipeline(Readable.fromWeb(body as ReadableStream), createWriteStream(partial)).catch(
      (error) => {
        throw new OutOfReach(`${url}: broke off: ${reasonOf(error)}`);
      },
    );
    const received = await sha256(partial);
    if (received !== expected)
      throw new Error(
        `${url}: its sha256 is ${received}, but the release says ${expected}. ` +
          "It is not used. Something between here and GitHub changes what it sends, or the release changed.",
      );
    await rename(partial, join(directory, asset));
  } finally {
    await rm(partial, { force: true });
  }
}

async function request(url: string): Promise<Response> {
  const unanswered = new AbortController();
  const giveUp = setTimeout(() => unanswered.abort(), limits.answerMs);
  const signal = AbortSignal.any([unanswered.signal, AbortSignal.timeout(limits.assetMs)]);
  const response = await fetch(url, { signal })
    .catch((error) => {
      const reason = unanswered.signal.aborted
        ? `no answer within ${limits.answerMs / 1000} s`
        : reasonOf(error);
      throw new OutOfReach(`${url}: ${reason}`);
    })
    .finally(() => clearTimeout(giveUp));
  if (!response.ok) throw new OutOfReach(`${url}: ${response.status}`);
  return response;
}

/** fetch says only that it failed; the cause says why. */
function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

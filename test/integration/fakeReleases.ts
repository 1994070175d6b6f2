import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { formatChecksums, sha256 } from "../../proving-ground/mirror/checksums.ts";
import { type Project, releaseAssets } from "../../proving-ground/mirror/releaseAssets.ts";
import { boardPlatform } from "./boardPlatform.ts";

/** A release whose programs are shell scripts, so that they take no time and misbehave as wanted. */
export interface FakeRelease {
  project: Project;
  /** The tag. */
  version: string;
  /** By path in the archive, such as `bin/buildkitd`; runc, which is one file, has `bin/runc`. */
  files: Record<string, string | Uint8Array>;
}

/** The releases stand in `folder`, with their checksums, laid out for `startMirror`. */
export async function makeFakeReleases(folder: string, releases: FakeRelease[]): Promise<void> {
  for (const { project, version, files } of releases) {
    const names = releaseAssets(project, version, boardPlatform);
    const release = join(folder, names.folder);
    await mkdir(release, { recursive: true });
    const asset = join(release, names.asset);
    if (project === "runc") {
      await writeFile(asset, Object.values(files)[0] ?? "");
    } else {
      const content = await mkdtemp(join(folder, "content-"));
      await mkdir(join(content, "bin"), { recursive: true });
      for (const [path, text] of Object.entries(files)) {
        await writeFile(join(content, path), text, { mode: 0o755 });
      }
      // Only rootlesskit's archive has its programs at the top.
      const packed =
        project === "rootlesskit" ? ["-C", join(content, "bin"), "."] : ["-C", content, "bin"];
      await execa("tar", ["-czf", asset, ...packed]);
    }
    const sums = formatChecksums(project, { [names.asset]: await sha256(asset) });
    await writeFile(join(release, names.checksums), sums);
  }
}

import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { type ReleaseComponent, release } from "../components/board/releases.ts";
import type { BoardReleasesArgs } from "../components/builderBoard.ts";
import { shown } from "../components/schema/expected.ts";
import type { Findings } from "./findings.ts";
import type { ReleasesInput } from "./schema.ts";
import { isBelow, oldVersions } from "./versions.ts";

/** The releases of a stack. */
export interface StackReleases {
  versions: Omit<BoardReleasesArgs, "mirror" | "push">;
  /** The source of the files; absent if the stack names none. */
  source?: Pick<BoardReleasesArgs, "mirror" | "push">;
}

/** Decides which files of the releases a host installs. */
export interface Installation {
  platform: string;
  rootless: boolean;
}

const components = ["buildkit", "containerd", "runc", "rootlesskit"] as const;

export function stackReleases(
  input: ReleasesInput,
  installations: readonly Installation[],
  projectDir: string,
  findings: Findings,
): StackReleases {
  const { mirror, push, ...versions } = input;
  for (const component of components) judgeVersion(component, versions[component], findings);
  if (mirror !== undefined && push !== undefined) {
    findings.refuse(["push"], "does not go together with mirror; keep one of the two.");
  }

  const needed = neededAssets(input, installations);
  if (push !== undefined) checkPushed(resolve(projectDir, push), needed, input, findings);
  for (const asset of Object.keys(input.checksums)) {
    if (needed.has(asset) || installations.length === 0) continue;
    findings.warn(
      ["checksums", asset],
      `locks nothing: no board installs it. Boards install ${[...needed].join(", ")}.`,
    );
  }
  if (mirror?.startsWith("http:")) {
    const unlocked = [...needed].filter((asset) => !Object.hasOwn(input.checksums, asset));
    if (unlocked.length > 0) {
      findings.warn(
        ["mirror"],
        `is not encrypted, and the checksums come from it too; lock ${unlocked.join(", ")} in releases.checksums.`,
      );
    }
  }

  if (push !== undefined) return { versions, source: { push: resolve(projectDir, push) } };
  return { versions, source: mirror === undefined ? undefined : { mirror } };
}

function judgeVersion(component: ReleaseComponent, version: string, findings: Findings): void {
  const old = oldVersions[component];
  if (!old) return;
  if (isBelow(version, old.minimum)) {
    findings.refuse(
      [component],
      `received ${shown(version)}; expected ${old.minimum} or newer: ${old.refusal}.`,
    );
    return;
  }
  const warning = old.warning(version);
  if (warning) findings.warn([component], `is ${version}: ${warning}.`);
}

/** The files that the stack's boards install, by upstream's names. */
function neededAssets(input: ReleasesInput, installations: readonly Installation[]): Set<string> {
  return new Set(
    installations.flatMap(({ platform, rootless }) =>
      components
        .filter((component) => component !== "rootlesskit" || rootless)
        .map((component) => release(component, input[component], platform).asset),
    ),
  );
}

/** Refuses a pushed file without a checksum: upstream publishes none beside it. */
function checkPushed(
  folder: string,
  needed: ReadonlySet<string>,
  { push, checksums }: ReleasesInput,
  findings: Findings,
): void {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    findings.refuse(["push"], `received ${shown(push)}; there is no such folder: ${folder}.`);
    return;
  }
  for (const asset of needed) {
    if (!statSync(join(folder, asset), { throwIfNoEntry: false })?.isFile()) {
      findings.refuse(["push"], `received ${shown(push)}; ${asset} is missing there.`);
    }
    if (!Object.hasOwn(checksums, asset)) {
      findings.refuse(
        ["checksums", asset],
        "missing; what is pushed is checked against the stack's lock only, so its sha256 must stand there.",
      );
    }
  }
}

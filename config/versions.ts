import type { ReleaseComponent } from "../components/board/releases.ts";

/** What a stack gets that pins nothing: the newest releases that this program is tested with. */
export const defaultVersions: Readonly<Record<ReleaseComponent, string>> = {
  buildkit: "v0.34.2",
  containerd: "v2.4.2",
  runc: "v1.5.2",
  // The one that BuildKit v0.34.2 is built and tested with.
  rootlesskit: "v3.2.0",
};

/** Major, minor, patch; a pre-release counts as its release. */
export type Version = readonly [number, number, number];

/** `v0.34.2`, `0.34.2`, `v0.35.0-rc1`. */
export const versionPattern = /^v?(\d{1,5})\.(\d{1,5})\.(\d{1,5})(-[0-9A-Za-z.-]+)?$/;

export function parseVersion(text: string): Version {
  const [, major, minor, patch] = versionPattern.exec(text) ?? [];
  return [Number(major), Number(minor), Number(patch)];
}

export function isBelow(text: string, other: string): boolean {
  const [a, b] = [parseVersion(text), parseVersion(other)];
  for (const part of [0, 1, 2] as const) {
    if (a[part] !== b[part]) return a[part] < b[part];
  }
  return false;
}

interface OldVersions {
  /** Refused below, because the board's configuration needs what is missing there. */
  minimum: string;
  refusal: string;
  /** Why a version is not recommended, or nothing. */
  warning(version: string): string | undefined;
}

/** What is known of old versions of what a board runs. */
export const oldVersions: Readonly<Partial<Record<ReleaseComponent, OldVersions>>> = {
  buildkit: {
    minimum: "v0.13.0",
    refusal: "older ones know no networkMode bridge",
    warning: (version) =>
      isBelow(version, "v0.31.2") ? "known security holes are open below v0.31.2" : undefined,
  },
  containerd: {
    minimum: "v1.7.0",
    refusal: "older lines are long past their end",
    warning: (version) => {
      if (!isBelow(version, "v2.3.5")) return undefined;
      const [major, minor] = parseVersion(version);
      const ended =
        major < 2 || minor <= 1 ? `, and the ${major}.${minor} line is past its end` : "";
      return `known security holes are open below v2.3.5${ended}`;
    },
  },
  runc: {
    minimum: "v1.1.0",
    refusal: "older lines are long past their end",
    warning: (version) => {
      const [major, minor] = parseVersion(version);
      const fixed = major === 1 && minor === 5 ? "v1.5.2" : "v1.4.4";
      return isBelow(version, fixed)
        ? "known security holes are open below v1.4.4, and in v1.5 below v1.5.2"
        : undefined;
    },
  },
};

/**
 * The BuildKit that first knew a setting, where that is newer than the oldest one accepted. An older
 * daemon ignores the key without a word (from the config.go of each release).
 */
export const settingsSince: readonly (readonly [path: string, version: string])[] = [
  ["frontend", "v0.14.0"],
  ["system", "v0.14.0"],
  ["worker.reservedSpace", "v0.17.0"],
  ["worker.maxUsedSpace", "v0.17.0"],
  ["worker.minFreeSpace", "v0.17.0"],
  ["worker.gcpolicy[].reservedSpace", "v0.17.0"],
  ["worker.gcpolicy[].maxUsedSpace", "v0.17.0"],
  ["worker.gcpolicy[].minFreeSpace", "v0.17.0"],
  ["cdi", "v0.20.0"],
  ["provenanceEnvDir", "v0.25.0"],
  ["cache", "v0.27.0"],
  ["proxyNetwork", "v0.31.0"],
  ["system.maxRegistryConcurrency", "v0.31.0"],
  ["compaction", "v0.34.0"],
  ["system.sessionAuthTimeout", "v0.34.0"],
];

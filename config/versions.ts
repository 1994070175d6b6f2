import semver from "semver";
import type { ReleaseComponent } from "../components/board/releases.ts";

/** The defaults: the newest releases that this program is tested with. */
export const defaultVersions: Readonly<Record<ReleaseComponent, string>> = {
  buildkit: "v0.34.2",
  containerd: "v2.4.2",
  runc: "v1.5.2",
  // The one that BuildKit v0.34.2 is built and tested with.
  rootlesskit: "v3.2.0",
};

/** `v0.34.2`, `0.34.2`, `v0.35.0-rc1`. */
export const versionPattern = /^v?(\d{1,5})\.(\d{1,5})\.(\d{1,5})(-[0-9A-Za-z.-]+)?$/;

/** A pre-release counts as its release. */
export function isBelow(version: string, other: string): boolean {
  return semver.lt(released(version), released(other));
}

function released(version: string): semver.SemVer {
  return semver.coerce(version) ?? new semver.SemVer("0.0.0");
}

interface OldVersions {
  /** buildhosts refuses older ones: they lack something that a board's configuration needs. */
  minimum: string;
  refusal: string;
  /** Why a version is not recommended, or nothing. */
  warning(version: string): string | undefined;
}

/** Limits and warnings for old versions of the programs on a board. */
export const oldVersions: Readonly<Partial<Record<ReleaseComponent, OldVersions>>> = {
  buildkit: {
    minimum: "v0.13.0",
    refusal: "older ones do not support networkMode bridge",
    warning: (version) =>
      isBelow(version, "v0.31.2") ? "known security holes are open below v0.31.2" : undefined,
  },
  containerd: {
    minimum: "v1.7.0",
    refusal: "older lines are long past their end",
    warning: (version) => {
      if (!isBelow(version, "v2.3.5")) return undefined;
      const { major, minor } = released(version);
      const ended =
        major < 2 || minor <= 1 ? `, and the ${major}.${minor} line is past its end` : "";
      return `known security holes are open below v2.3.5${ended}`;
    },
  },
  runc: {
    minimum: "v1.1.0",
    refusal: "older lines are long past their end",
    warning: (version) => {
      const { major, minor } = released(version);
      const fixed = major === 1 && minor === 5 ? "v1.5.2" : "v1.4.4";
      return isBelow(version, fixed)
        ? "known security holes are open below v1.4.4, and in v1.5 below v1.5.2"
        : undefined;
    },
  },
};

/** Why a version must not run, by what is known of old ones: it is refused, or has known holes. */
export function faultOf(component: ReleaseComponent, version: string): string | undefined {
  const old = oldVersions[component];
  if (!old) return undefined;
  return isBelow(version, old.minimum)
    ? `is below ${old.minimum}, and ${old.refusal}`
    : old.warning(version);
}

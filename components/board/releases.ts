/** What a board runs, in the order in which it is installed. */
export type ReleaseComponent = "containerd" | "runc" | "buildkit" | "rootlesskit";

export interface Release {
  component: ReleaseComponent;
  /** The tag, with its leading `v`. */
  version: string;
  /** Upstream's name of the file. */
  asset: string;
  /** Where it lies below the mirror, the file with its published checksum beside it. */
  path: string;
  /** Path of the file that upstream publishes the checksum in. */
  checksumPath: string;
}

/** Where boards fetch releases that are not told otherwise. */
export const UPSTREAM = "https://github.com";

/** A platform's architecture in the words of those who name it: Go, and `uname -m`. */
export interface Architecture {
  go: string;
  machine: string;
}

const MACHINES: Record<string, string> = {
  "linux/amd64": "x86_64",
  "linux/arm64": "aarch64",
  "linux/riscv64": "riscv64",
};

/** Fails for a platform that boards cannot have. */
export function architecture(platform: string): Architecture {
  const machine = MACHINES[platform];
  if (!machine) {
    throw new Error(
      `platform '${platform}': boards are one of ${Object.keys(MACHINES).join(", ")}`,
    );
  }
  return { go: platform.slice("linux/".length), machine };
}

/**
 * The file that `component` publishes for `platform`, by the names that its releases on GitHub have:
 * containerd/containerd, opencontainers/runc, moby/buildkit, rootless-containers/rootlesskit.
 * BuildKit publishes no list of checksums; its provenance names the file's sha256 as a subject.
 */
export function release(component: ReleaseComponent, version: string, platform: string): Release {
  const { go, machine } = architecture(platform);
  const bare = version.replace(/^v/, "");
  const named: Record<ReleaseComponent, { repository: string; asset: string; checksum: string }> = {
    containerd: {
      repository: "containerd/containerd",
      asset: `containerd-${bare}-linux-${go}.tar.gz`,
      checksum: `containerd-${bare}-linux-${go}.tar.gz.sha256sum`,
    },
    runc: { repository: "opencontainers/runc", asset: `runc.${go}`, checksum: "runc.sha256sum" },
    buildkit: {
      repository: "moby/buildkit",
      asset: `buildkit-${version}.linux-${go}.tar.gz`,
      checksum: `buildkit-${version}.linux-${go}.provenance.json`,
    },
    rootlesskit: {
      repository: "rootless-containers/rootlesskit",
      asset: `rootlesskit-${machine}.tar.gz`,
      checksum: "SHA256SUMS",
    },
  };
  const { repository, asset, checksum } = named[component];
  const folder = `${repository}/releases/download/${version}`;
  return {
    component,
    version,
    asset,
    path: `${folder}/${asset}`,
    checksumPath: `${folder}/${checksum}`,
  };
}

/** The platforms of boards, in containerd's words. */
export type Platform = "linux/riscv64" | "linux/arm64" | "linux/amd64";

/** The projects whose releases a board is made of. */
export type Project = "containerd" | "runc" | "buildkit" | "rootlesskit";

/** The release of each project that a board gets, as git tags. */
export interface ReleaseSet {
  containerd: string;
  runc: string;
  buildkit: string;
  /** Only for rootless boards. */
  rootlesskit?: string;
}

/** Where each project lives on GitHub. */
export const repositories: Record<Project, string> = {
  containerd: "containerd/containerd",
  runc: "opencontainers/runc",
  buildkit: "moby/buildkit",
  rootlesskit: "rootless-containers/rootlesskit",
};

/** The two files of a release that a board needs, by upstream's names. */
export interface ReleaseAssets {
  /** Folder of the release below a mirror's root, and below https://github.com. */
  folder: string;
  /** The program, or the archive of programs. */
  asset: string;
  /** The file that holds the sha256 of `asset`, among others perhaps. */
  checksums: string;
}

/** Names the files that `project` publishes for `platform` under `tag`. */
export function releaseAssets(project: Project, tag: string, platform: string): ReleaseAssets {
  const [os, arch] = platform.split("/") as [string, string];
  const folder = `${repositories[project]}/releases/download/${tag}`;
  switch (project) {
    case "containerd": {
      const asset = `containerd-${tag.replace(/^v/, "")}-${os}-${arch}.tar.gz`;
      return { folder, asset, checksums: `${asset}.sha256sum` };
    }
    case "runc":
      return { folder, asset: `runc.${arch}`, checksums: "runc.sha256sum" };
    case "buildkit": {
      const stem = `buildkit-${tag}.${os}-${arch}`;
      // BuildKit publishes no checksum file; the provenance names what it was made for by its sha256.
      return { folder, asset: `${stem}.tar.gz`, checksums: `${stem}.provenance.json` };
    }
    case "rootlesskit":
      return { folder, asset: `rootlesskit-${machineName(arch)}.tar.gz`, checksums: "SHA256SUMS" };
  }
}

/** The releases of `set` as pairs, in the order in which a board needs them. */
export function releasesOf(set: ReleaseSet): [Project, string][] {
  const { containerd, runc, buildkit, rootlesskit } = set;
  return [
    ["runc", runc],
    ["containerd", containerd],
    ["buildkit", buildkit],
    ...(rootlesskit ? [["rootlesskit", rootlesskit] as [Project, string]] : []),
  ];
}

/** What `uname -m` prints on `arch`. */
function machineName(arch: string): string {
  return { amd64: "x86_64", arm64: "aarch64" }[arch] ?? arch;
}

import type { BuildkitdSettings } from "../components/buildkitd/schema.ts";
import { shown } from "../components/schema/expected.ts";
import type { Findings } from "./findings.ts";

/** Folders that a cache must not be in, and why. */
const unfit: readonly (readonly [folders: readonly string[], reason: string])[] = [
  [["/run", "/var/run", "/dev", "/proc", "/sys"], "is in memory, and gone after a boot"],
  [["/tmp", "/var/tmp"], "is cleaned by systemd-tmpfiles, below a daemon that runs"],
  [["/usr/local/lib/buildhosts"], "is where buildhosts keeps what it installs"],
  [["/var/lib/docker", "/var/lib/containerd", "/var/lib/containers"], "is another daemon's"],
  [
    ["/etc", "/boot", "/bin", "/sbin", "/lib", "/usr/bin", "/usr/sbin", "/usr/lib"],
    "is the system's",
  ],
  [["/usr/local/bin", "/usr/local/sbin", "/usr/local/lib/systemd"], "is for programs and units"],
];

/** Refuses a place for the cache where it would be lost, or where emptying it would take something else along. */
export function refuseUnfitRoot({ root }: BuildkitdSettings, findings: Findings): void {
  if (root === undefined) return;
  for (const [folders, reason] of unfit) {
    const folder = folders.find((one) => `${root}/`.startsWith(`${one}/`));
    if (folder === undefined) continue;
    findings.refuse(
      ["root"],
      `received ${shown(root)}; ${folder} ${reason}: name a folder on a disk, such as /var/lib/buildkit or /mnt/nvme/buildkit.`,
    );
  }
}

/** A root that works, but not on every system. */
export function warnOfRoot({ root }: BuildkitdSettings, findings: Findings): void {
  if (!root?.startsWith("/usr/")) return;
  findings.warn(
    ["root"],
    `is ${shown(root)}: /usr is for what is installed, read-only on some systems, and seldom has room for a cache.`,
  );
}

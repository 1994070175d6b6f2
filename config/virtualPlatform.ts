import { existsSync } from "node:fs";
import { join } from "node:path";

/** Kinds of virtual machines, as the proving ground names the folders that it writes their connections to. */
export type VirtualMachineKind = "virtual-board" | "virtual-docker-host";

/**
 * What a virtual machine is whose stack file does not say: what the proving ground has started, a native one before an
 * emulated one. Where nothing runs, what a machine that can would start.
 */
export function startedPlatform(
  projectDir: string,
  kind: VirtualMachineKind,
): "linux/amd64" | "linux/riscv64" {
  const isThere = (architecture: string) =>
    existsSync(join(projectDir, ".buildhosts", kind, `${architecture}.json`));
  return !isThere("amd64") && isThere("riscv64") ? "linux/riscv64" : "linux/amd64";
}

import { existsSync, readFileSync } from "node:fs";
import * as z from "zod";
import { port } from "../components/schema/values.ts";
import { connectionFile } from "./connectionFile.ts";

/** Kinds of virtual machines, as the proving ground names the folders that it writes their connections to. */
export type VirtualMachineKind = "virtual-board" | "virtual-docker-host";

/**
 * The platform of a virtual machine whose stack file names none: that of the machine which the proving ground started, a
 * native one before an emulated one. If none runs, the native one.
 */
export function startedPlatform(
  projectDir: string,
  kind: VirtualMachineKind,
): "linux/amd64" | "linux/riscv64" {
  const isThere = (architecture: string) =>
    existsSync(connectionFile(projectDir, kind, architecture));
  return !isThere("amd64") && isThere("riscv64") ? "linux/riscv64" : "linux/amd64";
}

/** The file that the proving ground writes about every virtual machine. */
export const machineConnection = z.object({
  platform: z.string(),
  host: z.string(),
  port,
  hostKey: z.string(),
  identityFile: z.string(),
  buildkitPort: port,
  gateway: z.string(),
});

/** The connection to a virtual machine, as the proving ground wrote it down when it started it; nothing where none runs. */
export function startedMachine<Connection extends z.ZodType>(
  schema: Connection,
  kind: VirtualMachineKind,
  platform: string,
  projectDir: string,
): z.output<Connection> | undefined {
  try {
    const text = readFileSync(connectionFile(projectDir, kind, platform), "utf8");
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Progress } from "../../../runtime/progress.ts";
import { ensurePrograms, type HostProgram } from "../../debian/programs.ts";
import { diskPrograms } from "../diskPrograms.ts";

/** Programs that make and run native boards; kernel.ts has the kernel's compilers. */
export const nativePrograms: HostProgram[] = [
  { program: "slirp4netns", debian: "slirp4netns" },
  { program: "ip", debian: "iproute2" },
  ...diskPrograms,
];

/**
 * Sees to it that this machine can make and run native boards. @throws one error that says what is missing, and that an
 * emulated board is there instead.
 */
export async function ensureNativeHost(log: Progress): Promise<void> {
  const reason = unable();
  if (reason) throw new Error(reason);
  await ensurePrograms(nativePrograms, log);
}

/**
 * Why no native board can run on this machine, whatever were installed; undefined where one can. What takes a process to
 * find out is tried once.
 */
export function unable(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64")
    return `a native board needs Linux on amd64, and this is ${process.platform} on ${process.arch}.`;
  if (process.getuid?.() !== 0) return "a native board needs root, for a network namespace.";
  if (!existsSync("/dev/net/tun")) return "a native board needs /dev/net/tun, which is not there.";
  refusal ??= { reason: refused() };
  return refusal.reason;
}
let refusal: { reason: string | undefined } | undefined;

/** The reason why this machine, for instance a container without privileges, runs no native board. */
function refused(): string | undefined {
  if (spawnSync("unshare", ["--net", "true"]).status !== 0)
    return "a native board needs a network namespace, and this process may not make one.";
  const tracing = spawnSync("perl", [join(import.meta.dirname, "can-trace.pl")]);
  // Where there is no perl, the board's own start tells.
  if (!tracing.error && tracing.status !== 0)
    return "a native board needs ptrace or seccomp, and this process may use neither.";
  return undefined;
}

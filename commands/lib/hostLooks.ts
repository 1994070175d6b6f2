import type { FreeRoom } from "../../components/board/look.ts";
import { stackValues } from "./engineSession.ts";
import { quiet } from "./output.ts";
import { projectDir } from "./stackFile.ts";

/** What a look at a builder's host found, by SSH or by its Docker daemon. */
export interface HostLook {
  /** What somebody changed there by hand, a line each; undefined where that is not known. */
  drift: string[] | undefined;
  /** Why it is not known. */
  reason: string | undefined;
  free: FreeRoom | undefined;
}

/** How long the hosts may take: an emulated board needs two seconds for a handshake. */
const SECONDS = 6;

/**
 * Looks at the hosts of a stack as its program would, by builder. Where the stack file cannot be read, or says `driftCheck: false`,
 * nothing is known of any. It throws nothing.
 */
export async function lookAtHostsOf(stack: string): Promise<ReadonlyMap<string, HostLook>> {
  const found = new Map<string, HostLook>();
  try {
    const { values, secretKeys, project } = await stackValues(stack, quiet);
    // The SDK reads it when it is loaded, and names the files of SSH clients after it.
    process.env.PULUMI_NODEJS_STACK ??= stack;
    const [{ readStackConfig }, { lookAtHosts }] = await Promise.all([
      import("../../config/load.ts"),
      import("../../stack/looks.ts"),
    ]);
    const config = readStackConfig(
      { values, secretKeys },
      { projectDir, environment: process.env },
    );
    if (!config.driftCheck) return found;
    const options = { stack: `${project}/${stack}`, freeRoom: true, seconds: SECONDS };
    const looks = await lookAtHosts(config, options);
    for (const [name, look] of looks.boards) {
      const common = { reason: undefined, free: undefined };
      if (look.is === "ours") {
        const lines = [...new Set(Object.values(look.changes).flat())];
        found.set(name, { ...common, drift: lines, free: look.free });
      } else if (look.is === "unknown") {
        found.set(name, { ...common, drift: undefined, reason: look.reason });
      } else if (look.is === "others") {
        found.set(name, { ...common, drift: [`the machine belongs to ${look.owner} now`] });
      } else {
        const line = `nothing of buildhosts is on the machine any more: ${look.since}`;
        found.set(name, { ...common, drift: [line] });
      }
    }
    for (const [name, { changes, free }] of looks.containers) {
      found.set(name, { drift: changes, reason: undefined, free });
    }
    for (const { name: host, builders } of config.dockerHosts) {
      const reason = looks.silentDockerHosts.get(host);
      if (reason === undefined) continue;
      for (const { name } of builders)
        found.set(name, { drift: undefined, reason, free: undefined });
    }
  } catch {
    // What is wrong with the stack file, its own commands say; this one has asked the builders themselves.
  }
  return found;
}

import type { BuilderLook } from "../../hosts/hostLook.ts";
import { stackValues } from "./engineSession.ts";
import { quiet } from "./output.ts";
import { projectDir } from "./stackFile.ts";

/** How long a host may take: an emulated board needs two seconds for a handshake. */
const SECONDS = 6;

/**
 * Looks at the hosts of a stack as its program would, by builder. Of a stack file that nobody can read, or that says
 * `driftCheck: false`, it knows no builder. It throws nothing.
 */
export async function lookAtHostsOf(stack: string): Promise<ReadonlyMap<string, BuilderLook>> {
  try {
    const { values, secretKeys, project } = await stackValues(stack, quiet);
    // The SDK reads it when it is loaded, and names the files of SSH clients after it.
    process.env.PULUMI_NODEJS_STACK ??= stack;
    const [{ readStackConfig }, { hostKinds }] = await Promise.all([
      import("../../config/load.ts"),
      import("../../hosts/kinds.ts"),
    ]);
    const config = readStackConfig(
      { values, secretKeys },
      { projectDir, environment: process.env },
    );
    if (!config.driftCheck) return new Map();
    const options = { stack: `${project}/${stack}`, freeRoom: true, seconds: SECONDS };
    const looks = await Promise.all(hostKinds.map((kind) => kind.look(config, options)));
    return new Map(looks.flat().map((look) => [look.builder, look]));
  } catch {
    // Other commands say what is wrong with a stack file; this one has the builders' own answers.
    return new Map();
  }
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Findings } from "../../config/findings.ts";
import { machineConnection, startedMachine } from "../virtualMachine.ts";
import type { PhysicalBoardInput, VirtualBoardInput } from "./boardSchema.ts";

/** A board as the stack file could describe it, and the mirror beside it. */
export type StartedBoard = PhysicalBoardInput & { mirror?: string };

/** A virtual board with the connection that the proving ground wrote down when it started it. */
export function startedBoard(
  { virtual: _, ...board }: VirtualBoardInput,
  projectDir: string,
  findings: Findings,
): StartedBoard | undefined {
  const found = startedMachine(machineConnection, "virtual-board", board.platform, projectDir);
  if (!found) {
    findings.refuse(
      ["virtual"],
      `the virtual ${board.platform} board is not running; start it with npm run up, which runs Pulumi too.`,
    );
    return undefined;
  }
  return {
    ...board,
    host: found.host,
    port: found.port,
    hostKey: found.hostKey,
    ssh: { privateKeyFile: found.identityFile },
    listen: { address: "0.0.0.0", port: 1234 },
    endpoint: { host: found.host, port: found.buildkitPort },
    mirror: provingGroundMirror(projectDir, found.gateway),
  };
}

/** The mirror on this machine's loopback, under the address that the board reaches it by; nothing where none runs. */
function provingGroundMirror(projectDir: string, gateway: string): string | undefined {
  try {
    const port = readFileSync(join(projectDir, ".buildhosts", "mirror.port"), "utf8");
    return `http://${gateway}:${Number(port)}`;
  } catch {
    return undefined;
  }
}

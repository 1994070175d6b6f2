import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Findings } from "./problems.ts";
import { boardConnection, type PhysicalBoardInput, type VirtualBoardInput } from "./schema.ts";

/** A board as the stack file could have described it, and the mirror beside it. */
export type LocatedBoard = PhysicalBoardInput & { mirror?: string };

/** A virtual board, as the proving ground has written it down when it started it. */
export function locatedBoard(
  { virtual: _, ...board }: VirtualBoardInput,
  projectDir: string,
  findings: Findings,
): LocatedBoard | undefined {
  const folder = join(projectDir, ".buildhosts");
  const file = join(folder, "virtual-board", `${board.platform.replace("linux/", "")}.json`);
  try {
    const found = boardConnection.parse(JSON.parse(readFileSync(file, "utf8")));
    return {
      ...board,
      host: found.host,
      port: found.port,
      hostKey: found.hostKey,
      ssh: { privateKeyFile: found.identityFile },
      listen: { address: "0.0.0.0", port: 1234 },
      endpoint: { host: found.host, port: found.buildkitPort },
      mirror: provingGroundMirror(folder, found.gateway),
    };
  } catch {
    findings.refuse(
      ["virtual"],
      `the virtual ${board.platform} board is not running; start it with npm run up, which runs Pulumi too.`,
    );
    return undefined;
  }
}

/** The mirror on this machine's loopback, as the board sees it, where there is one. */
function provingGroundMirror(folder: string, gateway: string): string | undefined {
  try {
    return `http://${gateway}:${Number(readFileSync(join(folder, "mirror.port"), "utf8"))}`;
  } catch {
    return undefined;
  }
}

import { hostKind, type PoolMachine } from "../hostKind.ts";
import { startedPlatform } from "../virtualMachine.ts";
import { refuseImpossibleBoard, warnOfBoard } from "./boardChecks.ts";
import { type BoardAsWritten, type BoardInput, boardSchema, boardsSchema } from "./boardSchema.ts";
import { type BoardConfig, endpointOf, resolveBoard } from "./resolveBoard.ts";
import { refuseSameBoards } from "./sameBoards.ts";

/** `buildhosts:boards`: machines that run buildkitd as a service, each one builder. */
export const boardKind = hostKind<"boards", BoardAsWritten, BoardInput, BoardConfig>({
  key: "boards",
  schema: boardsSchema,
  entry: boardSchema,
  dialsAgent: true,
  completed: (board, { projectDir }) =>
    board.virtual
      ? { ...board, platform: board.platform ?? startedPlatform(projectDir, "virtual-board") }
      : board,
  builders: (board) => [
    {
      name: board.name,
      endpoint: endpointOf(board),
      host: board.name,
      platforms: board.buildkitd.worker?.platforms ?? [board.platform],
    },
  ],
  poolMachine: boardForPool,
  poolConnection: ({ name, connection }) => ({ name, connection }),
  machine: (board) => (board.virtual ? undefined : (board.jump?.host ?? board.host)),
  installs: ({ platform, rootless }) => ({ platform, rootless }),
  needsStackKey: (board) => !board.virtual && !board.ssh,
  refuseSame: refuseSameBoards,
  refuseImpossible: refuseImpossibleBoard,
  warnOfRisks: warnOfBoard,
  resolved: resolveBoard,
  look: async (boards, options) =>
    boards.length > 0 ? (await import("./boardLook.ts")).lookAtBoards(boards, options) : [],
  composition: async () => {
    const { boardBuilder } = await import("./boardBuilder.ts");
    return (board, certificates, drift) => [boardBuilder(board, certificates, drift)];
  },
});

function boardForPool(board: BoardInput): PoolMachine {
  const { name, virtual, abandon, metrics } = board;
  const ports = board.virtual
    ? [{ port: 1234, what: "buildkitd" }]
    : [
        { port: board.port, what: "sshd" },
        { port: board.listen.port, what: "buildkitd" },
      ];
  if (metrics) ports.push({ port: metrics.port, what: "buildkitd's metrics" });
  return {
    ...{ name, abandon, ports, isDocker: false, isVirtual: virtual === true },
    host: endpointOf(board)?.host,
  };
}

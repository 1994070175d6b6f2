import { run } from "./preparation.ts";
import type { BoardConnection, BoardKind, VirtualBoard } from "./virtualBoard.ts";

export interface PoolBoardConnection extends BoardConnection {
  /** Port on `host` that is forwarded to the board's 1235. */
  poolPort: number;
}

/** A board with a port more that is reached from this machine: that of a pool. */
export const poolBoardKind: BoardKind<PoolBoardConnection> = {
  name: "virtual-pool-board",
  ports: [1235],
  connection: (base, ports) => ({ ...base, poolPort: ports.get(1235) as number }),
};

/** Lets apt on the board install from Debian's archive, which the proxy at `port` of this machine's loopback serves. */
export async function useArchive(board: VirtualBoard, port: number): Promise<void> {
  await run(
    board,
    `rm -rf /etc/apt/sources.list.d/*
     echo 'deb [trusted=yes] http://debian.invalid/debian trixie main' >/etc/apt/sources.list
     echo 'Acquire::http::Proxy "http://${board.connection.gateway}:${port}";' >/etc/apt/apt.conf.d/proxy`,
  );
}

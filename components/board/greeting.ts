import { connect } from "node:net";

/** How long a host may say nothing until somebody is told, and until it is given up, in seconds. */
const PATIENCE = { notice: 10, limit: 40 };

/**
 * Whether the SSH server at `host:port` begins to speak; why not, where it accepted the connection and said nothing. A
 * connection that is refused or ended is left to the step, which says it better: but its handshake has no bound, where
 * the kernel accepts for a server that hangs.
 */
export function silenceAt(
  host: string,
  port: number,
  notice: (line: string) => void,
  { notice: noticeSeconds, limit }: typeof PATIENCE = PATIENCE,
  isOver?: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let isAccepted = false;
    const socket = connect({ host, port });
    const end = (reason: string | undefined) => {
      clearTimeout(first);
      clearTimeout(last);
      socket.destroy();
      resolve(reason);
    };
    const first = setTimeout(() => {
      if (!isAccepted) return;
      notice(
        `the connection is accepted, but no SSH server has spoken for ${noticeSeconds} s; it is waited for, until ${limit} s`,
      );
    }, noticeSeconds * 1000);
    const last = setTimeout(
      () => end(isAccepted ? `no SSH server spoke for ${limit} s` : undefined),
      limit * 1000,
    );
    socket.on("connect", () => {
      isAccepted = true;
    });
    socket.on("data", () => end(undefined));
    socket.on("error", () => end(undefined));
    socket.on("close", () => end(undefined));
    isOver?.addEventListener("abort", () => end(undefined));
  });
}

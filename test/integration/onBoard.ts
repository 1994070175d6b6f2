import { until } from "../../proving-ground/board/machineParts.ts";
import type { VirtualBoard } from "../../proving-ground/board/virtualBoard.ts";

/** What a command says on the board, without the last line's end. @throws when it fails. */
export async function on(board: VirtualBoard, command: string): Promise<string> {
  const { code, stdout, stderr } = await board.ssh(command);
  if (code !== 0) throw new Error(`on the board: ${command}: exit ${code}: ${stderr}${stdout}`);
  return stdout.trimEnd();
}

/** Type, mode, owner, path and target of everything where an installation could leave something. */
export function filesOf(board: VirtualBoard): Promise<string> {
  return on(
    board,
    // /etc/resolv.conf and the like change by themselves only in their times, which are not listed.
    "find /usr/local /etc /opt /run/buildkit /run/containerd -printf '%y %m %U:%G %p %l\\n' 2>/dev/null | sort -k 4",
  );
}

/** The main process of each of our services; 0 for one that does not run. */
export async function pidsOf(
  board: VirtualBoard,
): Promise<{ containerd: number; buildkitd: number }> {
  const pid = async (unit: string) =>
    Number(await on(board, `systemctl show --property MainPID --value ${unit}`));
  return {
    containerd: await pid("containerd.service"),
    buildkitd: await pid("buildkitd.service"),
  };
}

/** Of the buildkitd that is found on the board's PATH: `v0.34.2`. */
export function buildkitVersion(board: VirtualBoard): Promise<string> {
  return on(board, "buildkitd --version | cut -d ' ' -f 3");
}

/** Asks until the answer is right, for at most `seconds`. */
export function eventually(
  what: string,
  seconds: number,
  holds: () => Promise<boolean>,
): Promise<void> {
  return until(seconds, what, holds, 200);
}

/** What a run says that somebody changed by hand, or that it does not know it; times left out. */
export function drift({ output }: { output: string }): string[] {
  const said =
    /^\s*warning: (.*(?:; the update mends it\.|; stop that program, .*|changed it by hand is not known.*))$/gm;
  return [...output.matchAll(said)].map(([, line]) =>
    String(line).replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, "TIME"),
  );
}

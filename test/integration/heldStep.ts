import type { CommandResult } from "../../proving-ground/board/sshSession.ts";
import type { VirtualBoard } from "../../proving-ground/board/virtualBoard.ts";
import { eventually, on } from "./onBoard.ts";

/**
 * A program of the board that stops, whenever boardctl calls it with arguments that match, until it is
 * released: so a test acts in the middle of a step, and not after a pause that it hopes is right.
 */
export interface HeldStep {
  /** Returns when the step is reached. */
  reached(): Promise<void>;
  /** Kills everything of the session that holds, as a kill of its whole process group would. */
  kill(): Promise<void>;
  /** Lets the step go on, and every later one too. */
  release(): Promise<void>;
}

/**
 * @param program such as `tar`, found in boardctl's PATH before the board's own.
 * @param pattern of `case`, on all arguments in one string.
 */
export async function hold(
  board: VirtualBoard,
  program: string,
  pattern: string,
): Promise<HeldStep> {
  await intercept(
    board,
    program,
    pattern,
    // Bounded: ten minutes, should the test die.
    `ps -o sid= -p $$ >/run/held.new && mv -f /run/held.new /run/held
     n=0; while [ -e ${wrapper(program)} ] && [ $n -lt 3000 ]; do /usr/bin/sleep 0.2; n=$((n + 1)); done`,
  );
  await on(board, "rm -f /run/held");
  return {
    reached: () =>
      eventually(`boardctl to call ${program} ${pattern}`, 120, async () =>
        board.ssh("test -e /run/held").then(({ code }) => code === 0),
      ),
    kill: async () => {
      await on(
        board,
        `sid=$(cat /run/held); pkill -KILL -s $sid; rm -f ${wrapper(program)} /run/held
         n=0; while pgrep -s $sid >/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
         ! pgrep -s $sid`,
      );
    },
    release: async () => {
      await on(board, `rm -f ${wrapper(program)}`);
    },
  };
}

/** Before `program` is called with such arguments, `script` runs; it may `exit`. */
export async function intercept(
  board: VirtualBoard,
  program: string,
  pattern: string,
  script: string,
): Promise<void> {
  const text = `#!/bin/sh\ncase "$*" in ${pattern})\n${script}\n;; esac\nexec /usr/bin/${program} "$@"\n`;
  const path = wrapper(program);
  const { code } = await board.ssh(
    `cat >${path}.new && chmod 755 ${path}.new && mv ${path}.new ${path}`,
    text,
  );
  if (code !== 0) throw new Error(`${path} cannot be written on the board`);
}

export async function doNotIntercept(board: VirtualBoard, program: string): Promise<void> {
  await on(board, `rm -f ${wrapper(program)}`);
}

/** In front of /usr/bin in the PATH that boardctl sets. */
function wrapper(program: string): string {
  return `/usr/local/sbin/${program}`;
}

/** Runs `command` up to the step, kills it there, and returns how it ended. */
export async function killAt(
  board: VirtualBoard,
  program: string,
  pattern: string,
  command: { create: string; stdin: string },
): Promise<CommandResult> {
  const step = await hold(board, program, pattern);
  const running = board.ssh(command.create, command.stdin);
  await Promise.race([
    step.reached(),
    running.then(({ code, stderr }) => {
      throw new Error(`ended before ${program} ${pattern}, with ${code}: ${stderr}`);
    }),
  ]);
  await step.kill();
  return await running;
}

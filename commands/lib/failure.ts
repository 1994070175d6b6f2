/** The exit codes of every command. docs/command-line.md has them for users. */
export const exitCodes = {
  /** All is well. */
  well: 0,
  /** A builder cannot be used, or what was to be done was not done. */
  failed: 1,
  /** The command line is wrong: an option, a builder or a client that does not exist. */
  usage: 2,
  /** All works, and something needs attention: see the lines that begin with `!`. */
  attention: 3,
  /** The stack cannot be read, or it is down. */
  noStack: 4,
  /** A program is missing that the command needs. */
  noProgram: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends a command with one line for its user and an exit code. */
export class Failure extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The worst of `codes`: a failure before what needs attention. */
export function worst(codes: ExitCode[]): ExitCode {
  const order: ExitCode[] = [4, 5, 2, 1, 3, 0];
  return order.find((code) => codes.includes(code)) ?? exitCodes.well;
}

import type { Explanation } from "./explain.ts";

/** How a tool ends: its last line, and the exit code that goes with it. */
export const ended = {
  well(line: string): number {
    process.stderr.write(`✓ ${line}\n`);
    return 0;
  },
  failed(line: string, explanations: Explanation[] = []): number {
    for (const one of explanations) process.stderr.write(`✗ ${one.resource}: ${one.line}\n`);
    process.stderr.write(`✗ ${line}\n`);
    return 1;
  },
};

/** Runs a tool to its exit code; an error becomes its one line, without a stack trace. */
export async function runTool(tool: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await tool();
  } catch (error) {
    process.exitCode = ended.failed(error instanceof Error ? error.message : String(error));
  }
}

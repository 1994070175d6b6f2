import { failedStep } from "../../runtime/progress.ts";
import type { Explanation } from "./explain.ts";
import type { ToolLog } from "./toolLog.ts";

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

/**
 * Runs a tool to its exit code. An error becomes its last lines: the step that failed, the cause, and where the log is,
 * without a stack trace. Whatever else has begun by then ends with this process: it may take minutes, and everything in
 * the proving ground bears being killed.
 */
export async function runTool(tool: () => Promise<number>, log?: ToolLog): Promise<void> {
  try {
    process.exitCode = await tool();
    log?.close();
  } catch (error) {
    log?.close();
    const step = failedStep(error);
    if (step !== undefined) process.stderr.write(`✗ failed: ${step}\n`);
    process.exitCode = ended.failed(error instanceof Error ? error.message : String(error));
    log?.detail(String((error as Error)?.stack ?? error));
    if (log?.file) process.stderr.write(`  The whole log is in ${log.file}\n`);
  }
  // Not before all of that is written, which is later where standard error is a pipe.
  if (process.exitCode !== 0) process.stderr.write("", () => process.exit());
}

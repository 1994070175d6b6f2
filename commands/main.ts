import { join } from "node:path";
import { failedStep } from "../runtime/progress.ts";
import { exitCodes, Failure } from "./lib/failure.ts";
import { startedBy } from "./lib/options.ts";
import { looking, working } from "./lib/output.ts";
import { buildhosts, tools } from "./program.ts";

const [, , command = ""] = process.argv;
if (Object.hasOwn(tools, command)) {
  // The tool of `npm run <command>`: it reads the command line itself, `--` included.
  startedBy.bin = true;
  const script = join(import.meta.dirname, `${command}.ts`);
  process.argv.splice(1, 2, script);
  await import(script);
} else {
  process.exitCode = await run();
  // A connection that was given up may be open for a while yet; what was written to a pipe must be out first.
  process.stdout.write("", () => process.stderr.write("", () => process.exit()));
}

/** Runs a command to its exit code; what it throws becomes its last line. */
async function run(): Promise<number> {
  // Into `head`, for instance: nobody reads on.
  process.stdout.on("error", () => process.exit(exitCodes.well));
  try {
    return await buildhosts(process.argv.slice(2));
  } catch (error) {
    looking.close();
    working.close();
    const step = failedStep(error);
    if (step !== undefined && !(error instanceof Failure))
      process.stderr.write(`✗ failed: ${step}\n`);
    process.stderr.write(`✗ ${error instanceof Error ? error.message : String(error)}\n`);
    if (process.env.BUILDHOSTS_DEBUG) process.stderr.write(`${(error as Error).stack}\n`);
    return error instanceof Failure ? error.exitCode : exitCodes.failed;
  }
}

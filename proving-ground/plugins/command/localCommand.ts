import { spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import type { Log, PluginFunction } from "../provider/plugin.ts";
import { check } from "../provider/shapes.ts";
import { type PropertyMap, reveal } from "../provider/values.ts";
import { type CommandInputs, commandResource, previousOutputEnvironment } from "./command.ts";
import { capture, failure, type Output } from "./output.ts";
import { LOCAL_COMMAND, LOCAL_RUN } from "./shapes.ts";

interface LocalInputs extends CommandInputs {
  readonly interpreter?: readonly string[];
  readonly dir?: string;
}

/** The system's words for the signals that usually end a command. */
const SIGNALS: { readonly [signal: string]: string } = {
  SIGHUP: "hangup",
  SIGINT: "interrupt",
  SIGKILL: "killed",
  SIGTERM: "terminated",
};

/** `command:local:Command`: runs commands on this machine when the resource is made, changed, removed. */
export const localCommand = commandResource(LOCAL_COMMAND, (command, inputs, previous, request) =>
  runHere(command, inputs as LocalInputs, previous, request.log, request.signal),
);

/** `command:local:run`: runs a command on this machine whenever the program runs, in previews too. */
export const localRun: PluginFunction = {
  check: (args) => check(args, LOCAL_RUN),
  async invoke(args, { log, signal }) {
    const inputs = reveal(args) as PropertyMap;
    const nothing = { stdout: "", stderr: "" };
    const output = await runHere(
      inputs.command as string,
      inputs as LocalInputs,
      nothing,
      log,
      signal,
    );
    return { ...args, ...output };
  },
};

async function runHere(
  command: string,
  inputs: LocalInputs,
  previous: Output,
  log: Log,
  signal: AbortSignal,
): Promise<Output> {
  const shell = process.platform === "win32" ? ["cmd", "/C"] : ["/bin/sh", "-c"];
  const interpreter = inputs.interpreter?.length ? inputs.interpreter : shell;
  const [program = "", ...args] = [...interpreter, command];
  const captured = capture(inputs.logging, log);
  // spawn() says the same of a folder that is missing as of a program that is.
  if (inputs.dir !== undefined && !(await isFolder(inputs.dir))) {
    throw failure(`chdir ${inputs.dir}: no such file or directory`, command, captured);
  }
  const child = spawn(program, args, {
    cwd: inputs.dir,
    env: {
      ...process.env,
      ...inputs.environment,
      ...previousOutputEnvironment(inputs, previous),
    },
    signal,
    killSignal: "SIGKILL",
  });
  child.stdout.on("data", captured.stdout);
  child.stderr.on("data", captured.stderr);
  // A command need not read what it is given.
  child.stdin.on("error", () => {});
  child.stdin.end(inputs.stdin ?? "");
  const end = await new Promise<string | undefined>((resolve) => {
    child.on("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code === "ENOENT" ? `exec: ${program}: not found` : error.message),
    );
    child.on("close", (code, killedBy) => {
      if (killedBy !== null) resolve(`signal: ${SIGNALS[killedBy] ?? killedBy}`);
      else resolve(code === 0 ? undefined : `exit status ${code}`);
    });
  });
  if (end !== undefined) throw failure(end, command, captured);
  return captured.finish();
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

import { randomBytes } from "node:crypto";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { execa, type Options } from "execa";
import { parse, stringify } from "yaml";
import { cacheDir } from "../../runtime/cache.ts";
import { type Engine, ensureEngine } from "../../runtime/engine/engine.ts";
import { areUsersOwn, ensurePlugins, pulumiHomeOf } from "../../runtime/plugins.ts";
import type { Progress } from "../../runtime/progress.ts";
import { type Explanation, explain } from "./explain.ts";
import { lastLine } from "./lastLine.ts";
import { type Plan, planOf } from "./plan.ts";
import { runEngine } from "./runEngine.ts";
import {
  hasGithub,
  isProvingGround,
  localDir,
  projectDir,
  requireStackFile,
  stackFile,
  stepsOf,
} from "./stackFile.ts";

/** How a run of the engine ended. */
export interface EngineRun {
  code: number;
  explanations: Explanation[];
  /** What a preview plans for each host. */
  plan(): Plan;
  /** Whether the engine saw all that it was to see, even if that is not what was expected. */
  isWhole?: boolean;
  /** Somebody was asked, and said no. */
  isDeclined?: boolean;
}

/** A Pulumi engine with plugins, a backend and an environment, bound to one stack. */
export interface EngineSession {
  stack: string;
  engine: Engine;
  env: Record<string, string>;
  /** The project's name. */
  project: string;
  /** The URL of the backend; undefined where it is not known. */
  backend: string | undefined;
  /** Runs pulumi on the stack, its output shown; its exit code, and what is to be said of its errors. */
  run(args: string[]): Promise<EngineRun>;
  /** Whether the stack has no resource. */
  isEmpty(): Promise<boolean>;
  /** The state, secrets encrypted. */
  // biome-ignore lint/suspicious/noExplicitAny: the engine defines its shape.
  exported(): Promise<any>;
  /** Puts `state` in the place of what there is. */
  imported(state: object): Promise<void>;
  /** The stack's outputs, secrets in the clear. */
  outputs(): Promise<Record<string, unknown>>;
}

export async function engineSession(stack: string, log: Progress): Promise<EngineSession> {
  const { engine, env, project, backend } = await engineOf(stack, log);
  await ensurePlugins(engine, pulumiHomeOf(projectDir), log, {
    github: await hasGithub(stack),
  });
  const configFile: string[] = [];
  let stackHome = projectDir;
  if (isProvingGround(stack)) {
    stackHome = await stackFolder(stack);
    configFile.push("--config-file", join(stackHome, `Pulumi.${stack}.yaml`));
  }

  const options = { cwd: projectDir, env, reject: false } satisfies Options;
  const selected = await execa(
    engine.pulumi,
    ["stack", "select", "--create", "--stack", stack, "--non-interactive"],
    { ...options, cwd: stackHome },
  );
  if (selected.exitCode !== 0) {
    throw new Error(
      `stack '${stack}': ${lastLine(String(selected.stderr)) || `pulumi cannot select it`}`,
    );
  }

  const exported = async () => {
    const { stdout, exitCode, stderr } = await execa(
      engine.pulumi,
      ["stack", "export", "--stack", stack],
      options,
    );
    if (exitCode !== 0)
      throw new Error(
        `stack '${stack}': ${lastLine(String(stderr)) ?? `pulumi ended with ${exitCode}`}`,
      );
    return JSON.parse(String(stdout));
  };
  return {
    stack,
    engine,
    env,
    project: project.name,
    backend,
    async run(args) {
      const takes = flagsOf(args[0]);
      const { code, events } = await runEngine({
        pulumi: engine.pulumi,
        args: [
          ...args,
          ...(takes.stack ? ["--stack", stack] : []),
          ...(takes.configFile ? configFile : []),
        ],
        logFlags: takes.eventLog ? ["--event-log"] : [],
        cwd: projectDir,
        env: { ...env, ...refreshByProgram(args[0]) },
      });
      return {
        code,
        explanations: explain(events),
        plan: () => planOf(events),
        isWhole: /"summaryEvent":\{.*"result":"succeeded"/.test(events),
      };
    },
    async isEmpty() {
      return !(await exported()).deployment?.resources?.length;
    },
    exported,
    async imported(state) {
      const { exitCode, stderr } = await execa(
        engine.pulumi,
        ["stack", "import", "--stack", stack],
        { ...options, input: JSON.stringify(state) },
      );
      if (exitCode !== 0)
        throw new Error(
          `stack '${stack}': ${lastLine(String(stderr)) ?? `pulumi ended with ${exitCode}`}`,
        );
    },
    outputs: () => outputsOf(stack, engine, options),
  };
}

/** The engine, what is in its environment, and where the state is. */
interface PreparedEngine {
  engine: Engine;
  env: Record<string, string>;
  project: { name: string };
  backend: string | undefined;
}

async function engineOf(stack: string, log: Progress): Promise<PreparedEngine> {
  // A misspelt name would become a stack.
  await requireStackFile(stack);
  const engine = await ensureEngine(log);
  const env: Record<string, string> = { ...engine.env };
  env.PATH = [join(projectDir, "node_modules", ".bin"), env.PATH ?? process.env.PATH].join(
    delimiter,
  );
  // The engine offers its event log to programs only: the Automation API asks for it the same way.
  env.PULUMI_DEBUG_COMMANDS = "true";
  env.NODE_COMPILE_CACHE = process.env.NODE_COMPILE_CACHE ?? cacheDir("node-compile");
  // The engine lives for seconds: collecting its garbage as often as a server's costs a fifth of its time.
  env.GOGC = process.env.GOGC ?? "400";
  Object.assign(env, await stepsOf(stack));
  if (!(await areUsersOwn())) {
    env.PULUMI_HOME = pulumiHomeOf(projectDir);
    // A login stays where the user has it.
    env.PULUMI_CREDENTIALS_PATH ??= process.env.PULUMI_CREDENTIALS_PATH ?? userHome();
    // A package that is not in the cache by now is out of reach: do not wait for the network to confirm that.
    env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
  }
  const project = parse(await readFile(join(projectDir, "Pulumi.yaml"), "utf8"));
  let backend = await chosenBackend(project);
  if (!backend) {
    await mkdir(join(localDir, "state"), { recursive: true });
    backend = `file://${join(localDir, "state")}`;
    env.PULUMI_BACKEND_URL = backend;
  }
  if (isProvingGround(stack)) Object.assign(env, await chosenPassphrase(stack));
  return { engine, env, project, backend };
}

const prepared = new Map<string, Promise<PreparedEngine>>();

/** The engine of a stack, prepared once for all that ask for it at the same time. */
function engineFor(stack: string, log: Progress): Promise<PreparedEngine> {
  const known = prepared.get(stack) ?? engineOf(stack, log);
  prepared.set(stack, known);
  // Whoever asks after a failure tries again.
  known.catch(() => prepared.delete(stack));
  return known;
}

/**
 * The outputs of the stack's last update, secrets in the clear, by one call of the engine. It looks for no plugin, and
 * makes no stack.
 * `meanwhile` is work for the time that the engine takes.
 *
 * @throws one line, when there is no such stack or its secrets cannot be read.
 */
export async function stackOutputs(
  stack: string,
  log: Progress,
  meanwhile?: () => Promise<unknown>,
): Promise<Record<string, unknown>> {
  const { engine, env } = await engineFor(stack, log);
  const outputs = outputsOf(stack, engine, { cwd: projectDir, env, reject: false });
  const [known] = await Promise.all([outputs, meanwhile?.()]);
  return known;
}

/** A stack's configuration as its program would get it, secrets in the clear. */
export interface StackValues {
  project: string;
  values: Record<string, string>;
  secretKeys: string[];
}

/** @throws one line, when it cannot be read. */
export async function stackValues(stack: string, log: Progress): Promise<StackValues> {
  const { engine, env, project } = await engineFor(stack, log);
  const file = isProvingGround(stack)
    ? ["--config-file", join(await stackFolder(stack), `Pulumi.${stack}.yaml`)]
    : [];
  const { stdout, stderr, exitCode } = await execa(
    engine.pulumi,
    ["config", "--json", "--show-secrets", "--stack", stack, ...file],
    { cwd: projectDir, env, reject: false },
  );
  if (exitCode !== 0) throw new Error(`stack '${stack}': ${lastLine(String(stderr))}`);
  const found: Record<string, { value?: string; secret?: boolean }> = JSON.parse(String(stdout));
  const entries = Object.entries(found);
  return {
    project: project.name,
    values: Object.fromEntries(entries.map(([key, { value = "" }]) => [key, value])),
    secretKeys: entries.filter(([, { secret }]) => secret).map(([key]) => key),
  };
}

async function outputsOf(
  stack: string,
  engine: Engine,
  options: Options,
): Promise<Record<string, unknown>> {
  const { stdout, exitCode, stderr } = await execa(
    engine.pulumi,
    ["stack", "output", "--json", "--show-secrets", "--stack", stack],
    options,
  );
  if (exitCode !== 0)
    throw new Error(
      `stack '${stack}': ${lastLine(String(stderr)) ?? `pulumi ended with ${exitCode}`}`,
    );
  return JSON.parse(String(stdout));
}

/**
 * Runs the program before a refresh, so that the refresh reaches hosts as the stack file says now. Otherwise it would
 * use the connections of the last run, and a new clone has no files of the SSH client yet. A destroy does not run the
 * program, because it must also work with a broken stack file.
 */
export function refreshByProgram(command: string | undefined): Record<string, string> {
  return command === "destroy" ? {} : { PULUMI_RUN_PROGRAM: "true" };
}

/** Which of our flags a command of pulumi has; it refuses the others. */
function flagsOf(command: string | undefined) {
  const has = (...commands: string[]) => command !== undefined && commands.includes(command);
  const eventLog = has("up", "update", "preview", "destroy", "refresh");
  const configFile = eventLog || has("config", "import", "watch");
  return {
    eventLog,
    configFile,
    stack: configFile || has("stack", "state", "cancel", "about", "console"),
  };
}

/** The backend of a user who logged in, or named one, which is to choose; of one with a token alone, Pulumi's own. */
async function chosenBackend(project: { backend?: { url?: string } }): Promise<string | undefined> {
  const { PULUMI_BACKEND_URL, PULUMI_ACCESS_TOKEN } = process.env;
  const named = PULUMI_BACKEND_URL || project.backend?.url;
  if (named) return named;
  try {
    const path = join(process.env.PULUMI_CREDENTIALS_PATH ?? userHome(), "credentials.json");
    const { current } = JSON.parse(await readFile(path, "utf8"));
    if (current) return current;
  } catch {
    // Nobody has logged in.
  }
  return PULUMI_ACCESS_TOKEN ? "https://api.pulumi.com" : undefined;
}

function userHome(): string {
  return process.env.PULUMI_HOME ?? join(homedir(), ".pulumi");
}

/** The passphrase of a stack of the proving ground: made at random once, and kept beside the state that it protects. */
async function chosenPassphrase(stack: string): Promise<Record<string, string>> {
  if (process.env.PULUMI_CONFIG_PASSPHRASE !== undefined) return {};
  if (process.env.PULUMI_CONFIG_PASSPHRASE_FILE) return {};
  const file = join(localDir, `${stack}.passphrase`);
  await mkdir(localDir, { recursive: true, mode: 0o700 });
  try {
    await writeFile(file, randomBytes(24).toString("base64url"), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return { PULUMI_CONFIG_PASSPHRASE_FILE: file };
}

/**
 * A folder with copies of Pulumi.yaml and of the stack file, in which the stack is made: pulumi writes the
 * salt of the passphrase into the stack file there, and the committed one stays as it is in every clone.
 */
async function stackFolder(stack: string): Promise<string> {
  const folder = join(localDir, stack);
  await mkdir(folder, { recursive: true });
  await copyFile(join(projectDir, "Pulumi.yaml"), join(folder, "Pulumi.yaml"));
  const copy = join(folder, `Pulumi.${stack}.yaml`);
  const { encryptionsalt } = parse(await readFile(copy, "utf8").catch(() => "")) ?? {};
  const committed = parse(await readFile(stackFile(stack), "utf8"));
  await writeFile(copy, stringify({ ...committed, ...(encryptionsalt && { encryptionsalt }) }));
  return folder;
}

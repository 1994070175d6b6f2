import { existsSync } from "node:fs";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { delimiter, join, relative, resolve } from "node:path";
import { commandLine, quote } from "../components/shell.ts";
import {
  type BuildxBuilder,
  buildThrough,
  buildxMissing,
  readBuildx,
  removeBuildx,
  requireOurs,
  writeBuildx,
} from "./lib/buildx.ts";
import { type ClientFiles, writeClientFiles } from "./lib/clientFiles.ts";
import { Control, type Worker } from "./lib/control.ts";
import { type ExitCode, exitCodes, Failure } from "./lib/failure.ts";
import { clientOf, type KnownBuilder, type KnownPool, knownStack } from "./lib/knownStack.ts";
import { type Look, lookAtAll } from "./lib/look.ts";
import { counted, duration, print, printJson, warn, working } from "./lib/output.ts";
import { chosenOnes, projectLabel, targetsOf } from "./lib/project.ts";
import { shortError } from "./lib/reach.ts";
import { localDir, requireStackFile } from "./lib/stackFile.ts";
import { buildProbe } from "./lib/step.ts";

const LOOK_MS = 5_000;
const STEP_MS = 120_000;

export interface ConnectOptions {
  stack: string;
  client?: string;
  json?: boolean;
  /** Of the buildx builder. */
  name?: string;
  /** What is built: by it a pool chooses a builder. Default: the client's name. */
  project?: string;
  remove?: boolean;
  nerdctl?: boolean;
}

/** The result, as `--json` prints it. */
interface Connection {
  stack: string;
  client: string;
  files: string;
  buildx: string | null;
  done: string[];
  left: { builder: string; why: string }[];
  built: { builder: string; ms: number | null; error: string | null }[];
  use: string[];
}

export async function connect(options: ConnectOptions): Promise<ExitCode> {
  return options.remove ? remove(options) : make(options);
}

function folderOfClients(stack: string): string {
  return join(localDir, "clients", stack);
}

async function make(options: ConnectOptions): Promise<ExitCode> {
  const { stack, client, json, nerdctl } = options;
  const label = options.project === undefined ? undefined : projectLabel(options.project);
  const known = await knownStack(stack);
  const { name: clientName, files } = clientOf(known, client);
  const folder = resolve(folderOfClients(stack), clientName);
  const buildxName = options.name ?? nameOf(known.buildxName, label);
  const project = label ?? projectLabel(clientName);
  const targets = targetsOf(known, project);
  const connection: Connection = {
    ...{ stack, client: clientName, files: folder, buildx: null },
    ...{ done: [], left: [], built: [], use: [] },
  };
  const say = (line: string) => {
    connection.done.push(line);
    if (!json) working.note(line);
  };

  const looks = await working.step(`ask ${counted(targets.length, "builder")}`, () =>
    lookAtAll(targets, files, LOOK_MS),
  );
  const answering = looks.filter(({ unreachable }) => !unreachable);
  for (const { builder, unreachable, fix } of looks) {
    if (!unreachable) continue;
    connection.left.push({ builder: builder.name, why: unreachable });
    warn(`${builder.name} is left out: ${unreachable}${fix ? `; ${fix}` : ""}`);
  }
  if (answering.length === 0) {
    throw new Failure(
      exitCodes.failed,
      `stack '${stack}': no builder answers; nothing was changed; see: buildhosts doctor ${targets[0]?.name}`,
    );
  }
  const builders = nodesOf(answering, known.pools, label);
  const live = answering.filter(({ builder }) =>
    builders.some(({ name }) => name === builder.name),
  );

  // Before it writes anything: files of other programs stay untouched.
  const missing = nerdctl ? "nerdctl was asked for" : await buildxMissing();
  let existing: BuildxBuilder | undefined;
  if (!missing) {
    existing = await readBuildx(buildxName);
    if (existing) requireOurs(existing, folderOfClients(stack));
  }

  await writeClientFiles({ clientCertificates: { [clientName]: files } }, clientName, folder);
  say(`wrote ca.pem, cert.pem and key.pem of client '${clientName}' to ${shown(folder)}`);
  if (!missing) {
    for (const line of await writeBuildx(buildxName, existing, builders, folder))
      say(`buildx builder '${buildxName}': ${line}`);
    connection.buildx = buildxName;
  } else if (!nerdctl) {
    warn(`no buildx builder was made: ${missing}; buildctl needs none`);
  }

  connection.built = await working.step(
    `build an image on ${counted(live.length, "builder")}`,
    () => buildOnEach(live, files),
  );
  for (const { builder, ms, error } of connection.built) {
    if (error) warn(`${builder}: no image was built: ${error}; see: buildhosts doctor ${builder}`);
    else if (!json)
      working.note(
        ms === null
          ? `${builder}: no image for its processor to try`
          : `${builder}: built an image in ${duration(ms)}`,
      );
  }
  if (!missing) {
    // One platform of each builder: buildx asks the first node that has it.
    const platforms = [...new Set(builders.flatMap((one) => one.platforms.slice(0, 1)))];
    const ms = await working.step(`build an image with buildx for ${platforms.join(", ")}`, () =>
      buildThrough(buildxName, platforms),
    );
    say(`buildx builder '${buildxName}': built an image in ${duration(ms)}`);
  }
  working.close();

  connection.use = nerdctl
    ? await nerdctlLines(builders, folder)
    : missing
      ? builders.flatMap((builder) => buildctlLines(builder, folder))
      : [
          `docker buildx build --builder ${buildxName} --platform ${builders[0]?.platforms[0]} .`,
          `docker buildx use ${buildxName}    # to leave out --builder`,
          ...builders.map(({ endpoint }) => `export BUILDKIT_HOST=${endpoint}    # for buildctl`),
        ];
  if (json) printJson(connection);
  else print(["", "Use it:", ...connection.use.map((line) => `  ${line}`)].join("\n"));
  if (connection.built.some(({ error }) => error)) return exitCodes.failed;
  return connection.left.length > 0 ? exitCodes.attention : exitCodes.well;
}

/** The buildx builder of a project has a name of its own, beside those of other projects. */
function nameOf(buildxName: string, label: string | undefined): string {
  return label === undefined ? buildxName : `${buildxName}-${label}`;
}

/** All builders that answer; for a project, the one for each platform that it is built on. */
function nodesOf(answering: Look[], pools: KnownPool[], label: string | undefined): KnownBuilder[] {
  const live = answering.map(({ builder }) => builder);
  return label === undefined ? live : chosenOnes(live, pools, label);
}

async function buildOnEach(live: Look[], files: ClientFiles): Promise<Connection["built"]> {
  return Promise.all(live.map((look) => buildOn(look.builder, look.workers, files)));
}

async function buildOn(builder: KnownBuilder, workers: Worker[], files: ClientFiles) {
  const control = new Control(builder, files);
  try {
    const ms = await buildProbe(control, workers, STEP_MS);
    return { builder: builder.name, ms: ms === undefined ? null : Math.round(ms), error: null };
  } catch (error) {
    return { builder: builder.name, ms: null, error: shortError(error) };
  } finally {
    control.close();
  }
}

function buildctlLines({ endpoint, serverName }: KnownBuilder, folder: string): string[] {
  const flags = commandLine("--tlsservername", serverName, "--tlsdir", folder);
  return [
    `export BUILDKIT_HOST=${quote(endpoint)}`,
    `buildctl ${flags} build --frontend dockerfile.v0 --local context=. --local dockerfile=.`,
  ];
}

/**
 * nerdctl starts the `buildctl` that it finds on PATH, and has no way to hand certificates on: a script of that name does.
 */
async function nerdctlLines(builders: KnownBuilder[], folder: string): Promise<string[]> {
  const buildctl = onPath("buildctl");
  if (!buildctl)
    throw new Failure(exitCodes.noProgram, "nerdctl needs buildctl, and there is none on PATH");
  const lines: string[] = [];
  for (const { name, endpoint, serverName } of builders) {
    const bin = join(folder, "nerdctl", name);
    const script = join(bin, "buildctl");
    await mkdir(bin, { recursive: true, mode: 0o700 });
    const flags = commandLine("--tlsservername", serverName, "--tlsdir", folder);
    await writeFile(script, `#!/bin/sh\nexec ${quote(buildctl)} ${flags} "$@"\n`);
    await chmod(script, 0o700);
    lines.push(`PATH=${quote(bin)}:$PATH BUILDKIT_HOST=${quote(endpoint)} nerdctl build .`);
  }
  return lines;
}

function onPath(program: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(resolve(folder), program))
    .find((path) => existsSync(path));
}

/** Needs no state: a stack that is down has left its builder of buildx behind. */
async function remove(options: ConnectOptions): Promise<ExitCode> {
  const { stack, client, json, name, project } = options;
  await requireStackFile(stack).catch((error: Error) => {
    throw new Failure(exitCodes.usage, error.message);
  });
  if (client !== undefined && !/^[\w-][\w.-]*$/.test(client))
    throw new Failure(exitCodes.usage, `client '${client}': that is no name of a client`);
  const folder = folderOfClients(stack);
  const label = project === undefined ? undefined : projectLabel(project);
  const buildxName = name ?? nameOf("buildhosts", label);
  const done: string[] = [];
  const existing = await readBuildx(buildxName);
  if (existing) {
    // Somebody else's of that name is none that connect has made.
    requireOurs(existing, folder);
    const missing = await buildxMissing();
    if (missing)
      throw new Failure(
        exitCodes.noProgram,
        `buildx builder '${buildxName}': it cannot be removed: ${missing}`,
      );
    await removeBuildx(buildxName);
    done.push(`removed buildx builder '${buildxName}'`);
  }
  const files = client === undefined ? folder : join(folder, client);
  // Other projects' builders of buildx go on with the files.
  if (label === undefined && existsSync(files)) {
    await rm(files, { recursive: true });
    done.push(`removed ${shown(files)}`);
  }
  if (done.length === 0) done.push(`there is nothing of stack '${stack}' to remove`);
  if (json) printJson({ stack, done });
  else for (const line of done) print(line);
  return exitCodes.well;
}

function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith("..") ? path : near;
}

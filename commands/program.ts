import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError, Option } from "commander";
import { exitCodes } from "./lib/failure.ts";
import { countOf, sizeOf, timeOf } from "./lib/quantities.ts";
import { projectDir } from "./lib/stackFile.ts";

/** The commands that are tools of `npm run` too, with what completion and the list of commands say of them. */
export const tools = {
  up: "make the machines of a stack BuildKit builders",
  preview: "show what up would change, and change nothing",
  down: "remove everything that the stack installed on its hosts",
  client: "write the certificate files of a client to a folder",
  pulumi: "run any pulumi command on a stack, after --",
} as const;

const exitCodeHelp = `
Exit codes:
  0  all is well
  1  a builder cannot be used, or the command failed
  2  the command line is wrong, or names a builder, a client or a build that does not exist
  3  all works, and something needs attention: the lines that begin with !
  4  the stack cannot be read, or it is down
  5  a program is missing that the command needs
`;

/**
 * Runs a command line. Only what a command needs is loaded, so that help and completion are quick.
 *
 * @returns the exit code. @throws Failure
 */
export async function buildhosts(argv: string[]): Promise<number> {
  let exitCode: number = exitCodes.well;
  const program = commandLine(async (work) => {
    exitCode = await work();
  });
  if (argv[0] === "complete") {
    const { addCompletion } = await import("./completion.ts");
    await addCompletion(program);
  } else {
    // For the list alone: the library of completion brings its own, and is not loaded for nothing.
    program
      .command("complete")
      .argument("<shell>", "bash, zsh or fish")
      .summary("print what a shell sources to complete all of this");
  }
  try {
    if (argv.length === 0) program.help({ error: true });
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    // Commander has printed what it has to say: help and version end well, all else is a wrong command line.
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.well : exitCodes.usage;
    throw error;
  }
  return exitCode;
}

type Runs = (work: () => Promise<number>) => Promise<void>;

/** All commands, without doing anything. */
export function commandLine(run: Runs): Command {
  const program = new Command("buildhosts")
    .description(
      "BuildKit builders of a stack: make them, use them, look after them.\nEverything that only looks reads the stack's outputs, and runs no program of Pulumi's.",
    )
    .version(packageVersion(), "--version", "print the version")
    .helpOption("-h, --help", "print this text")
    .helpCommand(false)
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .showHelpAfterError("(see buildhosts --help)")
    .addHelpText("after", exitCodeHelp)
    .exitOverride();

  for (const [name, summary] of Object.entries(tools)) {
    // For the list and for completion: main.ts runs them.
    const tool = program.command(name).description(summary).addOption(stackOption());
    if (name === "up" || name === "down")
      tool.option("--yes", "do not ask before changing anything");
    if (name === "preview") {
      tool.option("--diff", "show each change line by line");
      tool.option("--markdown <file>", "write what happens to each host as a table");
    }
    if (name === "client") {
      tool.option("--name <client>", "which client of the stack");
      tool.option("--out <folder>", "where ca.pem, cert.pem and key.pem go");
    }
  }

  add(program, "connect")
    .summary("make this machine a client: certificates, and one buildx builder of all")
    .description(
      "Makes this machine a client: writes a client's certificates (mode 0600), and makes or mends one buildx builder with a node for each builder that answers, or for each pool of builders. Ends by building an image of one line on each. Without docker it says how buildctl is used.",
    )
    .option("--name <name>", "of the buildx builder (default: buildhosts, or buildhosts-<project>)")
    .option(
      "--project <project>",
      "what is built, such as a repository: it is built on one builder of each platform, whose cache knows it",
    )
    .option("--nerdctl", "for nerdctl instead of docker: scripts that hand it the certificates")
    .option(
      "--remove",
      "remove the buildx builder, and without --project the files of --client, or of all clients of the stack",
    )
    .action((options) => run(async () => (await import("./connect.ts")).connect(options)));

  add(program, "status")
    .summary("show how each builder is, in one table")
    .description(
      "Shows each builder as this machine sees it: whether it answers, its version and the one that the stack asks for, workers, platforms, cache, running builds, and the days until each certificate ends. The worst of it is the exit code.",
    )
    .option("--watch", "again every 5 s, until it is interrupted")
    .action((options) => run(async () => (await import("./status.ts")).status(options)));

  const builds = add(program, "builds")
    .summary("show what runs and ran lately on each builder")
    .description("Shows what runs and what ran lately on each builder, as it remembers it.")
    .option("--builder <builder>", "that one alone")
    .option("--running", "only what runs now")
    .option("--limit <count>", "at most that many, the newest", countOf, 20)
    .action((options) => run(async () => (await import("./builds.ts")).builds(options)));
  add(builds, "logs")
    .summary("write the log of a build")
    .description("Writes the log of a build; one that runs is followed to its end.")
    .argument("<ref>", "as `buildhosts builds` shows it, or how it begins")
    .action((ref, _, command: Command) =>
      run(async () => (await import("./builds.ts")).buildLogs(ref, command.optsWithGlobals())),
    );

  add(program, "du")
    .summary("show what the caches are made of")
    .description("Shows what the cache of each builder, or of one, is made of.")
    .argument("[builder]", "that one alone")
    .option("--filter <filter>", "as in buildctl: type==regular, description~=apt", collect, [])
    .option("--verbose", "each record")
    .action((builder, options) => run(async () => (await import("./du.ts")).du(builder, options)));

  add(program, "prune")
    .summary("delete from the caches what no build uses")
    .description(
      "Deletes from the cache of each builder, or of one, what no build uses. Asks first; says why nothing was freed.",
    )
    .argument("[builder]", "that one alone")
    .option("--keep-storage <size>", "keep that much, of what was used last: 20GB", sizeOf)
    .option("--older-than <time>", "only what was not used for that long: 90m, 48h, 7d", timeOf)
    .option("--filter <filter>", "only what fits: type==exec.cachemount", collect, [])
    .option("--all", "what BuildKit keeps for itself, too")
    .option("--yes", "do not ask")
    .action((builder, options) =>
      run(async () => (await import("./prune.ts")).prune(builder, options)),
    );

  add(program, "doctor")
    .summary("go the way of a build to one builder, and say what is wrong")
    .description(
      "Goes the way of a build to one builder and says what is wrong, each with its fix: name, port, TLS, certificates, rights, version, clocks, workers, cache, a step, and the time of 100 MB.",
    )
    .argument("<builder>", "of the stack")
    .option("--no-speed", "do not send 100 MB")
    .action((builder, options) =>
      run(async () => (await import("./doctor.ts")).doctor(builder, options)),
    );
  return program;
}

/** A command with what each one of them has. */
function add(parent: Command, name: string): Command {
  const command = parent
    .command(name)
    .addOption(stackOption())
    .option("--client <client>", "whose certificate is shown (default: default, or the first)")
    .option("--json", "print JSON")
    .helpOption("-h, --help", "print this text")
    .showHelpAfterError(
      `(see buildhosts ${[parent.name(), name].join(" ").replace(/^buildhosts /, "")} --help)`,
    )
    .exitOverride();
  return command;
}

function stackOption(): Option {
  return new Option("-s, --stack <stack>", "its file is Pulumi.STACK.yaml").default("dev");
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function packageVersion(): string {
  return JSON.parse(readFileSync(join(projectDir, "package.json"), "utf8")).version;
}

/** The stacks that have a file here. */
export function stackNames(): string[] {
  return readdirSync(projectDir)
    .map((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1])
    .filter((name) => name !== undefined);
}

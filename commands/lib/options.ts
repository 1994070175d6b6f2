import { parseArgs } from "node:util";

export interface ToolOptions {
  /** The stack to work on. */
  stack: string;
  /** The arguments after `--`, which pulumi gets unchanged. */
  pulumiArgs: string[];
  values: Record<string, string | boolean | undefined>;
}

export interface ToolHelp {
  /** As one types it: `npm run up --`. */
  usage: string;
  /** The state afterwards, in a sentence or two. */
  summary: string;
  /** Options of this tool beside --stack and --help: name to what it does; a name with `=VALUE` takes a value. */
  options?: Record<string, string>;
  /** Whether what follows `--` goes to pulumi. */
  passes?: boolean;
  /** Whether there is a --stack to choose. Default: true. */
  onStack?: boolean;
}

/** Whether the tool is a command of `buildhosts`: its help then says so. */
export const startedBy = { bin: false };

/** `npm run up --`, or the same as a command of the bin. */
function typed(usage: string): string {
  return startedBy.bin ? usage.replace(/^npm run (\S+) --$/, "buildhosts $1") : usage;
}

/**
 * Reads the options of a tool from its command line. `--help` prints the help and ends the process with 0. An unknown
 * option ends it with 2 and one line.
 */
export function toolOptions(help: ToolHelp, argv: string[] = process.argv.slice(2)): ToolOptions {
  const named = Object.keys(help.options ?? {}).map((option) => option.split("=", 2));
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        ...(help.onStack !== false && {
          stack: { type: "string", short: "s", default: "dev" } as const,
        }),
        help: { type: "boolean", short: "h" },
        ...Object.fromEntries(
          named.map(([name = "", value]) => [
            name,
            { type: value ? "string" : "boolean" } as const,
          ]),
        ),
      },
    });
    if (values.help) {
      process.stdout.write(helpText(help));
      process.exit(0);
    }
    if (positionals.length > 0 && !help.passes) {
      throw new Error(`Unexpected argument '${positionals[0]}'`);
    }
    return {
      stack: String(values.stack),
      pulumiArgs: positionals,
      values: values as ToolOptions["values"],
    };
  } catch (error) {
    const { message } = error as Error;
    process.stderr.write(`${message.split(". ", 1)[0]}; see ${typed(help.usage)} --help\n`);
    process.exit(2);
  }
}

export function helpText({ usage, summary, options, passes, onStack }: ToolHelp): string {
  const stackRow: [string, string] = [
    "--stack NAME",
    "the stack to work on; its file is Pulumi.NAME.yaml (default: dev)",
  ];
  const rows: [string, string][] = [
    ...(onStack === false ? [] : [stackRow]),
    ...Object.entries(options ?? {}).map(([name, what]): [string, string] => [
      `--${name.replace("=", " ")}`,
      what,
    ]),
    ["--help", "this text"],
  ];
  if (passes)
    rows.push([
      "-- …",
      `what comes after a ${startedBy.bin ? "" : "second "}-- goes to pulumi as it is`,
    ]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return `${typed(usage)} [options]\n\n${summary}\n\n${rows.map(([name, what]) => `  ${name.padEnd(width)}  ${what}\n`).join("")}`;
}

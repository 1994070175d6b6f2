import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { builderNames } from "./lib/knownStack.ts";
import { stackNames } from "./program.ts";

/**
 * Adds `complete`: `buildhosts complete bash` prints a script for the shell, which asks `buildhosts complete -- …` at each tab.
 * Names come from the stack files; reading the state would take too long between two keys.
 */
export async function addCompletion(program: Command): Promise<void> {
  const completion = tab(program);
  const stacks = stackNames();
  const builders = await builderNames(chosenStack());
  const offer = (names: string[]) => (complete: (name: string, what: string) => void) => {
    for (const name of names) complete(name, "");
  };
  for (const [path, command] of completion.commands) {
    command.description = summaryOf(program, path.split(" ")) ?? command.description;
    for (const option of command.options.values()) {
      if (option.value === "stack") option.handler = offer(stacks);
      if (option.value === "builder") option.handler = offer(builders);
    }
    for (const argument of command.arguments.values()) {
      if (argument.name === "builder") argument.handler = offer(builders);
    }
  }
}

/** The line that the list of commands has for it. */
function summaryOf(program: Command, [name, ...rest]: string[]): string | undefined {
  const command = program.commands.find((one) => one.name() === name);
  if (!command) return undefined;
  return rest.length > 0 ? summaryOf(command, rest) : command.summary() || undefined;
}

/** The words typed so far name the stack whose builders completion offers. */
function chosenStack(words: string[] = process.argv): string {
  const equals = words.find((word) => word.startsWith("--stack="));
  if (equals) return equals.slice("--stack=".length);
  const at = words.findIndex((word) => word === "--stack" || word === "-s");
  return (at >= 0 ? words[at + 1] : undefined) ?? "dev";
}

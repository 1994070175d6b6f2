import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { builderNames } from "./lib/knownStack.ts";
import { stackNames } from "./program.ts";

/**
 * Adds `complete`: `buildhosts complete bash` prints what a shell sources, which asks `buildhosts complete -- …` at each tab.
 * Names come from the stack files; no state is read while somebody waits for a key.
 */
export async function addCompletion(program: Command): Promise<void> {
  const completion = tab(program);
  const stacks = stackNames();
  const builders = await builderNames(chosenStack());
  for (const [name, command] of completion.commands) {
    for (const option of command.options.values()) {
      if (option.value === "stack")
        option.handler = (complete) => {
          for (const stack of stacks) complete(stack, `Pulumi.${stack}.yaml`);
        };
      if (option.value === "builder")
        option.handler = (complete) => {
          for (const builder of builders) complete(builder, "");
        };
    }
    if (!["du", "prune", "doctor"].includes(name)) continue;
    for (const argument of command.arguments.values())
      argument.handler = (complete) => {
        for (const builder of builders) complete(builder, "");
      };
  }
}

/** What has been typed so far says which stack's builders are meant. */
function chosenStack(words: string[] = process.argv): string {
  const at = words.findIndex((word) => word === "--stack" || word === "-s");
  const [, written] =
    /^--stack=(.+)$/.exec(words.find((word) => word.startsWith("--stack=")) ?? "") ?? [];
  return written ?? (at >= 0 ? words[at + 1] : undefined) ?? "dev";
}

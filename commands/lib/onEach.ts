import type { ClientFiles } from "./clientFiles.ts";
import { Control } from "./control.ts";
import { type ExitCode, exitCodes } from "./failure.ts";
import type { KnownBuilder } from "./knownStack.ts";
import { warn } from "./output.ts";
import { shortError } from "./reach.ts";

/** A warning for each builder that did not answer, and the exit code that goes with them. */
export function told(silent: { builder: string; error: string }[]): ExitCode {
  for (const { builder, error } of silent)
    warn(`${builder}: ${error}; see: buildhosts doctor ${builder}`);
  return silent.length > 0 ? exitCodes.failed : exitCodes.well;
}

/** Asks builders at once, and returns their answers in their order; those that do not answer are listed apart. */
export async function onEach<T>(
  builders: KnownBuilder[],
  files: ClientFiles,
  ask: (control: Control, builder: KnownBuilder) => Promise<T>,
): Promise<{ found: T[]; silent: { builder: string; error: string }[] }> {
  const silent: { builder: string; error: string }[] = [];
  const answers = await Promise.all(
    builders.map(async (builder) => {
      const control = new Control(builder, files);
      try {
        return [await ask(control, builder)];
      } catch (error) {
        silent.push({ builder: builder.name, error: shortError(error) });
        return [];
      } finally {
        control.close();
      }
    }),
  );
  return { found: answers.flat(1) as T[], silent };
}

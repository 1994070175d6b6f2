import { randomUUID } from "node:crypto";
import { chmod, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheDir } from "./cache.ts";

/** The script that runs `main`, a TypeScript file of this clone, with the Node.js that runs now. */
export async function launcherOf(main: string): Promise<string> {
  return filledIn(join(import.meta.dirname, "launcher.sh"), {
    "@NODE@": process.execPath,
    "@MAIN@": main,
    "@COMPILE_CACHE@": cacheDir("node-compile"),
  });
}

/** The script at `template`, whose placeholders stand in single quotes, with their values. */
export async function filledIn(
  template: string,
  values: { readonly [placeholder: string]: string },
): Promise<string> {
  if (process.platform === "win32") {
    throw new Error(
      "the offline stand-ins need a POSIX shell: on Windows, Pulumi's own programs must be within reach",
    );
  }
  return (await readFile(template, "utf8")).replace(/@[A-Z_]+@/g, (placeholder) =>
    inSingleQuotes(values[placeholder] ?? placeholder),
  );
}

/** Puts a script in its place in one step. */
export async function writeScript(executable: string, script: string): Promise<void> {
  // Two at once in one process must not have the same.
  const temporary = `${executable}.${randomUUID()}`;
  await writeFile(temporary, script);
  await chmod(temporary, 0o755);
  await rename(temporary, executable);
}

/** `text` for a place that stands in single quotes of a shell script. */
function inSingleQuotes(text: string): string {
  return text.replaceAll("'", `'\\''`);
}

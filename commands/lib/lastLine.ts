/** What came of it all: a script, or a hook, says it in its last line. Without the engine's colours. */
export function lastLine(text: string): string | undefined {
  return text
    .replace(/<\{%[a-z]+%\}>/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .at(-1);
}

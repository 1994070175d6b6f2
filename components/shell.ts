/** A word as the shell reads it back unchanged. The only place where anything is quoted for a shell. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A command as one line, each word quoted where it must be. */
export function commandLine(...words: string[]): string {
  return words.map(quote).join(" ");
}

/**
 * A command with each of its groups of words on a line of its own, so that a diff of two commands
 * shows the group that changed and nothing else.
 */
export function commandLines(command: string, groups: string[][]): string {
  return [command, ...groups.map((group) => `  ${commandLine(...group)}`)].join(" \\\n");
}

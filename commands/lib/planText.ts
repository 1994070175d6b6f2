import type { Builds, Plan, PlanEntry } from "./plan.ts";

/** What an update does, a sentence for each host that changes. */
export function sentencesOf(plan: Plan): string[] {
  return [
    ...plan.certificates.map(sentence),
    ...(plan.hosts.length > 0 ? plan.hosts.map(sentence) : ["No host changes."]),
    ...plan.repositories.map(sentence),
  ];
}

function sentence({ name, clauses, builds }: PlanEntry): string {
  const fate = fateOf(builds);
  return `${name}: ${[...clauses, ...(fate ? [fate] : [])].join(", ")}`;
}

function fateOf(builds: Builds): string | undefined {
  switch (builds.fate) {
    case "none":
      return undefined;
    case "continue":
      return "running builds go on";
    case "end":
      return "running builds end";
    case "wait": {
      const time = builds.seconds > 0 ? `get ${builds.seconds} s` : "end";
      return builds.isCertain ? `running builds ${time}` : `running builds then ${time}`;
    }
  }
}

/** Most bytes of a table: GitHub takes 65,536 characters in a comment, and the diff needs its part of them. */
export const TABLE_LIMIT = 20_000;

/** The same as a table in Markdown, for a pull request: what happens to each host, and whether builds are interrupted. */
export function tableOf(plan: Plan, limit: number = TABLE_LIMIT): string {
  const entries = [...plan.hosts, ...plan.certificates, ...plan.repositories];
  const head = "| | What happens | Are builds interrupted? |\n| --- | --- | --- |\n";
  const rows = entries.map(
    ({ name, clauses, builds }) =>
      `| ${inert(name)} | ${clauses.map(inert).join("<br>")} | ${interruption(builds)} |\n`,
  );
  const warnings = plan.warnings.map((line) => `\n**Attention:** ${inert(line)}\n`);
  const none = plan.hosts.length > 0 ? "" : "No host changes.\n";
  if (entries.length === 0) return bounded(none, warnings, limit);
  const space = none ? `${none}\n` : "";
  return bounded(`${space}${head}`, [...rows, ...warnings], limit);
}

/** As many whole pieces as there is room for, and how many there is none for. */
function bounded(head: string, pieces: string[], limit: number): string {
  let text = head;
  for (const [index, piece] of pieces.entries()) {
    const rest = pieces.length - index;
    const last = `\n${rest} more, see the diff.\n`;
    if (Buffer.byteLength(text + piece + last) > limit) return `${text}${last}`;
    text += piece;
  }
  return text;
}

function interruption(builds: Builds): string {
  switch (builds.fate) {
    case "none":
      return "";
    case "continue":
      return "no";
    case "end":
      return "**yes**";
    case "wait": {
      const when = builds.seconds > 0 ? `after ${builds.seconds} s at most` : "at once";
      return builds.isCertain ? `**yes**, ${when}` : `perhaps, ${when}`;
    }
  }
}

/** Text that GitHub shows as it is: it begins no link, no picture, no mention and no other cell. */
function inert(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/[&<>[\]@|*_`~\\#!]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replaceAll("://", "&#58;//");
}

import { planOf } from "../../commands/lib/plan.ts";
import { sentencesOf, tableOf } from "../../commands/lib/planText.ts";
import { boardArchitecture, boardMachine, boardPlatform } from "./boardPlatform.ts";
import type { Run, TestStack } from "./ground.ts";

/**
 * All that a reviewer reads of a preview: the sentences, the table and the diff, with placeholders for what is another in each
 * run. The engine works on many resources at the same time, so what it shows of each is sorted.
 */
export function wholePreview({ output, events }: Run, { ground }: TestStack): string {
  const plan = planOf(events);
  const sentences = sentencesOf(plan).join("\n");
  const warnings = plan.warnings.map((line) => `! ${line}\n`).join("");
  const text = `${sentences}\n${warnings}\n${tableOf(plan)}\n${sorted(output)}`;
  const { connection } = ground.board;
  const known: [text: string, placeholder: string][] = [
    [`${connection.gateway}:${ground.mirror.port}`, "<mirror>"],
    [`:${connection.port}`, ":<SSH port>"],
    [`:${connection.buildkitPort}`, ":<port>"],
    [boardPlatform, "<platform>"],
    [`.linux-${boardArchitecture}`, ".<architecture>"],
    [`-linux-${boardArchitecture}`, "-<architecture>"],
    [`runc.${boardArchitecture}`, "runc.<architecture>"],
    [`--machine ${boardMachine}`, "--machine <machine>"],
    [`rootlesskit-${boardMachine}`, "rootlesskit-<machine>"],
  ];
  const replaced = known.reduce(
    (rest, [one, placeholder]) => rest.replaceAll(one, placeholder),
    text,
  );
  return VOLATILE.reduce(
    (rest, [pattern, placeholder]) => rest.replace(pattern, placeholder),
    // The board installs all at once: whichever is done first says so first.
    replaced.replace(INSTALLED, (lines) => lines.split("\\n").sort().join("\\n")),
  );
}

const INSTALLED =
  /board: \S+ \S+ is installed \(sha256 verified\)(?:\\nboard: \S+ \S+ is installed \(sha256 verified\))+/g;

const VOLATILE: [pattern: RegExp, placeholder: string][] = [
  [/-----BEGIN ([A-Z ]+)-----[^"]*"/g, '<PEM: $1>"'],
  [/"H4sI[^"]*"/g, '"<boardctl>"'],
  [/\[id=[^\]]+\]/g, "[id=<id>]"],
  [/::[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}\]/g, "::<id>]"],
  [/"(?:\d{20,}|[0-9a-f]{40})"/g, '"<id>"'],
  [/--script [0-9a-f]+/g, "--script <id>"],
  [/\b[0-9a-f]{12}\b/g, "<id>"],
  [/(--clock-(?:after|before)) \d+/g, "$1 <time>"],
  // As systemd prints it, and as boardctl does; how a service goes down is its own affair.
  [/ is (?:inactive|failed) since \w{3} [\d-]{10} [\d:]{8} \w+/g, " is <down> since <time>"],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, "<time>"],
  [/"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-][\d:]+)"/g, '"<time>"'],
];

/** `    ~ command:remote:Command: (update)`, where a resource begins. */
const BEGINNING = /^( *)(?:\+\+|\+-|--|[~+-]|>)? ?[\w-]+:[\w/-]+:[\w-]+: \(\w[\w -]*\)$/;

function sorted(output: string): string {
  const warnings: string[] = [];
  const resources: string[][] = [];
  const end: string[] = [];
  let current: string[] | undefined;
  let indent = 0;
  for (const line of output.split("\n")) {
    const beginning = BEGINNING.exec(line);
    if (/^(warning|error|info): /.test(line)) warnings.push(line);
    else if (beginning) {
      indent = beginning[1]?.length ?? 0;
      current = [line.slice(indent)];
      resources.push(current);
    } else if (/^ *--outputs:--$|^Resources:$/.test(line)) {
      current = end;
      indent = 0;
      end.push(line.trim());
    } else current?.push(line.slice(0, indent).trim() + line.slice(indent));
  }
  const nameOf = (lines: string[]) => lines.find((line) => line.includes("[urn=")) ?? "";
  const changing = resources.filter(([first = ""]) => !/: \(same\)$/.test(first));
  changing.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  return [...warnings.sort(), ...changing.flat(), ...end].join("\n");
}

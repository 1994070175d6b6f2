/** A field of a cron line as GitHub reads it: POSIX, with names of months and weekdays. */
interface Field {
  name: string;
  first: number;
  last: number;
  names?: readonly string[];
}

const fields: readonly Field[] = [
  { name: "minute", first: 0, last: 59 },
  { name: "hour", first: 0, last: 23 },
  { name: "day of the month", first: 1, last: 31 },
  {
    name: "month",
    first: 1,
    last: 12,
    names: "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(" "),
  },
  {
    name: "day of the week",
    first: 0,
    last: 6,
    names: "SUN MON TUE WED THU FRI SAT".split(" "),
  },
];

/** The least minutes between two runs of a workflow. */
const LEAST_MINUTES = 5;

/** Days of each month, in its longest year. */
const longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Why GitHub would not run a workflow by that cron line, or nothing where it would. */
export function cronRefusal(line: string): string | undefined {
  const words = line.split(" ");
  if (words.length !== fields.length) return "it has not five fields with one blank between them";
  const values: number[][] = [];
  for (const [index, field] of fields.entries()) {
    const word = words[index] ?? "";
    const found = fieldValues(word, field);
    if (typeof found === "string") return found;
    values.push(found);
  }
  const [minutes = [], hours = [], days = [], months = []] = values;
  const gap = leastGap(minutes, hours);
  if (gap < LEAST_MINUTES) {
    return `GitHub runs a workflow every ${LEAST_MINUTES} minutes at most, and these are ${gap} apart`;
  }
  const [, , day, , weekday] = words;
  const comes = months.some((month) => days.some((one) => one <= (longest[month - 1] ?? 0)));
  // With both given, either of them is enough.
  if (day !== "*" && weekday === "*" && !comes) return "no such day ever comes";
  return undefined;
}

/** The values that a field stands for, or why it stands for none. */
function fieldValues(word: string, field: Field): number[] | string {
  const { name, first, last } = field;
  const values = new Set<number>();
  for (const item of word.split(",")) {
    const [, from = "", to, step] =
      /^([A-Za-z]+|\d+|\*)(?:-([A-Za-z]+|\d+))?(?:\/(\d+))?$/.exec(item) ?? [];
    const low = from === "*" ? first : value(from, field);
    // A step alone goes on to the end.
    const high =
      to !== undefined ? value(to, field) : from === "*" || step !== undefined ? last : low;
    const stride = Number(step ?? 1);
    const isIn = low >= first && high <= last && low <= high && stride >= 1;
    if (!isIn || (from === "*" && to !== undefined)) {
      const also = field.names ? ` or ${field.names[0]} to ${field.names.at(-1)}` : "";
      const sunday = name === "day of the week" && item === "7" ? "; Sunday is 0" : "";
      return `"${item}" is no ${name}, which goes from ${first} to ${last}${also}${sunday}`;
    }
    for (let one = low; one <= high; one += stride) values.add(one);
  }
  return [...values].sort((a, b) => a - b);
}

function value(word: string, { first, names = [] }: Field): number {
  if (/^\d+$/.test(word)) return Number(word);
  const index = names.indexOf(word.toUpperCase());
  return index < 0 ? Number.NaN : index + first;
}

/** The minutes between the two runs of a day that are nearest to each other, midnight included. */
function leastGap(minutes: readonly number[], hours: readonly number[]): number {
  const [earliest = 0] = minutes;
  const within = minutes.slice(1).map((minute, index) => minute - (minutes[index] ?? 0));
  const hasNext = hours.some((hour) => hours.includes((hour + 1) % 24));
  return Math.min(
    ...within,
    hasNext ? earliest + 60 - (minutes.at(-1) ?? 0) : Number.POSITIVE_INFINITY,
  );
}

/** The value in the middle; of two, the mean. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[Math.ceil(sorted.length / 2) - 1],
    sorted[middle],
  ];
  return (low + high) / 2;
}

/** Two things measured in turn, round by round, so that a machine whose speed drifts treats both alike. */
export interface Comparison {
  /** Seconds, or megabytes, of each round. */
  ours: number[];
  theirs: number[];
}

/** The median of the rounds' ratios, not the ratio of the medians: each round is its own comparison. */
export function ratio({ ours, theirs }: Comparison): number {
  return median(ours.map((value, i) => value / (theirs[i] ?? Number.NaN)));
}

export interface Row {
  what: string;
  ours: number;
  theirs: number;
  ratio: number;
  /** The limit of the ratio; absent for a row that explains another. */
  limit?: number;
}

export function isHeld({ ratio, limit }: Row): boolean {
  return limit === undefined || ratio <= limit;
}

/** A table in Markdown, so that it can stand in docs/limits-and-speed.md as it is printed. */
export function table(rows: Row[]): string {
  const cells = rows.map((row) => [
    row.what,
    `${row.ours.toFixed(1)} s`,
    `${row.theirs.toFixed(1)} s`,
    `${row.ratio.toFixed(2)}×`,
    ...(row.limit === undefined ? ["–", "–"] : [`${row.limit}×`, isHeld(row) ? "yes" : "no"]),
  ]);
  const lines = [["", "ours", "compared with", "ratio", "at most", "held"], ...cells];
  const [head, ...body] = lines.map((line) => `| ${line.join(" | ")} |`);
  return [head, "| --- | ---: | ---: | ---: | ---: | --- |", ...body].join("\n");
}

import { createHash } from "node:crypto";
import type { VirtualBoard } from "../proving-ground/board/virtualBoard.ts";
import type { Progress } from "../runtime/progress.ts";
import { type Comparison, median, type Row, ratio } from "./measure.ts";

/** Measures in rounds, and says each row at once: a later comparison may fail. */
export class Rounds {
  readonly rows: Row[] = [];
  readonly count: number;
  readonly #log: Progress;

  constructor(count: number, log: Progress) {
    this.count = count;
    this.#log = log;
  }

  /** Two things in turn. */
  async compare(
    what: string,
    limit: number | undefined,
    ours: () => Promise<number>,
    theirs: () => Promise<number>,
  ): Promise<void> {
    const comparison: Comparison = { ours: [], theirs: [] };
    // A first round fills caches, of both alike, and is not counted.
    for (let round = 0; round <= this.count; round++) {
      const pair = [await ours(), await theirs()] as const;
      if (round === 0) continue;
      comparison.ours.push(pair[0]);
      comparison.theirs.push(pair[1]);
    }
    this.add(what, limit, comparison);
  }

  add(what: string, limit: number | undefined, comparison: Comparison): void {
    const found: Row = {
      what,
      ours: median(comparison.ours),
      theirs: median(comparison.theirs),
      ratio: ratio(comparison),
      ...(limit !== undefined && { limit }),
    };
    this.#log.note(
      `${what}: ${found.ours.toFixed(2)} s / ${found.theirs.toFixed(2)} s, ${found.ratio.toFixed(2)}×`,
    );
    this.rows.push(found);
  }
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** The configuration of a stack with `boards`, and as many more as make it `count`, which do not exist. */
export function stackConfig(
  boards: readonly VirtualBoard[],
  mirror: string,
  count: number = boards.length,
): Record<string, unknown> {
  const [known] = boards;
  if (!known) throw new Error("a stack without a board is no comparison");
  return {
    "buildhosts:releases": { mirror },
    "buildhosts:ssh": { privateKeyFile: known.connection.identityFile },
    "buildhosts:boards": Array.from({ length: count }, (_, i) => {
      const { connection } = boards[i] ?? known;
      const host = i < boards.length ? connection.host : `board-${i + 1}.example.com`;
      return {
        name: `board-${i + 1}`,
        host,
        port: connection.port,
        hostKey: i < boards.length ? connection.hostKey : keyOf(host),
        platform: connection.platform,
        endpoint: `tcp://${host}:${connection.buildkitPort}`,
      };
    }),
    // Nobody looks at what is not there.
    ...(count > boards.length && { "buildhosts:driftCheck": false }),
  };
}

/** A host key of its own for each, as machines have: the same one twice is warned about. */
function keyOf(host: string): string {
  const type = "ssh-ed25519";
  const parts = [Buffer.from(type), createHash("sha256").update(host).digest()];
  const blob = parts.flatMap((part) => [Buffer.from([0, 0, 0, part.length]), part]);
  return `${type} ${Buffer.concat(blob).toString("base64")}`;
}

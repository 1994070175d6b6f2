import { type Bench, measureBoard } from "../bench/board.ts";
import { measureFleet } from "../bench/fleet.ts";
import { isHeld, type Row } from "../bench/measure.ts";
import { measurePool } from "../bench/pool.ts";
import { Rounds } from "../bench/rounds.ts";
import type { Platform } from "../proving-ground/board/architectures.ts";
import { unable } from "../proving-ground/board/native/host.ts";
import { ended, runTool } from "./lib/ending.ts";
import { engineSession } from "./lib/engineSession.ts";
import { toolOptions } from "./lib/options.ts";
import { toolLog } from "./lib/toolLog.ts";

const { values } = toolOptions({
  usage: "npm run bench --",
  summary:
    "Measures, on virtual boards of its own, against what one would do otherwise, in turn within one run,\nand prints the ratios as a table for each kind of board. It takes about fifteen minutes; run nothing beside it.",
  options: {
    "board=KIND":
      "native, riscv64, or both (default: both, where this machine can run native boards)",
    "rounds=N": "rounds of each comparison, 3 or more (default: 3)",
    "skip-up": "leaves out (a), which takes most of the time",
    "only-pool": "measures (f) alone, the pool, which needs native boards",
    fleet: "measures several native boards and 100 that are not there, and nothing else",
    "size=N":
      "native boards of the fleet, 2 or more (default: 10, each with 0.5 GB of memory in use)",
  },
});

const [count, size] = [Number(values.rounds ?? 3), Number(values.size ?? 10)];

/** The boards to measure on, by what `--board` says. */
const kinds: Record<string, Platform[]> = {
  native: ["linux/amd64"],
  riscv64: ["linux/riscv64"],
  both: ["linux/amd64", "linux/riscv64"],
};

const log = toolLog("bench");
await runTool(async () => {
  if (!Number.isInteger(count) || count < 3) {
    return ended.failed(`--rounds is '${values.rounds}'; a whole number from 3 is needed`);
  }
  if (!Number.isInteger(size) || size < 2) {
    return ended.failed(`--size is '${values.size}'; a whole number from 2 is needed`);
  }
  const cannot = unable();
  const platforms = kinds[String(values.board ?? (cannot ? "riscv64" : "both"))];
  if (!platforms) {
    return ended.failed(
      `--board is '${values.board}'; it is one of ${Object.keys(kinds).join(", ")}`,
    );
  }
  if (values.fleet && cannot) {
    return ended.failed(`--fleet needs native boards: ${cannot}`);
  }
  if (values["only-pool"] && !platforms.includes("linux/amd64")) {
    return ended.failed(
      `--only-pool needs native boards: ${cannot ?? `--board is '${values.board}'`}`,
    );
  }
  const session = await engineSession("dev", log);
  const bench: Bench = {
    pulumi: session.engine.pulumi,
    env: { ...session.env, SSH_AUTH_SOCK: "" },
    log,
  };
  const rows: Row[] = [];
  if (values.fleet) {
    const rounds = new Rounds(count, log);
    await measureFleet(bench, size, rounds);
    rows.push(...rounds.rows);
  } else {
    for (const platform of values["only-pool"] ? [] : platforms) {
      const rounds = new Rounds(count, log);
      await measureBoard(bench, platform, rounds, values["skip-up"] === true);
      rows.push(...rounds.rows);
    }
    if (platforms.includes("linux/amd64")) {
      const rounds = new Rounds(count, log);
      await measurePool(bench, rounds);
      rows.push(...rounds.rows);
    }
  }
  const limited = rows.filter(({ limit }) => limit !== undefined);
  return ended.well(`${limited.filter(isHeld).length} of ${limited.length} limits held`);
}, log);

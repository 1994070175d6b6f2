import type { Plan } from "./plan.ts";
import { sentencesOf } from "./planText.ts";

/** Says what an update does, after the engine's own words. */
export function showPlan(plan: Plan): void {
  process.stderr.write("\n");
  for (const line of sentencesOf(plan)) process.stderr.write(`${line}\n`);
  for (const line of plan.warnings) process.stderr.write(`! ${line}\n`);
  process.stderr.write("\n");
}

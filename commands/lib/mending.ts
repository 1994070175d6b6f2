import type { Progress } from "../../runtime/progress.ts";
import type { EngineRun, EngineSession } from "./engineSession.ts";

/**
 * Runs an update. Where it meets boards that were reset, whose steps the state takes for done, it is run once more, in
 * which all of their steps run: whoever is asked is asked again.
 */
export async function runMending(
  session: Pick<EngineSession, "stack" | "run">,
  args: string[],
  log: Pick<Progress, "note">,
): Promise<EngineRun> {
  const run = await session.run(args);
  const boards = new Set(run.explanations.flatMap(({ resetBoard }) => resetBoard ?? []));
  if (run.code === 0 || boards.size === 0) return run;
  log.note(
    `stack '${session.stack}': what was installed on ${[...boards].join(", ")} is gone, as if reset; the update is run again, with every step there`,
  );
  const again = [...boards].flatMap((board) => ["--replace", `**:remote:*::${board}-*`]);
  return session.run([...args, ...again]);
}

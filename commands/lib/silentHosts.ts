import { silenceAt } from "../../components/board/greeting.ts";
import type { Progress } from "../../runtime/progress.ts";
import type { EngineSession } from "./engineSession.ts";

/**
 * Runs a removal, and says after some seconds for which hosts it waits in vain, as they accept connections and say nothing. An
 * update's steps look at that themselves, but a removal goes without the program, and the SSH client waits for ever.
 */
export async function sayingSilence<T>(
  session: Pick<EngineSession, "exported">,
  log: Pick<Progress, "note">,
  removal: () => Promise<T>,
  seconds = 15,
): Promise<T> {
  const over = new AbortController();
  const timer = setTimeout(() => {
    look(session, log, seconds, over.signal).catch(() => {}); // It is no reason to fail.
  }, seconds * 1000);
  try {
    return await removal();
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

async function look(
  session: Pick<EngineSession, "exported">,
  log: Pick<Progress, "note">,
  seconds: number,
  isOver: AbortSignal,
): Promise<void> {
  const { deployment } = await session.exported();
  const resources: { urn: string; inputs?: { create?: unknown } }[] = deployment?.resources ?? [];
  const patience = { notice: seconds, limit: seconds };
  await Promise.all(
    resources.map(async ({ urn, inputs }) => {
      // As the command says it for the readers of a diff: the connection itself may be secret.
      const [, host, port] =
        /--at \S*@\[?([^\s\]]+?)\]?:(\d+)\b/.exec(String(inputs?.create)) ?? [];
      if (!urn.endsWith("-preflight") || !host || isOver.aborted) return;
      const reason = await silenceAt(host, Number(port), () => {}, patience, isOver);
      if (reason === undefined || isOver.aborted) return;
      const board = (urn.split("::").at(-1) ?? urn).replace(/-preflight$/, "");
      log.note(
        `${board}: ${host}:${port} accepts connections, but ${reason}; the removal waits for it. Look at its console, or end this (Ctrl-C, twice). If it is gone for good: abandon: true`,
      );
    }),
  );
}

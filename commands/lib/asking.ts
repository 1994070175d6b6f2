import { createInterface } from "node:readline/promises";
import type { EngineRun, EngineSession } from "./engineSession.ts";
import type { Plan } from "./plan.ts";
import { showPlan } from "./showPlan.ts";

/** Options of pulumi with which it asks nothing, or that its preview does not have. */
const ASKS_NOTHING =
  /^(-y|-f|-j|--(yes|skip-preview|preview-only|non-interactive|json|plan|strict|secrets-provider))(=|$)/;

/** Options that mean nothing to a preview, and that it does not know. */
const OF_UPDATE = /^--continue-on-error(=|$)/;

/** Whether the question of an update is ours to ask: somebody sits there, and would be asked. */
export function isAsked(args: readonly string[], env = process.env): boolean {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY && env.TERM !== "dumb";
  return Boolean(isTerminal) && !env.CI && !args.some((arg) => ASKS_NOTHING.test(arg));
}

/** What somebody who is asked sees and answers. */
export interface Asked {
  /** Shows what the update does. */
  show(plan: Plan): void;
  /** `details` asks for the whole diff, and is asked again. */
  answer(): Promise<"yes" | "no" | "details">;
}

/**
 * Runs `up` or `destroy` after a question. The engine's own comes with its preview, and nothing can stand between the two: so it
 * previews, then we show what that does to the hosts, ask, and have it update without a preview of its own.
 */
export async function runAsking(
  { run }: Pick<EngineSession, "run">,
  args: string[],
  asked: Asked,
): Promise<EngineRun> {
  const [command, ...options] = args;
  const previewing = [
    ...(command === "destroy" ? ["destroy", "--preview-only"] : ["preview"]),
    ...options.filter((option) => !OF_UPDATE.test(option)),
  ];
  const preview = await run(previewing);
  if (preview.code !== 0) return preview;
  asked.show(preview.plan());
  for (;;) {
    const answer = await asked.answer();
    if (answer === "yes") return run([...args, "--yes", "--skip-preview"]);
    if (answer === "no") return { ...preview, code: 1, isDeclined: true };
    const details = await run([...previewing.filter((one) => one !== "--diff"), "--diff"]);
    if (details.code !== 0) return details;
    asked.show(details.plan());
  }
}

/** Runs `up` or `destroy`, after a question on the terminal where somebody sits there and is to be asked. */
export function askingRunner(
  session: Pick<EngineSession, "run">,
  question: string,
): EngineSession["run"] {
  const asked = { show: showPlan, answer: () => answerOnTerminal(question) };
  return (args) => (isAsked(args) ? runAsking(session, args, asked) : session.run(args));
}

/** Asks on the terminal; its end, or an interrupt, is a no. */
export async function answerOnTerminal(question: string): Promise<"yes" | "no" | "details"> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const given = new Promise<string>((resolve) => {
    terminal.once("close", () => resolve(""));
    terminal.once("SIGINT", () => resolve(""));
    terminal.question(`? ${question} (yes, no, details) `).then(resolve, () => resolve(""));
  });
  const answer = (await given).trim().toLowerCase();
  terminal.close();
  if (/^y(es)?$/.test(answer)) return "yes";
  return /^d(etails)?$/.test(answer) ? "details" : "no";
}

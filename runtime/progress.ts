import type { WriteStream } from "node:tty";

/** Where long work reports what it does: a line when a step starts, and a line with its time when it ends. */
export interface Progress {
  /** One line about something that is already true. */
  note(line: string): void;
  /** Announces `title`, runs `work`, and says how long it took; a failure is said and thrown on. */
  step<T>(title: string, work: () => Promise<T>): Promise<T>;
  /** Text that is only of use when something has gone wrong. It goes where there is room for it, or nowhere. */
  detail?(text: string): void;
}

/** Progress of a whole tool, which has an end. */
export interface Display extends Progress {
  /** Takes away what is not to stay. Call it before something else is written to the same place. */
  close(): void;
}

/** How often a log that gets no line is told that work goes on. */
const PULSE_MS = 30_000;
const REDRAW_MS = 1000;

/**
 * Progress as plain lines, fit for a CI log. Of steps that take long, one line in 30 s tells of them all: work that
 * says nothing for minutes looks hung.
 */
export function linesTo(write: (line: string) => void): Progress {
  const running = new RunningSteps(PULSE_MS, () => write(`  … still running: ${running.list()}`));
  return {
    note: (line) => write(`  ${line}`),
    step: (title, work) =>
      running.run(title, work, {
        start: () => write(`… ${title}`),
        end: (mark, seconds) => write(`${mark} ${title} (${seconds} s)`),
      }),
  };
}

/** Progress on a terminal: finished steps stay as lines, and one line below names the remaining ones. */
export function liveOn(terminal: Pick<WriteStream, "columns" | "write">): Display {
  let shown = false;
  const clear = () => {
    if (shown) terminal.write("\r\u001b[K");
    shown = false;
  };
  const draw = () => {
    const { count } = running;
    if (count === 0) return;
    const line = `… ${count} ${count === 1 ? "step" : "steps"} left: ${running.list()}`;
    // A line that wraps could not be taken away.
    const room = Math.max(terminal.columns || 80, 20) - 1;
    const text = line.length > room ? `${line.slice(0, room - 1)}…` : line;
    terminal.write(`\r\u001b[K${text}`);
    shown = true;
  };
  const running = new RunningSteps(REDRAW_MS, draw);
  const write = (line: string) => {
    clear();
    terminal.write(`${line}\n`);
    draw();
  };
  return {
    note: (line) => write(`  ${line}`),
    step: (title, work) =>
      running.run(title, work, {
        start: draw,
        end: (mark, seconds) => write(`${mark} ${title} (${seconds} s)`),
      }),
    close: clear,
  };
}

/** Both, each in its own way. */
export function inBoth(one: Progress, other: Progress): Progress {
  return {
    note(line) {
      one.note(line);
      other.note(line);
    },
    step: (title, work) => one.step(title, () => other.step(title, work)),
    detail(text) {
      one.detail?.(text);
      other.detail?.(text);
    },
  };
}

/** The title of the innermost step that `error`, or what caused it, has come out of; undefined where there is none. */
export function failedStep(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return failedStep(error.cause) ?? failedSteps.get(error);
}
const failedSteps = new WeakMap<Error, string>();

/** The steps that have begun and not ended, and a pulse as long as there is one. */
class RunningSteps {
  readonly #steps = new Set<{ title: string; started: number }>();
  readonly #pulseMs: number;
  readonly #pulse: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(pulseMs: number, pulse: () => void) {
    this.#pulseMs = pulseMs;
    this.#pulse = pulse;
  }

  get count(): number {
    return this.#steps.size;
  }

  /** Each with its time so far, the longest first. */
  list(): string {
    const now = Date.now();
    return [...this.#steps]
      .map(({ title, started }) => `${title} (${Math.round((now - started) / 1000)} s)`)
      .join(", ");
  }

  async run<T>(
    title: string,
    work: () => Promise<T>,
    { start, end }: { start(): void; end(mark: string, seconds: string): void },
  ): Promise<T> {
    const step = { title, started: Date.now() };
    this.#steps.add(step);
    this.#timer ??= setInterval(this.#pulse, this.#pulseMs).unref();
    start();
    const ended = (mark: string) => {
      this.#steps.delete(step);
      if (this.#steps.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
      end(mark, ((Date.now() - step.started) / 1000).toFixed(1));
    };
    try {
      const result = await work();
      ended("✓");
      return result;
    } catch (error) {
      if (error instanceof Error && !failedSteps.has(error)) failedSteps.set(error, title);
      ended("✗");
      throw error;
    }
  }
}

/** Progress on standard error, so that standard output stays for results. */
export const toStderr: Display = process.stderr.isTTY
  ? liveOn(process.stderr)
  : { ...linesTo((line) => process.stderr.write(`${line}\n`)), close() {} };

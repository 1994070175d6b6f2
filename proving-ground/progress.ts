/** Where long work reports what it does: a line when a step starts, and a line with its time when it ends. */
export interface Progress {
  /** One line about something that is already true. */
  note(line: string): void;
  /** Announces `title`, runs `work`, and says how long it took; a failure is said and thrown on. */
  step<T>(title: string, work: () => Promise<T>): Promise<T>;
}

/** Progress as plain lines, fit for a terminal and for a CI log alike. */
export function linesTo(write: (line: string) => void): Progress {
  return {
    note: (line) => write(`  ${line}`),
    async step(title, work) {
      const started = Date.now();
      const seconds = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
      write(`… ${title}`);
      // A step that says nothing for minutes looks hung.
      const pulse = setInterval(() => write(`  … still: ${title} (${seconds()})`), 30_000);
      pulse.unref();
      try {
        const result = await work();
        write(`✓ ${title} (${seconds()})`);
        return result;
      } catch (error) {
        write(`✗ ${title} (${seconds()})`);
        throw error;
      } finally {
        clearInterval(pulse);
      }
    },
  };
}

/** Progress on standard error, so that standard output stays for results. */
export const toStderr: Progress = linesTo((line) => process.stderr.write(`${line}\n`));

import { basename } from "node:path";

/** The parts of vitest's JSON report that the table needs. */
export interface TestReport {
  numPassedTests: number;
  numFailedTests: number;
  /** When the run began; times are milliseconds since 1970. */
  startTime: number;
  testResults: {
    name: string;
    startTime: number;
    endTime: number;
    assertionResults: { status: string }[];
  }[];
}

/**
 * Where the time of a run went: a line for each file, the longest first, with what its hooks and tests took together, and
 * how many tests it has. Files of several workers run beside each other.
 */
export function minutesTable({ startTime, testResults }: TestReport): string {
  const files = testResults
    .map(({ name, startTime: began, endTime, assertionResults }) => ({
      name: basename(name),
      milliseconds: endTime - began,
      tests: assertionResults.filter(({ status }) => status !== "skipped").length,
    }))
    .sort((one, other) => other.milliseconds - one.milliseconds);
  const firstFile = Math.min(...testResults.map((file) => file.startTime));
  const lastEnd = Math.max(...testResults.map(({ endTime }) => endTime));
  const width = Math.max(...files.map(({ name }) => name.length), "before the first file".length);
  const row = (name: string, milliseconds: number, tests?: number) =>
    `  ${name.padEnd(width)}  ${minutes(milliseconds)}${tests === undefined ? "" : `  ${tests} tests`}`;
  return [
    "Where the minutes went:",
    row("before the first file", firstFile - startTime),
    ...files.map(({ name, milliseconds, tests }) => row(name, milliseconds, tests)),
    row("from first to last", lastEnd - startTime),
  ].join("\n");
}

/** `12:05`. */
function minutes(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`.padStart(6);
}

import { expect, test } from "vitest";
import { minutesTable } from "../../commands/lib/testMinutes.ts";

test("the table of minutes has the longest file first, and what came before them", () => {
  const file = (name: string, startTime: number, endTime: number, statuses: string[]) => ({
    name: `/clone/test/integration/${name}`,
    startTime,
    endTime,
    assertionResults: statuses.map((status) => ({ status })),
  });
  expect(
    minutesTable({
      numPassedTests: 3,
      numFailedTests: 0,
      startTime: 1_000,
      testResults: [
        file("short.test.ts", 61_000, 66_400, ["passed"]),
        file("long.test.ts", 61_500, 786_500, ["passed", "failed", "skipped"]),
      ],
    }),
  ).toBe(`Where the minutes went:
  before the first file    1:00
  long.test.ts            12:05  2 tests
  short.test.ts            0:05  1 tests
  from first to last      13:06`);
});

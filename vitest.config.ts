import { defineConfig } from "vitest/config";
import { SlowestFirst } from "./test/slowestFirst.ts";

export default defineConfig({
  test: {
    sequence: { sequencer: SlowestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          // Vitest leaves one processor to itself, which is half of a machine with two.
          maxWorkers: "100%",
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          globalSetup: ["test/integration/globalSetup.ts"],
          // Each worker has a board of its own; a board keeps about one core busy.
          maxWorkers: 2,
          testTimeout: 600_000,
          hookTimeout: 2_400_000,
        },
      },
    ],
  },
});

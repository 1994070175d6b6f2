import { describe, expect, test } from "vitest";
import { cacheLimit } from "../../components/buildkitd/diskSpace.ts";
import type { WorkerSettings } from "../../components/buildkitd/schema.ts";

const GB = 1024 ** 3;

describe("the bytes that the cache may grow to", () => {
  test.each<[title: string, worker: WorkerSettings, bytes: number]>([
    ["are not known of defaults", {}, 0],
    ["are not known of a share of the disk", { maxUsedSpace: "80%" }, 0],
    ["are not known of free disk", { minFreeSpace: "20GB" }, 0],
    ["are those of maxUsedSpace", { reservedSpace: "1GB", maxUsedSpace: "10GB" }, 10 * GB],
    ["are those of reservedSpace alone", { reservedSpace: "200GB" }, 200 * GB],
    [
      "are reserved whatever else is said",
      { reservedSpace: "200GB", maxUsedSpace: "50%" },
      200 * GB,
    ],
    [
      "are those reserved by a policy",
      { gcpolicy: [{ all: true, reservedSpace: "200GB" }] },
      200 * GB,
    ],
    [
      "are those of the tightest policy",
      { gcpolicy: [{ maxUsedSpace: "200GB" }, { all: true, maxUsedSpace: "20GB" }] },
      20 * GB,
    ],
    [
      "are those of a policy for all records, which another one leaves in part",
      { gcpolicy: [{ maxUsedSpace: "1GB" }, { all: true, maxUsedSpace: "50GB" }] },
      50 * GB,
    ],
    [
      "are not those of a policy for a part, where another one bounds the whole",
      {
        gcpolicy: [
          { filters: ["type==regular"], maxUsedSpace: "200GB" },
          { keepDuration: "48h", reservedSpace: "100GB" },
          { keepDuration: "0s", maxUsedSpace: "20GB" },
        ],
      },
      20 * GB,
    ],
    [
      "are not known where a share bounds the whole",
      { gcpolicy: [{ maxUsedSpace: "200GB" }, { maxUsedSpace: "50%" }] },
      0,
    ],
    [
      "are at least the largest amount, where nothing bounds the whole",
      {
        gcpolicy: [
          { keepDuration: "48h", maxUsedSpace: "20GB" },
          { filters: ["type==regular"], reservedSpace: "30GB" },
        ],
      },
      30 * GB,
    ],
  ])("%s", (_, worker, bytes) => {
    expect(cacheLimit(worker)).toBe(bytes);
  });
});

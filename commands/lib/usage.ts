import type { UsageRecord } from "./control.ts";

type Sized = Pick<UsageRecord, "Size" | "Shared">;

export function bytesOf(records: readonly Sized[]): number {
  return records.reduce((sum, { Size }) => sum + Size, 0);
}

/** What records take on the disk: data that another record has as well is counted there. */
export function ownBytesOf(records: readonly Sized[]): number {
  return bytesOf(records.filter(({ Shared }) => !Shared));
}

import type { UsageRecord } from "./control.ts";

type Sized = Pick<UsageRecord, "Size" | "Shared">;

export function bytesOf(records: readonly Sized[]): number {
  return records.reduce((sum, { Size }) => sum + Size, 0);
}

/** The space that records take on the disk; shared data counts for one record. */
export function ownBytesOf(records: readonly Sized[]): number {
  return bytesOf(records.filter(({ Shared }) => !Shared));
}

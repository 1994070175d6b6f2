import type { FreeRoom } from "../components/board/look.ts";

export interface LookOptions {
  /** `project/stack` */
  stack: string;
  /** Whether to ask for the free room of caches too. */
  freeRoom?: boolean;
  /** How long one host may take. Default: 30 for a board, 20 for a Docker host. */
  seconds?: number;
}

/** The outputs of the resources that the last update left in the state, by name. */
export type Stated = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/**
 * A look at a builder's host. `Mend` is the argument of the composition that has an update mend what somebody changed; it stays
 * in the state after that.
 */
export interface BuilderLook<Mend = unknown> {
  builder: string;
  /** The host, for a message about it. */
  host: string;
  /** The changes that somebody made by hand, one line each; undefined if the host did not answer. */
  changes: string[] | undefined;
  /** The reason why it did not answer. */
  reason?: string;
  free?: FreeRoom;
  /** Where it depends on the state, `against` gives it. */
  mend?: Mend | undefined;
  /** Compares the look with the state: the changes that it contradicts, with what an update does, and their `mend`. */
  against?(stated: Stated): { lines: readonly string[]; mend: Mend | undefined };
}

/** Each builder's `mend`, for the composition of its kind. */
export type Drift = ReadonlyMap<string, unknown>;

export const noDrift: Drift = new Map();

import type { HostKey } from "./kinds.ts";

/** An entry of a stack file as YAML has it, unchecked. */
export interface WrittenHost {
  name?: string;
  /** Of a container. */
  image?: string;
  builders?: WrittenHost[];
}

/**
 * What commands know of a kind of host. They read a stack file to list names and to start virtual machines, also for
 * completion, and do not load the schema for it.
 */
export const writtenHosts: Readonly<
  Record<
    HostKey,
    {
      /** The proving ground's machine for a virtual host. */
      machine: "board" | "docker-host";
      /** The builders that an entry describes. */
      builders(host: WrittenHost): readonly WrittenHost[];
    }
  >
> = {
  boards: { machine: "board", builders: (board) => [board] },
  dockerHosts: { machine: "docker-host", builders: ({ builders }) => builders ?? [] },
};

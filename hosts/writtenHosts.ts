import type { HostKey } from "./kinds.ts";

/** An entry of a stack file as YAML has it, unchecked. */
export interface WrittenHost {
  name?: string;
  /** Of a container. */
  image?: string;
  builders?: WrittenHost[];
}

/**
 * The kinds of hosts as commands know them. Commands read a stack file to list names and to start virtual machines, also
 * for completion. They do not load the schema for that, because it takes too long.
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

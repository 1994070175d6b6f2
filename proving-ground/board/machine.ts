/** The machine of a virtual board, as `startBoard` handles it: an emulator, or a kernel that is a program. */
export interface Machine {
  /** The process that the machine is, while it runs. */
  process(): number | undefined;
  /** The file with the board's console. */
  readonly consoleLog: string;
  /** Switches the power on: the board boots from its disk as it is. Returns when the board answers. */
  boot(): Promise<void>;
  /** Goes on from the snapshot `name`, from on or off. Returns when the board answers, its clock right. */
  goTo(name: string): Promise<void>;
  /**
   * Keeps what the machine is now under `name`, in place of an older one of that name. The machine runs afterwards; one
   * without a snapshot of its memory has booted again.
   */
  keep(name: string): Promise<void>;
  /** Ends it at once, as a power cut does, and returns when it has let go of its files. */
  kill(): Promise<void>;
  /** Sends it to its end and does not wait: for a process that is ending itself. */
  killNow(): void;
  /** Ends a machine whose only snapshot was just kept, and returns the files in its folder that a new machine is made from. */
  finish(): Promise<string[]>;
}

/** A port of the board that is reached at a loopback port of this machine. */
export interface PortForward {
  port: number;
  boardPort: number;
}

/** Generous: other work may share the processors. */
export const bootSeconds = 300;

import type { HostProgram } from "../debian/programs.ts";

/** Programs that make the disk of a board of any kind, and that end its processes. */
export const diskPrograms: HostProgram[] = [
  { program: "mmdebstrap", debian: "mmdebstrap" },
  {
    program: "/usr/share/keyrings/debian-archive-keyring.gpg",
    debian: "debian-archive-keyring",
  },
  { program: "mke2fs", debian: "e2fsprogs" },
  { program: "setpriv", debian: "util-linux" },
];

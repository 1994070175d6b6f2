import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa, type Options, type ResultPromise } from "execa";
import { boardctl } from "../../components/board/boardctl.ts";

/**
 * A folder that boardctl takes for a board's file system: the script itself, run by this machine's sh, with every
 * absolute path below the folder. Programs that would change the machine are stand-ins which only say in
 * `calls` that they were called; what systemd and the kernel do, the integration tests show.
 */
export interface FakeBoard {
  folder: string;
  /** Where `path` of the board is on this machine. */
  at(path: string): string;
  write(path: string, text: string): void;
  /** A program in front of the machine's own in boardctl's PATH. */
  program(name: string, script: string): void;
  /** Runs boardctl as root would, to its end. */
  boardctl(args: string[], stdin?: string): ResultPromise<typeof running>;
  /** The same with the script as it is sent, from outside of its place. */
  sent(args: string[], environment?: Record<string, string>): ResultPromise<typeof running>;
  /** Runs functions of boardctl without its main. */
  functions(script: string): ResultPromise<typeof running>;
  remove(): void;
}

const running = { reject: false, all: true } as const satisfies Options;

const roots = "usr/local|usr/lib|etc|run|opt|var/lib|proc|sys|boot|data";

export function fakeBoard(): FakeBoard {
  const folder = mkdtempSync(join(tmpdir(), "buildhosts-board-"));
  const at = (path: string) => join(folder, path);
  const write = (path: string, text: string) => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  };
  const program = (name: string, script: string) => {
    const path = `/usr/local/sbin/${name}`;
    write(path, `#!/bin/sh\n${script}\n`);
    chmodSync(at(path), 0o755);
  };
  const source = boardctl.replace(
    // What the running script sees of itself is this machine's.
    new RegExp(`(^|[\\s"'=:(])/(?!proc/self/)(${roots})(?![\\w-])`, "gm"),
    (_, before, root) => `${before}${folder}/${root}`,
  );
  for (const path of ["/run/lock", "/run/systemd/system", "/proc/net", "/sys/class/net"]) {
    mkdirSync(at(path), { recursive: true });
  }
  program("id", "echo 0");
  program("sync", ":");
  program("unshare", ":");
  program("systemctl", `echo "systemctl $*" >>${folder}/calls; [ "$1" != is-active ]`);
  program(
    "ip",
    `case $* in "link delete "*) echo "ip $*" >>${folder}/calls; rm -rf ${folder}/sys/class/net/"$3" ;; esac`,
  );
  program("userdel", `echo "userdel $*" >>${folder}/calls`);
  program("chown", `echo "chown $*" >>${folder}/calls`);
  const home = "/usr/local/lib/buildhosts";
  for (const part of ["store", "generations", "spool", "displaced", "pushed"]) {
    mkdirSync(at(`${home}/${part}`), { recursive: true });
  }
  write(`${home}/boardctl`, source);
  write(`${home}/name`, "board\n");
  write("/sent.sh", source);
  write("/functions.sh", source.replace(/^main "\$@"$/m, ""));

  return {
    folder,
    at,
    write,
    program,
    boardctl: (args, stdin = "") =>
      execa("sh", [at(`${home}/boardctl`), ...args], { ...running, input: stdin }),
    sent: (args, env = {}) =>
      execa("sh", [at("/sent.sh"), ...args], { ...running, input: "", env }),
    functions: (script) =>
      execa("sh", ["-c", `. ${at("/functions.sh")}\n${script}`], { ...running, input: "" }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

import { cacheDir } from "../../runtime/cache.ts";
import { withLock } from "../../runtime/lock.ts";
import { exists } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { apt, findCommand, firstKnown, updateLists } from "./apt.ts";

/** Something that is needed of this machine, and where Debian and Ubuntu have it. */
export interface HostProgram {
  /** A command, looked for on PATH and in sbin, or a file when it starts with a slash. */
  program: string;
  /** The package that brings it; of several names over the releases, the first that apt knows. */
  debian: string | readonly string[];
}

/**
 * Installs those of `programs` that are missing, with apt. @throws one error that names all that are
 * missing and their packages, where this process may not install or there is no apt.
 */
export async function ensurePrograms(programs: HostProgram[], log: Progress): Promise<void> {
  const missing = await missingOf(programs);
  if (missing.length === 0) return;
  const names = missing.map(({ program }) => program).join(", ");
  const lacks = `missing: ${missing.map(described).join(", ")}`;
  if (!(await findCommand("apt-get")))
    throw new Error(`${lacks}. There is no apt-get here: install them by this system's own means.`);
  if (process.getuid?.() !== 0)
    throw new Error(`${lacks}. Install them, or run this as root once.`);
  await log.step(`install ${names}`, () =>
    // Two at a time would meet at apt's own locks, one of which it does not wait for.
    withLock(cacheDir("apt.lock"), async () => install(await missingOf(missing), log), {
      onWait: () => log.note("waiting for another run that installs packages"),
    }).catch((error: Error) => {
      throw new Error(`${lacks}. They could not be installed: ${error.message}`);
    }),
  );
}

function described({ program, debian }: HostProgram): string {
  return `${program} (package ${[debian].flat().join(" or ")})`;
}

async function missingOf(programs: HostProgram[]): Promise<HostProgram[]> {
  const there = await Promise.all(
    programs.map(async ({ program }) =>
      program.startsWith("/") ? exists(program) : (await findCommand(program)) !== undefined,
    ),
  );
  return programs.filter((_, index) => !there[index]);
}

async function install(missing: HostProgram[], log: Progress): Promise<void> {
  if (missing.length === 0) return;
  const complaint = await updateLists(log);
  const names: string[] = [];
  for (const { debian } of missing) {
    const name = await firstKnown([debian].flat());
    if (name === undefined)
      throw new Error(
        `no package ${[debian].flat().join(" or ")} in this machine's archives${complaint}; see to /etc/apt`,
      );
    names.push(name);
  }
  await apt(["install", "--yes", "--no-install-recommends", ...new Set(names)], log);
}

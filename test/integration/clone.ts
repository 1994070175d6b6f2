import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { pulumiHomeOf } from "../../runtime/plugins.ts";
import { projectDir } from "./ground.ts";

/** A copy of this clone as it is now, for commands that are run in one: with a state and stack files of its own. */
export async function makeClone(): Promise<string> {
  const clone = await mkdtemp(join(tmpdir(), "buildhosts-clone-"));
  const words = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const { stdout } = await execa("git", words, { cwd: projectDir });
  for (const file of stdout.split("\n")) {
    // A link to it is no folder, which git would ignore.
    if (file === "node_modules" || !existsSync(join(projectDir, file))) continue;
    await mkdir(dirname(join(clone, file)), { recursive: true });
    await cp(join(projectDir, file), join(clone, file));
  }
  await symlink(join(projectDir, "node_modules"), join(clone, "node_modules"));
  await mkdir(join(clone, ".buildhosts", "state"), { recursive: true });
  // The plugins as this clone has them: in a new home they would be asked for again, which takes seconds.
  const plugins = join(pulumiHomeOf(projectDir), "plugins");
  if (existsSync(plugins)) {
    await cp(plugins, join(pulumiHomeOf(clone), "plugins"), { recursive: true });
  }
  return clone;
}

export async function removeClone(clone: string): Promise<void> {
  await rm(pulumiHomeOf(clone), { recursive: true, force: true });
  await rm(clone, { recursive: true, force: true });
}

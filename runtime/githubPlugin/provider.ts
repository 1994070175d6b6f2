import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheDir } from "../cache.ts";
import { goBuild, modulePins, thisMachine } from "../golang.ts";
import { contentKey, makeOnce } from "../makeOnce.ts";
import type { Progress } from "../progress.ts";

/** The version of @pulumi/github; go.mod here names the provider that this version of the SDK is made of. */
export const githubVersion = "6.15.0";

const here = import.meta.dirname;

/**
 * Builds the GitHub plugin from Go modules, once: upstream's own provider behind Pulumi's bridge.
 *
 * @returns the program's path
 * @throws NeedsGo where there is no Go to build it with.
 */
export async function ensureGithubProvider(log: Progress): Promise<string> {
  const program = await githubProvider();
  await makeOnce(
    join(program, ".."),
    (folder) =>
      log.step(`build the GitHub plugin ${githubVersion} from Go modules (1 to 5 minutes)`, () =>
        goBuild({
          ...thisMachine,
          module: here,
          packages: ["."],
          output: join(folder, "pulumi-resource-github"),
          variables: { "main.version": githubVersion },
        }),
      ),
    log,
  );
  return program;
}

/** Where the program is once it is built. The path changes with whatever determines the program. */
export async function githubProvider(): Promise<string> {
  const key = contentKey(
    githubVersion,
    await readFile(join(here, "main.go")),
    ...(await modulePins(here)),
  );
  const { goos, goarch } = thisMachine;
  return cacheDir(
    "plugins",
    `github-${githubVersion}-${goos}-${goarch}-${key}`,
    "pulumi-resource-github",
  );
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir } from "../../runtime/cache.ts";
import { goBuild, modulePins, thisMachine } from "../../runtime/golang.ts";
import { contentKey, exists, makeOnce } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { ensurePrograms } from "../debian/programs.ts";

/** The linters of workflows, as paths of programs. */
export interface WorkflowLinters {
  actionlint: string;
  zizmor: string;
}

/**
 * Makes actionlint and zizmor ready in the cache, at the versions that this folder pins: the one from its
 * Go module, the other from PyPI. shellcheck, which actionlint runs on the scripts in a workflow, is the
 * machine's own.
 */
export async function ensureWorkflowLinters(log: Progress): Promise<WorkflowLinters> {
  return { actionlint: await actionlint(log), zizmor: await zizmor(log) };
}

async function actionlint(log: Progress): Promise<string> {
  const module = join(import.meta.dirname, "actionlint");
  const folder = cacheDir("linters", `actionlint-${contentKey(...(await modulePins(module)))}`);
  await makeOnce(
    folder,
    (temporary) =>
      log.step("build actionlint", () =>
        goBuild({
          ...thisMachine,
          module,
          packages: ["github.com/rhysd/actionlint/cmd/actionlint"],
          output: join(temporary, "actionlint"),
        }),
      ),
    log,
  );
  return join(folder, "actionlint");
}

async function zizmor(log: Progress): Promise<string> {
  const requirements = join(import.meta.dirname, "zizmor.txt");
  const folder = cacheDir("linters", `zizmor-${contentKey(await readFile(requirements))}`);
  if (!(await exists(folder))) {
    await ensurePrograms([{ program: "python3", debian: "python3" }], log);
    const { failed } = await execa("python3", ["-m", "pip", "--version"], { reject: false });
    if (failed) await ensurePrograms([{ program: "pip3", debian: "python3-pip" }], log);
  }
  await makeOnce(
    folder,
    (temporary) =>
      log.step("fetch zizmor", async () => {
        const { failed, stderr } = await execa(
          "python3",
          [
            ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"],
            ...["--only-binary=:all:", "--require-hashes", "--target", temporary],
            ...["--requirement", requirements],
          ],
          { reject: false, timeout: 300_000 },
        );
        if (failed) {
          const reason = stderr.trim().split("\n").at(-1);
          throw new Error(`zizmor cannot be had from PyPI: ${reason}`);
        }
      }),
    log,
  );
  return join(folder, "bin", "zizmor");
}

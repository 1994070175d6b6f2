import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { ensurePrograms, type HostProgram } from "../proving-ground/debian/programs.ts";
import { toStderr as log } from "../runtime/progress.ts";
import { check } from "./check.ts";
import { projectDir } from "./lib/stackFile.ts";
import { minutesTable, type TestReport } from "./lib/testMinutes.ts";

const HELP = `npm test -- [unit|integration] [vitest's options]

Runs the checks, the unit tests and the integration tests, or only one of the two kinds of tests:
  npm test -- unit
  npm test -- integration -t "second up"
The integration tests end with a table of where the minutes went, file by file. The last line counts: N passed, N failed.
The first run builds boards and takes its time.
`;

const argv = process.argv.slice(2);
if (argv.includes("--help") || argv.includes("-h")) {
  process.stdout.write(HELP);
  process.exit(0);
}
const only = argv[0] === "unit" || argv[0] === "integration" ? argv.shift() : undefined;

/** The programs that tests start on this machine, besides those that the proving ground installs. */
const programs: HostProgram[] = [
  { program: "git", debian: "git" },
  { program: "curl", debian: "curl" },
  { program: "jq", debian: "jq" },
  { program: "openssl", debian: "openssl" },
  { program: "ssh-keygen", debian: "openssh-client" },
  { program: "ps", debian: "procps" },
  { program: "haproxy", debian: "haproxy" },
];

let [passed, failed] = [0, 0];
await ensurePrograms(programs, log).catch((error: Error) => {
  failed += 1;
  process.stderr.write(`✗ ${error.message}\n`);
});
if (!only && failed === 0) {
  const checks = await check();
  passed += checks.passed;
  failed += checks.failed;
}
// The short tests run first: if they fail, none that takes minutes starts.
for (const project of only ? [only] : ["unit", "integration"]) {
  if (failed > 0) break;
  const counts = await vitest(project, argv);
  passed += counts.passed;
  failed += counts.failed;
}
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

async function vitest(
  project: string,
  args: string[],
): Promise<{ passed: number; failed: number }> {
  const folder = await mkdtemp(join(tmpdir(), "buildhosts-test-"));
  const report = join(folder, "report.json");
  try {
    const { exitCode } = await execa(
      process.execPath,
      [
        join(projectDir, "node_modules", "vitest", "vitest.mjs"),
        ...["run", "--project", project, "--reporter=verbose", "--reporter=json"],
        ...[`--outputFile.json=${report}`, ...args],
      ],
      { cwd: projectDir, stdio: "inherit", reject: false },
    );
    const results: TestReport = JSON.parse(await readFile(report, "utf8"));
    const { numPassedTests, numFailedTests } = results;
    if (project === "integration") process.stdout.write(`\n${minutesTable(results)}\n`);
    // A file that cannot be loaded, or an error outside a test, fails the run without a failed test.
    const unheard = exitCode !== 0 && numFailedTests === 0 ? 1 : 0;
    return { passed: numPassedTests, failed: numFailedTests + unheard };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { parallelSteps, projectDir } from "../commands/lib/stackFile.ts";

/** A Pulumi project in a folder, with a stack and a state of its own. */
export interface BenchStack {
  /** Runs pulumi and returns the seconds that it took; a failure is thrown with its output. */
  run(...args: string[]): Promise<number>;
  /** The outputs, secrets in the clear. */
  outputs(): Promise<Record<string, unknown>>;
  /** The same state under another configuration. */
  with(config: Record<string, unknown>): Promise<BenchStack>;
  /** Where its state is, and what its secrets are opened with. */
  env: Record<string, string>;
}

export interface BenchStackArgs {
  pulumi: string;
  env: Record<string, string | undefined>;
  /** Where the program is. */
  program: string;
  /** For state and configuration. */
  folder: string;
  config: Record<string, unknown>;
  /** Whether each run finds the caches of Node.js and of ts-node empty, as on a machine that is new to it. */
  withoutCaches?: boolean;
}

export const BENCH_STACK = "bench";

export async function benchStack(args: BenchStackArgs): Promise<BenchStack> {
  const { pulumi, env, program, folder, config } = args;
  await mkdir(join(folder, "state"), { recursive: true });
  await cp(join(program, "Pulumi.yaml"), join(folder, "Pulumi.yaml"));
  const state = {
    PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "bench",
  };
  const configFile = join(folder, `Pulumi.${BENCH_STACK}.yaml`);
  const run = async (cwd: string, words: string[]) => {
    const temporary = await mkdtemp(join(folder, "tmp-"));
    const started = performance.now();
    const { exitCode, all } = await execa(
      pulumi,
      [...words, "--non-interactive", "--color", "never", "--cwd", cwd],
      {
        env: {
          ...env,
          ...state,
          ...parallelSteps(config["buildhosts:boards"]),
          // ts-node keeps what it has checked and compiled in the folder for temporary files.
          ...(args.withoutCaches && {
            TMPDIR: temporary,
            NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE && join(temporary, "compiled"),
          }),
        },
        all: true,
        reject: false,
        timeout: 300_000,
      },
    );
    const seconds = (performance.now() - started) / 1000;
    if (exitCode !== 0) throw new Error(`pulumi ${words.join(" ")} failed:\n${all}`);
    await rm(temporary, { recursive: true, force: true });
    return seconds;
  };
  await run(folder, ["stack", "init", BENCH_STACK]);
  const salt = await readFile(configFile, "utf8");
  const under = async (file: string, values: Record<string, unknown>): Promise<BenchStack> => {
    await writeFile(file, `${salt}${stringify({ config: values })}`);
    const words = ["--stack", BENCH_STACK, "--config-file", file];
    return {
      env: state,
      run: (...args) => run(program, [...args, ...words]),
      async outputs() {
        const { stdout } = await execa(
          pulumi,
          ["stack", "output", "--json", "--show-secrets", "--stack", BENCH_STACK, "--cwd", program],
          { env: { ...env, ...state } },
        );
        return JSON.parse(stdout);
      },
      with: (other) => under(`${file}.other.yaml`, other),
    };
  };
  return under(configFile, config);
}

/** A program that registers nothing, loaded the way that ours is. */
export async function emptyProgram(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "Pulumi.yaml"), await readFile(join(projectDir, "Pulumi.yaml")));
  await writeFile(join(folder, "package.json"), '{ "type": "module", "main": "index.ts" }\n');
  await writeFile(join(folder, "index.ts"), 'import "@pulumi/pulumi";\n');
  await linkModules(folder);
  return folder;
}

/**
 * Our program as Pulumi's default loader takes it: CommonJS through ts-node. Only what differs between
 * the two module systems is rewritten: the endings of imports, the name of the folder, and index.ts,
 * which awaits.
 */
export async function defaultLoaderProgram(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const part of ["components", "config", "hosts", "stack"]) {
    await cp(join(projectDir, part), join(folder, part), { recursive: true });
  }
  await rm(join(folder, "components", "package.json"));
  const { stdout } = await execa("find", [folder, "-name", "*.ts"]);
  for (const file of stdout.split("\n")) {
    const text = await readFile(file, "utf8");
    await writeFile(
      file,
      text
        .replace(/((?:from |import |import\()"\.{1,2}\/[^"]+)\.ts"/g, '$1"')
        .replaceAll("import.meta.dirname", "__dirname"),
    );
  }
  await writeFile(
    join(folder, "index.ts"),
    `import "./stack/sdkDebugging";
import { loadConfig } from "./config/load";
import { compose } from "./stack/compose";
export = () => compose(loadConfig(__dirname));
`,
  );
  const project = await readFile(join(projectDir, "Pulumi.yaml"), "utf8");
  await writeFile(
    join(folder, "Pulumi.yaml"),
    project.replace("typescript: false", "typescript: true"),
  );
  await writeFile(join(folder, "package.json"), '{ "main": "index.ts" }\n');
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        target: "es2024",
        module: "commonjs",
        moduleResolution: "node",
        esModuleInterop: true,
        ignoreDeprecations: "6.0",
        strict: true,
        skipLibCheck: true,
      },
    }),
  );
  await linkModules(folder);
  return folder;
}

async function linkModules(folder: string): Promise<void> {
  await symlink(join(projectDir, "node_modules"), join(folder, "node_modules"));
}

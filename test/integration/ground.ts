import { cp, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { inject } from "vitest";
import { stringify } from "yaml";
import { startVirtualBoard, type VirtualBoard } from "../../proving-ground/board/virtualBoard.ts";
import type { Mirror } from "../../proving-ground/mirror/mirror.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { boardPlatform } from "./boardPlatform.ts";
import { filesOf } from "./onBoard.ts";

export const projectDir: string = join(import.meta.dirname, "..", "..");

/** What globalSetup.ts makes once for the whole run, in a form that reaches every test file. */
export interface SharedGround {
  engine: Engine;
  /** Of every pulumi process. */
  env: Record<string, string>;
  /** What the names of the run's boards begin with: each of vitest's workers has a board of its own. */
  instance: string;
  /** Where stacks and other files of tests are made; removed after the run. */
  folder: string;
  /** A mirror of the releases, which serves for the whole run. */
  mirror: Pick<Mirror, "url" | "port">;
  /** The folders that the mirror serves. */
  releases: string[];
  buildctl: string;
}

/** A stack that was brought up from nothing once, beside the board's snapshot of that moment. */
export interface Baseline {
  folder: string;
  /** How bringing it up went. */
  up: Run;
  /** What `filesOf` saw on the board before. */
  filesBefore: string;
}

declare module "vitest" {
  interface ProvidedContext {
    ground: SharedGround;
  }
}

/** What every integration test stands on: a real engine, a real board, a mirror of releases. */
export interface Ground extends SharedGround {
  board: VirtualBoard;
  /** The default stack as it was first brought up on this board. */
  baseline: Baseline;
}

/** A board and a stack that know of each other. */
export interface Scene {
  board: VirtualBoard;
  stack: TestStack;
}

/** The version of BuildKit beside the default one that tests change to and back from. */
export const otherBuildkit = "v0.34.1";

/** The set of the documents that the project came from. */
export const seedVersions = { containerd: "v2.1.1", runc: "v1.3.0", buildkit: "v0.22.0" };

/** The board's snapshot in which the baseline stack was just brought up. */
export const provisionedSnapshot = "provisioned";

let attached: Promise<Ground> | undefined;

/** The run's engine and mirror, and this worker's board, as the test before left it. */
export function ground(): Promise<Ground> {
  attached ??= attach(inject("ground"), `${process.env.VITEST_POOL_ID}`);
  return attached;
}

async function attach(shared: SharedGround, worker: string): Promise<Ground> {
  const instance = `${shared.instance}-${worker}`;
  const board = await startVirtualBoard({ platform: boardPlatform, instance, log });
  const ground: Ground = { ...shared, board, baseline: nothingYet };
  const known = join(shared.folder, `${instance}.json`);
  const baseline = await readFile(known, "utf8").then(JSON.parse, () => bringUp(ground));
  await writeFile(known, JSON.stringify(baseline));
  return { ...ground, baseline };
}

const nothingYet: Baseline = {
  folder: "",
  filesBefore: "",
  up: { code: 1, output: "", changes: {}, events: "", seconds: 0 },
};

/** The default stack on a clean board, by a first `up`, which every test relies on. */
async function bringUp(ground: Ground): Promise<Baseline> {
  const { board } = ground;
  await board.restore("booted");
  const stack = await TestStack.make(ground);
  const filesBefore = await filesOf(board);
  const up = await log.step("bring the default stack up from nothing", () => stack.up());
  if (up.code !== 0) throw new Error(`the first up failed:\n${up.output}`);
  board.disconnect();
  await board.snapshot(provisionedSnapshot);
  return { folder: stack.folder, up, filesBefore };
}

/** The default stack, up on its board: as after the first `up`, but within seconds. */
export async function provisioned(): Promise<Scene> {
  const shared = await ground();
  await shared.board.restore(provisionedSnapshot);
  return { board: shared.board, stack: await TestStack.at(shared, shared.baseline.folder).copy() };
}

/** A board on which nothing was ever installed, and a stack that was never up. */
export async function clean(
  board: BoardSettings = {},
  keys: Record<string, unknown> = {},
): Promise<Scene> {
  const shared = await ground();
  await shared.board.restore("booted");
  const stack = await TestStack.make(shared);
  await stack.configure(board, keys);
  return { board: shared.board, stack };
}

/** What a run of pulumi came to. */
export interface Run {
  code: number;
  /** Everything that it printed, without colours. */
  output: string;
  /** Resources by what was done to them, in the engine's words: create, update, same … */
  changes: Record<string, string[]>;
  /** The engine's event log. */
  events: string;
  seconds: number;
}

export type BoardSettings = Record<string, unknown>;

/** A stack of its own, in a folder of its own, with a file backend there. */
export class TestStack {
  /** A stack without a board has none. */
  readonly ground: Ground;
  readonly folder: string;
  readonly name: string;

  private constructor(ground: Ground, folder: string, name: string) {
    this.ground = ground;
    this.folder = folder;
    this.name = name;
  }

  static async make(ground: Ground, name = "test"): Promise<TestStack> {
    const stack = await TestStack.makeAlone(ground, name);
    await stack.configure();
    return stack;
  }

  /** A stack without a board; it has no key yet. */
  static async makeAlone(shared: SharedGround, name = "test"): Promise<TestStack> {
    const ground = shared as Ground;
    const folder = await mkdtemp(join(ground.folder, "stack-"));
    await mkdir(join(folder, "state"));
    await cp(join(projectDir, "Pulumi.yaml"), join(folder, "Pulumi.yaml"));
    const stack = new TestStack(ground, folder, name);
    await stack.configureAlone({});
    const { code, output } = await stack.pulumi(["stack", "init", name]);
    if (code !== 0) throw new Error(`stack init failed: ${output}`);
    return stack;
  }

  /** The stack that was made in `folder` before. */
  static at(ground: Ground, folder: string, name = "test"): TestStack {
    return new TestStack(ground, folder, name);
  }

  /** Another stack in the state that this one is in now. */
  async copy(): Promise<TestStack> {
    const folder = await mkdtemp(join(this.ground.folder, "stack-"));
    await cp(this.folder, folder, { recursive: true });
    return new TestStack(this.ground, folder, this.name);
  }

  get configFile(): string {
    return join(this.folder, `Pulumi.${this.name}.yaml`);
  }

  /** The board as every test has it, with what it says differently; and keys of the stack beside it. */
  async configure(board: BoardSettings = {}, keys: Record<string, unknown> = {}): Promise<void> {
    const { connection } = this.ground.board;
    await this.configureAlone({
      "buildhosts:releases": { mirror: this.mirrorUrl() },
      "buildhosts:ssh": { privateKeyFile: connection.identityFile },
      "buildhosts:boards": [
        {
          name: "board",
          host: connection.host,
          port: connection.port,
          user: connection.user,
          hostKey: connection.hostKey,
          platform: connection.platform,
          endpoint: `tcp://${connection.host}:${connection.buildkitPort}`,
          ...board,
        },
      ],
      ...keys,
    });
  }

  /** These keys and no others: a stack without a board, unless they name one. */
  async configureAlone(config: Record<string, unknown>): Promise<void> {
    const salt = /^encryptionsalt: .*$/m.exec(
      await readFile(this.configFile, "utf8").catch(() => ""),
    )?.[0];
    await writeFile(this.configFile, `${salt ? `${salt}\n` : ""}${stringify({ config })}`);
  }

  /** The mirror at the address that the board sees it at. */
  mirrorUrl(mirror: Pick<Mirror, "port"> = this.ground.mirror): string {
    return `http://${this.ground.board.connection.gateway}:${mirror.port}`;
  }

  up(...args: string[]): Promise<Run> {
    return this.operation(["up", "--yes", "--skip-preview", ...args]);
  }

  preview(...args: string[]): Promise<Run> {
    return this.operation(["preview", "--diff", ...args]);
  }

  destroy(...args: string[]): Promise<Run> {
    return this.operation(["destroy", "--yes", "--skip-preview", ...args]);
  }

  async operation(args: string[]): Promise<Run> {
    const events = join(this.folder, "events.jsonl");
    await writeFile(events, "");
    const started = performance.now();
    const { code, output } = await this.pulumi([...args, "--event-log", events]);
    const seconds = (performance.now() - started) / 1000;
    const log = await readFile(events, "utf8");
    return { code, output, seconds, changes: changes(log), events: log };
  }

  async outputs(): Promise<Record<string, unknown>> {
    const { output, code } = await this.pulumi(["stack", "output", "--json", "--show-secrets"]);
    if (code !== 0) throw new Error(output);
    return JSON.parse(output);
  }

  /** Any command of pulumi on this stack. */
  async pulumi(args: string[]): Promise<{ code: number; output: string }> {
    const { env, engine } = this.ground;
    const isInit = args[0] === "stack" && args[1] === "init";
    const hasNoConfig = ["stack", "cancel", "state"].includes(String(args[0]));
    const { exitCode, all } = await execa(
      engine.pulumi,
      [
        ...args,
        ...(isInit ? [] : ["--stack", this.name]),
        ...(hasNoConfig ? [] : ["--config-file", this.configFile]),
        // The stack's file, with the salt of its passphrase, is made in the stack's own folder.
        ...["--non-interactive", "--color", "never", "--cwd", isInit ? this.folder : projectDir],
      ],
      {
        env: { ...env, PULUMI_BACKEND_URL: `file://${join(this.folder, "state")}` },
        all: true,
        reject: false,
        timeout: 600_000,
      },
    );
    return { code: exitCode ?? 1, output: String(all ?? "") };
  }
}

function changes(eventLog: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const line of eventLog.split("\n").filter(Boolean)) {
    const { resOutputsEvent, resourcePreEvent } = JSON.parse(line);
    const metadata = resOutputsEvent?.metadata ?? resourcePreEvent?.metadata;
    if (!metadata) continue;
    // It comes and goes with questions to the state, and the engine shows it to nobody.
    if (metadata.urn.includes("::pulumi:providers:pulumi::")) continue;
    const name = metadata.urn.split("::").at(-1);
    const list = found[metadata.op] ?? [];
    found[metadata.op] = list;
    if (!list.includes(name)) list.push(name);
  }
  for (const list of Object.values(found)) list.sort();
  return found;
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import semver from "semver";
import { actions } from "../../components/github/actions.ts";
import { defaultVersions } from "../../config/versions.ts";
import { heldPins } from "./heldPins.ts";
import { projectDir } from "./stackFile.ts";

/** A version that a file of this project names, and the newest one there is. */
export interface Pin {
  name: string;
  /** Relative to the project. */
  file: string;
  version: string;
  newest: string;
}

/** A source of versions that gives no answer. */
export interface Unasked {
  name: string;
  reason: string;
}

export interface Pins {
  pins: Pin[];
  unasked: Unasked[];
}

/** A pin that is behind. `isHeld` says that `reason` is about the newest version there is. */
export interface Behind extends Pin {
  reason: string | undefined;
  isHeld: boolean;
}

/** The pins that are behind, those without a valid reason first. */
export function behindPins(pins: readonly Pin[], held = heldPins): Behind[] {
  const behind = pins
    .filter(({ version, newest }) => isBelow(version, newest))
    .map((pin) => {
      const known = held[pin.name];
      return {
        ...pin,
        reason: known?.reason,
        isHeld: known !== undefined && !isBelow(known.seen, pin.newest),
      };
    });
  return [...behind.filter(({ isHeld }) => !isHeld), ...behind.filter(({ isHeld }) => isHeld)];
}

function isBelow(version: string, other: string): boolean {
  const [a, b] = [semver.coerce(version), semver.coerce(other)];
  return a !== null && b !== null && semver.lt(a, b);
}

/** The newest release among tags, of which some name no release. */
export function newestRelease(tags: readonly string[]): string | undefined {
  const releases = tags.filter((tag) => semver.valid(tag) && !semver.prerelease(tag));
  return semver.rsort(releases)[0];
}

/** The modules that a go.mod asks for itself: those of its tools, and those that are not indirect. */
export function modulesOf(goMod: string): { name: string; version: string }[] {
  const tools = [...goMod.matchAll(/^tool (\S+)$/gm)].map(([, path = ""]) => path);
  return [...goMod.matchAll(/^(?:require )?\t?(\S+) (v\S+)( \/\/ indirect)?$/gm)]
    .map(([, name = "", version = "", indirect]) => ({ name, version, indirect }))
    .filter(({ name, indirect }) => !indirect || tools.some((tool) => tool.startsWith(`${name}/`)))
    .map(({ name, version }) => ({ name, version }));
}

/** Asks every source at once; a source that gives no answer is named, and the others count. */
export async function readPins(): Promise<Pins> {
  const modules = await Promise.all(
    ["runtime/engine", "runtime/githubPlugin", "proving-ground/linters/actionlint"].map(
      async (folder) => {
        const file = `${folder}/go.mod`;
        const asked = modulesOf(await readFile(join(projectDir, file), "utf8"));
        return asked.map((module) => ({ ...module, file }));
      },
    ),
  );
  const releases = Object.entries(releaseModules).map(([component, module]) => ({
    name: component,
    file: "config/versions.ts",
    version: defaultVersions[component as keyof typeof defaultVersions],
    module,
  }));
  const asked = [
    asking("npm", () => npmPins([])),
    asking("npm in proving-ground", () => npmPins(["--workspace", "proving-ground"])),
    ...[...modules.flat().map((one) => ({ ...one, module: one.name })), ...releases].map((one) =>
      asking(one.name, async () => [await modulePin(one)]),
    ),
    ...Object.entries(actions).map(([name, { version }]) =>
      asking(name, async () => [await actionPin(name, version)]),
    ),
    asking("zizmor", async () => [await zizmorPin()]),
  ];
  const answers = await Promise.all(asked);
  return {
    pins: answers.flatMap(({ pins }) => pins),
    unasked: answers.flatMap(({ unasked }) => unasked),
  };
}

/** The Go modules of what boards install; their versions are the releases' tags. */
const releaseModules = {
  buildkit: "github.com/moby/buildkit",
  containerd: "github.com/containerd/containerd/v2",
  runc: "github.com/opencontainers/runc",
  rootlesskit: "github.com/rootless-containers/rootlesskit/v3",
};

async function asking(name: string, ask: () => Promise<Pin[]>): Promise<Pins> {
  try {
    return { pins: await ask(), unasked: [] };
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const reason = (stderr || message).trim().split("\n").at(-1) ?? "";
    return { pins: [], unasked: [{ name, reason }] };
  }
}

/** How long one source may take. */
const TIMEOUT_MS = 60_000;

const options = {
  cwd: projectDir,
  timeout: TIMEOUT_MS,
  // Git would ask for a name and a password where a repository does not exist.
  env: { GIT_TERMINAL_PROMPT: "0" },
};

async function npmPins(workspace: string[]): Promise<Pin[]> {
  // It ends with 1 where a package is behind.
  const { stdout } = await execa("npm", ["outdated", "--json", ...workspace], {
    ...options,
    reject: false,
  });
  const answer = JSON.parse(stdout || "{}");
  if (answer.error) throw new Error(answer.error.summary);
  const file = workspace.length === 0 ? "package.json" : "proving-ground/package.json";
  return Object.entries<Outdated | Outdated[]>(answer)
    .flatMap(([name, found]) => [found].flat().map((one) => ({ ...one, name })))
    .filter(({ dependent }) => (dependent === "proving-ground") === workspace.length > 0)
    .map(({ name, current, latest }) => ({ name, file, version: current, newest: latest }));
}

/** What `npm outdated` says of a package; it is silent about those that are not behind. */
interface Outdated {
  current: string;
  latest: string;
  dependent: string;
}

async function modulePin({
  module,
  ...pin
}: Omit<Pin, "newest"> & { module: string }): Promise<Pin> {
  const { stdout } = await execa("go", ["list", "-m", "-json", `${module}@latest`], options);
  return { ...pin, newest: JSON.parse(stdout).Version };
}

/** The newest release of an action by its tags on GitHub. */
export async function actionPin(name: string, version: string): Promise<Pin> {
  const { stdout } = await execa(
    "git",
    ["ls-remote", "--tags", "--refs", `https://github.com/${name}`],
    options,
  );
  const newest = newestRelease(
    stdout.split("\n").map((line) => line.replace(/^.*refs\/tags\//, "")),
  );
  if (newest === undefined) throw new Error("it has no release");
  return { name, file: "components/github/actions.ts", version, newest };
}

async function zizmorPin(): Promise<Pin> {
  const file = "proving-ground/linters/zizmor.txt";
  const text = await readFile(join(projectDir, file), "utf8");
  const version = /^zizmor==(\S+)/m.exec(text)?.[1] ?? "";
  const { stdout } = await execa(
    "python3",
    ["-m", "pip", "index", "versions", "--disable-pip-version-check", "zizmor"],
    options,
  );
  const newest = /^zizmor \((\S+)\)/m.exec(stdout)?.[1];
  if (newest === undefined) throw new Error("pip names no version");
  return { name: "zizmor", file, version, newest };
}

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** Operating system and architecture in Go's words. */
export interface GoTarget {
  goos: string;
  goarch: string;
}

/** The machine that this runs on. */
export const thisMachine: GoTarget = {
  goos: process.platform === "win32" ? "windows" : process.platform,
  goarch: { x64: "amd64", arm: "arm", ia32: "386" }[process.arch as string] ?? process.arch,
};

/** The packages that `goBuild` builds, and the flags. */
export interface GoBuild extends GoTarget {
  /** The main module's folder: one with a go.mod and a complete go.sum. */
  module: string;
  /** Import paths or `./` paths of main packages. */
  packages: string[];
  /** Where the programs go: a folder that exists, or for one package a file. */
  output: string;
  /** Values set at link time, from `import/path.Variable` to the value. */
  variables?: Record<string, string>;
  tags?: string[];
  /** Other versions for modules that go.mod names: `module@version`, from the one there to the one to take. */
  replace?: Record<string, string>;
  /** C compiler for cgo. Without it, cgo is off, and the programs are static. */
  cgo?: { CC: string; CGO_CFLAGS: string; CGO_LDFLAGS: string };
}

/**
 * Runs `go build` and leaves stripped programs without paths of this machine in them.
 *
 * @throws one message with the compiler's last lines; or `needsGo` when there is no toolchain.
 */
export async function goBuild(build: GoBuild): Promise<void> {
  const variables = Object.entries(build.variables ?? {}).map(
    ([name, value]) => `-X ${name}=${value}`,
  );
  const linker = build.cgo ? ["-linkmode external", "-extldflags -static"] : [];
  await withReplacements(build, (modfile) =>
    go(
      [
        "build",
        "-trimpath",
        // The linker's -s and -w drop this information: the compiler saves a tenth of its time without it.
        "-gcflags=all=-dwarf=false",
        ...modfile,
        `-tags=${(build.tags ?? []).join(",")}`,
        `-ldflags=${["-s", "-w", ...linker, ...variables].join(" ")}`,
        `-o=${build.output}`,
        ...build.packages,
      ],
      build.module,
      {
        GOOS: build.goos,
        GOARCH: build.goarch,
        CGO_ENABLED: build.cgo ? "1" : "0",
        ...build.cgo,
        ...withoutCollecting(freemem() / availableParallelism()),
      },
    ),
  );
}

/**
 * Compilers end before their garbage is a burden, and looking for it takes a sixth of their time and more. With less
 * than 3 GiB of memory for each processor they do: two builds run at a time, beside a board.
 */
function withoutCollecting(bytesOfEach: number): Record<string, string> {
  if (process.env.GOGC !== undefined || bytesOfEach < 3 * 1024 ** 3) return {};
  return { GOGC: "off", GOMEMLIMIT: "2GiB" };
}

/** Calls `run` with the flags that put `replace` into effect without writing into the module's folder. */
export async function withReplacements(
  { module, replace = {} }: Pick<GoBuild, "module" | "replace">,
  run: (flags: string[]) => Promise<unknown>,
): Promise<void> {
  const goMod = await readFile(join(module, "go.mod"), "utf8");
  const edits = Object.entries(replace)
    .filter(([from]) => goMod.includes(from.replace("@", " ")))
    .map(([from, to]) => `-replace=${from}=${to}`);
  if (edits.length === 0) {
    await run([]);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), "buildhosts-go-"));
  try {
    for (const name of ["go.mod", "go.sum"])
      await writeFile(join(folder, name), await readFile(join(module, name)));
    const modfile = join(folder, "go.mod");
    await go(["mod", "edit", ...edits, modfile]);
    // `mod` instead of `readonly`: the sums of what takes the place are looked up and added to the copy.
    await run([`-modfile=${modfile}`, "-mod=mod"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Fetches `module` at `version` into Go's module cache by the machine's own proxy settings, and
 * returns its folder there, with the go.mod and go.sum that its authors published.
 *
 * The checksum database vouches for the content as far as the machine's settings ask it; `sum`, where
 * given, is compared as well.
 */
export async function goModule(module: string, version: string, sum?: string): Promise<string> {
  const { stdout } = await runGo(["mod", "download", "-json", `${module}@${version}`]);
  // The JSON reports a missing version too, besides the exit code.
  const { Dir, Sum, Error: reason } = JSON.parse(stdout || "{}") as Record<string, string>;
  if (!Dir)
    throw new Error(
      `${module}@${version}: not to be had from \`go env GOPROXY\`: ${reason?.split("\n", 1)[0] ?? "no answer"}. ` +
        "Check that this version exists.",
    );
  if (sum !== undefined && Sum !== sum)
    throw new Error(
      `${module}@${version}: the module proxy served ${Sum}, but ${sum} is pinned. ` +
        "Do not use it; look at what `go env GOPROXY` names.",
    );
  return Dir;
}

/** Runs `go` and returns what it printed. @throws one message with its last lines when it fails. */
async function go(args: string[], cwd?: string, env?: Record<string, string>): Promise<string> {
  const { failed, stdout, stderr, shortMessage } = await runGo(args, cwd, env);
  if (!failed) return stdout;
  const tail = (stderr || stdout || shortMessage || "").trim().split("\n").slice(-15).join("\n  ");
  throw new Error(`go ${args[0]} ${args.at(-1)}: failed:\n  ${tail}`);
}

/** Runs `go`, in `cwd` if given, with settings of ours where the user's would change the result. */
async function runGo(args: string[], cwd?: string, env?: Record<string, string>) {
  await checkGo();
  return execa("go", args, {
    reject: false,
    ...(cwd && { cwd }),
    env: { GOWORK: "off", GOFLAGS: "-mod=readonly -buildvcs=false", ...env },
  });
}

/** The message of a machine without a Go toolchain that could build what we need. */
export class NeedsGo extends Error {
  constructor(found: string) {
    super(
      `go: ${found}, but 1.21 or newer is needed to build what cannot be downloaded here. ` +
        "Install Go (https://go.dev/dl, or your distribution's package), or let this machine " +
        "reach the official downloads (https://get.pulumi.com and https://github.com).",
    );
  }
}

/**
 * Go 1.21 and newer fetch by themselves the toolchain that a go.mod asks for; older ones only fail,
 * late and without a hint.
 */
async function checkGo(): Promise<void> {
  goVersion ??= execa("go", ["env", "GOVERSION"], {
    reject: false,
    env: { GOTOOLCHAIN: "local" },
  }).then(({ stdout, failed }) => (failed ? "" : String(stdout).trim()));
  const version = await goVersion;
  if (!version) throw new NeedsGo("not found on PATH");
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  // A development version ("devel …") has no number; it is newer.
  if (major !== undefined && (Number(major) < 1 || (Number(major) === 1 && Number(minor) < 21)))
    throw new NeedsGo(`${version} found`);
}
let goVersion: Promise<string> | undefined;

/** The files that pin a module of ours, for a content key. */
export async function modulePins(folder: string): Promise<Uint8Array[]> {
  return Promise.all(["go.mod", "go.sum"].map((name) => readFile(`${folder}/${name}`)));
}

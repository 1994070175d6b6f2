import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { aptSources, debianMirror } from "../board/aptSources.ts";
import { cacheDir } from "../cache.ts";
import { makeOnce } from "../makeOnce.ts";
import type { Progress } from "../progress.ts";

/** Debian's names for an architecture, and the packages that compile for it on another one. */
interface DebianArchitecture {
  arch: string;
  /** Prefix of the compiler and folder of the libraries. */
  triplet: string;
  packages: string[];
}

const architectures: Record<string, DebianArchitecture> = {
  riscv64: {
    arch: "riscv64",
    triplet: "riscv64-linux-gnu",
    packages: ["gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross"],
  },
  arm64: {
    arch: "arm64",
    triplet: "aarch64-linux-gnu",
    packages: ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
  },
  amd64: {
    arch: "amd64",
    triplet: "x86_64-linux-gnu",
    packages: ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
  },
};

/** The first Debian release with riscv64; its static libseccomp links with older C libraries as well. */
const release = "trixie";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** A C compiler for a foreign architecture and the flags that find a static libseccomp. */
export interface CrossCompiler {
  CC: string;
  CGO_CFLAGS: string;
  CGO_LDFLAGS: string;
  /** Keeps the machine's own libseccomp, of another architecture, out of the build. */
  PKG_CONFIG: string;
}

/**
 * Makes ready what cgo needs to build runc for `goarch`: Debian's cross compiler, installed where this
 * runs as root, and libseccomp-dev of that architecture, unpacked into the cache without touching the
 * machine's own package lists.
 *
 * @throws one message that says what is missing, on machines without apt or without a Debian mirror.
 */
export async function ensureCrossCompiler(goarch: string, log: Progress): Promise<CrossCompiler> {
  const architecture = architectures[goarch];
  if (!architecture) throw new Error(`runc: no cross compiler is known for ${goarch}`);
  const { arch, triplet } = architecture;
  const CC = await ensureCompiler(architecture, log);
  const folder = cacheDir("libseccomp", `${release}-${arch}`);
  await makeOnce(
    folder,
    (temporary) => log.step(`fetch libseccomp for ${arch}`, () => fetchLibseccomp(arch, temporary)),
    log,
  );
  return {
    CC,
    CGO_CFLAGS: `-O2 -I${join(folder, "usr", "include")}`,
    CGO_LDFLAGS: `-L${join(folder, "usr", "lib", triplet)} -lseccomp`,
    PKG_CONFIG: "true",
  };
}

async function ensureCompiler(
  { triplet, packages }: DebianArchitecture,
  log: Progress,
): Promise<string> {
  const compiler = `${triplet}-gcc`;
  const isThere = async () => !(await execa(compiler, ["--version"], { reject: false })).failed;
  if (await isThere()) return compiler;
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...packages];
  if (process.getuid?.() === 0)
    await log.step(`install ${packages.join(" ")}`, async () => {
      const settings = { env: { DEBIAN_FRONTEND: "noninteractive" }, reject: false } as const;
      await execa("apt-get", ["update"], { ...settings, timeout: 5 * 60_000 });
      await execa("apt-get", install.slice(1), { ...settings, timeout: 15 * 60_000 });
    });
  if (await isThere()) return compiler;
  throw new Error(
    `${compiler}: not found, and runc cannot be built without it. Install it: sudo ${install.join(" ")}`,
  );
}

/** Runs apt with lists, cache and architecture of its own, all below `folder`. */
async function fetchLibseccomp(arch: string, folder: string): Promise<void> {
  const mirror = debianMirror(await aptSources());
  if (!mirror)
    throw new Error(
      "runc: building it needs libseccomp from a Debian mirror, and this machine's apt knows none. " +
        "Run this on Debian, or let this machine reach https://github.com.",
    );
  const apt = join(folder, "apt");
  for (const name of ["state/lists/partial", "cache/archives/partial"])
    await mkdir(join(apt, name), { recursive: true });
  await writeFile(join(apt, "status"), "");
  await writeFile(
    join(apt, "sources.list"),
    `deb [signed-by=${keyring}] ${mirror} ${release} main\n`,
  );
  const options = Object.entries({
    "Dir::State": join(apt, "state"),
    "Dir::State::status": join(apt, "status"),
    "Dir::Cache": join(apt, "cache"),
    "Dir::Etc::sourcelist": join(apt, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    "APT::Architecture": arch,
    "APT::Architectures": arch,
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    "Acquire::Retries": "3",
  }).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const limits = { cwd: folder, timeout: 5 * 60_000 };
  await execa("apt-get", [...options, "update"], limits);
  await execa("apt-get", [...options, "download", "libseccomp-dev"], limits);
  const archive = (await readdir(folder)).find((name) => name.endsWith(".deb"));
  if (!archive) throw new Error(`runc: ${mirror} has no libseccomp-dev for ${arch}`);
  await execa("dpkg-deb", ["-x", archive, "."], { cwd: folder });
  await rm(apt, { recursive: true });
  await rm(join(folder, archive));
}

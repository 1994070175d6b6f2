import { join } from "node:path";
import { thisMachine } from "../../runtime/golang.ts";
import type { Progress } from "../../runtime/progress.ts";
import { ensureUnpacked } from "../debian/packages.ts";
import { ensurePrograms } from "../debian/programs.ts";

/** By Go's name, which is Debian's too: the prefix of the compiler and the folder of the libraries. */
const triplets: Record<string, string> = {
  riscv64: "riscv64-linux-gnu",
  arm64: "aarch64-linux-gnu",
  amd64: "x86_64-linux-gnu",
};

/** The first Debian release with riscv64; its static libseccomp links with older C libraries as well. */
const release = "trixie";

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
 * @throws one message that says what is missing, on machines without apt.
 */
export async function ensureCrossCompiler(goarch: string, log: Progress): Promise<CrossCompiler> {
  const triplet = triplets[goarch];
  if (!triplet) throw new Error(`runc: no cross compiler is known for ${goarch}`);
  const CC = await ensureCompiler(goarch, triplet, log);
  const folder = await ensureUnpacked(
    { suite: release, architecture: goarch, names: ["libseccomp-dev"] },
    log,
  );
  return {
    CC,
    CGO_CFLAGS: `-O2 -I${join(folder, "usr", "include")}`,
    CGO_LDFLAGS: `-L${join(folder, "usr", "lib", triplet)} -lseccomp`,
    PKG_CONFIG: "true",
  };
}

async function ensureCompiler(goarch: string, triplet: string, log: Progress): Promise<string> {
  const CC = `${triplet}-gcc`;
  const native = goarch === thisMachine.goarch;
  await ensurePrograms(
    [
      { program: CC, debian: native ? "gcc" : `gcc-${triplet.replace("_", "-")}` },
      native
        ? { program: `/usr/lib/${triplet}/libc.a`, debian: "libc6-dev" }
        : { program: `/usr/${triplet}/lib/libc.a`, debian: `libc6-dev-${goarch}-cross` },
    ],
    log,
  ).catch((error: Error) => {
    throw new Error(`runc for ${goarch} cannot be built here: ${error.message}`);
  });
  return CC;
}

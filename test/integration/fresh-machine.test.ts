// The first command on a machine that nobody has prepared: bare root file systems of Debian's releases, in which
// whatever this machine has gathered cannot hide that something is missing.

import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { type BareMachine, makeBareMachine } from "./bareMachine.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bh-fresh-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const up = ["node", "commands/bootstrap.mjs", "commands/up.ts"];
const sources = "etc/apt/sources.list";
const binfmtMisc = "/proc/sys/fs/binfmt_misc";

const refused = (cause: string) =>
  `✗ The virtual board linux/riscv64 cannot run here: ${cause}
A board of your own needs none of this: \`npm run up -- --stack <yours>\` (see the README).
  The whole log is in /buildhosts/.buildhosts/logs/up.log`;

/** Before Linux 6.7 a machine's kernel has one binfmt_misc for all. */
const [major = 0, minor = 0] = release().split(".").map(Number);
const hasOwnBinfmtMisc = major > 6 || (major === 6 && minor >= 7);

/** Without times, which differ. */
const timeless = (text: string) => text.replace(/\(\d+\.\d s\)/g, "(… s)");

describe.runIf(hasOwnBinfmtMisc).each([
  ["bookworm", "Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)"],
  ["trixie", "Unable to connect to 127.0.0.1:9:"],
])("on a bare Debian %s", (suite, unreachable) => {
  let machine: BareMachine;
  beforeAll(async () => {
    machine = await makeBareMachine(suite, folder, log);
    // Another program than the one that the proving ground tries, in a root with nothing else.
    const packages = { suite: "trixie", architecture: "riscv64", names: ["busybox-static"] };
    const busybox = join(await ensureUnpacked(packages, log), "usr/bin/busybox");
    await mkdir(join(machine.root, "empty"));
    await copyFile(busybox, join(machine.root, "empty/busybox"));
  });
  afterAll(() => machine?.stop());

  const inEmptyRoot = () =>
    machine.run("chroot", "/empty", "/busybox", "echo", "works").then(({ output }) => output);

  /** What `npm run up` does to a machine before it builds or starts anything, and what it installs on the way. */
  const prepare = () =>
    machine.run(
      ...["node", "--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e"],
      `import { architectures } from "./proving-ground/board/architectures.ts";
       import { ensureHostPackages } from "./proving-ground/board/hostPackages.ts";
       import { ensureCrossCompiler } from "./proving-ground/mirror/libseccomp.ts";
       import { toStderr } from "./runtime/progress.ts";
       await ensureHostPackages(architectures["linux/riscv64"], toStderr);
       await ensureCrossCompiler("riscv64", toStderr);`,
    );

  const registered = async () => (await machine.run("ls", binfmtMisc)).output.split("\n");

  test("npm run up says at once that the kernel lets nobody register QEMU, and how to go on", async () => {
    const { code, output } = await machine.run("setpriv", "--bounding-set", "-sys_admin", ...up);
    expect(output).toBe(
      refused(
        `${binfmtMisc}: the kernel's table of foreign programs cannot be mounted ` +
          `(mount: ${binfmtMisc}: permission denied). ` +
          "In a container that takes --privileged; elsewhere a kernel with binfmt_misc.",
      ),
    );
    expect(code).toBe(1);
  });

  test("npm run up says at once that an archive is out of reach, with apt's own reason", async () => {
    const list = join(machine.root, sources);
    const kept = await readFile(list, "utf8");
    // Nothing listens on the port for "discard".
    await writeFile(list, `deb http://127.0.0.1:9/debian ${suite} main\n`);
    const { code, output } = await machine.run(...up);
    await writeFile(list, kept);
    expect(timeless(output)).toBe(
      "… fetch a static qemu-riscv64\n✗ fetch a static qemu-riscv64 (… s)\n" +
        "✗ failed: fetch a static qemu-riscv64\n" +
        refused(
          "no static qemu-riscv64 in a package qemu-user-static or qemu-user of this machine's archives " +
            `(apt-get update: Failed to fetch http://127.0.0.1:9/debian/dists/${suite}/InRelease  ${unreachable}); ` +
            "see to /etc/apt, or install a static QEMU as /usr/local/bin/qemu-riscv64-static",
        ),
    );
    expect(code).toBe(1);
    const whole = await readFile(join(machine.root, "buildhosts/.buildhosts/logs/up.log"), "utf8");
    expect(whole).toContain("apt-get update\n");
  });

  test("what npm run up does to it lets a riscv64 program run in an empty root", async () => {
    expect(await inEmptyRoot()).not.toBe("works");
    const { code, output } = await prepare();
    expect(output).toMatch(/✓ install .*qemu-system-riscv64/);
    expect(code).toBe(0);
    expect(await inEmptyRoot()).toBe("works");
    expect(await registered()).toEqual(["buildhosts-qemu-riscv64", "register", "status"]);
  });

  test("nothing is installed, fetched or registered the second time", async () => {
    expect(await prepare()).toEqual({ code: 0, output: "" });
  });

  test.runIf(suite === "bookworm")(
    "a QEMU that its user has registered is left as it is, and one of ours works beside it",
    async () => {
      await machine.reboot();
      const shell = (script: string) => machine.run("sh", "-euc", script);
      const install = "apt-get install --yes --no-install-recommends qemu-user-binfmt";
      expect(await shell(install)).toMatchObject({ code: 0 });
      // What systemd does at boot.
      await shell(`mount -t binfmt_misc binfmt_misc ${binfmtMisc}
        cat /usr/lib/binfmt.d/qemu-riscv64.conf >${binfmtMisc}/register`);
      const theirs = await shell(`cat ${binfmtMisc}/qemu-riscv64`);
      expect(theirs.output).toMatch(/^enabled\ninterpreter .*riscv64-binfmt-P\nflags: PO\n/);
      expect(await inEmptyRoot()).toContain("No such file or directory");

      expect(await prepare()).toEqual({
        code: 0,
        output:
          "  riscv64 programs run by /root/.cache/buildhosts/emulation/qemu-riscv64/qemu-riscv64, " +
          `registered as ${binfmtMisc}/buildhosts-qemu-riscv64`,
      });
      expect(await inEmptyRoot()).toBe("works");
      expect(await shell(`cat ${binfmtMisc}/qemu-riscv64`)).toEqual(theirs);
      const { output } = await shell("dpkg --status qemu-user-binfmt | grep ^Status:");
      expect(output).toBe("Status: install ok installed");
    },
  );
});

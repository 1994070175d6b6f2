import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startedPlatform } from "../../hosts/virtualMachine.ts";
import { unable } from "../../proving-ground/board/native/host.ts";
import { refuseMissing } from "../../proving-ground/board/native/kernel.ts";

describe("the configuration of a native board's kernel", () => {
  const built = "CONFIG_NET=y\n# CONFIG_FOO is not set\nCONFIG_BAR=y\n";

  test("is refused with every option that the source does not take", () => {
    expect(() => refuseMissing("# why\nCONFIG_NET=y\nCONFIG_FOO=y\nCONFIG_NEW=y\n", built)).toThrow(
      /: the kernel's source does not take CONFIG_FOO=y, CONFIG_NEW=y$/,
    );
  });

  test("is refused with an option that is on though it is to be off", () => {
    expect(() => refuseMissing("CONFIG_BAR=n\nCONFIG_FOO=n\n", built)).toThrow(
      /: the kernel's source does not take CONFIG_BAR=n$/,
    );
  });

  test("passes where the kernel has all of it", () => {
    expect(() => refuseMissing("CONFIG_NET=y\nCONFIG_FOO=n\n", built)).not.toThrow();
  });
});

describe("a machine that cannot run a native board", () => {
  const { platform, arch } = process;
  afterEach(() => {
    Object.defineProperty(process, "platform", { value: platform });
    Object.defineProperty(process, "arch", { value: arch });
  });

  test.each([
    ["darwin", "arm64"],
    ["linux", "arm64"],
    ["linux", "riscv64"],
  ])("is %s on %s, which is said", (system, architecture) => {
    Object.defineProperty(process, "platform", { value: system });
    Object.defineProperty(process, "arch", { value: architecture });
    expect(unable()).toBe(
      `a native board needs Linux on amd64, and this is ${system} on ${architecture}.`,
    );
  });

  const host = join(import.meta.dirname, "../../proving-ground/board/native/host.ts");
  const asked = `import { unable } from ${JSON.stringify(host)}; console.log(unable() ?? "able");`;

  test.runIf(!unable()).each([
    ["ptrace", [101], "able"],
    ["seccomp", [317], "able"],
    [
      "both",
      [101, 317],
      "a native board needs ptrace or seccomp, and this process may use neither.",
    ],
    [
      "network namespaces",
      [272],
      "a native board needs a network namespace, and this process may not make one.",
    ],
  ])("is a sandbox without %s", (_, calls, said) => {
    const without = join(import.meta.dirname, "without-system-calls.pl");
    const args = [without, calls.join(","), process.execPath, "--input-type=module", "-e", asked];
    const { stdout, stderr } = spawnSync("perl", args, { encoding: "utf8" });
    expect(stdout, stderr).toBe(`${said}\n`);
  });
});

describe("a virtual machine whose stack file does not say what it is", () => {
  let project: string;
  beforeEach(() => {
    project = mkdtempSync(join(tmpdir(), "buildhosts-native-"));
    mkdirSync(join(project, ".buildhosts/virtual-board"), { recursive: true });
  });
  afterEach(() => rmSync(project, { recursive: true }));
  const runs = (architecture: string) =>
    writeFileSync(join(project, ".buildhosts/virtual-board", `${architecture}.json`), "{}");

  test("is native where nothing runs", () => {
    expect(startedPlatform(project, "virtual-board")).toBe("linux/amd64");
  });

  test("is the emulated one that runs, and the native one where both do", () => {
    runs("riscv64");
    expect(startedPlatform(project, "virtual-board")).toBe("linux/riscv64");
    expect(startedPlatform(project, "virtual-docker-host")).toBe("linux/amd64");
    runs("amd64");
    expect(startedPlatform(project, "virtual-board")).toBe("linux/amd64");
  });
});

import { createHash } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultVersions } from "../../config/versions.ts";
import { dockerfileArg } from "../../proving-ground/mirror/build.ts";
import { formatChecksums } from "../../proving-ground/mirror/checksums.ts";

const image = join(import.meta.dirname, "../../components/image");
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "image-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs a script of the image in the test's folder. */
async function run(name: string, args: string[], env: Record<string, string> = {}) {
  const { exitCode, stdout, stderr } = await execa("sh", [join(image, name), ...args], {
    cwd: folder,
    env,
    reject: false,
  });
  // Not as one: which of the two arrives first is not certain.
  return { code: exitCode, said: stderr, ran: stdout };
}

test("it is made of the releases that a stack gets by default", async () => {
  const dockerfile = await readFile(join(image, "Dockerfile"), "utf8");
  expect(dockerfileArg(dockerfile, "BUILDKIT_VERSION")).toBe(defaultVersions.buildkit);
  expect(dockerfileArg(dockerfile, "ROOTLESSKIT_VERSION")).toBe(defaultVersions.rootlesskit);
});

describe("a release", () => {
  const asset = "buildkit-v0.34.2.linux-riscv64.tar.gz";
  const sum = createHash("sha256").update("the archive").digest("hex");
  const other = "0".repeat(64);

  beforeEach(() => writeFile(join(folder, asset), "the archive"));

  test.each([
    ["BuildKit's provenance", "buildkit"],
    ["a list of sums", "rootlesskit"],
    ["a signed list", "runc"],
  ] as const)(
    "is taken when %s gives its sha256, and refused when it gives another",
    async (_, project) => {
      const publish = (sums: Record<string, string>) =>
        writeFile(join(folder, "published"), formatChecksums(project, sums));
      await publish({ [asset]: sum, [`other-${asset}`]: other });
      expect(await run("verify-release.sh", [asset, "published"])).toMatchObject({
        code: 0,
        said: "",
      });
      await publish({ [asset]: other, [`other-${asset}`]: sum });
      expect(await run("verify-release.sh", [asset, "published"])).toMatchObject({
        code: 1,
        said: `${asset} has the sha256 ${sum}, but ${other} was expected: it is damaged, or not the one that was meant`,
      });
      await publish({ [`other-${asset}`]: sum });
      expect(await run("verify-release.sh", [asset, "published"])).toMatchObject({
        code: 1,
        said: `${asset}: published names no sha256 for it; give it as a build argument`,
      });
    },
  );

  test("is measured by the build arguments alone where they name one or several", async () => {
    await writeFile(join(folder, "published"), formatChecksums("buildkit", { [asset]: sum }));
    const verify = (sums: string) => run("verify-release.sh", [asset, "published", sums]);
    expect((await verify(sum)).code).toBe(0);
    expect((await verify(`${other} ${sum}`)).code).toBe(0);
    expect((await verify(other)).code).toBe(1);
  });
});

describe("the entrypoint", () => {
  /** Programs that say how they were called, in place of the image's. */
  async function programs(uid: number): Promise<Record<string, string>> {
    const scripts = {
      buildkitd: 'echo "buildkitd $*"',
      rootlesskit: 'echo "rootlesskit $*"',
      id: `echo ${uid}`,
    };
    for (const [name, text] of Object.entries(scripts)) {
      await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`);
      await chmod(join(folder, name), 0o755);
    }
    return { PATH: `${folder}:${process.env.PATH}` };
  }
  const lacks = "port 1234 is not served: /certs lacks ca.pem, cert.pem or key.pem";

  test("passes arguments on, as buildx and Kubernetes give them", async () => {
    const env = await programs(0);
    expect((await run("entrypoint.sh", ["--config", "/a b.toml"], env)).ran).toBe(
      "buildkitd --config /a b.toml",
    );
  });

  test("serves nothing but the local socket without arguments and certificates", async () => {
    const env = await programs(0);
    expect(await run("entrypoint.sh", [], env)).toMatchObject({
      said: lacks,
      ran: "buildkitd --addr unix:///run/buildkit/buildkitd.sock",
    });
  });

  test("goes through RootlessKit where the user is not root", async () => {
    const env = {
      ...(await programs(1000)),
      BUILDKIT_HOST: "unix:///run/user/1000/buildkit/buildkitd.sock",
    };
    expect(await run("entrypoint.sh", [], env)).toMatchObject({
      said: lacks,
      ran: "rootlesskit buildkitd --addr unix:///run/user/1000/buildkit/buildkitd.sock",
    });
    expect((await run("entrypoint.sh", ["--debug"], env)).ran).toBe(
      "rootlesskit buildkitd --debug",
    );
  });
});

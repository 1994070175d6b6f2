import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, describe, expect, test } from "vitest";
import { labelsOf } from "../../components/container/place.ts";
import { stepRefusal, stepScript } from "../../components/container/step.ts";
import { FakeDocker, place } from "./fakeDocker.ts";

// That it runs in a real container, test/integration/docker-host.test.ts shows.

const folder = mkdtempSync(join(tmpdir(), "buildhosts-step-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a step of a build in a builder's container", () => {
  /** What is made of how the command ended. */
  async function refusal(ExitCode: number, said = ""): Promise<string | undefined> {
    const docker = new FakeDocker();
    docker.create({ name: "buildkitd", labels: labelsOf(place), state: "running" });
    docker.command = { ExitCode, said };
    const found = await stepRefusal(docker.client, place, "/run/buildkit/buildkitd.sock");
    expect(docker.commands).toEqual([
      ["sh", "-c", stepScript, "sh", "unix:///run/buildkit/buildkitd.sock"],
    ]);
    return found;
  }

  test("that runs is not spoken of", async () => {
    expect(await refusal(0, "#1 [internal] load\n")).toBeUndefined();
  });

  test("that does not is told in runc's own words, or in the build's last ones", async () => {
    const log =
      "#1 local://x\n#2 /buildhosts-health\n#2 0.153 runc run failed: no cgroup\n#2 ERROR: x\nerror: failed\n";
    expect(await refusal(1, log)).toBe("runc run failed: no cgroup");
    expect(await refusal(1, "error: no worker\n\n")).toBe("error: no worker");
    expect(await refusal(3)).toBe("buildctl ended with status 3");
  });

  test.each([
    ["an image without a shell or buildctl", 127],
    ["one whose shell may not run", 126],
    ["builds that have all the room", 124],
  ])("is not held against %s", async (_, status) => {
    expect(await refusal(status, "sh: buildctl: not found\n")).toBeUndefined();
  });

  test("is what boards execute, and is taken away again", async () => {
    const buildctl = join(folder, "buildctl");
    // As the build's client: it keeps what it was given.
    writeFileSync(
      buildctl,
      `#!/bin/sh
echo "$*" >>${folder}/calls
case $3 in build)
  cat >${folder}/definition
  for word; do :; done
  "\${word#*=}/buildhosts-health" || exit 9
  echo said >&2
  exit 4
esac
`,
    );
    chmodSync(buildctl, 0o755);
    const { exitCode, stdout } = await execa("sh", ["-c", stepScript, "sh", "unix:///s"], {
      env: { PATH: `${folder}:${process.env.PATH}`, TMPDIR: folder },
      reject: false,
    });
    expect([exitCode, stdout]).toEqual([4, "said"]);
    expect(readFileSync(join(folder, "definition")).toString()).toContain(
      "local://buildhosts-health",
    );
    expect(readFileSync(join(folder, "calls"), "utf8").replaceAll(folder, "")).toMatch(
      /^--addr unix:\/\/\/s build --no-cache --progress plain --local buildhosts-health=\/tmp\.\w+\/step\n--addr unix:\/\/\/s prune --filter description~=buildhosts-health\n$/,
    );
    const left = await execa("ls", [folder]);
    expect(left.stdout.split("\n")).toEqual(["buildctl", "calls", "definition"]);
  });
});

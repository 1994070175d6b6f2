// A stack that was brought up with one set of plugins, under another: the stand-ins' state must be the official
// plugins' too, and the other way round. BUILDHOSTS_TEST_OTHER_PULUMI_HOME is a Pulumi home with the other set.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type DockerDaemon, startDockerDaemon } from "../../proving-ground/docker/daemon.ts";
import { type Registry, startRegistry } from "../../proving-ground/docker/registry.ts";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { freePort } from "../../runtime/freePort.ts";
import { thisMachine } from "../../runtime/golang.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { githubPlugin } from "./githubPlugin.ts";
import { provisioned, TestStack } from "./ground.ts";
import { pushScriptedImage } from "./scriptedImage.ts";

const otherHome = process.env.BUILDHOSTS_TEST_OTHER_PULUMI_HOME;

/** The stack under the other plugins. */
function underOthers({ ground, folder, name }: TestStack): TestStack {
  const env = { ...ground.env, PULUMI_HOME: otherHome ?? "" };
  return TestStack.at({ ...ground, env }, folder, name);
}

/** Neither set of plugins finds anything to do in what the other has left, nor in what is there. */
async function staysAsItIs(stack: TestStack): Promise<void> {
  const others = underOthers(stack);
  for (const look of [
    () => others.preview(),
    () => others.up("--refresh"),
    () => stack.preview(),
    () => stack.up("--refresh"),
  ]) {
    const { code, output, changes } = await look();
    expect(code, output).toBe(0);
    const { same, refresh, ...rest } = changes;
    expect(rest, output).toEqual({});
    expect(same).not.toEqual([]);
  }
}

describe.skipIf(!otherHome)("under other plugins nothing changes", () => {
  test("of a board", async () => {
    const { stack } = await provisioned();
    await staysAsItIs(stack);
  });

  describe("of a Docker host", () => {
    let folder: string;
    let daemon: DockerDaemon;
    let registry: Registry;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "bh-takeover-"));
      daemon = await startDockerDaemon(join(folder, "d"), log);
      registry = await startRegistry(join(folder, "registry"), log);
    });
    afterAll(async () => {
      await registry?.close();
      await daemon?.stop();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    test("with a builder that has every limit", async () => {
      const image = await pushScriptedImage(registry, folder, "v1", "healthy");
      const stack = await TestStack.makeAlone(inject("ground"));
      await stack.configureAlone({
        "buildhosts:dockerHosts": [
          {
            name: "here",
            docker: `unix://${daemon.socket}`,
            platform: thisMachine.goarch,
            builders: [
              {
                name: "builder",
                image,
                rootless: true,
                publish: { port: await freePort() },
                startSeconds: 30,
                restart: "always",
                memoryMb: 128,
                cpus: 1.5,
                labels: { team: "lab" },
              },
            ],
          },
        ],
      });
      const up = await stack.up();
      expect(up.code, up.output).toBe(0);
      await staysAsItIs(stack);
    });
  });

  describe("on GitHub", () => {
    let github: Github;
    beforeAll(async () => {
      await githubPlugin();
      github = await startGithub({ organizations: ["builders"] });
    });
    afterAll(() => github?.stop());

    test("with repositories, workflows, an environment, rules and secrets", async () => {
      const ground = inject("ground");
      const env = { ...ground.env, GITHUB_TOKEN: github.token };
      const stack = await TestStack.makeAlone({ ...ground, env });
      await stack.configureAlone({
        "buildhosts:github": {
          owner: "builders",
          baseUrl: `${github.url}/`,
          repositories: [
            {
              name: "riscv64",
              client: "default",
              workflows: { buildkitBuild: {}, releaseTracker: {}, buildOnBuilders: {} },
            },
            {
              name: "proposals",
              client: "default",
              environment: { name: "builders", branches: ["main"] },
              proposeWorkflows: true,
              workflows: { buildOnBuilders: {} },
            },
          ],
        },
      });
      const up = await stack.up();
      expect(up.code, up.output).toBe(0);
      await staysAsItIs(stack);
    });
  });
});

// Pulumi.github.yaml: a board, a repository and the secrets that let its workflows build on the board, from one up; and
// the scripts of those workflows at work with the real board.

import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { VirtualBoard } from "../../proving-ground/board/virtualBoard.ts";
import { type Github, startGithub } from "../../proving-ground/github/github.ts";
import { freePort } from "../../runtime/freePort.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { runScript, type ScriptRun } from "../unit/runScript.ts";
import { boardMachine, boardPlatform } from "./boardPlatform.ts";
import { sample } from "./building.ts";
import { ensureBuildx } from "./dockerCommands.ts";
import { githubPlugin } from "./githubPlugin.ts";
import { ground, projectDir, TestStack } from "./ground.ts";

const REPOSITORY = "builders/buildkit-riscv64";
/** Where the stack file has the secrets put. */
const ENVIRONMENT = `${REPOSITORY}/builders`;
const _SHA = "0123456789abcdef0123456789abcdef01234567";

let folder: string;
let github: Github;
let board: VirtualBoard;
let stack: TestStack;

beforeAll(async () => {
  await githubPlugin();
  folder = await mkdtemp(join(tmpdir(), "buildhosts-builders-"));
  github = await startGithub({ organizations: ["builders"] });
  const shared = await ground();
  board = shared.board;
  await board.restore("booted");
  stack = await TestStack.make({ ...shared, env: { ...shared.env, GITHUB_TOKEN: github.token } });
  const { config } = parse(await readFile(join(projectDir, "Pulumi.github.yaml"), "utf8"));
  const { virtual: _, ...ofGithub } = config["buildhosts:github"];
  await stack.configure({}, { "buildhosts:github": { ...ofGithub, baseUrl: `${github.url}/` } });
});
afterAll(async () => {
  await github?.stop();
  await rm(folder, { recursive: true, force: true });
});

const variable = async (name: string) => (await github.variable(ENVIRONMENT, name))?.value ?? "";
const secret = async (part: string) =>
  (await github.secret(ENVIRONMENT, `BUILDER_AUTH_TLS_${part}`))?.value ?? "";

/** Each test begins where the one before it ended. */
describe("a stack with a board and a repository", () => {
  test("comes up from nothing, all of it by one up, and a second one changes nothing", async () => {
    const up = await log.step("bring board, secrets and repository up", () => stack.up());
    expect(up.code, up.output).toBe(0);
    expect(JSON.parse(await variable("BUILDER_NODES"))).toEqual((await stack.outputs()).builders);
    const again = await stack.up();
    expect(Object.keys(again.changes)).toEqual(["same"]);
    expect(github.problems).toEqual([]);
  });
});

describe("the reusable workflow", () => {
  /** As the job finds builders, with what the stack put on GitHub; `more` are builders beside the stack's. */
  async function select(more: object[], env: Record<string, string> = {}): Promise<ScriptRun> {
    const nodes = [...more, ...JSON.parse(await variable("BUILDER_NODES"))];
    return runScript("select-builders.sh", {
      NODES: JSON.stringify(nodes),
      CACERT: await secret("CACERT"),
      CERT: await secret("CERT"),
      KEY: await secret("KEY"),
      PLATFORMS: boardPlatform,
      PROJECT: "example/website",
      MISSING_PLATFORMS: "fail",
      MAX_NODES: "10",
      ANSWER_SECONDS: "15",
      ...env,
    });
  }
  const dead = async () => ({
    name: "dead",
    endpoint: `tcp://127.0.0.1:${await freePort()}`,
    platforms: [boardPlatform],
  });

  test("finds none with a certificate that the board does not accept, and shows no key", async () => {
    const name = { certPem: "server.pem", keyPem: "server.key" };
    // A certificate of the right form, and of nobody's CA.
    await execa("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-subj", "/CN=somebody", "-days", "2", "-addext", "extendedKeyUsage=clientAuth"],
      ...["-out", join(folder, name.certPem), "-keyout", join(folder, name.keyPem)],
    ]);
    const key = await readFile(join(folder, name.keyPem), "utf8");
    const { code, log: said } = await select([], {
      CERT: await readFile(join(folder, name.certPem), "utf8"),
      KEY: key,
    });
    expect(code).not.toBe(0);
    expect(said).toContain("::error::none of the 1 builders answers");
    expect(said).not.toContain(key.split("\n")[1]);
  });

  test("leaves a dead builder out, takes the board by the secrets that the stack wrote, and builds on it", async () => {
    const { code, log: said, outputs } = await select([await dead()]);
    expect(code, said).toBe(0);
    expect(said).toMatch(/^::warning::builder dead is left out: curl: \(7\)/m);
    const { host, buildkitPort } = board.connection;
    expect(outputs).toEqual({
      endpoint: `tcp://${host}:${buildkitPort}`,
      "node-platforms": boardPlatform,
      append: "[]",
      // A pool needs the name of the project here.
      "driver-opts": "",
      platforms: boardPlatform,
    });

    // As docker/setup-buildx-action does with these outputs, and docker/build-push-action after it.
    const files: Record<string, string> = {};
    for (const part of ["CACERT", "CERT", "KEY"]) {
      files[part] = join(folder, part);
      await writeFile(files[part], await secret(part), { mode: 0o600 });
    }
    const buildx = await ensureBuildx(log);
    const env = { DOCKER_CONFIG: join(folder, "docker"), BUILDX_NO_DEFAULT_ATTESTATIONS: "1" };
    const options = `cacert=${files.CACERT},cert=${files.CERT},key=${files.KEY}`;
    await execa(
      buildx,
      [
        ...["create", "--name", "stack", "--driver", "remote", "--driver-opt", options],
        ...["--platform", outputs["node-platforms"] ?? "", outputs.endpoint ?? ""],
      ],
      { env },
    );
    await execa(buildx, ["inspect", "--bootstrap", "stack"], { env, timeout: 60_000 });
    const context = join(folder, "context");
    await mkdir(context);
    await copyFile(sample, join(context, "Dockerfile"));
    await copyFile(board.busybox, join(context, "busybox"));
    await execa(
      buildx,
      [
        ...["build", "--builder", "stack", "--platform", outputs.platforms ?? ""],
        ...["--output", `type=local,dest=${join(folder, "built")}`, context],
      ],
      { env, timeout: 120_000 },
    );
    expect(await readFile(join(folder, "built", "built-on"), "utf8")).toBe(
      `built on ${boardMachine}\n`,
    );
  });
});

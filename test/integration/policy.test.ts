// The policy pack, as the engine runs it. What each policy takes and refuses in detail is shown by policies.test.ts.

import { once } from "node:events";
import { mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { execa } from "execa";
import { beforeAll, expect, inject, test } from "vitest";
import { anotherKey } from "./anotherKey.ts";
import { projectDir, TestStack } from "./ground.ts";

const pack = join(projectDir, "policy");

/** A stack of one board, which nobody reaches: a first preview needs no host. */
let stack: TestStack;

beforeAll(async () => {
  stack = await TestStack.makeAlone(inject("ground"));
});

async function configure(board: object = {}, releases: object = {}): Promise<void> {
  const { publicLine, privateKey } = anotherKey();
  const key = join(stack.folder, "id");
  await writeFile(key, privateKey, { mode: 0o600 });
  await stack.configureAlone({
    "buildhosts:ssh": { privateKeyFile: key },
    "buildhosts:releases": releases,
    "buildhosts:driftCheck": false,
    "buildhosts:boards": [
      { name: "lab", host: "192.0.2.9", hostKey: publicLine, platform: "riscv64", ...board },
    ],
  });
}

const preview = (...args: string[]) => stack.operation(["preview", "--policy-pack", pack, ...args]);

test("a stack as the defaults make it passes", async () => {
  await configure();
  const { code, output } = await preview();
  expect(code, output).toBe(0);
  expect(output).toMatch(/buildhosts@v[\d.]+ \(local: .*policy\)/);
  expect(output).not.toContain("[mandatory]");
});

test("a stack with old releases, a cache that would go and a broken promise fails, with a line for each", async () => {
  await configure({ removeCacheOnDelete: true }, { buildkit: "v0.30.0" });
  const config = join(stack.folder, "policy.json");
  await writeFile(config, JSON.stringify({ "rootless-stays-rootless": { builders: ["lab"] } }));
  const { code, output } = await preview("--policy-pack-config", config);
  expect(code).not.toBe(0);
  for (const line of [
    "lab: buildkit v0.30.0: known security holes are open below v0.31.2; name a newer version",
    "lab: its removal would delete the build cache; set removeCacheOnDelete: false",
    "lab: is promised to be rootless, and buildkitd runs as root; set rootless: true",
  ])
    expect(output).toContain(line);
  expect(output.match(/\[mandatory\]/g)).toHaveLength(3);
});

test("exceptions are named in the pack's configuration", async () => {
  await configure({ removeCacheOnDelete: true }, { buildkit: "v0.30.0" });
  const config = join(stack.folder, "policy.json");
  const exceptions = {
    "caches-stay": { builders: ["lab"] },
    "supported-versions": "advisory",
  };
  await writeFile(config, JSON.stringify(exceptions));
  const { code, output } = await preview("--policy-pack-config", config);
  expect(code, output).toBe(0);
  expect(output).not.toContain("[mandatory]");
  expect(output.match(/\[advisory\].*supported-versions/g)).toHaveLength(1);
});

/** Uses the components as no stack file can, and makes resources of its own beside them. */
const program = `
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { bundle } from "${projectDir}/components/board/bundle.ts";
import { BuilderContainer } from "${projectDir}/components/index.ts";

const connection = { host: "192.0.2.9" };
new command.remote.Command("open-config", {
  connection,
  create: "/usr/local/lib/buildhosts/boardctl stage-config 0123456789ab",
  stdin: bundle({ "buildkitd.toml": '[grpc]\\naddress = ["tcp://0.0.0.0:1234"]\\n' }),
});
const key = "-----BEGIN EC PRIVATE KEY-----";
new command.remote.Command("plain", { connection, create: "true", environment: { KEY: key } });
new command.remote.Command("marked", {
  connection,
  create: "true",
  environment: { KEY: pulumi.secret(key) },
});
new BuilderContainer(
  "box",
  {
    connection: { url: "unix://SOCKET" },
    image: "moby/buildkit:v0.12.0-rootless",
    platform: "linux/amd64",
    rootless: true,
    removeCacheOnDelete: true,
    caCertPem: "CA",
    certificate: { certPem: "C", privateKeyPem: "K", validityStartTime: "", validityEndTime: "" },
    serverName: "box.lan",
  },
  {
    transforms: [
      ({ type, props, opts }) =>
        type === "docker:index/container:Container"
          ? { props: { ...props, privileged: true }, opts }
          : undefined,
    ],
  },
);
`;

/** As much of a Docker daemon as a preview asks for. */
async function daemonAt(socket: string): Promise<Server> {
  const server = createServer(({ url = "" }, response) => {
    const answer = /\/(version|info)$/.test(url)
      ? { ApiVersion: "1.47", OSType: "linux" }
      : undefined;
    response.writeHead(answer || url.endsWith("/_ping") ? 200 : 404, { "api-version": "1.47" });
    response.end(answer ? JSON.stringify(answer) : "");
  });
  await once(server.listen(socket), "listening");
  return server;
}

test("a program that goes around the stack file is refused by each policy, and shows no secret", async () => {
  const { engine, env, folder } = inject("ground");
  const cwd = await mkdtemp(join(folder, "program-"));
  await mkdir(join(cwd, "state"));
  await symlink(join(projectDir, "node_modules"), join(cwd, "node_modules"));
  await writeFile(join(cwd, "package.json"), '{ "type": "module", "main": "index.ts" }\n');
  const socket = join(cwd, "docker.sock");
  await writeFile(join(cwd, "index.ts"), program.replace("SOCKET", socket));
  await writeFile(
    join(cwd, "Pulumi.yaml"),
    "name: policy\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.ts\n",
  );
  const pulumi = (...args: string[]) =>
    execa(engine.pulumi, [...args, "--non-interactive", "--color", "never"], {
      cwd,
      env: { ...env, PULUMI_BACKEND_URL: `file://${join(cwd, "state")}` },
      all: true,
      reject: false,
      timeout: 120_000,
    });
  await pulumi("stack", "init", "test");
  const daemon = await daemonAt(socket);
  const { exitCode, all } = await pulumi("preview", "--policy-pack", pack, "--stack", "test");
  daemon.close();
  const output = String(all);
  expect(exitCode, output).not.toBe(0);
  for (const line of [
    "open-config: buildkitd listens at tcp://0.0.0.0:1234 without mutual TLS",
    "plain: environment.KEY holds a private key in plain",
    "box: buildkit v0.12.0: is below v0.13.0",
    "box: its removal would delete the build cache",
    "box: is rootless, and its container is privileged all the same",
  ])
    expect(output).toContain(line);
  expect(output.match(/\[mandatory\]/g), output).toHaveLength(5);
});

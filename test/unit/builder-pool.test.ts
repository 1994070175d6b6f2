import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { explain } from "../../commands/lib/explain.ts";
import { BuilderPool, type BuilderPoolArgs } from "../../components/builderPool.ts";
import {
  activateCommand,
  poolUnit,
  removeCommand,
  stageCommand,
  stageInput,
} from "../../components/pool/commands.ts";
import { shortHash } from "../../components/shortHash.ts";
import { settled, underMocks } from "./pulumiMocks.ts";

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBakpGs78FQufaXSQt1L/cr0wK0wU8fqdndYS0p72mI5";
const args: BuilderPoolArgs = {
  domain: "pool.example.com",
  endpoint: "tcp://board-1.example.com:1235",
  builders: [
    { name: "board-1", endpoint: "tcp://board-1.example.com:1234" },
    { name: "board-2", endpoint: "tcp://[2001:db8::2]:1234" },
  ],
  platforms: ["linux/riscv64"],
  caCertPem: "CA\n",
  healthCheck: { certPem: "CERT\n", privateKeyPem: pulumi.secret("KEY\n") },
};
const connection = { host: "board-1.example.com", hostKey };
const image = `haproxy:3.2-alpine@sha256:${"a".repeat(64)}`;

const made = (more: Partial<BuilderPoolArgs>) =>
  underMocks(() => new BuilderPool("pool", { ...args, ...more }));

describe("a pool under systemd", () => {
  test("is two steps and a removal", async () => {
    const { mocks, result } = await made({ connection });
    expect(mocks.names()).toEqual([
      "buildhosts:index:BuilderPool pool",
      "command:remote:Command pool-config",
      "command:remote:Command pool-service",
      "command:remote:Command pool.removal",
    ]);
    const words = [
      mocks.inputs("pool-config").create,
      mocks.inputs("pool-service").create,
      `on delete: ${mocks.inputs("pool.removal").delete}`,
    ].join("\n");
    expect(words.replace(/--script \w+/, "--script ID")).toMatchSnapshot();
    expect((await settled(result.endpoint)).value).toBe("tcp://board-1.example.com:1235");
    expect((await settled(result.platforms)).value).toEqual(["linux/riscv64"]);
  });

  test("shows haproxy.cfg in a diff, and its client to nobody", async () => {
    const { mocks } = await made({ connection });
    const [, cfg = ""] = String(mocks.inputs("pool-config").stdin).split(/\n(.*)/s);
    expect(cfg).toContain("  server board-1 board-1.example.com:1234 id ");
    expect(cfg).toContain("  server board-2 [2001:db8::2]:1234 id ");
    expect(cfg).toContain("  user haproxy\n");
    expect(mocks.inputs("pool-config").create).toContain(shortHash(cfg));
    const secret = JSON.stringify(mocks.inputs("pool-service").stdin);
    expect(secret).toContain("4dabf18193072939515e22adb298388d");
    expect(secret).toContain("==> health-check.pem <==\\nCERT\\nKEY\\n");
  });

  test("is left alone by a deletion where it is abandoned", async () => {
    const { mocks } = await made({ connection, abandon: true });
    for (const name of ["pool-config", "pool-service", "pool.removal"])
      expect(mocks.options.get(name)?.retainOnDelete).toBe(true);
  });
});

describe("a pool in a container", () => {
  const docker = { url: "unix:///var/run/docker.sock" };

  test("has the host's network, and a name that changes with all that is in it", async () => {
    const { mocks } = await made({ docker, image, drainSeconds: 60 });
    expect(mocks.names()).toEqual([
      "buildhosts:index:BuilderPool pool",
      "docker:index/container:Container pool-container",
      "docker:index/remoteImage:RemoteImage pool-image",
      "pulumi:providers:docker pool-docker",
    ]);
    const container = mocks.inputs("pool-container");
    expect(container).toMatchObject({
      ...{ networkMode: "host", restart: "unless-stopped", stopSignal: "SIGUSR1" },
      ...{ stopTimeout: 60, destroyGraceSeconds: 60 },
      envs: ["POOL_FILES=/usr/local/etc/haproxy"],
    });
    expect(container.name).toMatch(/^pool-[0-9a-f]{12}$/);
    expect(mocks.options.get("pool-container")?.deleteBeforeReplace).toBe(false);
    const other = await made({ docker, image, caCertPem: "OTHER\n" });
    expect(other.mocks.inputs("pool-container").name).not.toBe(container.name);
  });
});

test.each<[string, Partial<BuilderPoolArgs>, string]>([
  ["no machine", {}, "pool: neither connection nor docker is given; name one machine"],
  [
    "two machines",
    { connection, docker: { url: "unix:///x" } },
    "pool: connection and docker are both given; name one machine",
  ],
  [
    "no builder",
    { connection, builders: [] },
    "pool: builders is empty; name at least one builder",
  ],
  [
    "a container without an image",
    { docker: { url: "unix:///x" } },
    "pool: image is missing; name one that has HAProxy 2.6 or newer, such as haproxy:3.2-alpine@sha256:<digest>",
  ],
])("a pool with %s is refused", async (_, more, message) => {
  // Caught within: what the SDK has begun by then must end under these mocks.
  const { result } = await underMocks(() => {
    try {
      return new BuilderPool("pool", { ...args, ...more });
    } catch (error) {
      return (error as Error).message;
    }
  });
  expect(result).toBe(message);
});

describe("the commands of a pool", () => {
  const pool = { pool: "pool", owner: "project/stack/pool" };

  test("bring script and haproxy.cfg whole to a host without either", () => {
    const folder = mkdtempSync(join(tmpdir(), "buildhosts-pool-"));
    // In the place of poolctl: what it is called with, and what is left of standard input.
    const command = stageCommand(pool, "root@host:22", "0123456789ab").replace(
      'sh "$f" stage "$@"',
      `cp "$f" ${folder}/script; echo "$@" >${folder}/words; cat >${folder}/cfg`,
    );
    const { status } = spawnSync("sh", ["-c", command], { input: stageInput("a\nb\n") });
    expect(status).toBe(0);
    expect(readFileSync(join(folder, "cfg"), "utf8")).toBe("a\nb\n");
    expect(readFileSync(join(folder, "words"), "utf8")).toMatch(
      /^pool project\/stack\/pool 0123456789ab --at root@host:22 --script [0-9a-f]{12}\n$/,
    );
    expect(readFileSync(join(folder, "script"), "utf8")).toMatch(/^#!\/bin\/sh\nset -u\n/);
    expect(readdirSync(folder).sort()).toEqual(["cfg", "script", "words"]);
    rmSync(folder, { recursive: true });
  });

  test("say of a host that was reset what makes `npm run up` run each step again", () => {
    const command = activateCommand(pool, "0123456789ab", "127.0.0.1:8405");
    const { status, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
    expect(status).toBe(1);
    const message = `Process exited with status 1: running "sh":\n${stderr}`;
    const urn = "urn:pulumi:test::buildhosts::command:remote:Command::pool-service";
    const event = { diagnosticEvent: { severity: "error", urn, message } };
    expect(explain(JSON.stringify(event))).toEqual([
      { resource: "pool-service", line: stderr.trim(), resetBoard: "pool" },
    ]);
  });

  test("remove nothing of a host that has no pool", () => {
    expect(spawnSync("sh", ["-c", removeCommand(pool)]).status).toBe(0);
  });

  test("have no character at which a login shell other than sh would stumble", () => {
    for (const command of [
      stageCommand(pool, "root@host:22", "0123456789ab"),
      activateCommand(pool, "0123456789ab", "127.0.0.1:8405"),
      removeCommand(pool),
    ]) {
      for (const [, quoted = ""] of command.matchAll(/'([^']*)'/g)) {
        expect(quoted).not.toMatch(/[!\n]/);
      }
    }
  });

  test("place a unit for every pool of a host", () => {
    expect(poolUnit).toContain("POOL_FILES=/usr/local/lib/buildhosts-pools/%i/current\n");
  });
});

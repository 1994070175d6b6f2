import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { command } from "../../proving-ground/plugins/command/plugin.ts";
import type { Request, Resource } from "../../proving-ground/plugins/provider/plugin.ts";
import {
  type PropertyMap,
  Secret,
  UNKNOWN,
  type Value,
} from "../../proving-ground/plugins/provider/values.ts";
import { type KeyPair, keyPair, type SshServer, startSshServer } from "./sshServer.ts";

const remoteCommand = resource("command:remote:Command");
const copyToRemote = resource("command:remote:CopyToRemote");

const hostKey = keyPair();
const clientKey = keyPair();

let server: SshServer;
let lines: string[];

beforeAll(() => {
  // An agent of whoever runs the tests has nothing to do with them.
  delete process.env.SSH_AUTH_SOCK;
});

beforeEach(async () => {
  lines = [];
  server = await startSshServer({ hostKey, clientKey, acceptEnv: ["GREETING"] });
});

afterEach(async () => {
  await server.close();
});

const NEW = { name: "install", olds: {} };

function resource(type: string): Resource {
  const found = command.resources[type];
  if (found === undefined) throw new Error(`no resource ${type}`);
  return found;
}

function request(options: Partial<Request> = {}): Request {
  return {
    name: "install",
    preview: false,
    log: {
      status: (line) => lines.push(line),
      warning: (line) => lines.push(`warning: ${line}`),
      error: (line) => lines.push(`error: ${line}`),
    },
    signal: new AbortController().signal,
    ...options,
  };
}

function connection(changes: { [name: string]: Value } = {}): PropertyMap {
  return {
    host: "127.0.0.1",
    port: server.port,
    privateKey: clientKey.privateKey,
    hostKey: hostKey.publicKey,
    dialErrorLimit: 0,
    ...changes,
  };
}

function checked(of: Resource, inputs: PropertyMap): PropertyMap {
  const { inputs: result, failures } = of.check(inputs, NEW);
  expect(failures).toEqual([]);
  return result;
}

async function run(inputs: PropertyMap, options?: Partial<Request>) {
  const all = checked(remoteCommand, { connection: connection(), ...inputs });
  return await remoteCommand.create(all, request(options));
}

describe("a remote command's inputs", () => {
  test("get the official plugin's defaults, and the connection is secret with its keys in it", () => {
    const { inputs } = remoteCommand.check(
      {
        connection: { host: "board", privateKey: "key", proxy: { host: "jump" } },
        create: "true",
      },
      NEW,
    );
    expect(inputs).toEqual({
      connection: new Secret({
        host: "board",
        user: "root",
        port: 22,
        dialErrorLimit: 10,
        perDialTimeout: 15,
        privateKey: new Secret("key"),
        proxy: { host: "jump", user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 },
      }),
      create: "true",
    });
  });

  test("may be unknown or secret anywhere", () => {
    const inputs: PropertyMap = {
      connection: new Secret({ host: UNKNOWN }),
      create: UNKNOWN,
      stdin: new Secret("s"),
    };
    expect(remoteCommand.check(inputs, NEW).failures).toEqual([]);
  });

  test.each([
    [{ create: "true" }, "connection: required, but not set"],
    [{ connection: {} }, "connection.host: required, but not set"],
    [{ connection: { host: 1 } }, "connection.host: must be a string, not a number"],
    [{ connection: { host: "a", prot: 1 } }, "connection.prot: unknown input"],
    [{ connection: { host: "a" }, environment: { A: 1 } }, "environment.A: must be a string"],
    [{ connection: { host: "a" }, logging: "all" }, 'logging: is "all"; allowed: stdout, stderr'],
  ] as [PropertyMap, string][])("are refused when wrong: %j", (inputs, message) => {
    const { failures } = remoteCommand.check(inputs, NEW);
    expect(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n")).toContain(
      message,
    );
  });

  test("say nothing of a password that stands in the wrong place", () => {
    const { failures } = remoteCommand.check({ connection: new Secret("hunter2") }, NEW);
    expect(JSON.stringify(failures)).not.toContain("hunter2");
  });
});

describe("a remote command's diff", () => {
  const diff = (olds: PropertyMap, news: PropertyMap) => {
    const found = remoteCommand.diff({ id: "x", inputs: olds, state: olds }, news);
    return { changes: Object.fromEntries(found.changes), replaces: [...found.replaces] };
  };

  test("is empty for the same inputs", () => {
    const inputs = checked(remoteCommand, { connection: connection(), triggers: [1, { a: "b" }] });
    expect(diff(inputs, inputs)).toEqual({ changes: {}, replaces: [] });
  });

  test.each<[string, PropertyMap, PropertyMap, object, string[]]>([
    ["another command updates", { create: "a" }, { create: "b" }, { create: "update" }, []],
    [
      "another connection updates",
      { connection: new Secret({ host: "a" }) },
      { connection: new Secret({ host: "b" }) },
      { connection: "update" },
      [],
    ],
    [
      "a new variable updates",
      { environment: {} },
      { environment: { A: "" } },
      { "environment.A": "add" },
      [],
    ],
    ["new triggers replace", {}, { triggers: ["a"] }, { triggers: "add" }, ["triggers"]],
    ["triggers gone replace", { triggers: ["a"] }, {}, { triggers: "delete" }, ["triggers"]],
    // The SDK's replaceOnChanges makes a replacement of this one.
    [
      "a changed trigger is named",
      { triggers: ["a"] },
      { triggers: ["b"] },
      { "triggers[0]": "update" },
      [],
    ],
    ["an unknown command updates", { create: "a" }, { create: UNKNOWN }, { create: "update" }, []],
  ])("%s", (_title, olds, news, changes, replaces) => {
    expect(diff(olds, news)).toEqual({ changes, replaces });
  });
});

describe("a remote command", () => {
  test("is not run in a preview, whose outputs are unknown", async () => {
    const { state } = await run({ create: "echo hi" }, { preview: true });
    expect(state).toMatchObject({ create: "echo hi", stdout: UNKNOWN, stderr: UNKNOWN });
    expect(server.connections()).toBe(0);
  });

  test("keeps what it printed, without the last line end", async () => {
    const { id, state } = await run({ create: "echo out; echo; echo err >&2" });
    expect(id).toMatch(/^install[0-9a-f]{8}$/);
    expect(state).toMatchObject({ stdout: "out\n", stderr: "err" });
  });

  test("gets all of its stdin, secret or not", async () => {
    const { state } = await run({ create: "wc -c", stdin: new Secret("x".repeat(3_000_000)) });
    expect(String(state.stdout).trim()).toBe("3000000");
  });

  test.each([
    [undefined, ["out", "err"]],
    ["stdoutAndStderr", ["out", "err"]],
    ["stdout", ["out"]],
    ["stderr", ["err"]],
    ["none", []],
  ])("shows line by line what logging %s lets it", async (logging, shown) => {
    await run({ create: "echo out; echo err >&2", ...(logging !== undefined && { logging }) });
    expect(lines.sort()).toEqual([...shown].sort());
  });

  test("that fails says how, what ran and what it printed", async () => {
    const failing = run({ create: 'echo "no"; exit 7' });
    await expect(failing).rejects.toThrow(
      'Process exited with status 7: running "echo \\"no\\"; exit 7":\nno\n',
    );
  });

  test("that a signal ends says which", async () => {
    await expect(run({ create: "kill -TERM $$" })).rejects.toThrow(
      "Process exited with status 143 from signal TERM: running",
    );
  });

  test("whose connection is lost does not hang", async () => {
    const hangingUp = await startSshServer({ hostKey, clientKey, hangUp: true });
    const lost = run({ create: "sleep 60", connection: connection({ port: hangingUp.port }) });
    await expect(lost).rejects.toThrow("remote command exited without exit status or exit signal");
    await hangingUp.close();
  });

  test("gets the variables that the server accepts", async () => {
    const { state } = await run({
      create: 'echo "$GREETING"',
      environment: { GREETING: "hi you" },
    });
    expect(state.stdout).toBe("hi you");
  });

  test("does not run when the server refuses a variable", async () => {
    const refused = run({ create: "true", environment: { GREETING: "hi", PASSWORD: "x" } });
    await expect(refused).rejects.toThrow(
      'could not set environment variable "PASSWORD": ssh: setenv failed',
    );
    expect(server.commands).toEqual([]);
    expect(lines.join()).toContain("error: Unable to set 'PASSWORD'");
  });

  test("runs `update` when it changes, knowing what the last run printed if the server lets it", async () => {
    const inputs = checked(remoteCommand, {
      connection: connection(),
      create: "a",
      update: "echo new",
    });
    const old = { id: "x", inputs, state: { ...inputs, stdout: "old", stderr: "" } };
    expect(await remoteCommand.update(old, inputs, request())).toMatchObject({ stdout: "new" });
    expect(lines.join()).toContain("warning: Unable to set 'PULUMI_COMMAND_STDOUT'");
  });

  test("does not ask the server for what the last run printed where the inputs forbid it", async () => {
    const inputs = checked(remoteCommand, {
      connection: connection(),
      create: "true",
      addPreviousOutputInEnv: false,
    });
    const old = { id: "x", inputs, state: { ...inputs, stdout: "old", stderr: "" } };
    await remoteCommand.update(old, inputs, request());
    expect(lines.join()).not.toContain("PULUMI_COMMAND_STDOUT");
  });

  test("without `update` runs `create` again", async () => {
    const inputs = checked(remoteCommand, { connection: connection(), create: "echo again" });
    const old = { id: "x", inputs, state: { ...inputs, stdout: "", stderr: "" } };
    expect(await remoteCommand.update(old, inputs, request())).toMatchObject({ stdout: "again" });
  });

  test("is removed with the inputs that it was last run with", async () => {
    const state = {
      ...checked(remoteCommand, { connection: connection(), delete: "echo bye" }),
      stdout: "",
    };
    await remoteCommand.delete({ id: "x", inputs: {}, state }, request());
    expect(server.commands).toEqual(["echo bye"]);
  });

  test("leaves no connection open", async () => {
    await run({ create: "true" });
    await expect.poll(() => server.open()).toBe(0);
  });
});

describe("the connection of a remote command", () => {
  const other: KeyPair = keyPair();

  test.each([
    ["another key of the same kind", () => other.publicKey, "ssh: host key mismatch"],
    ["a key of another kind", () => `ecdsa-sha2-nistp256 ${ecdsa}`, "no matching host key format"],
  ])("refuses a host that has %s, and runs nothing", async (_title, key, message) => {
    const refused = run({ create: "true", connection: connection({ hostKey: key() }) });
    await expect(refused).rejects.toThrow(`after 0 failed attempts: ssh: handshake failed: `);
    await expect(refused).rejects.toThrow(message);
    expect(server.commands).toEqual([]);
  });

  test("takes a known_hosts line as host key", async () => {
    await run({
      create: "true",
      connection: connection({ hostKey: `board ${hostKey.publicKey} me` }),
    });
  });

  test("refuses a host key that is none", async () => {
    await expect(run({ create: "true", connection: connection({ hostKey: "x" }) })).rejects.toThrow(
      "failed to parse host key: ssh: no key found",
    );
  });

  test("with a key that the host does not know is tried as often as allowed", async () => {
    const refused = run({
      create: "true",
      connection: connection({ privateKey: other.privateKey, dialErrorLimit: 2 }),
    });
    await expect(refused).rejects.toThrow(
      "after 2 failed attempts: ssh: handshake failed: ssh: unable to authenticate, " +
        "attempted methods [none publickey], no supported methods remain",
    );
    expect(lines).toEqual(["Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"]);
    expect(server.connections()).toBe(3);
  });

  test("with a key that cannot be read is not tried, and the key stays unsaid", async () => {
    const refused = run({ create: "true", connection: connection({ privateKey: "hunter2" }) });
    await expect(refused).rejects.toThrow(/^(?!.*hunter2)connection\.privateKey cannot be used/);
    expect(server.connections()).toBe(0);
  });

  test("with an agent that is gone is not tried", async () => {
    const { privateKey: _, ...keyless } = connection({ agentSocketPath: "/nonexistent/agent" });
    await expect(run({ create: "true", connection: keyless })).rejects.toThrow(
      "dial unix /nonexistent/agent: connect: no such file or directory",
    );
  });

  test("to a port where nobody listens says so", async () => {
    const port = server.port;
    await server.close();
    await expect(run({ create: "true", connection: connection({ port }) })).rejects.toThrow(
      `after 0 failed attempts: dial tcp 127.0.0.1:${port}: connect: connection refused`,
    );
  });

  test("is given up when the user interrupts", async () => {
    const port = server.port;
    await server.close();
    const interrupted = AbortSignal.abort();
    await expect(
      run(
        { create: "true", connection: connection({ port, dialErrorLimit: -1 }) },
        { signal: interrupted },
      ),
    ).rejects.toThrow("context canceled");
  });

  test("goes through a proxy with a key of its own, and checks both hosts", async () => {
    const bastionKey = keyPair();
    const bastionHost = keyPair();
    const bastion = await startSshServer({ hostKey: bastionHost, clientKey: bastionKey });
    const proxy = {
      host: "127.0.0.1",
      port: bastion.port,
      privateKey: bastionKey.privateKey,
      hostKey: bastionHost.publicKey,
      dialErrorLimit: 0,
    };
    const { state } = await run({ create: "echo through", connection: connection({ proxy }) });
    expect(state.stdout).toBe("through");
    expect(bastion.connections()).toBe(1);

    const wrongProxy = { ...proxy, hostKey: hostKey.publicKey };
    await expect(
      run({ create: "true", connection: connection({ proxy: wrongProxy }) }),
    ).rejects.toThrow(
      "proxy: after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch",
    );
    const wrongHost = connection({ proxy, hostKey: bastionHost.publicKey });
    await expect(run({ create: "true", connection: wrongHost })).rejects.toThrow(
      "host key mismatch",
    );
    expect(server.commands).toEqual(["echo through"]);
    await expect.poll(() => bastion.open()).toBe(0);
    await bastion.close();
  });
});

describe("a copy to a remote host", () => {
  const SIGNATURE = "4dabf18193072939515e22adb298388d";
  const ASSET = "c44067f5952c0a294b673a41bacd8c17";
  const ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7";
  const text = (content: string) => ({ [SIGNATURE]: ASSET, text: content, hash: content });
  const file = (path: string) => ({ [SIGNATURE]: ASSET, path, hash: path });
  const folder = (path: string) => ({ [SIGNATURE]: ARCHIVE, path, hash: path });
  let there: string;

  beforeEach(async () => {
    there = await mkdtemp(join(tmpdir(), "copy-"));
    await mkdir(join(there, "here/sub"), { recursive: true });
    await writeFile(join(there, "here/a"), "a");
    await writeFile(join(there, "here/empty"), "");
    await writeFile(join(there, "here/sub/b"), "b".repeat(100_000));
  });

  afterEach(async () => {
    await rm(there, { recursive: true });
  });

  const copy = async (source: PropertyMap, remotePath: string) => {
    const inputs = checked(copyToRemote, {
      connection: connection(),
      source,
      remotePath: join(there, remotePath),
    });
    return await copyToRemote.create(inputs, request());
  };
  const content = (path: string) => readFile(join(there, path), "utf8");

  test("puts a text where no folder is yet, and replaces a longer one", async () => {
    await copy(text("long text"), "new/folder/file");
    await copy(text("text"), "new/folder/file");
    expect(await content("new/folder/file")).toBe("text");
  });

  test("puts a file at a path or into a folder", async () => {
    await copy(file(join(there, "here/a")), "new/file");
    await copy(file(join(there, "here/a")), "new");
    expect([await content("new/file"), await content("new/a")]).toEqual(["a", "a"]);
  });

  test("puts a folder with its name, or its content alone", async () => {
    await copy(folder(join(there, "here")), "named");
    await copy(folder(`${join(there, "here")}/`), "content");
    expect(await content("named/here/sub/b")).toHaveLength(100_000);
    expect(await content("named/here/empty")).toBe("");
    expect(await content("content/a")).toBe("a");
  });

  test("refuses what it cannot put there", async () => {
    await writeFile(join(there, "taken"), "");
    await expect(copy(text("x"), "here")).rejects.toThrow(
      "is a directory; when using a text asset",
    );
    await expect(copy(text("x"), "taken/under")).rejects.toThrow("exists but is not a directory");
    await expect(copy(file("/nonexistent"), "x")).rejects.toThrow(
      "open /nonexistent: no such file",
    );
  });

  test("is made again only when the content or the path changes", async () => {
    const { state } = await copy(text("x"), "file");
    const old = { id: "x", inputs: state, state };
    const elsewhere = new Secret({ ...connection(), user: "other" });
    await copyToRemote.update(old, { ...state, connection: elsewhere }, request());
    expect(server.connections()).toBe(1);
    await copyToRemote.update(old, { ...state, source: text("y") }, request());
    expect(await content("file")).toBe("y");
  });
});

/** A public key on the curve P-256. */
const ecdsa =
  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

import { readFile, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { explain } from "../../commands/lib/explain.ts";
import { anotherKey } from "./anotherKey.ts";
import { type Client, defaultClient, handshake } from "./clients.ts";
import { type BoardSettings, provisioned, type Run, type Scene, type TestStack } from "./ground.ts";
import { hold } from "./heldStep.ts";
import { eventually, on, pidsOf } from "./onBoard.ts";
import { stateOf } from "./state.ts";

let scene: Scene;
let client: Client;
let pids: unknown;

beforeAll(async () => {
  scene = await provisioned();
  client = defaultClient(await stateOf(scene.stack));
  pids = await pidsOf(scene.board);
});

/** An update of a copy of the stack, and what `npm run up` would say of it in the end. */
async function upWith(board: BoardSettings, keys: Record<string, unknown> = {}) {
  const stack = await scene.stack.copy();
  await stack.configure(board, keys);
  const run = await stack.up();
  return { ...run, lines: await explanations(stack) };
}

async function explanations(stack: TestStack): Promise<string[]> {
  const events = await readFile(join(stack.folder, "events.jsonl"), "utf8");
  return explain(events).map(({ resource, line }) => `${resource}: ${line}`);
}

/** Failed in the first step, with one explanation, and without anything that only developers read. */
function expectRefused({ code, output, changes, lines }: Run & { lines: string[] }, line: RegExp) {
  expect(code).not.toBe(0);
  expect(lines).toEqual([expect.stringMatching(line)]);
  expect(lines[0]).toMatch(/^board-preflight: /);
  expect(Object.values(changes).flat()).not.toContain("board-install");
  expect(output).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
  expect(output).not.toContain("PRIVATE KEY");
}

/** Where sshd's journal ends now. */
function journalCursor(): Promise<string> {
  return on(scene.board, "journalctl -n 0 --show-cursor | sed -n 's/^-- cursor: //p'");
}

/** Lines that sshd wrote about connections since then. */
async function sshdSince(cursor: string): Promise<string[]> {
  const text = await on(
    scene.board,
    `journalctl --after-cursor='${cursor}' -o cat -t sshd -t sshd-session -t sshd-auth`,
  );
  return text.split("\n").filter(Boolean);
}

describe("a host that is not to be had ends the update within a bound, in one clear line:", () => {
  test("a closed port, and an address that never answers", async () => {
    // Both at the same time: one of them is nothing but waiting.
    const started = performance.now();
    const [closed, silent] = await Promise.all([
      freePort().then((port) => upWith({ port })),
      // Of TEST-NET-1 (RFC 5737), which nobody has.
      upWith({ host: "192.0.2.1", port: 22 }),
    ]);
    expectRefused(closed, /nothing listens at that address and port/);
    // Some networks refuse it at once in that address's name.
    expectRefused(silent, /does not answer|nothing listens/);
    // Three attempts of 20 s each, and the pauses between them.
    expect((performance.now() - started) / 1000).toBeLessThan(110);
  });

  test("a host that accepts the connection and says nothing", async () => {
    const silent = await startSilent();
    const started = performance.now();
    try {
      const run = await upWith({ port: silent.port });
      expectRefused(run, /accepts connections, but no SSH server spoke for 40 s: it hangs/);
      expect(run.output).toMatch(/no SSH server has spoken for 10 s; it is waited for, until 40 s/);
    } finally {
      silent.close();
    }
    expect((performance.now() - started) / 1000).toBeLessThan(60);
    // More would look like an attack, were it the board's own sshd.
    // One of the look, and one of the update.
    expect(silent.connections()).toBe(2);
  });

  test("another host key, direct and by jump host, whichever of the two it is", async () => {
    const { connection } = scene.board;
    const { publicLine } = anotherKey();
    const right = { host: connection.host, port: connection.port, hostKey: connection.hostKey };
    // Seen from the jump host, which is the board itself, its SSH server has the port 22.
    const behind = { host: "127.0.0.1", port: 22 };
    const cursor = await journalCursor();
    const results = [
      await upWith({ hostKey: publicLine }),
      await upWith({ ...behind, jump: { ...right, hostKey: publicLine } }),
      await upWith({ ...behind, hostKey: publicLine, jump: right }),
    ];
    const [direct, jump, target] = results;
    if (!direct || !jump || !target) throw new Error("unreachable");
    expectRefused(direct, /another key than the stack's hostKey/);
    expectRefused(jump, /another key than the stack's hostKey/);
    expectRefused(target, /another key than the stack's hostKey|behind it was not accepted/);
    const lines = await sshdSince(cursor);
    // Three attempts each, after one of the look: more would look like an attack, and go on for long.
    const attempts = lines.flatMap((line) => /port (\d+).*\[preauth\]/.exec(line)?.[1] ?? []);
    expect(new Set(attempts).size).toBeGreaterThanOrEqual(3);
    expect(new Set(attempts).size).toBeLessThanOrEqual(12);
    // Only the jump itself was let in, for the look and for the update; no command ran.
    expect(lines.filter((line) => /^Accepted/.test(line)).length).toBeLessThanOrEqual(2);
    expect(await pidsOf(scene.board)).toEqual(pids);
  });

  test("a key that the host does not know", async () => {
    const file = join(scene.stack.folder, "another-key");
    const { privateKey } = anotherKey();
    await writeFile(file, privateKey, { mode: 0o600 });
    const cursor = await journalCursor();
    const refused = await upWith({}, { "buildhosts:ssh": { privateKeyFile: file } });
    expectRefused(refused, /refused the SSH key or the user/);
    const lines = await sshdSince(cursor);
    const attempts = lines.filter((line) => /authenticating user root.*\[preauth\]/.test(line));
    expect(attempts.length).toBeGreaterThan(0);
    expect(attempts.length).toBeLessThanOrEqual(4);
    expect(lines.filter((line) => /^Accepted/.test(line))).toEqual([]);
  });

  test("and what worked before still works", async () => {
    expect(await pidsOf(scene.board)).toEqual(pids);
    expect(await handshake(scene, client)).toBe("");
  });
});

test("a connection that drops in the middle of a step ends the update; the next one succeeds", async () => {
  const { board, stack } = scene;
  const proxy = await startProxy(board.connection.port);
  try {
    await stack.configure({ port: proxy.port, buildkitd: { log: { level: "debug" } } });
    // It lets nobody in for some seconds after that many keys that it does not know (PerSourcePenalties).
    await eventually("sshd to speak again", 60, () => speaks(board.connection.port));
    const step = await hold(board, "mv", "*store/config-*");
    const cut = stack.up();
    await step.reached();
    const started = performance.now();
    proxy.cut();
    const run = await cut;
    expect((performance.now() - started) / 1000).toBeLessThan(60);
    expect(run.code).not.toBe(0);
    expect(await explanations(stack)).toContainEqual(
      expect.stringMatching(/board-config: the connection broke off .* Run the update again/),
    );
    expect(await pidsOf(board)).toEqual(pids);
    expect(await handshake(scene, client)).toBe("");

    // Nobody watches it any more, but what was begun on the board is brought to its end there.
    await step.release();
    const again = await stack.up();
    expect(again.output).not.toContain("error:");
    expect(again.code).toBe(0);
    expect(await handshake(scene, client)).toBe("");
    expect(await on(board, "grep level /etc/buildkit/buildkitd.toml")).toContain("debug");
  } finally {
    proxy.close();
  }
});

/** Whether an SSH server greets a new connection. */
function speaks(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("data", (greeting) => {
      socket.destroy();
      resolve(greeting.toString().startsWith("SSH-"));
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** As a kernel that accepts for a server that hangs. */
async function startSilent() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on("error", () => {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    connections: () => sockets.length,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Passes connections on to a port of loopback, until they are cut. */
async function startProxy(target: number) {
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(target, "127.0.0.1");
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => sockets.delete(from));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: typeof address === "object" && address ? address.port : 0,
    cut,
    close() {
      cut();
      server.close();
    },
  };
}

import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { silenceAt } from "../../components/board/greeting.ts";

// That an update ends by it, and how soon, test/integration/failures-ssh.test.ts shows.

const PATIENCE = { notice: 0.05, limit: 0.2 };
const close: (() => void)[] = [];
afterEach(() => {
  for (const one of close.splice(0)) one();
});

/** A server on loopback that does this with each connection. */
async function serving(answer: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  close.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function asked(port: number, patience = PATIENCE) {
  const notices: string[] = [];
  const reason = await silenceAt("127.0.0.1", port, (line) => notices.push(line), patience);
  return { reason, notices };
}

test("a server that accepts and says nothing is waited for, aloud, and then given up", async () => {
  const port = await serving(() => {});
  expect(await asked(port)).toEqual({
    reason: "no SSH server spoke for 0.2 s",
    notices: [
      "the connection is accepted, but no SSH server has spoken for 0.05 s; it is waited for, until 0.2 s",
    ],
  });
});

test("one that speaks late is waited for", async () => {
  const port = await serving((socket) => {
    setTimeout(() => socket.write("SSH-2.0-slow\r\n"), 100);
  });
  const { reason, notices } = await asked(port, { notice: 0.05, limit: 10 });
  expect(reason).toBeUndefined();
  expect(notices).toHaveLength(1);
});

test.each([
  ["speaks at once", (socket: Socket) => socket.write("SSH-2.0-x\r\n")],
  ["ends the connection, which the step says itself", (socket: Socket) => socket.end()],
])("nothing is said of one that %s", async (_, answer) => {
  const port = await serving(answer);
  expect(await asked(port, { notice: 5, limit: 10 })).toEqual({ reason: undefined, notices: [] });
});

test("nothing is said of a port where nobody listens, which the step says itself", async () => {
  const port = await serving(() => {});
  close.pop()?.();
  expect(await asked(port, { notice: 5, limit: 10 })).toEqual({ reason: undefined, notices: [] });
});

import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { sayingSilence } from "../../commands/lib/silentHosts.ts";

const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** A host on loopback, which begins with these words. */
async function host(says: string): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket.on("error", () => {}));
    if (says) socket.write(says);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const preflight = (board: string, at: string) => ({
  urn: `urn:pulumi:home::buildhosts::buildhosts:index:BuilderBoard$command:remote:Command::${board}-preflight`,
  inputs: { create: `sh -c '…' sh \\\n  --board ${board} --at ${at} \\\n  --owner p/home` },
});

test("a removal says for which hosts it waits in vain, and ends as it ends", async () => {
  const [silent, speaking] = [await host(""), await host("SSH-2.0-x\r\n")];
  const resources = [
    preflight("a", `root@127.0.0.1:${silent}`),
    preflight("b", `root@127.0.0.1:${speaking}`),
    preflight("c", `root@[::1]:${silent}`),
    { urn: "urn:pulumi:home::buildhosts::pulumi:pulumi:Stack::buildhosts-home" },
  ];
  const exported = async () => ({ deployment: { resources } });
  let said: (line: string) => void = () => {};
  const first = new Promise<string>((resolve) => {
    said = resolve;
  });
  const lines: string[] = [];
  const log = { note: (line: string) => void said(lines[lines.push(line) - 1] ?? "") };
  // A removal that ends once something was said.
  const removal = () => first.then(() => ({ code: 1 }));
  expect(await sayingSilence({ exported }, log, removal, 0.1)).toEqual({ code: 1 });
  expect(lines).toEqual([
    `a: 127.0.0.1:${silent} accepts connections, but no SSH server spoke for 0.1 s; the removal waits for it. Look at its console, or end this (Ctrl-C, twice). If it is gone for good: abandon: true`,
  ]);
});

test("one that ends soon asks nobody", async () => {
  const exported = () => Promise.reject(new Error("the state was read"));
  const log = { note: (line: string) => expect.fail(line) };
  expect(await sayingSilence({ exported }, log, async () => 0, 60)).toBe(0);
});

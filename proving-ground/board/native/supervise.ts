/**
 * Runs a native board's kernel and its network until the board is switched off, or this process is killed:
 *   node supervise.ts FOLDER
 * FOLDER has machine.json (`NativeMachineSpec`).
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import type { NativeMachineSpec } from "./nativeMachine.ts";

const folder = process.argv[2] ?? "";
const spec: NativeMachineSpec = JSON.parse(await readFile(join(folder, "machine.json"), "utf8"));

/** Ends with this process, however that ends. What it writes on its third descriptor, and after, is for the caller. */
function child(
  program: string,
  args: string[],
  channels: ("pipe" | "ignore")[] = [],
): ChildProcess {
  return spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], {
    stdio: ["ignore", "inherit", "inherit", ...channels],
    env: {
      ...process.env,
      PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
      TMPDIR: spec.memoryFolder,
    },
  });
}

/** Returns when `maker` has said something on its third descriptor; @throws when it ends before. */
async function said(maker: ChildProcess): Promise<void> {
  const ended = once(maker, "exit").then(([code, signal]) => {
    throw new Error(`${maker.spawnargs.at(4)} ended too soon (${code ?? signal})`);
  });
  await Promise.race([once(maker.stdio[3] as NodeJS.ReadableStream, "data"), ended]);
}

async function forwardPorts(): Promise<void> {
  for (const { port, boardPort } of spec.forwards) {
    const answer = await ask({
      execute: "add_hostfwd",
      arguments: {
        proto: "tcp",
        ...{ host_addr: "127.0.0.1", host_port: port },
        ...{ guest_addr: spec.boardAddress, guest_port: boardPort },
      },
    });
    if (!("return" in answer))
      throw new Error(`port ${port} of 127.0.0.1 cannot be forwarded: ${JSON.stringify(answer)}`);
  }
}

async function ask(request: unknown): Promise<object> {
  const socket = connect(spec.controlSocket);
  socket.end(JSON.stringify(request));
  let text = "";
  for await (const chunk of socket) text += chunk;
  return JSON.parse(text);
}

/**
 * Runs the kernel in a network namespace of its own, and slirp's network with it, until the kernel ends.
 *
 * @returns whether the board wants to boot again.
 */
async function runOnce(): Promise<boolean> {
  await rm(spec.controlSocket, { force: true });
  const kernel = child(
    "unshare",
    ["--net", join(import.meta.dirname, "in-namespace.sh"), spec.kernel, ...spec.arguments],
    ["pipe"],
  );
  const ended = once(kernel, "exit");
  await said(kernel);
  const network = child(
    "slirp4netns",
    [
      ...["--ready-fd=3", `--mtu=${spec.mtu}`, `--api-socket=${spec.controlSocket}`],
      ...[`${kernel.pid}`, "tap0"],
    ],
    ["pipe"],
  );
  try {
    await said(network);
    await forwardPorts();
    const [code, signal] = await ended;
    console.log(`supervise: the kernel has ended (${code ?? signal})`);
    // in-namespace.sh says why.
    return code === 1;
  } finally {
    network.kill("SIGKILL");
  }
}

try {
  while (await runOnce());
} catch (error) {
  console.log(`supervise: ${(error as Error).message}`);
  process.exit(1);
}

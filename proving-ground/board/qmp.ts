import { connect } from "node:net";
import { createInterface } from "node:readline";

/**
 * One command over QEMU's machine protocol (QMP) on the unix socket at `path`, on a connection of its
 * own: QEMU serves one client at a time. @throws QEMU's own words, or that it did not answer in time.
 */
export async function qmp(
  path: string,
  command: string,
  args: Record<string, unknown> = {},
  timeoutSeconds = 60,
): Promise<unknown> {
  const socket = connect(path);
  const timeout = AbortSignal.timeout(timeoutSeconds * 1000);
  timeout.addEventListener("abort", () =>
    socket.destroy(new Error(`QEMU did not answer ${command} within ${timeoutSeconds} s`)),
  );
  const lines = createInterface({ input: socket, signal: timeout });
  const failed = new Promise<never>((_, reject) => socket.once("error", reject));
  const answers = async () => {
    for await (const line of lines) {
      const message = JSON.parse(line) as QmpMessage;
      if (message.QMP) socket.write(`${JSON.stringify({ execute: "qmp_capabilities", id: 0 })}\n`);
      else if (message.error) throw new Error(`QEMU: ${command}: ${message.error.desc}`);
      else if (message.id === 0)
        socket.write(`${JSON.stringify({ execute: command, arguments: args, id: 1 })}\n`);
      else if (message.id === 1) return message.return;
    }
    throw new Error(`QEMU ended while it was asked to ${command}`);
  };
  try {
    return await Promise.race([answers(), failed]);
  } finally {
    lines.close();
    socket.destroy();
  }
}

interface QmpMessage {
  QMP?: unknown;
  id?: number;
  return?: unknown;
  error?: { desc: string };
}

/** A command of QEMU's human monitor, for which QMP has no twin. It prints nothing unless it fails. */
export async function monitor(path: string, commandLine: string): Promise<void> {
  const said = await qmp(path, "human-monitor-command", { "command-line": commandLine }, 120);
  if (typeof said === "string" && said.trim())
    throw new Error(`QEMU: ${commandLine}: ${said.trim()}`);
}

/** Reads a device register of 64 bits by QEMU's test protocol on the unix socket at `path`. */
export async function readRegister(path: string, address: number): Promise<bigint> {
  return BigInt(await qtest(path, `readq 0x${address.toString(16)}`));
}

/** Writes a device register of 64 bits, by QEMU's test protocol on the unix socket at `path`. */
export async function writeRegister(path: string, address: number, value: bigint): Promise<void> {
  await qtest(path, `writeq 0x${address.toString(16)} 0x${value.toString(16)}`);
}

/** QEMU's answer after `OK`. */
async function qtest(path: string, command: string): Promise<string> {
  const socket = connect(path);
  socket.setTimeout(10_000, () => socket.destroy(new Error(`${path}: QEMU did not answer`)));
  try {
    socket.write(`${command}\n`);
    for await (const line of createInterface({ input: socket })) {
      const [state, answer = ""] = line.split(" ");
      if (state !== "OK") throw new Error(`${path}: QEMU: ${line}`);
      return answer;
    }
    throw new Error(`${path}: QEMU ended`);
  } finally {
    socket.destroy();
  }
}

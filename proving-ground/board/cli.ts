/**
 * A virtual board by hand:
 *   node proving-ground/board/cli.ts start|off|stop|restore|snapshot|ssh|list [--platform linux/riscv64]
 *     [--instance dev] [--name booted] [--] [command]
 */
import { parseArgs } from "node:util";
import { toStderr } from "../../runtime/progress.ts";
import { architectures, type Platform } from "./architectures.ts";
import {
  bootedSnapshot,
  findVirtualBoard,
  listVirtualBoards,
  startVirtualBoard,
} from "./virtualBoard.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    platform: { type: "string", default: "linux/riscv64" },
    instance: { type: "string", default: "dev" },
    name: { type: "string", default: bootedSnapshot },
  },
});

async function main([action, ...command]: string[]): Promise<number> {
  if (action === "list") {
    for (const board of await listVirtualBoards())
      console.log(
        board.instance,
        board.connection.platform,
        (await board.running()) ? "on" : "off",
      );
    return 0;
  }
  const platform = values.platform as Platform;
  if (!(platform in architectures))
    throw new Error(`--platform: "${platform}"; known: ${Object.keys(architectures).join(", ")}`);
  if (action === "start") {
    const board = await startVirtualBoard({ platform, instance: values.instance, log: toStderr });
    console.log(JSON.stringify(board.connection, null, 2));
    return 0;
  }
  const board = await findVirtualBoard(values.instance, platform);
  if (!board)
    throw new Error(`there is no board ${values.instance} of ${platform}: start it first`);
  switch (action) {
    case "off":
      await board.powerOff();
      return 0;
    case "stop":
      await board.stop();
      return 0;
    case "snapshot":
    case "restore":
      await toStderr.step(`${action} ${values.name}`, () => board[action](values.name));
      return 0;
    case "ssh": {
      const result = await board.ssh(command.join(" "));
      process.stdout.write(result.stdout);
      process.stderr.write(result.stderr);
      board.disconnect();
      return result.code;
    }
    default:
      throw new Error(
        `"${action ?? ""}" is no action; known: start, off, stop, snapshot, restore, ssh, list`,
      );
  }
}

main(positionals).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);

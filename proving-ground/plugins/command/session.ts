import { constants } from "node:os";
import type { Client, ClientChannel } from "ssh2";
import type { Log } from "../provider/plugin.ts";
import { awaitEnvironment } from "./environment.ts";
import type { Capture } from "./output.ts";

export interface RemoteRun {
  readonly stdin: string;
  /** Variables without which the command must not run. */
  readonly environment: { readonly [name: string]: string };
  /** Variables that the command can do without. */
  readonly wishedEnvironment: { readonly [name: string]: string };
  readonly captured: Capture;
  readonly log: Log;
}

/** Runs `command` to its end over `client`. Returns why it failed, or nothing. */
export async function runOver(
  client: Client,
  command: string,
  run: RemoteRun,
): Promise<string | undefined> {
  const { captured } = run;
  return await new Promise((resolve, reject) => {
    // Without an exit status, only the connection's end tells of the command's.
    let end: string | undefined = "wait: remote command exited without exit status or exit signal";
    client.on("close", () => resolve(end));
    const env = { ...run.wishedEnvironment, ...run.environment };
    if (Object.keys(env).length > 0) {
      awaitEnvironment(client, (refused) => {
        const missing = refused.find((name) => name in run.environment);
        for (const name of refused) {
          if (name in run.environment) run.log.error(unableToSet(name));
          else run.log.warning(unableToSet(name));
        }
        if (missing === undefined) return true;
        reject(new Error(`could not set environment variable "${missing}": ssh: setenv failed`));
        return false;
      });
    }
    client.exec(command, { env }, (error, channel: ClientChannel) => {
      if (error !== undefined) {
        reject(new Error(`ssh: the server did not run the command: ${error.message}`));
        return;
      }
      channel.on("data", captured.stdout);
      channel.stderr.on("data", captured.stderr);
      channel.on(
        "exit",
        (status: number | null, signal?: string, _core?: unknown, why?: string) => {
          end = endOf(status, signal, why);
        },
      );
      // What a command does not read is an error to the official plugin, once it is more than the
      // channel's window (2 MB) holds.
      let unread = true;
      channel.on("finish", () => {
        unread = false;
      });
      // Closed comes after the last output; "exit" need not.
      channel.on("close", () => resolve(end ?? (unread ? "EOF" : undefined)));
      channel.on("error", () => {});
      channel.end(run.stdin);
    });
  });
}

/** The official plugin's words for how a process ended; nothing when it ended well. */
function endOf(status: number | null, signal?: string, why?: string): string | undefined {
  if (status === 0) return undefined;
  if (status !== null) return `Process exited with status ${status}`;
  const number = constants.signals[signal as NodeJS.Signals] ?? 0;
  const name = (signal ?? "").replace(/^SIG/, "");
  const reason = why ? `. Reason was: ${why}` : "";
  return `Process exited with status ${128 + number} from signal ${name}${reason}`;
}

function unableToSet(name: string): string {
  return (
    `Unable to set '${name}'. This only works if your SSH server is configured to accept these ` +
    "variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote " +
    "host, you could prefix the command itself with the variables in the form 'VAR=value command'"
  );
}

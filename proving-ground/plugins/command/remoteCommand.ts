import { type CommandInputs, commandResource, previousOutputEnvironment } from "./command.ts";
import type { Connection } from "./dial.ts";
import { capture, failure } from "./output.ts";
import { REMOTE_COMMAND } from "./shapes.ts";

interface RemoteInputs extends CommandInputs {
  readonly connection: Connection;
}

/** `command:remote:Command`: runs commands over SSH when the resource is made, changed, removed. */
export const remoteCommand = commandResource(
  REMOTE_COMMAND,
  async (command, map, previous, request) => {
    const inputs = map as unknown as RemoteInputs;
    // A preview reaches no host: it shall not wait for an SSH library.
    const { dial } = await import("./dial.ts");
    const { runOver } = await import("./session.ts");
    const host = await dial(inputs.connection, request.log, request.signal);
    try {
      const captured = capture(inputs.logging, request.log);
      const reason = await runOver(host.client, command, {
        stdin: inputs.stdin ?? "",
        environment: inputs.environment ?? {},
        wishedEnvironment: previousOutputEnvironment(inputs, previous),
        captured,
        log: request.log,
      });
      if (reason !== undefined) throw failure(reason, command, captured);
      return captured.finish();
    } finally {
      host.close();
    }
  },
);

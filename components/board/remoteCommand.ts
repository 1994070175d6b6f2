import type { remote } from "@pulumi/command";
import { getVersion } from "@pulumi/command/utilities.js";
import * as pulumi from "@pulumi/pulumi";

export interface RemoteCommandArgs extends Omit<remote.CommandArgs, "connection"> {
  /** Secret, and whole: no default is filled in. */
  connection: pulumi.Output<remote.CommandArgs["connection"]>;
}

/**
 * `command.remote.Command`, registered as its SDK does it, for the many that share a connection: the SDK makes six outputs more
 * of the connection for each, which are a quarter of all outputs of a stack with many boards.
 */
export class RemoteCommand extends pulumi.CustomResource {
  constructor(name: string, args: RemoteCommandArgs, opts: pulumi.CustomResourceOptions) {
    super(
      "command:remote:Command",
      name,
      { ...args, stdout: undefined, stderr: undefined },
      pulumi.mergeOptions(
        { version: getVersion(), ...opts },
        { additionalSecretOutputs: ["connection"], replaceOnChanges: ["triggers[*]"] },
      ),
    );
  }
}

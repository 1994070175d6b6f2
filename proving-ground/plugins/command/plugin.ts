import type { Plugin } from "../provider/plugin.ts";
import { copyToRemote } from "./copyToRemote.ts";
import { remoteCommand } from "./remoteCommand.ts";

/** Stands in for the official plugin `command`, with the resources that this project uses. */
export const command: Plugin = {
  name: "command",
  version: "1.2.1",
  acceptsSecrets: true,
  // The framework that the official plugin is built on notes its own version there.
  providerInputs: { "__pulumi-go-provider-version": "1.2.0" },
  resources: {
    "command:remote:Command": remoteCommand,
    "command:remote:CopyToRemote": copyToRemote,
  },
};

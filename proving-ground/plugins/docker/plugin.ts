import type { Plugin } from "../provider/plugin.ts";
import { dockerConfiguration } from "./configuration.ts";
import { container } from "./container.ts";
import { type Daemon, daemonOf } from "./daemonOf.ts";
import { remoteImage } from "./remoteImage.ts";
import { volume } from "./volume.ts";

/** Stands in for the official plugin `docker`, with the resources that this project uses. */
export function docker(): Plugin {
  let daemon: Daemon | undefined;
  const current = (): Daemon => {
    if (daemon === undefined) throw new Error("the docker provider has not been configured");
    return daemon;
  };
  return {
    name: "docker",
    version: "5.0.0",
    acceptsSecrets: false,
    providerInputs: {},
    configuration: dockerConfiguration(async (settings) => {
      daemon = daemonOf(settings);
      // As with the official plugin, a daemon that cannot be reached is told before anything is
      // done, but ssh is not asked to connect where nothing may be to do.
      if (!settings.host.startsWith("ssh:")) await daemon.reach();
    }),
    resources: {
      "docker:index/container:Container": container(current),
      "docker:index/remoteImage:RemoteImage": remoteImage(current),
      "docker:index/volume:Volume": volume(current),
    },
  };
}

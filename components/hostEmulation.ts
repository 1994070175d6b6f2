import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import {
  type DockerConnectionArgs,
  dockerConnection,
  dockerProvider,
} from "./container/connection.ts";
import { FILLED_BY_PODMAN } from "./container/podman.ts";

export interface HostEmulationArgs {
  connection: DockerConnectionArgs;
  /** The platforms that the host emulates, such as `linux/riscv64`. */
  platforms: string[];
  /** `tonistiigi/binfmt:…@sha256:…`, or any image that takes its arguments. */
  image: pulumi.Input<string>;
  /** The container's name on its host. Default: the resource's name. */
  containerName?: string;
  /** Deletion leaves the host alone: the way out for one that is gone. Default: false. */
  abandon?: boolean;
}

/**
 * The kernel of a Docker host runs programs of other platforms, in all of its containers, until the host
 * reboots.
 *
 * A privileged container registers the emulators with binfmt_misc and ends; it stays, stopped, and
 * `docker start` runs it again. Delete removes it, but not the emulators.
 *
 * ```ts
 * new HostEmulation("docker-1-emulation", {
 *   connection: { url: "unix:///var/run/docker.sock" },
 *   platforms: ["linux/riscv64"],
 *   image: "tonistiigi/binfmt:qemu-v10.2.3",
 * });
 * ```
 */
export class HostEmulation extends pulumi.ComponentResource {
  /** The platforms, once they are emulated. */
  readonly platforms: pulumi.Output<string[]>;

  constructor(name: string, args: HostEmulationArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("buildhosts:index:HostEmulation", name, {}, opts);
    const provider =
      this.getProvider("docker:index/container:Container") ??
      dockerProvider(`${name}-docker`, dockerConnection(name, args.connection), { parent: this });
    const options = { parent: this, provider, retainOnDelete: args.abandon ?? false };

    const image = new docker.RemoteImage(
      `${name}-image`,
      { name: args.image, keepLocally: true },
      options,
    );
    const architectures = args.platforms.map((platform) => platform.replace(/^linux\//, ""));
    const container = new docker.Container(
      `${name}-container`,
      {
        name: args.containerName ?? name,
        image: image.imageId,
        command: ["--install", architectures.map(binfmtName).join(",")],
        privileged: true,
        // To mount it is for the host: the kernel, from 6.7 on, forgets the emulators with the last mount, which
        // would be the container's own (tonistiigi/binfmt#360).
        volumes: [{ hostPath: BINFMT_MISC, containerPath: "/mnt/binfmt_misc", readOnly: true }],
        // It ends by itself: the provider waits for that, and takes it for no fault.
        attach: true,
        logs: true,
        mustRun: false,
        restart: "no",
      },
      { ...options, ignoreChanges: FILLED_BY_PODMAN },
    );
    const emulated = pulumi
      .all([container.exitCode, container.containerLogs])
      .apply(([exitCode, log]) => {
        if (exitCode) {
          throw new pulumi.RunError(
            `${name}: the host does not emulate ${args.platforms.join(", ")}: its container ended with status ${exitCode}: ${(log ?? "").trim().split("\n").at(-1)}; to try again, remove it (docker rm ${args.containerName ?? name}) and run up --refresh`,
          );
        }
        return args.platforms;
      });
    // While previewing they are known already, or every builder of the host would be shown as replaced.
    this.platforms = pulumi.runtime.isDryRun() ? pulumi.output(args.platforms) : emulated;
    this.registerOutputs({ platforms: this.platforms });
  }
}

/** Where systemd mounts it as soon as somebody asks for it. */
const BINFMT_MISC = "/proc/sys/fs/binfmt_misc";

/** An architecture's name in tonistiigi/binfmt. */
function binfmtName(architecture: string): string {
  return architecture === "arm/v7" ? "arm" : architecture;
}

import type { Agent } from "node:http";
import * as pulumi from "@pulumi/pulumi";
import type Docker from "dockerode";
import type { DockerConnection } from "./connection.ts";
import { dockerOptions } from "./dockerOptions.ts";

/** Does something with a client of the daemon, which goes the way of the provider, and closes it. */
export async function withDocker<T>(
  { url, sshOptions, tls }: DockerConnection,
  use: (docker: Docker) => Promise<T>,
): Promise<T> {
  // Loaded only where it is needed: most previews need none.
  const { default: DockerClient } = await import("dockerode");
  const docker = new DockerClient(
    dockerOptions({
      host: url.href,
      sshOpts: await known(sshOptions),
      tls: tls && {
        ca: await known(tls.caCertPem),
        cert: await known(tls.certPem),
        key: await known(tls.privateKeyPem),
      },
    }),
  );
  try {
    return await use(docker);
  } finally {
    // Or the ssh that it keeps open would keep the program from ending.
    (docker.modem as { agent?: Agent }).agent?.destroy();
  }
}

function known<T>(input: pulumi.Input<T>): Promise<T> {
  return new Promise((resolve) => {
    pulumi.output(input).apply((value) => resolve(value as T));
  });
}

import * as pulumi from "@pulumi/pulumi";
import { refusalAt } from "./board/reach.ts";
import { updateHook } from "./updateHook.ts";

export interface Reached {
  endpoint: string;
  serverName: string;
  caCertPem: pulumi.Input<string>;
  /** A client's. */
  client: { certPem: pulumi.Input<string>; privateKeyPem: pulumi.Input<string> };
}

/**
 * A hook that asks a builder as a client on this machine would, after it was found healthy where it runs: a firewall
 * shows nowhere else. `found` says what was seen there, and leads to the endpoint.
 */
export function reachedHook(
  name: string,
  reached: Reached,
  found = "buildkitd is healthy, but from this machine no client is let in at",
): pulumi.ResourceHook[] {
  return updateHook(`${name}-reached`, async () => {
    const client = await resolved({
      ca: reached.caCertPem,
      cert: reached.client.certPem,
      key: reached.client.privateKeyPem,
    });
    const refusal = await refusalAt(reached.endpoint, reached.serverName, client);
    if (refusal === undefined) return;
    void pulumi.log.warn(
      `${name}: ${found} ${reached.endpoint}: ${refusal}. Clients elsewhere may meet the same: look for a firewall on its host or in between, and at endpoint`,
    );
  });
}

/** A value that the program knows when a hook runs. */
export function resolved<T>(values: { [key in keyof T]: pulumi.Input<T[key]> }): Promise<T> {
  return new Promise((resolve) => {
    pulumi.output(values).apply((known) => resolve(known as T));
  });
}

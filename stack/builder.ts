import type { Output } from "@pulumi/pulumi";

/** What clients need to know of a builder, whatever kind of host it runs on. */
export interface Builder {
  name: string;
  /** `tcp://host:port` */
  endpoint: Output<string>;
  platforms: Output<string[]>;
  /** The name that clients verify in the builder's certificate. */
  serverName: string;
}

import type * as z from "zod";
import { closed } from "../components/schema/closed.ts";
import { expected } from "../components/schema/expected.ts";
import {
  checkedText,
  isDnsName,
  isIp,
  listOf,
  mapOf,
  port,
  text,
  whole,
} from "../components/schema/values.ts";
import { endpoint, loopbackAddress, name } from "../hosts/hostSchema.ts";

/** The key `buildhosts:pools`. */

/** A wildcard of one label alone is none to OpenSSL. */
const domain = checkedText(
  "a DNS name of at least two labels, such as riscv64.builders.example.com, in lower case and without *",
  (value) => isDnsName(value) && value.includes(".") && !/[A-Z_]/.test(value),
);

const listen = closed({
  address: checkedText("an IP address, without brackets", isIp)
    .default("0.0.0.0")
    .describe("Address that HAProxy listens on; :: means IPv6 and IPv4."),
  port: port.default(1235).describe("Port that HAProxy listens on."),
}).describe("Where HAProxy listens. It passes TLS through.");

const metrics = closed({
  address: loopbackAddress("there is no authentication")
    .default("127.0.0.1")
    .describe("Loopback address of the page."),
  port: port.default(8405).describe("Port of the page."),
}).describe("HAProxy's page on its machine's loopback: / for people, /metrics for Prometheus.");

const pool = closed({
  name: name.describe("The pool's name in the stack, in messages and for clients."),
  on: name.describe(
    "Where HAProxy runs: the name of a board (the distribution's package haproxy, under systemd) or of a Docker host (a container of image) of this stack.",
  ),
  builders: listOf(name, "a list of names of builders")
    .min(1, expected("at least one builder"))
    .describe("Builders of this stack, with at least one platform in common."),
  domain: domain
    .optional()
    .describe(
      "The builders' certificates get this name and *.<domain>, and a client asks for <project>.<domain>. No DNS server needs to know it. Default: <name>.buildhosts.internal.",
    ),
  listen: listen.prefault({}),
  endpoint: endpoint
    .optional()
    .describe(
      "As clients reach the pool. Default: tcp://<host>:<listen.port>, where host is that of on.",
    ),
  endpoints: mapOf(name, endpoint, "a map from a builder's name to tcp://<host>:<port>")
    .default({})
    .describe(
      "As the pool reaches a builder, where that is not as clients do: in a network of their own, or over loopback.",
    ),
  metrics: metrics.prefault({}),
  image: text(
    "an image of HAProxy by its digest, such as haproxy:3.2-alpine@sha256:<digest>",
    /^[a-z0-9][\w.-]*(:\d+)?(\/[a-z0-9][\w.-]*)*(:[\w][\w.-]{0,127})?@sha256:[0-9a-f]{64}$/,
  )
    .optional()
    .describe("On a Docker host, which needs it: an image of HAProxy, 2.6 or newer."),
  drainSeconds: whole("a whole number of seconds from 0 to 3600", 0, 3600)
    .default(600)
    .describe("On a Docker host: how long a container that is replaced serves running builds."),
});

export const pools = listOf(pool, "a list of pools")
  .default([])
  .describe(
    "One address for several builders, each project on a builder of its own while that is up.",
  );

export const poolSchema = pool;
export type PoolInput = z.output<typeof pool>;

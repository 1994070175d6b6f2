import * as z from "zod";
import { registryHost } from "../components/buildkitd/schema.ts";
import { closed } from "../components/schema/closed.ts";
import { expected, mismatch, shown } from "../components/schema/expected.ts";
import {
  checkedText,
  flag,
  isDnsName,
  isIp,
  isPlainUrl,
  listOf,
  mapOf,
  oneOf,
  parsedText,
  text,
} from "../components/schema/values.ts";
import { parseEndpoint } from "../config/endpoint.ts";
import { readHostKey } from "../config/hostKey.ts";

/** Pieces of the schema that kinds of hosts share: names, logins, and what every daemon has. */

export const name = text(
  "a name of at most 40 lower-case letters, digits and hyphens that starts with a letter and ends with no hyphen",
  /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
);

/** Where a page without authentication may listen; `because` says what is to be kept from others. */
export const loopbackAddress = (because: string) =>
  checkedText(
    `a loopback address, because ${because}`,
    (value) => value === "::1" || (isIp(value) && value.startsWith("127.")),
  );

const certificateName = checkedText(
  "a DNS name, *.name or an IP address",
  (value) => isIp(value) || isDnsName(value.replace(/^\*\./, "")),
);

export const extraNames = listOf(certificateName, "a list of DNS names and IP addresses").default(
  [],
);

export const ssh = closed(
  {
    agent: z
      .literal(true, expected("true; leave the key out to use another way"))
      .optional()
      .describe("The keys of the agent behind SSH_AUTH_SOCK. The default."),
    privateKeyFile: text("a path", /^[^\0\n\r]+$/)
      .optional()
      .describe(
        "A private key without passphrase on this machine; ~ is the home directory, other paths are relative to the project.",
      ),
  },
  {
    privateKey:
      "a secret has a key of its own; run: pulumi config set --secret buildhosts:sshPrivateKey < path",
  },
).describe("How this machine logs in to hosts: one of the two, or buildhosts:sshPrivateKey.");

export const hostKey = z
  .string(
    expected(
      "the host's public key, as a line of known_hosts or of a .pub file (there: /etc/ssh/ssh_host_ed25519_key.pub)",
    ),
  )
  .transform((value, context) => {
    const reading = readHostKey(value);
    if ("hostKey" in reading) return reading.hostKey;
    context.addIssue({ code: "custom", message: `received ${shown(value)}; ${reading.refusal}.` });
    return z.NEVER;
  })
  .describe(
    "The host's public key, ed25519 or ecdsa, as a line of known_hosts or of a .pub file. Any other host is refused.",
  );

export const sshUser = text("a user's name", /^[A-Za-z_][A-Za-z0-9_-]{0,31}$/);

/** The platform of a host, with or without `linux/`. */
export function platform<const Architecture extends "amd64" | "arm64" | "riscv64">(
  ...architectures: Architecture[]
) {
  const full = architectures.map((architecture) => `linux/${architecture}` as const);
  return oneOf<Architecture | `linux/${Architecture}`>(...full, ...architectures)
    .transform((value) => `linux/${value.replace("linux/", "") as Architecture}` as const)
    .describe("The board's platform. buildhosts refuses a board that has another one.");
}

export const endpoint = parsedText(
  "tcp://<host>:<port>, an IPv6 address in brackets",
  parseEndpoint,
);

const proxyUrl = checkedText(
  "an http or https address without user and password, which would stand readable on the board and in the state",
  (value) => isPlainUrl(value, ["http", "https"]),
);

export const proxies = closed({
  http: proxyUrl.optional().describe("HTTP_PROXY."),
  https: proxyUrl.optional().describe("HTTPS_PROXY."),
  no: listOf(
    text("a host, domain or network", /^[^\s,"'\\]+$/),
    "a list of hosts, domains and networks",
  )
    .optional()
    .describe("NO_PROXY: hosts that buildkitd reaches directly."),
}).describe(
  "Proxies of buildkitd and of downloads to the board. RUN steps see them only if a client passes them on.",
);

const collector = checkedText("an http or https address without user and query", (value) =>
  isPlainUrl(value, ["http", "https"]),
);

const attribute = text("a text without quotes and line breaks", /^[^\0\n\r"\\]{1,255}$/);

export const openTelemetry = closed({
  endpoint: collector.optional().describe("OTEL_EXPORTER_OTLP_ENDPOINT: takes traces and metrics."),
  tracesEndpoint: collector
    .optional()
    .describe("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: takes traces."),
  metricsEndpoint: collector
    .optional()
    .describe("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: takes metrics."),
  protocol: oneOf("grpc", "http/protobuf").default("grpc").describe("OTEL_EXPORTER_OTLP_PROTOCOL."),
  serviceName: attribute.optional().describe("OTEL_SERVICE_NAME. Default: buildkitd."),
  resourceAttributes: mapOf(
    text("an attribute's name", /^[\w.-]+$/),
    attribute,
    "a map from name to text",
  )
    .optional()
    .describe("OTEL_RESOURCE_ATTRIBUTES."),
  ignoreErrors: flag
    .optional()
    .describe(
      "OTEL_IGNORE_ERROR: buildkitd starts even if an exporter cannot be set up. Default: false.",
    ),
}).describe("Sends buildkitd's traces and metrics to a collector. Default: not at all.");

export const file = (what: string) =>
  text("a path", /^[^\0\n\r]+$/).describe(
    `${what}, PEM; ~ is the home directory, other paths are relative to the project.`,
  );

/** Anew for each kind of builder: a schema that two share would have one description in both. */
export const registryCertificates = () =>
  mapOf(
    registryHost,
    closed({
      caFile: file("Certificates of authorities to trust beside the system's").optional(),
      certFile: file("The client's certificate").optional(),
      keyFile: file("The client's key, without passphrase").optional(),
    }),
    "a map from registry host to its certificates",
  )
    .default({})
    .describe(
      "Certificates for connections with registries, by host as under buildkitd.registry. buildhosts copies these files of this machine to the daemon. Those of a mirror stand under the mirror's host. Builds that push use them, too.",
    );

export const givenByProvingGround = "a virtual machine has it from the proving ground";

/** The error of an entry that is neither a physical nor a virtual machine. */
export const machineError = (what: string) => ({
  error: (issue: { input?: unknown; discriminator?: string }) =>
    typeof issue.input === "object" && issue.input !== null && !Array.isArray(issue.input)
      ? mismatch((issue.input as { virtual?: unknown }).virtual, "true or false")
      : mismatch(issue.input, what),
});

export type SshInput = z.output<typeof ssh>;
export type ProxiesInput = z.output<typeof proxies>;
export type OpenTelemetryInput = z.output<typeof openTelemetry>;
export type RegistryCertificatesInput = z.output<ReturnType<typeof registryCertificates>>;

import * as z from "zod";
import { buildkitdSettings, registryHost } from "../components/buildkitd/schema.ts";
import { BINFMT_IMAGE } from "../components/images.ts";
import { closed } from "../components/schema/closed.ts";
import { expected, mismatch, shown } from "../components/schema/expected.ts";
import {
  checkedText,
  flag,
  host,
  isDnsName,
  isIp,
  isPlainUrl,
  listOf,
  mapOf,
  partName as name,
  oneOf,
  parsedText,
  port,
  text,
  whole,
} from "../components/schema/values.ts";
import { hostFromUrl } from "../components/socketAddress.ts";
import { parseEndpoint } from "./endpoint.ts";
import { githubSchema, githubToken } from "./githubSchema.ts";
import { readHostKey } from "./hostKey.ts";
import { pools } from "./poolSchema.ts";
import { defaultVersions, versionPattern } from "./versions.ts";

/**
 * The keys of a stack file, each below `buildhosts:`. Every description is written here once; the JSON
 * schema for editors and Pulumi.yaml take them from here.
 */

const formerName = text(
  'the name that the board had, or "<project>/<stack>/<name>" where it was another stack\'s',
  /^(?:[\w.-]+\/[\w.-]+\/)?[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
);

const version = (what: string, example: string) =>
  text(`a release of ${what} such as "${example}", in quotes`, versionPattern)
    .transform((value) => (value.startsWith("v") ? value : `v${value}`))
    .prefault(example)
    .describe(`Version of ${what}, with or without the leading v.`);

const certificateName = checkedText(
  "a DNS name, *.name or an IP address",
  (value) => isIp(value) || isDnsName(value.replace(/^\*\./, "")),
);

const extraNames = listOf(certificateName, "a list of DNS names and IP addresses").default([]);

const releases = closed({
  buildkit: version("BuildKit", defaultVersions.buildkit),
  containerd: version("containerd", defaultVersions.containerd),
  runc: version("runc", defaultVersions.runc),
  rootlesskit: version(
    "RootlessKit, which only rootless boards install",
    defaultVersions.rootlesskit,
  ),
  mirror: checkedText(
    "an http or https address without user, query and closing slash",
    (value) => isPlainUrl(value, ["http", "https"]) && !value.endsWith("/"),
  )
    .optional()
    .describe(
      "What boards fetch releases from instead of https://github.com: <mirror>/<owner>/<repository>/releases/download/<tag>/<asset>. Not together with push.",
    ),
  push: text("a path of a folder on this machine", /^[^\0\n\r]+$/)
    .optional()
    .describe(
      "A folder on this machine, relative to the project, whose files under upstream's asset names are pushed to the boards over SSH, for boards without internet. Each file needs its checksum. Not together with mirror.",
    ),
  checksums: mapOf(
    text("an asset's file name", /^[\w.+-]+$/),
    text("a sha256, 64 hexadecimal digits", /^[0-9a-fA-F]{64}$/).transform((value) =>
      value.toLowerCase(),
    ),
    "a map from asset name to sha256",
  )
    .default({})
    .describe(
      "The stack's lock: sha256 by upstream's asset name. An asset without one is checked against what upstream publishes.",
    ),
}).describe("What boards install, and where from.");

const hours = whole("a whole number of hours from 1 to 876000 (100 years)", 1, 876_000);

const certificates = closed({
  algorithm: oneOf("ECDSA", "ED25519")
    .default("ECDSA")
    .describe("Algorithm of all keys; ECDSA means the curve P-256."),
  organization: text("a name of at most 64 characters", /^[^\0\n\r]{1,64}$/)
    .default("buildhosts")
    .describe("Organization in the subject of all certificates."),
  caValidityHours: hours
    .default(87_600)
    .describe("Hours that the CA is valid for; 87600 are 10 years."),
  caEarlyRenewalHours: hours
    .optional()
    .describe(
      "Hours before its end from which an update renews the CA, and with it everything it signed. Default: validityHours.",
    ),
  validityHours: hours
    .default(8_760)
    .describe("Hours that server and client certificates are valid for; 8760 are a year."),
  earlyRenewalHours: hours
    .default(720)
    .describe("Hours before its end from which an update renews a certificate; 720 are 30 days."),
  protectCa: flag
    .default(false)
    .describe("Whether Pulumi refuses to delete the CA, whose loss shuts out every client."),
  clientKeys: mapOf(
    name,
    whole("the number of a client's key, 1 for the first", 1),
    "a map from a client's name to a number",
  )
    .default({})
    .describe(
      "The number of each client's key. A higher number gives the client a new key at the next update, for instance because the old one leaked. A renewal keeps the key. Builders accept the old certificate until its end; only a new CA ends that. health-check is the stack's own client, whose key each board sees.",
    ),
  builderKeys: mapOf(
    name,
    whole("the number of a builder's key, 1 for the first", 1),
    "a map from a builder's name to a number",
  )
    .default({})
    .describe(
      "The number of each builder's key. Another number gives its certificate a new key at the next update, for instance because somebody had the machine.",
    ),
  extraNames: extraNames.describe("DNS names and IP addresses added to every board's certificate."),
}).describe("The stack's CA, and the certificates that it signs.");

const clients = listOf(name, "a list of names")
  .min(1, expected("at least one name"))
  .default(["default"])
  .describe(
    "One client certificate for each name. Each gives full control of every builder; removing a name revokes nothing.",
  );

const ssh = closed(
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
).describe(
  "How this machine proves to a host who it is: one of the two, or buildhosts:sshPrivateKey.",
);

const sshPrivateKey = z
  .string(expected("a private key in PEM form"))
  .default("")
  .describe(
    "A private key without passphrase in PEM form, as a secret: pulumi config set --secret buildhosts:sshPrivateKey < path. Instead of ssh.",
  );

const hostKey = z
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

const sshUser = text("a user's name", /^[A-Za-z_][A-Za-z0-9_-]{0,31}$/);

const jump = closed({
  host: host.describe("Name or address of the jump host."),
  port: port.default(22).describe("Its SSH port."),
  user: sshUser
    .default("root")
    .describe("The user there; forwarding is the only right that it needs."),
  hostKey,
  ssh: ssh.optional().describe("How to log in there. Default: as on the board."),
}).describe("A host that SSH connections to the board go through.");

/** What a board is, in full or without `linux/`. */
function platform<const Architecture extends "amd64" | "arm64" | "riscv64">(
  ...architectures: Architecture[]
) {
  const full = architectures.map((architecture) => `linux/${architecture}` as const);
  return oneOf<Architecture | `linux/${Architecture}`>(...full, ...architectures)
    .transform((value) => `linux/${value.replace("linux/", "") as Architecture}` as const)
    .describe("What the board is; it is refused if it turns out to be something else.");
}

const listen = closed({
  address: checkedText("an IP address, without brackets", isIp)
    .default("0.0.0.0")
    .describe("Address that buildkitd listens on; :: means IPv6 and IPv4."),
  port: port.default(1234).describe("Port that buildkitd listens on."),
}).describe("Where buildkitd listens, always with mutual TLS.");

const endpoint = parsedText("tcp://<host>:<port>, an IPv6 address in brackets", parseEndpoint);

const proxyUrl = checkedText(
  "an http or https address without user and password, which would stand readable on the board and in the state",
  (value) => isPlainUrl(value, ["http", "https"]),
);

const proxies = closed({
  http: proxyUrl.optional().describe("HTTP_PROXY."),
  https: proxyUrl.optional().describe("HTTPS_PROXY."),
  no: listOf(
    text("a host, domain or network", /^[^\s,"'\\]+$/),
    "a list of hosts, domains and networks",
  )
    .optional()
    .describe("NO_PROXY: what is reached directly."),
}).describe(
  "Proxies of buildkitd and of downloads to the board. RUN steps see them only if a client passes them on.",
);

const metrics = closed({
  address: checkedText(
    "a loopback address, because there is no authentication and pprof beside it",
    (value) => value === "::1" || (isIp(value) && value.startsWith("127.")),
  )
    .default("127.0.0.1")
    .describe("Loopback address that metrics are served on."),
  port: port.default(6060).describe("Port that metrics are served on."),
}).describe("Serves /metrics and pprof on the board's loopback. Default: not at all.");

const collector = checkedText("an http or https address without user and query", (value) =>
  isPlainUrl(value, ["http", "https"]),
);

const attribute = text("a text without quotes and line breaks", /^[^\0\n\r"\\]{1,255}$/);

const openTelemetry = closed({
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

const file = (what: string) =>
  text("a path", /^[^\0\n\r]+$/).describe(
    `${what}, PEM; ~ is the home directory, other paths are relative to the project.`,
  );

/** Anew for each kind of builder: a schema that two share would have one description in both. */
const registryCertificates = () =>
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
      "Certificates for the connection with registries, by host as under buildkitd.registry: files of this machine that are taken to where the daemon is. A mirror's stand under the mirror's host. For builds, too, that push.",
    );

/** What every board has, wherever it stands. */
const boardShape = {
  name: name.describe("The builder's name in the stack, in messages and for clients."),
  worker: oneOf("oci", "containerd")
    .default("oci")
    .describe("What runs build steps: BuildKit with runc, or the board's containerd."),
  network: oneOf("bridge", "host")
    .optional()
    .describe(
      "Network of RUN steps: a bridge of their own, or the board's, where they reach the daemon's port and everything on loopback. Default: bridge; host where rootless.",
    ),
  rootless: flag
    .default(false)
    .describe(
      "Runs buildkitd without root, by RootlessKit. Only with worker oci and network host.",
    ),
  socketActivation: flag
    .default(false)
    .describe("systemd listens, and starts buildkitd at the first connection."),
  extraNames: extraNames.describe("More DNS names and IP addresses for the board's certificate."),
  proxies: proxies.optional(),
  metrics: metrics.optional(),
  openTelemetry: openTelemetry.optional(),
  drainSeconds: whole("a whole number of seconds from 0 to 3600", 0, 3600)
    .default(600)
    .describe("How long a restart waits for running builds before it ends them."),
  removeCacheOnDelete: flag
    .default(false)
    .describe("Whether deleting the board from the stack also deletes its build cache."),
  abandon: flag
    .default(false)
    .describe(
      "Deleting the board from the stack runs nothing on it: for a board that is gone. Set it, run up, then delete.",
    ),
  formerName: formerName
    .optional()
    .describe(
      "The name that this board had: it goes on under its new name, and nothing that runs on it is touched. <project>/<stack>/<name> takes a board over from another stack, with this stack's certificates. Leave it until the update has run. Default: none.",
    ),
  buildkitd: buildkitdSettings
    .default({})
    .describe("buildkitd.toml of BuildKit v0.34.2, key by key, under upstream's names."),
  registryCertificates: registryCertificates(),
};

const physicalBoard = closed({
  ...boardShape,
  virtual: z.literal(false, expected("true or false")).optional().describe("Default: false."),
  host: host.describe("Name or address for SSH; for clients too, unless endpoint says otherwise."),
  port: port.default(22).describe("SSH port."),
  user: sshUser.default("root").describe("root, or a user with passwordless sudo."),
  hostKey,
  jump: jump.optional(),
  ssh: ssh.optional().describe("How to log in, where it is not as buildhosts:ssh says."),
  platform: platform("amd64", "arm64", "riscv64"),
  listen: listen.prefault({}),
  endpoint: endpoint
    .optional()
    .describe("As clients reach the builder. Default: tcp://<host>:<listen.port>."),
});

const givenByProvingGround = "a virtual machine has it from the proving ground";

const virtualBoard = closed(
  {
    ...boardShape,
    virtual: z
      .literal(true)
      .describe("A board of the proving ground, which npm run up starts on this machine."),
    user: sshUser.default("root").describe("root, builder (sudo without password) or nosudo."),
    platform: platform("amd64", "arm64", "riscv64")
      .optional()
      .describe(
        "What the board is: riscv64 and arm64 are emulated; amd64 is a native board, which Linux on amd64 alone can run. Default: amd64 there, and riscv64 elsewhere.",
      ),
  },
  {
    host: givenByProvingGround,
    port: givenByProvingGround,
    hostKey: givenByProvingGround,
    jump: givenByProvingGround,
    ssh: givenByProvingGround,
    endpoint: givenByProvingGround,
    listen: "a virtual board's port 1234 is the one that is forwarded",
  },
);

/** The error of what is neither a machine nor a virtual one. */
const machineError = (what: string) => ({
  error: (issue: { input?: unknown; discriminator?: string }) =>
    typeof issue.input === "object" && issue.input !== null && !Array.isArray(issue.input)
      ? mismatch((issue.input as { virtual?: unknown }).virtual, "true or false")
      : mismatch(issue.input, what),
});

const board = z.discriminatedUnion(
  "virtual",
  [physicalBoard, virtualBoard],
  machineError("a board, an object with at least name, host, hostKey and platform"),
);

const boards = listOf(board, "a list of boards")
  .default([])
  .describe("The machines that become builders.");

const imageReference = text(
  "an image reference, such as moby/buildkit:v0.34.2@sha256:<digest>",
  /^[a-z0-9][\w.-]*(:\d+)?(\/[a-z0-9][\w.-]*)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$/,
);

/** What Docker takes as the name of a container, a volume or a network. */
const dockerNamePattern = /^[a-zA-Z0-9][\w.-]{0,127}$/;
const dockerName = text(
  "a name of letters, digits and _.- that starts with a letter or digit",
  dockerNamePattern,
);

const publish = closed({
  address: checkedText("an IP address, without brackets", isIp)
    .optional()
    .describe(
      "Address of the host that the port is published on. Default: 127.0.0.1 where docker is a local socket, else 0.0.0.0.",
    ),
  port: port.default(1234).describe("Port of the host."),
}).describe("Where the host publishes the daemon, always with mutual TLS.");

/** Why a container does not have what Docker could give it, and what there is instead. */
const notForContainers = {
  devices:
    "a container gets no devices of its host; a board can hand them to builds by buildkitd.cdi, so make the machine one of buildhosts:boards",
  mounts:
    "a container has its cache alone, in the volume of cacheVolume or the host's folder of cachePath; certificates of registries come by registryCertificates",
  environment: "write proxies or openTelemetry, which become its environment",
};

const builderContainer = closed(
  {
    name: name.describe(
      "The builder's name. A new name is a new builder, with a new cache: the old one is deleted. Both exist during the update: use a new container name and port, or two updates.",
    ),
    image: imageReference
      .optional()
      .describe(
        "The image, pinned by its digest; its entrypoint takes buildkitd's arguments. Default: moby/buildkit at the version of buildhosts:releases, -rootless where rootless.",
      ),
    containerName: dockerName
      .optional()
      .describe("The container's name on its host, for docker-container://. Default: name."),
    rootless: flag
      .default(false)
      .describe(
        "The daemon runs without root, in a container with the security options for that; else it is privileged.",
      ),
    network: oneOf("bridge", "host")
      .default("host")
      .describe(
        "Network of RUN steps: a bridge of their own inside of the container, or the container's, where they reach the daemon's port. bridge needs BuildKit's CNI plugins in the image, and no rootless.",
      ),
    publish: publish.prefault({}),
    endpoint: endpoint
      .optional()
      .describe(
        "As clients reach the builder. Default: tcp://<host>:<publish.port>, where host is that of docker, or localhost for a local socket.",
      ),
    extraNames: extraNames.describe(
      "More DNS names and IP addresses for the builder's certificate.",
    ),
    cacheVolume: text(
      "a volume's name of letters, digits and _.- that starts with a letter or digit; a folder of the host is named by cachePath",
      dockerNamePattern,
    )
      .optional()
      .describe(
        "Name of the volume with the build cache. Default: <name>-cache. Needs another value when rootless changes, and cannot change while removeCacheOnDelete is in force.",
      ),
    adoptCache: flag
      .default(false)
      .describe(
        "Whether a volume of that name which the host has already, and which this stack did not make, is used as it is. It is never deleted. Default: false, it is refused.",
      ),
    cachePath: checkedText(
      "an absolute path of the host, such as /mnt/nvme/buildkit",
      (value) => /^\/[^\0\n\r:]*[^\0\n\r:/.]$/.test(value) && !value.split("/").includes(".."),
    )
      .optional()
      .describe(
        "Folder of the host that keeps the build cache in the volume's place, on a disk of its own for instance. It is never deleted. That of a rootless builder belongs to user 1000. Default: none, the volume.",
      ),
    protectCache: flag.default(false).describe("Whether Pulumi refuses to delete that volume."),
    removeCacheOnDelete: flag
      .default(false)
      .describe(
        "Whether deleting the builder from the stack also deletes that volume. To change cacheVolume, set it to false and run an update first.",
      ),
    restart: oneOf("no", "on-failure", "unless-stopped", "always")
      .default("unless-stopped")
      .describe(
        "When Docker starts the container again. Podman needs always, up to 5.8.1, to start it after a boot.",
      ),
    memoryMb: whole("a whole number of megabytes from 64", 64)
      .optional()
      .describe("Limit of the container's memory; swap is not limited. Default: none."),
    cpus: z
      .number(expected("a number of processors from 0.01, such as 1.5"))
      .min(0.01, expected("a number of processors from 0.01, such as 1.5"))
      .optional()
      .describe("Limit of the processors' time. Default: none."),
    labels: mapOf(
      text("a label's name that does not start with buildhosts", /^(?!buildhosts)[\w./-]+$/),
      text("a text without line breaks", /^[^\0\n\r]*$/),
      "a map from label to text",
    )
      .default({})
      .describe("Labels of the container, beside buildhosts.builder and buildhosts.stack."),
    init: flag
      .default(false)
      .describe(
        "Whether the host's docker-init (tini) runs before buildkitd, and ends what build steps leave behind.",
      ),
    networks: listOf(dockerName, "a list of names of the host's networks")
      .default([])
      .describe(
        "Networks of the host that the container is in, which exist. Default: Docker's bridge.",
      ),
    proxies: proxies
      .optional()
      .describe(
        "Proxies of buildkitd and of RUN steps. Values that the client passes take precedence.",
      ),
    openTelemetry: openTelemetry.optional(),
    startSeconds: whole("a whole number of seconds from 10 to 3600", 10, 3600)
      .default(120)
      .describe(
        "How long a new container may take until it is healthy; then the old one is put back.",
      ),
    buildkitd: buildkitdSettings
      .default({})
      .describe("buildkitd.toml of BuildKit v0.34.2, key by key, under upstream's names; no root."),
    registryCertificates: registryCertificates(),
  },
  {
    privileged: "a container is privileged unless rootless: true",
    gpus: notForContainers.devices,
    devices: notForContainers.devices,
    runtime: notForContainers.devices,
    volumes: notForContainers.mounts,
    mounts: notForContainers.mounts,
    binds: notForContainers.mounts,
    metrics:
      "a container publishes the daemon's port alone, and metrics have no authentication; send them by openTelemetry.metricsEndpoint",
    extraHosts:
      "build steps read names from DNS alone; name a server that knows them in buildkitd.dns.nameservers",
    dns: "write buildkitd.dns, which build steps get, too",
    ports: "write publish",
    env: notForContainers.environment,
    environment: notForContainers.environment,
    root: "the cache is in a volume, which cacheVolume names, or in a folder of the host, by cachePath",
    listen: "inside of the container it is always port 1234; write publish",
    worker: "a container has BuildKit's own, oci",
  },
);

const dockerTls = closed({
  caFile: file("Certificate of the CA that signed the daemon's"),
  certFile: file("The client's certificate"),
  keyFile: file("The client's key, without passphrase"),
}).describe("Mutual TLS with the daemon: all three, with tcp:// only.");

const dockerHostName = name.describe("The host's name in the stack and in messages.");

const registryAuth = closed({
  address: text(
    "a registry's host as it stands in an image's name, such as ghcr.io",
    /^[a-z0-9][a-z0-9.-]*(:\d+)?$/,
  ).describe("The registry, as it stands in an image's name; registry-1.docker.io for Docker Hub."),
  username: text("a user's name", /^\S+$/).describe(
    "The user name; with a token, the name that the registry expects.",
  ),
  passwordFile: text("a path", /^[^\0\n\r]+$/).describe(
    "A file with the password or token and nothing else; ~ is the home directory, other paths are relative to the project.",
  ),
});

/** What else can be said of every Docker host. */
const dockerHostShape = {
  registryAuth: listOf(registryAuth, "a list of registries")
    .default([])
    .describe("Logins by which the host pulls private images of builders. Builds bring their own."),
  emulation: listOf(
    oneOf(
      "linux/amd64",
      "linux/arm64",
      "linux/arm/v7",
      "linux/riscv64",
      "linux/ppc64le",
      "linux/s390x",
    ),
    "a list of platforms",
  )
    .default([])
    .describe(
      "Other platforms that the host's kernel is made to emulate (binfmt_misc) for all of its builders, by a privileged container that runs once. A reboot of the host ends it.",
    ),
  emulationImage: imageReference
    .default(BINFMT_IMAGE)
    .describe("The image that installs the emulators."),
  abandon: flag
    .default(false)
    .describe(
      "Deleting the host or its builders from the stack does nothing there: for a host that is gone. Set it, run up, then delete.",
    ),
  builders: listOf(builderContainer, "a list of builders")
    .min(1, expected("at least one builder"))
    .describe("The builders on this host, each with a container, a port and a cache of its own."),
};

const physicalDockerHost = closed({
  name: dockerHostName,
  virtual: z.literal(false, expected("true or false")).optional().describe("Default: false."),
  docker: checkedText(
    "unix://<path of the socket>, ssh://<user>@<host>[:<port>] or tcp://<host>:<port>",
    (value) => parseDockerUrl(value) !== undefined,
  ).describe(
    "How to reach the Docker daemon, or Podman's socket: unix:///var/run/docker.sock, unix:///run/podman/podman.sock, ssh://root@host, tcp://host:2376. The user of ssh:// may use docker there, which podman-docker has for Podman.",
  ),
  hostKey: hostKey
    .optional()
    .describe(
      "Required with ssh://: the host's public key, ed25519 or ecdsa, as a line of known_hosts or of a .pub file. Any other host is refused.",
    ),
  ssh: ssh
    .optional()
    .describe("How to log in with ssh://, where it is not as buildhosts:ssh says."),
  tls: dockerTls.optional(),
  platform: platform("amd64", "arm64", "riscv64").describe("What the host is."),
  ...dockerHostShape,
});

const virtualDockerHost = closed(
  {
    name: dockerHostName,
    virtual: z
      .literal(true)
      .describe("A Docker host of the proving ground, which npm run up starts on this machine."),
    platform: platform("amd64", "riscv64")
      .optional()
      .describe(
        "What the host is: riscv64 is emulated; amd64 is native, which Linux on amd64 alone can run. Default: amd64 there, and riscv64 elsewhere.",
      ),
    ...dockerHostShape,
  },
  {
    docker: givenByProvingGround,
    hostKey: givenByProvingGround,
    ssh: givenByProvingGround,
    tls: givenByProvingGround,
  },
);

const dockerHost = z.discriminatedUnion(
  "virtual",
  [physicalDockerHost, virtualDockerHost],
  machineError("a Docker host, an object with at least name, docker, platform and builders"),
);

const dockerHosts = listOf(dockerHost, "a list of Docker hosts")
  .default([])
  .describe("Docker hosts on which containers are the builders.");

/** Every key of a stack file below `buildhosts:`. */
export const stackKeys = {
  releases: releases.prefault({}),
  certificates: certificates.prefault({}),
  clients,
  ssh: ssh.prefault({}),
  sshPrivateKey,
  boards,
  dockerHosts,
  pools,
  github: githubSchema.prefault({}),
  githubToken,
};

export type StackKey = keyof typeof stackKeys;

/** Those that a stack file holds encrypted. */
export const secretKeys: readonly string[] = ["sshPrivateKey", "githubToken"] satisfies StackKey[];

export const boardSchema = board;
export const dockerHostSchema = dockerHost;

export type ReleasesInput = z.output<typeof releases>;
export type CertificatesInput = z.output<typeof certificates>;
export type SshInput = z.output<typeof ssh>;
export type PhysicalBoardInput = z.output<typeof physicalBoard>;
/** As the stack file has it. */
export type VirtualBoardAsWritten = z.output<typeof virtualBoard>;
/** With the platform that the proving ground has started it on, where the stack file names none. */
export type VirtualBoardInput = VirtualBoardAsWritten & Pick<PhysicalBoardInput, "platform">;
export type BoardInput = PhysicalBoardInput | VirtualBoardInput;
export type DockerHostInput = z.output<typeof physicalDockerHost>;
export type VirtualDockerHostInput = z.output<typeof virtualDockerHost>;
export type BuilderContainerInput = z.output<typeof builderContainer>;
export type { PoolInput } from "./poolSchema.ts";
export { poolSchema } from "./poolSchema.ts";
export type RegistryAuthInput = z.output<typeof registryAuth>;
export type DockerTlsInput = z.output<typeof dockerTls>;
export type RegistryCertificatesInput = BoardInput["registryCertificates"];
export type ProxiesInput = z.output<typeof proxies>;
export type OpenTelemetryInput = z.output<typeof openTelemetry>;

/** A daemon's address, if it is one that the provider takes. */
export function parseDockerUrl(value: string): URL | undefined {
  const url = URL.parse(value);
  if (url?.password !== "" || url.search !== "" || url.hash !== "") return undefined;
  const hostname = hostFromUrl(url.hostname);
  const hasHost = isIp(hostname) || isDnsName(hostname);
  switch (url.protocol) {
    case "unix:":
      return hostname === "" && /^(\/[\w.@+-]+)+$/.test(url.pathname) ? url : undefined;
    case "ssh:":
      return hasHost && ["", "/"].includes(url.pathname) ? url : undefined;
    case "tcp:":
      return hasHost && url.port !== "" && url.pathname === "" && url.username === ""
        ? url
        : undefined;
    default:
      return undefined;
  }
}

/** For the connection file of a virtual board, which the proving ground writes. */
export const boardConnection = z.object({
  platform: z.string(),
  host: z.string(),
  port,
  hostKey: z.string(),
  identityFile: z.string(),
  buildkitPort: port,
  gateway: z.string(),
});

/** For the connection file of a virtual Docker host. */
export const dockerHostConnection = boardConnection.extend({
  user: z.string(),
  builderPorts: z.record(z.string(), port),
});

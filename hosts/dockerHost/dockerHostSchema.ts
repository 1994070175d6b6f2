import * as z from "zod";
import { buildkitdSettings } from "../../components/buildkitd/schema.ts";
import { BINFMT_IMAGE } from "../../components/images.ts";
import { closed } from "../../components/schema/closed.ts";
import { expected } from "../../components/schema/expected.ts";
import {
  checkedText,
  flag,
  isDnsName,
  isIp,
  listOf,
  mapOf,
  oneOf,
  port,
  text,
  whole,
} from "../../components/schema/values.ts";
import { hostFromUrl } from "../../components/socketAddress.ts";
import {
  endpoint,
  extraNames,
  file,
  givenByProvingGround,
  hostKey,
  machineError,
  name,
  openTelemetry,
  platform,
  proxies,
  registryCertificates,
  ssh,
} from "../hostSchema.ts";

const imageReference = text(
  "an image reference, such as moby/buildkit:v0.34.2@sha256:<digest>",
  /^[a-z0-9][\w.-]*(:\d+)?(\/[a-z0-9][\w.-]*)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$/,
);

/** Docker's rule for names of containers, volumes and networks. */
const dockerNamePattern = /^[a-zA-Z0-9][\w.-]{0,127}$/;
const dockerName = text(
  "a name of letters, digits and _.- that starts with a letter or digit",
  dockerNamePattern,
);

const publish = closed({
  address: checkedText("an IP address, without brackets", isIp)
    .optional()
    .describe(
      "Address of the host for the published port. Default: 127.0.0.1 where docker is a local socket, else 0.0.0.0.",
    ),
  port: port.default(1234).describe("Port of the host."),
}).describe("Where the host publishes the daemon, always with mutual TLS.");

/** Hints for settings of Docker that a builder has under another key. */
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
        "Whether the builder uses a volume of that name that the host has already and that this stack did not make. buildhosts never deletes it. Default: false, it is refused.",
      ),
    cachePath: checkedText(
      "an absolute path of the host, such as /mnt/nvme/buildkit",
      (value) => /^\/[^\0\n\r:]*[^\0\n\r:/.]$/.test(value) && !value.split("/").includes(".."),
    )
      .optional()
      .describe(
        "Folder of the host that keeps the build cache in place of the volume, for instance on a disk of its own. buildhosts never deletes it. For a rootless builder, it must belong to user 1000. Default: none, the volume.",
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

/** The keys of physical and virtual Docker hosts. */
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
      "Other platforms that the host's kernel emulates (binfmt_misc) for all of its builders. A privileged container registers them once. A reboot of the host ends it.",
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
  ssh: ssh.optional().describe("How to log in with ssh://. Default: as buildhosts:ssh says."),
  tls: dockerTls.optional(),
  platform: platform("amd64", "arm64", "riscv64").describe("The host's platform."),
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
        "The host's platform: riscv64 is emulated; amd64 is native, which Linux on amd64 alone can run. Default: amd64 there, and riscv64 elsewhere.",
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

export const dockerHostSchema = z.discriminatedUnion(
  "virtual",
  [physicalDockerHost, virtualDockerHost],
  machineError("a Docker host, an object with at least name, docker, platform and builders"),
);

export const dockerHostsSchema = listOf(dockerHostSchema, "a list of Docker hosts")
  .default([])
  .describe("Docker hosts on which containers are the builders.");

export type DockerHostInput = z.output<typeof physicalDockerHost>;
/** As the stack file has it: a virtual one has no address yet. */
export type DockerHostAsWritten = z.output<typeof dockerHostSchema>;
export type BuilderContainerInput = z.output<typeof builderContainer>;
export type RegistryAuthInput = z.output<typeof registryAuth>;
export type DockerTlsInput = z.output<typeof dockerTls>;

/** A daemon's address; undefined if the provider does not accept it. */
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

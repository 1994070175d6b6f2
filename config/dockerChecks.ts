import { PREVIOUS } from "../components/container/place.ts";
import { type Findings, shown } from "./problems.ts";
import { cacheVolumeOf, containerEndpointOf, imageOf, publishOf } from "./resolveDockerHost.ts";
import type { BoardInput, BuilderContainerInput, DockerHostInput } from "./schema.ts";
import { refuseImpossibleSettings, warnOfSettings } from "./settingsChecks.ts";
import { oldVersions } from "./versions.ts";

/** Variables by which the provider would go elsewhere than the stack says. */
const misleading = [
  "DOCKER_CONTEXT",
  "DOCKER_CERT_PATH",
  "DOCKER_CA_MATERIAL",
  "DOCKER_CERT_MATERIAL",
  "DOCKER_KEY_MATERIAL",
];

/** Refuses an environment that the provider would follow instead of the stack. */
export function refuseMisleadingEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  findings: Findings,
): void {
  const set = misleading.filter((name) => environment[name]);
  if (set.length === 0) return;
  findings.refuse(
    [],
    `the environment sets ${set.join(", ")}, and Pulumi's docker provider would follow that instead of the stack; run: unset ${set.join(" ")}`,
  );
}

/** What of a host's keys does not go together, or is missing. */
export function refuseImpossibleHost(host: DockerHostInput, findings: Findings): void {
  const refuse = findings.refuse.bind(findings);
  const isSsh = host.docker.startsWith("ssh:");
  if (isSsh && host.hostKey === undefined) {
    refuse(
      ["hostKey"],
      "missing; expected the host's public key (there: /etc/ssh/ssh_host_ed25519_key.pub), because docker is ssh://.",
    );
  }
  if (!isSsh && host.hostKey !== undefined) {
    refuse(["hostKey"], "is about ssh://, and docker is not; take it away.");
  }
  if (!isSsh && host.ssh !== undefined) {
    refuse(["ssh"], "is about ssh://, and docker is not; take it away.");
  }
  const isTcp = host.docker.startsWith("tcp:");
  if (isTcp && host.tls === undefined) {
    refuse(
      ["tls"],
      "missing; expected caFile, certFile and keyFile, all three: without, anybody on the network could be the daemon or become root there.",
    );
  }
  if (!isTcp && host.tls !== undefined) {
    refuse(["tls"], "is about tcp://, and docker is not; take it away.");
  }
  if (host.emulation.includes(host.platform)) {
    refuse(
      ["emulation"],
      `received ${shown(host.platform)}, which is the host's own; take it away.`,
    );
  }
  for (const [index, builder] of host.builders.entries()) {
    refuseImpossibleContainer(builder, host, findings.at("builders", index));
  }
}

/** What of a builder's keys no container could serve. */
function refuseImpossibleContainer(
  builder: BuilderContainerInput,
  host: DockerHostInput,
  findings: Findings,
): void {
  const refuse = findings.refuse.bind(findings);
  const { rootless, network, buildkitd, publish, openTelemetry } = builder;
  if ((builder.containerName ?? builder.name).endsWith(PREVIOUS)) {
    refuse(
      ["containerName"],
      `the container's name ends in ${PREVIOUS}, as do the names of those that wait to come back; choose another.`,
    );
  }
  if (rootless && network === "bridge") {
    refuse(["network"], "a rootless buildkitd has its container's network only; use host.");
  }
  if (buildkitd.root !== undefined) {
    refuse(["buildkitd", "root"], "the cache is in the volume; name that by cacheVolume.");
  }
  const { address } = publishOf(builder, host);
  if (
    !host.docker.startsWith("unix:") &&
    (address === "::1" || address.startsWith("127.")) &&
    builder.endpoint === undefined
  ) {
    refuse(
      ["publish", "address"],
      `received ${shown(publish.address)}, which no client reaches from elsewhere; name in endpoint what clients reach it by, or publish on 0.0.0.0.`,
    );
  }
  if (
    openTelemetry &&
    !openTelemetry.endpoint &&
    !openTelemetry.tracesEndpoint &&
    !openTelemetry.metricsEndpoint
  ) {
    refuse(["openTelemetry"], "no endpoint; set endpoint, tracesEndpoint or metricsEndpoint.");
  }
  refuseImpossibleSettings(
    { on: "builder", worker: "oci", rootless, network, platform: host.platform, buildkitd },
    findings.at("buildkitd"),
  );
}

/** What a host's configuration allows that its owner should know. */
export function warnOfHost(host: DockerHostInput, buildkit: string, findings: Findings): void {
  if (host.abandon) {
    findings.warn(
      ["abandon"],
      "deleting this host or its builders from the stack will leave everything there as it is; their certificates stay valid until they end.",
    );
  }
  for (const [index, builder] of host.builders.entries()) {
    warnOfContainer(builder, imageOf(builder, buildkit), findings.at("builders", index));
  }
}

/** Images that are named by a tag alone, in one warning for all of the stack's builders. */
export function warnOfTags(
  hosts: readonly DockerHostInput[],
  buildkit: string,
  findings: Findings,
): void {
  const builders = hosts.flatMap((host) => host.builders);
  const tagged = builders.filter((one) => !imageOf(one, buildkit).includes("@sha256:"));
  if (tagged.length === 0) return;
  const images = [...new Set(tagged.map((one) => imageOf(one, buildkit)))];
  const names = tagged.map(({ name }) => name).join(", ");
  findings.warn(
    [],
    `the image of ${names} has no digest, so what the registry serves at the first pull is what runs; pin it: ${images.map((image) => `image: ${image}@sha256:<digest>`).join(", ")}.`,
  );
}

/** The release in upstream's image, nothing for another image. */
function upstreamVersion(image: string): string | undefined {
  return /^(?:docker\.io\/)?moby\/buildkit:(v\d+\.\d+\.\d+)(?:-rootless)?(?:@|$)/.exec(image)?.[1];
}

function warnOfContainer(builder: BuilderContainerInput, image: string, findings: Findings): void {
  const version = upstreamVersion(image);
  // That of buildhosts:releases is judged there.
  const warning = builder.image && version && oldVersions.buildkit?.warning(version);
  if (warning) findings.warn(["image"], `is ${version}: ${warning}.`);
  warnOfSettings(
    { on: "builder", buildkitd: builder.buildkitd },
    version,
    findings.at("buildkitd"),
  );
}

/** Names that two builders of the stack have, wherever they run, and what two on one host would share. */
export function refuseSameBuilders(
  boards: readonly (BoardInput | undefined)[],
  hosts: readonly (DockerHostInput | undefined)[],
  findings: Findings,
): void {
  const names = new Map<string, string>();
  const endpoints = new Map<string, string>();
  for (const [index, board] of boards.entries()) {
    if (board && !names.has(board.name)) names.set(board.name, `boards[${index}]`);
  }
  const hostsSeen = { name: new Map<string, string>(), docker: new Map<string, string>() };
  for (const [index, host] of hosts.entries()) {
    if (!host) continue;
    const path = `dockerHosts[${index}]`;
    for (const key of ["name", "docker"] as const) {
      const first = hostsSeen[key].get(host[key]);
      if (first !== undefined) {
        const fix =
          key === "name" ? "choose another" : "name the builders of one host in one entry";
        findings.refuse(
          [index, key],
          `received ${shown(host[key])}, which ${first} has already; ${fix}.`,
        );
      }
      hostsSeen[key].set(host[key], first ?? path);
    }
    const onHost = {
      containerName: new Map<string, string>(),
      cacheVolume: new Map<string, string>(),
      port: new Map<string, string>(),
    };
    for (const [position, builder] of host.builders.entries()) {
      const at = findings.at(index, "builders", position);
      const here = `${path}.builders[${position}]`;
      const once = (
        seen: Map<string, string>,
        key: (string | number)[],
        value: string | number,
        fix = "choose another",
      ) => {
        const first = seen.get(String(value));
        if (first === undefined) seen.set(String(value), here);
        else at.refuse(key, `received ${shown(value)}, which ${first} has already; ${fix}.`);
        return first === undefined;
      };
      const isNew = once(names, ["name"], builder.name);
      const container = builder.containerName ?? builder.name;
      if (isNew || builder.containerName) once(onHost.containerName, ["containerName"], container);
      if (isNew || builder.cacheVolume) {
        once(onHost.cacheVolume, ["cacheVolume"], cacheVolumeOf(builder));
      }
      const isFree = once(onHost.port, ["publish", "port"], builder.publish.port);
      if (isFree) {
        once(
          endpoints,
          ["endpoint"],
          containerEndpointOf(builder, host),
          "clients could not tell the two apart",
        );
      }
    }
  }
}

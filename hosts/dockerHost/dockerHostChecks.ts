import type { BuildkitdSettings } from "../../components/buildkitd/schema.ts";
import { PREVIOUS } from "../../components/container/place.ts";
import { shown } from "../../components/schema/expected.ts";
import { hostIn, isLoopback } from "../../config/addresses.ts";
import type { Findings, Path } from "../../config/findings.ts";
import {
  daemonReaches,
  refuseLoopback,
  refuseNoCollector,
  warnOfMulticastName,
} from "../../config/networkChecks.ts";
import { refuseVainHosts, registryHosts } from "../../config/registryChecks.ts";
import { refuseImpossibleSettings, warnOfSettings } from "../../config/settingsChecks.ts";
import { isBelow, oldVersions, versionPattern } from "../../config/versions.ts";
import type { BuilderContainerInput, DockerHostInput } from "./dockerHostSchema.ts";
import { imageOf, publishOf } from "./resolveDockerHost.ts";

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

/** Refuses missing keys of a host, and keys that exclude each other. */
export function refuseImpossibleDockerHost(host: DockerHostInput, findings: Findings): void {
  const refuse = findings.refuse.bind(findings);
  const isSsh = host.docker.startsWith("ssh:");
  if (isSsh && host.hostKey === undefined) {
    refuse(
      ["hostKey"],
      "missing; expected the host's public key (there: /etc/ssh/ssh_host_ed25519_key.pub), because docker is ssh://.",
    );
  }
  if (!isSsh && host.hostKey !== undefined) {
    refuse(["hostKey"], "is about ssh://, and docker is not; remove it.");
  }
  if (!isSsh && host.ssh !== undefined) {
    refuse(["ssh"], "is about ssh://, and docker is not; remove it.");
  }
  const isTcp = host.docker.startsWith("tcp:");
  if (isTcp && host.tls === undefined) {
    refuse(
      ["tls"],
      "missing; expected caFile, certFile and keyFile, all three: without them, anybody on the network can act as the daemon or become root there.",
    );
  }
  if (!isTcp && host.tls !== undefined) {
    refuse(["tls"], "is about tcp://, and docker is not; remove it.");
  }
  if (host.emulation.includes(host.platform)) {
    refuse(["emulation"], `received ${shown(host.platform)}, which is the host's own; remove it.`);
  }
  for (const [index, builder] of host.builders.entries()) {
    refuseImpossibleContainer(builder, host, findings.at("builders", index));
    checkImage(builder, findings.at("builders", index));
    checkFiles(builder, findings.at("builders", index, "buildkitd"));
  }
}

/** Refuses keys of a builder that no container can serve. */
function refuseImpossibleContainer(
  builder: BuilderContainerInput,
  host: DockerHostInput,
  findings: Findings,
): void {
  const refuse = findings.refuse.bind(findings);
  const { rootless, network, buildkitd } = builder;
  if ((builder.containerName ?? builder.name).endsWith(PREVIOUS)) {
    refuse(
      ["containerName"],
      `the container's name ends in ${PREVIOUS}, as do the names of those that wait to come back; choose another.`,
    );
  }
  if (rootless && network === "bridge") {
    refuse(["network"], "a rootless buildkitd supports only its container's network; use host.");
  }
  if (buildkitd.root !== undefined) {
    refuse(
      ["buildkitd", "root"],
      "the cache is in the volume; name that by cacheVolume, or a folder of the host by cachePath.",
    );
  }
  const { adoptCache, cachePath, cacheVolume, protectCache, removeCacheOnDelete } = builder;
  const ofVolume = cachePath === undefined ? {} : { adoptCache, cacheVolume };
  const ofStack =
    cachePath !== undefined || adoptCache ? { protectCache, removeCacheOnDelete } : {};
  for (const [key, value] of Object.entries({ ...ofVolume, ...ofStack })) {
    if (!value) continue;
    const beside = cachePath === undefined ? "adoptCache: true" : `cachePath ${shown(cachePath)}`;
    refuse(
      [key],
      `received ${shown(value)} beside ${beside}, which is never deleted and ${cachePath === undefined ? "not the stack's" : "no volume"}; remove one of the two.`,
    );
  }
  const { address } = publishOf(builder, host);
  if (!host.docker.startsWith("unix:") && builder.endpoint === undefined) {
    refuseLoopback("publish", address, findings);
  }
  refuseNoCollector(builder, findings);
  refuseVainHosts(
    Object.keys(builder.registryCertificates),
    buildkitd.registry ?? {},
    findings.at("registryCertificates"),
  );
  if (!sharesHost(builder)) refuseLoopbackProxies(builder, findings.at("proxies"));
  refuseImpossibleSettings(
    {
      on: "builder",
      worker: "oci",
      rootless,
      network,
      platform: host.platform,
      buildkitd,
      reaches: daemonReaches(builder),
    },
    findings.at("buildkitd"),
  );
}

/** Whether the container is on its host's network, where the host's loopback is its own. */
const sharesHost = ({ networks }: BuilderContainerInput) => networks.includes("host");

function refuseLoopbackProxies({ proxies }: BuilderContainerInput, findings: Findings): void {
  for (const key of ["http", "https"] as const) {
    const url = proxies?.[key];
    if (url === undefined || !isLoopback(hostIn(url))) continue;
    findings.refuse(
      [key],
      `received ${shown(url)}; the container's loopback is its own, where no proxy listens: name an address of the host, or set networks: [host].`,
    );
  }
}

/** Upstream's image, or a copy of it at another registry. */
const upstreamImage = /^(?<registry>[^@]+\/)?moby\/buildkit(?::(?<tag>[\w.-]+))?(?<digest>@.+)?$/;

/** Whether the image comes from upstream's registry; a copy or a custom image does not. */
function isUpstream(image: string): boolean {
  const { registry } = upstreamImage.exec(image)?.groups ?? { registry: "none" };
  return registry === undefined || registry === "docker.io/";
}

/** Refuses an image that does not fit the container. */
function checkImage(builder: BuilderContainerInput, findings: Findings): void {
  const { image, rootless, network } = builder;
  const groups = upstreamImage.exec(image ?? "")?.groups;
  if (image === undefined || !groups) return;
  // A copy may differ under the same tag.
  const say = (isUpstream(image) ? findings.refuse : findings.warn).bind(findings);
  const { registry = "", tag = groups.digest ? undefined : "latest" } = groups;
  if (tag === undefined) return;
  const base = tag.replace(/(^|-)(rootless|ubuntu)$/, "");
  const fitting = rootless
    ? [base === "latest" ? "" : base, "rootless"].filter(Boolean).join("-")
    : base || "latest";
  if (rootless !== /(^|-)rootless$/.test(tag)) {
    say(
      ["image"],
      `received ${shown(image)}, whose daemon ${rootless ? "needs root, and rootless is true" : "has no root, and rootless is false"}; take ${registry}moby/buildkit:${fitting} with its own digest, or ${rootless ? "remove rootless" : "set rootless: true"}.`,
    );
  }
  if (network === "bridge" && versionPattern.test(base) && isBelow(base, "v0.13.0")) {
    say(
      ["image"],
      `received ${shown(image)}; network bridge exists since v0.13.0: take a newer one, or network: host.`,
    );
  }
}

/** Files and folders that settings name, each with what else could be meant. */
function namedFiles({
  registry = {},
  cdi,
  provenanceEnvDir,
}: BuildkitdSettings): { path: Path; file: string; instead: string }[] {
  const ofRegistries = Object.entries(registry).flatMap(([name, registrySettings]) => {
    const { ca = [], keypair = [], tlsconfigdir = [] } = registrySettings;
    const instead = `name files of this machine in registryCertificates[${JSON.stringify(name)}]`;
    const list = (key: string, files: readonly string[]) =>
      files.map((file, index) => ({ path: ["registry", name, key, index], file, instead }));
    const pairs = keypair.flatMap(({ cert, key }, index) => [
      { path: ["registry", name, "keypair", index, "cert"], file: cert, instead },
      { path: ["registry", name, "keypair", index, "key"], file: key, instead },
    ]);
    return [...list("ca", ca), ...pairs, ...list("tlsconfigdir", tlsconfigdir)];
  });
  const instead = "remove it, or have it in an image of your own";
  const others = [
    { path: ["provenanceEnvDir"], file: provenanceEnvDir, instead },
    ...(cdi?.specDirs ?? []).map((file, index) => ({
      path: ["cdi", "specDirs", index],
      file,
      instead,
    })),
  ];
  return [
    ...ofRegistries,
    ...others.flatMap(({ file, ...one }) => (file ? [{ ...one, file }] : [])),
  ];
}

/** The files that upstream's image has. */
const inUpstreamImage = /^\/etc\/ssl\//;

/** Refuses files that nothing puts into the container; a custom image may have them. */
function checkFiles(builder: BuilderContainerInput, findings: Findings): void {
  const { image } = builder;
  const profile = builder.buildkitd.worker?.["apparmor-profile"];
  if (profile !== undefined) {
    findings.warn(
      ["worker", "apparmor-profile"],
      `load ${shown(profile)} in the kernel of the Docker host; buildhosts does not.`,
    );
  }
  const socket = builder.buildkitd.worker?.proxySnapshotterPath;
  if (socket !== undefined) {
    findings.warn(
      ["worker", "proxySnapshotterPath"],
      `${shown(socket)} must be a socket of a program in the image: nothing else listens in the container, and without it the daemon does not become healthy.`,
    );
  }
  for (const { path, file, instead } of namedFiles(builder.buildkitd)) {
    if (image !== undefined && !isUpstream(image)) {
      findings.warn(
        path,
        `${shown(file)} must be in the image ${image}: nothing else puts it into the container.`,
      );
    } else if (!inUpstreamImage.test(file)) {
      findings.refuse(
        path,
        `received ${shown(file)}, which is not in BuildKit's image, and nothing puts it into the container; ${instead}.`,
      );
    }
  }
}

/** Warns about risks of a host's configuration. */
export function warnOfDockerHost(
  host: DockerHostInput,
  buildkit: string,
  findings: Findings,
): void {
  if (host.abandon) {
    findings.warn(
      ["abandon"],
      "deleting this host or its builders from the stack will leave everything there as it is; their certificates stay valid until they end.",
    );
  }
  warnOfMulticastName(["docker"], hostIn(host.docker), findings);
  for (const [index, builder] of host.builders.entries()) {
    const at = findings.at("builders", index);
    warnOfMulticastName(["endpoint"], builder.endpoint?.host, at);
    warnOfContainer(builder, imageOf(builder, buildkit), at);
  }
}

/** Warns once about all images without a digest. */
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
  if (!sharesHost(builder)) {
    const registries = registryHosts(builder.buildkitd).map(({ key, host }) => ({
      key: `buildkitd.${key}`,
      host,
    }));
    const reached = [...daemonReaches({ openTelemetry: builder.openTelemetry }), ...registries];
    for (const { key, host } of reached.filter((one) => isLoopback(one.host))) {
      findings.warn(
        [],
        `${key}, ${host}, is on loopback, and the container's is its own, where nothing listens but buildkitd: name an address of the host, or set networks: [host].`,
      );
    }
  }
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

import { parse } from "smol-toml";
import { unbundle } from "../components/board/bundle.ts";
import type { ReleaseComponent } from "../components/board/releases.ts";
import { faultOf, versionPattern } from "../config/versions.ts";

/** A resource as a policy sees it before anything is done: secrets are in the clear. */
export interface Examined {
  type: string;
  name: string;
  /** The name of the component that it is part of, or its own where it is one. */
  builder: string;
  props: Record<string, unknown>;
}

const COMMAND = "command:remote:Command";
const CONTAINER = "docker:index/container:Container";
const IMAGE = "docker:index/remoteImage:RemoteImage";
const DOCKER = "pulumi:providers:docker";
export const BUILDER_CONTAINER = "buildhosts:index:BuilderContainer";

/** Ways to a daemon, or to Docker, on which nobody has to show a certificate. */
export function openDoors(resource: Examined): string[] {
  const { type, builder, props } = resource;
  if (type === DOCKER) {
    const host = textIn(props.host);
    const isVerified = ["caMaterial", "certMaterial", "keyMaterial"].every((key) => props[key]);
    if (!host.startsWith("tcp://") || isLoopback(host) || isVerified || props.certPath) return [];
    return [
      `${resource.name}: Docker is reached at ${host} without mutual TLS, so whoever reaches that port is root on the host; set tls (ca, cert and key), or use ssh://`,
    ];
  }
  const found = configurationsOf(resource).flatMap((toml) => doorsIn(builder, toml));
  if (type !== CONTAINER) return found;
  const command = listIn(props.command).map(String);
  const addresses = command.flatMap((word, index) =>
    word === "--addr"
      ? [command[index + 1] ?? ""]
      : word.startsWith("--addr=")
        ? [word.slice(7)]
        : [],
  );
  const isVerified = command.some((word) => /^--tlscacert(=|$)/.test(word));
  return [
    ...found,
    ...addresses
      .filter((one) => isOpen(one) && !isVerified)
      .map((one) => listensOpenly(builder, one)),
  ];
}

/** The texts of buildkitd.toml that a step brings to a host. */
function configurationsOf({ type, props }: Examined): string[] {
  if (type === COMMAND && textIn(props.create).includes(" stage-config ")) {
    const toml = unbundle(textIn(props.stdin))["buildkitd.toml"];
    return toml === undefined ? [] : [toml];
  }
  if (type !== CONTAINER) return [];
  return listIn(props.uploads)
    .map((upload) => upload as { file?: unknown; content?: unknown })
    .filter(({ file }) => textIn(file).endsWith("/buildkitd.toml"))
    .map(({ content }) => textIn(content));
}

function doorsIn(builder: string, toml: string): string[] {
  const { grpc = {} } = parse(toml) as {
    grpc?: { address?: unknown; debugAddress?: unknown; tls?: Record<string, unknown> };
  };
  const addresses = [grpc.address].flat().map(textIn);
  const isVerified = ["ca", "cert", "key"].every((file) => grpc.tls?.[file]);
  const debug = textIn(grpc.debugAddress);
  return [
    ...addresses
      .filter((one) => isOpen(one) && !isVerified)
      .map((one) => listensOpenly(builder, one)),
    ...(debug && !isLoopback(debug)
      ? [
          `${builder}: metrics and profiles are served at ${debug} without authentication; use 127.0.0.1`,
        ]
      : []),
  ];
}

function listensOpenly(builder: string, address: string): string {
  return `${builder}: buildkitd listens at ${address} without mutual TLS, so whoever reaches that port builds as it likes; set ca, cert and key of grpc.tls, or listen on 127.0.0.1`;
}

/** Whether others than this host reach it; `fd://` is the socket that systemd listens on. */
const isOpen = (address: string) => /^(tcp|fd):/.test(address) && !isLoopback(address);

function isLoopback(address: string): boolean {
  return /^(\w+:\/\/)?(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:|\/|$)/.test(address);
}

/** Releases below the floors of `config/versions.ts`: those that are refused, and those with known holes. */
export function oldReleases({ type, builder, props }: Examined): string[] {
  if (type === IMAGE) {
    const [, version] = /(?:^|\/)buildkit:(v?\d[^@]*)/.exec(textIn(props.name)) ?? [];
    return version === undefined
      ? []
      : faultsOf(builder, "buildkit", version.replace(/-rootless$/, ""));
  }
  const create = textIn(props.create);
  if (type !== COMMAND || !create.includes("boardctl install")) return [];
  return [...create.matchAll(/^ {2}(containerd|runc|buildkit|rootlesskit) (\S+) /gm)].flatMap(
    ([, component, version]) => faultsOf(builder, component as ReleaseComponent, String(version)),
  );
}

function faultsOf(builder: string, component: ReleaseComponent, version: string): string[] {
  const fault = versionPattern.test(version) ? faultOf(component, version) : undefined;
  return fault ? [`${builder}: ${component} ${version}: ${fault}; name a newer version`] : [];
}

/**
 * Builders that run with root's rights though somebody relies on the opposite: the stack, whose component says `rootless`, or
 * the policy's configuration.
 *
 * @param promised names of builders, or `*`.
 * @param declared the builders whose component says it, and is registered before what is part of it.
 */
export function brokenPromises(
  { type, builder, props }: Examined,
  promised: readonly string[],
  declared: Set<string>,
): string[] {
  const isPromised = promised.includes("*") || promised.includes(builder);
  if (type === BUILDER_CONTAINER) {
    if (props.rootless === true) declared.add(builder);
    else declared.delete(builder);
    return isPromised && props.rootless !== true
      ? [hasRoot(builder, "its container is privileged")]
      : [];
  }
  if (type === CONTAINER) {
    return declared.has(builder) && props.privileged === true
      ? [`${builder}: is rootless, and its container is privileged all the same; remove privileged`]
      : [];
  }
  if (type !== COMMAND || !textIn(props.create).includes(" stage-config ")) return [];
  const files = unbundle(textIn(props.stdin));
  const says = /^rootless = true$/m.test(files["buildkitd.toml"] ?? "");
  const runs = /^User=(?!root$|0$)\S/m.test(files["buildkitd.service"] ?? "");
  if (!says) return isPromised ? [hasRoot(builder, "buildkitd runs as root")] : [];
  return runs
    ? []
    : [
        `${builder}: is rootless, and its unit buildkitd.service runs as root all the same; set User=`,
      ];
}

function hasRoot(builder: string, how: string): string {
  return `${builder}: is promised to be rootless, and ${how}; set rootless: true, or take it out of the policy's builders`;
}

/** Builders whose build cache goes with them. */
export function endingCaches(
  { type, builder, props }: Examined,
  except: readonly string[],
): string[] {
  if (except.includes("*") || except.includes(builder)) return [];
  const takesCache =
    type === BUILDER_CONTAINER
      ? props.removeCacheOnDelete === true
      : type === COMMAND && / --remove-cache\b/.test(textIn(props.delete));
  return takesCache
    ? [
        `${builder}: its removal would delete the build cache; set removeCacheOnDelete: false, or name it in the policy's builders`,
      ]
    : [];
}

/** What is told by its own look to be a secret. */
const SECRETS: [pattern: RegExp, what: string][] = [
  [/-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/, "a private key"],
  [/\bgh[pousr]_[A-Za-z0-9]{36,}/, "a token of GitHub"],
  [/\bgithub_pat_[A-Za-z0-9_]{22,}/, "a token of GitHub"],
  [/\bglpat-[A-Za-z0-9_-]{20,}/, "a token of GitLab"],
  [/\bdckr_pat_[A-Za-z0-9_-]{20,}/, "a token of Docker Hub"],
  [/\bpul-[0-9a-f]{40}\b/, "a token of Pulumi"],
  [/\bA(?:KIA|SIA)[A-Z0-9]{16}\b/, "a key of AWS"],
  [/:\/\/[^/\s:@]+:[^/\s:@]+@/, "a password in an address"],
];

/**
 * Secrets that the state, and each diff, would show.
 *
 * @param isSecret whether a value is marked as one; what is in it is not looked at.
 */
export function plainSecrets(
  resource: Pick<Examined, "name" | "props">,
  isSecret: (value: unknown) => boolean,
): string[] {
  const found: string[] = [];
  const look = (value: unknown, path: string): void => {
    if (isSecret(value)) return;
    if (typeof value === "string") {
      const what = SECRETS.find(([pattern]) => pattern.test(value))?.[1];
      if (what) {
        found.push(
          `${resource.name}: ${path} holds ${what} in plain; make it a secret (pulumi.secret, or config set --secret)`,
        );
      }
    } else if (typeof value === "object" && value !== null) {
      for (const [key, one] of Object.entries(value))
        look(one, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key);
    }
  };
  look(resource.props, "");
  return found;
}

function textIn(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function listIn(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type {
  BoardCertificateArgs,
  BoardServerCertificateArgs,
  PackagedSettings,
} from "./builderBoard.ts";
import {
  type DaemonFile,
  type RegistryCertificateArgs,
  withRegistryFiles,
} from "./buildkitd/registryFiles.ts";
import {
  type DockerConnectionArgs,
  dockerConnection,
  dockerProvider,
} from "./container/connection.ts";
import { MENDED_LABEL } from "./container/drift.ts";
import { CONFIG_FILE, containerFiles, containerLayout, INNER_PORT } from "./container/files.ts";
import { STOP_SECONDS } from "./container/handOver.ts";
import { cacheHooks, containerHooks } from "./container/hooks.ts";
import { labelsOf, type Place } from "./container/place.ts";
import { FILLED_BY_PODMAN } from "./container/podman.ts";
import { reachedHook } from "./reached.ts";
import { hostInUrl } from "./socketAddress.ts";

/** The network of `RUN` steps: a bridge inside of the container, or the container's own. */
export const ContainerNetwork = { bridge: "bridge", host: "host" } as const;
export type ContainerNetwork = (typeof ContainerNetwork)[keyof typeof ContainerNetwork];

/** When Docker starts a container again. */
export const ContainerRestart = {
  always: "always",
  no: "no",
  onFailure: "on-failure",
  unlessStopped: "unless-stopped",
} as const;
export type ContainerRestart = (typeof ContainerRestart)[keyof typeof ContainerRestart];

/** Where the host publishes the daemon's port. */
export interface ContainerPublishArgs {
  /** Default: `0.0.0.0`. */
  address?: string;
  /** Default: 1234. */
  port?: number;
}

/** A file in the container. What is secret in it becomes a secret of the state. */
export interface ContainerFileArgs {
  /** Absolute path in the container. */
  path: string;
  content: pulumi.Input<string>;
  /** Whether everybody in the container may read it; else only the daemon may. Default: false. */
  isPublic?: boolean;
}

export interface BuilderContainerArgs {
  connection: DockerConnectionArgs;
  /** `moby/buildkit:v0.34.2@sha256:…`, or any image whose entrypoint takes buildkitd's arguments. */
  image: string;
  /** `linux/riscv64`, `linux/arm64` or `linux/amd64`: what the host is. */
  platform: string;
  /** What the builder offers. Default: `platform`, and what is in `emulated`. */
  platforms?: string[];
  /** Platforms that the host emulates; the container is healthy only if buildkitd sees them. Default: none. */
  emulated?: pulumi.Input<string[]>;
  /** The CA's certificate, PEM: whose clients are let in. */
  caCertPem: pulumi.Input<string>;
  certificate: BoardServerCertificateArgs;
  /** A client's, shown to the builder from this machine after each change; it stays here. Default: nobody asks. */
  healthCheck?: BoardCertificateArgs;
  /** The name or address in the server certificate that clients verify. */
  serverName: string;
  /** As clients reach it. Default: `tcp://<serverName>:<publish.port>`. */
  endpoint?: string;
  /** The container's name on its host, for `docker-container://`. Default: the resource's name. */
  containerName?: string;
  publish?: ContainerPublishArgs;
  /**
   * The image runs the daemon as a user without root (`moby/buildkit:…-rootless`); the container has the
   * security options for that. Default: false, the container is privileged.
   */
  rootless?: boolean;
  /** Default: `host`, the container's own. */
  network?: ContainerNetwork;
  /**
   * Name of the volume that keeps the build cache. Default: the resource's name and `-cache`. Daemons with and
   * without root cannot take over each other's: another `rootless` needs another volume.
   */
  cacheVolume?: string;
  /**
   * A volume of that name which the host has already, and which the stack did not make, is used as it is, and
   * never deleted. Default: false, it is refused.
   */
  adoptCache?: boolean;
  /**
   * Absolute path of a folder on the host that keeps the build cache in the volume's place; it is never deleted.
   * The daemon makes one that is missing; one of a `rootless` builder must belong to the user 1000.
   * Default: none.
   */
  cachePath?: string;
  /** Pulumi refuses to delete the volume. Default: false. */
  protectCache?: boolean;
  /** Whether deletion takes the build cache along; as long as it does, `cacheVolume` cannot change. Default: false. */
  removeCacheOnDelete?: boolean;
  /** The daemon has the host's docker-init (tini) before it, which ends what build steps leave behind. Default: false. */
  init?: boolean;
  /**
   * Files of the container beside its configuration: certificates of registries, profiles, whatever `buildkitd`
   * names. Default: none.
   */
  files?: ContainerFileArgs[];
  /** Certificates for the connection with registries, by host as under `buildkitd.registry`. Default: none. */
  registryCertificates?: Record<string, RegistryCertificateArgs>;
  /** Default: `unless-stopped`. */
  restart?: ContainerRestart;
  /** Swap is not limited. Default: no limit. */
  memoryMb?: number;
  /** As many processors' time, such as 1.5. Default: no limit. */
  cpus?: number;
  /** Default: none but `buildhosts.builder` and `buildhosts.stack`. */
  labels?: Record<string, string>;
  /** Networks of the host, by name, that the container is in. Default: Docker's bridge. */
  networks?: string[];
  /**
   * Of buildkitd: OTEL_*; HTTP_PROXY, HTTPS_PROXY and NO_PROXY, which build steps get, too. Default: none.
   */
  environment?: Record<string, string>;
  /** buildkitd.toml under upstream's names, but for `root`. Default: upstream's defaults. */
  buildkitd?: PackagedSettings;
  /** How long a new container may take until it is healthy, in seconds. Default: 120. */
  startSeconds?: number;
  /** Deletion leaves the host alone: the way out for one that is gone. Default: false. */
  abandon?: boolean;
  /** What somebody changed on the container by hand, which another one in its place mends: its label `buildhosts.mended`. Default: none. */
  mended?: string;
}

/**
 * A Docker host has a container that is a BuildKit builder, and whoever has a client certificate of the
 * CA builds there over mutual TLS; on the host itself, `docker-container://<containerName>` leads there.
 *
 * On the host are the container, its image and the volume with the build cache. What changes the
 * container replaces it: the old one is put aside and stopped, which ends the builds that run there; the
 * new one must become healthy, or the old one is put back and the update fails. The cache stays. Delete
 * removes the container, and the volume if `removeCacheOnDelete`; the image stays.
 *
 * ```ts
 * new BuilderContainer("docker-1", {
 *   connection: { url: "ssh://root@docker-1.example.com", hostKey: "ssh-ed25519 AAAA…" },
 *   image: "moby/buildkit:v0.34.2",
 *   platform: "linux/amd64",
 *   caCertPem: ca.certPem,
 *   certificate: server,
 *   serverName: "docker-1.example.com",
 * });
 * ```
 */
export class BuilderContainer extends pulumi.ComponentResource {
  readonly endpoint: pulumi.Output<string>;
  readonly platforms: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: BuilderContainerArgs,
    opts: pulumi.ComponentResourceOptions = {},
  ) {
    super("buildhosts:index:BuilderContainer", name, shownInputs(args), opts);
    const builder = completed(name, args);
    refuseContradictions(name, args);
    const provider =
      this.getProvider("docker:index/container:Container") ??
      dockerProvider(`${name}-docker`, builder.connection, { parent: this });
    const options = { parent: this, provider, retainOnDelete: builder.abandon };

    const image = builderImage(builder, options);
    const cache = cacheVolume(builder, options);
    const container = builderContainer(builder, image, cache, options);

    // Known while previewing, but true only once the container is healthy.
    this.endpoint = container.id.apply(() => builder.endpoint);
    this.platforms = pulumi
      .all([builder.emulated, container.id])
      .apply(([all]) => args.platforms ?? [...new Set([args.platform, ...all])]);
    this.registerOutputs({ endpoint: this.endpoint, platforms: this.platforms });
  }
}

/** A builder's arguments with every default filled in. */
type Builder = ReturnType<typeof completed>;

function completed(name: string, args: BuilderContainerArgs) {
  const rootless = args.rootless ?? false;
  const layout = containerLayout(rootless);
  const publish = {
    address: args.publish?.address ?? "0.0.0.0",
    port: args.publish?.port ?? INNER_PORT,
  };
  const restart = args.restart ?? "unless-stopped";
  const abandon = args.abandon ?? false;
  const place: Place = {
    container: args.containerName ?? name,
    builder: name,
    stack: `${pulumi.getProject()}/${pulumi.getStack()}`,
    publish,
    restart,
    cache: {
      volume: args.cachePath ?? args.cacheVolume ?? `${name}-cache`,
      isAdopted: args.cachePath !== undefined || (args.adoptCache ?? false),
      path: layout.root,
      isRemoved: !abandon && (args.removeCacheOnDelete ?? false),
    },
  };
  return {
    ...args,
    name,
    connection: dockerConnection(name, args.connection),
    rootless,
    layout,
    publish,
    restart,
    abandon,
    place,
    emulated: pulumi.output(args.emulated ?? []),
    endpoint: args.endpoint ?? `tcp://${hostInUrl(args.serverName)}:${publish.port}`,
    environment: args.environment ?? {},
    startSeconds: args.startSeconds ?? 120,
  };
}

/** The image, which stays when it is not used any more: another builder of the host may be of the same. */
function builderImage(
  { name, image }: Builder,
  options: pulumi.CustomResourceOptions,
): docker.RemoteImage {
  return new docker.RemoteImage(`${name}-image`, { name: image, keepLocally: true }, options);
}

/** The volume with the cache. What is adopted is no resource of the stack: nothing that Pulumi does can delete it. */
function cacheVolume(
  { name, connection, place, protectCache }: Builder,
  options: pulumi.CustomResourceOptions,
): docker.Volume | undefined {
  if (place.cache.isAdopted) return undefined;
  return new docker.Volume(
    `${name}-cache`,
    { name: place.cache.volume, labels: labelList(labelsOf(place)) },
    {
      ...options,
      protect: protectCache ?? false,
      // The provider would delete first, because of the name: the old cache and its container, before the hook below
      // could refuse the new one.
      deleteBeforeReplace: false,
      retainOnDelete: !place.cache.isRemoved,
      // Only a new volume can be given labels, and no cache shall go for that.
      ignoreChanges: ["labels"],
      hooks: cacheHooks(name, { connection, place }),
    },
  );
}

/** The container, which hooks put in the place of the one before, and keep there once it is healthy. */
function builderContainer(
  builder: Builder,
  image: docker.RemoteImage,
  cache: docker.Volume | undefined,
  options: pulumi.CustomResourceOptions,
): docker.Container {
  const { name, rootless, layout, place, publish, startSeconds } = builder;
  return new docker.Container(
    `${name}-container`,
    {
      name: place.container,
      // The very image, so that a tag that moves in the registry changes nothing here.
      image: image.imageId,
      command: ["--config", CONFIG_FILE],
      ...(rootless ? { securityOpts: ROOTLESS_SECURITY } : { privileged: true }),
      uploads: uploads(builder),
      volumes: [
        {
          ...(builder.cachePath === undefined
            ? { volumeName: cache?.name ?? place.cache.volume }
            : { hostPath: builder.cachePath }),
          containerPath: layout.root,
        },
      ],
      ports: [{ internal: INNER_PORT, external: publish.port, ip: publish.address }],
      envs: Object.entries(builder.environment)
        .map(([key, value]) => `${key}=${value}`)
        .sort(),
      labels: labelList({
        ...builder.labels,
        ...labelsOf(place),
        ...(builder.mended && { [MENDED_LABEL]: builder.mended }),
      }),
      networksAdvanced: builder.networks?.length
        ? builder.networks.map((network) => ({ name: network }))
        : undefined,
      restart: builder.restart,
      ...(builder.init && { init: true }),
      memory: builder.memoryMb,
      // No limit is the one that a daemon whose kernel does not count swap reads back as it was set.
      memorySwap: builder.memoryMb && -1,
      cpus: builder.cpus === undefined ? undefined : cpuLimit(builder.cpus),
      destroyGraceSeconds: STOP_SECONDS,
      healthcheck: {
        tests: builder.emulated.apply((all) => healthCheck(layout.socket, all)),
        // Each check is a program more in the container. While it starts, Docker from 25 on asks every 5 s; before, only so often.
        interval: `${Math.min(Math.max(Math.floor(startSeconds / 4), 5), 30)}s`,
        timeout: "10s",
        startPeriod: goDuration(startSeconds),
        retries: 3,
      },
      wait: true,
      waitTimeout: startSeconds,
    },
    {
      ...options,
      // The provider would delete first; the hooks make room instead, so that the old one can come back.
      deleteBeforeReplace: false,
      // The provider ignores what is changed in it (kreuzwerker/terraform-provider-docker#988).
      replaceOnChanges: ["healthcheck", "init"],
      ignoreChanges: [
        ...FILLED_BY_PODMAN,
        // How often it is asked is no reason to end builds: a container keeps that until it is replaced for another.
        "healthcheck.interval",
        "healthcheck.startPeriod",
        // The provider reads these back without `systempaths`, and would replace the container each time.
        ...(rootless ? ["securityOpts"] : []),
      ],
      hooks: hooksOf(builder),
    },
  );
}

/** The files of the container: those of the daemon, its certificates, and the caller's. */
function uploads(builder: Builder): docker.types.input.ContainerUpload[] {
  const { name, rootless, layout, environment, certificate } = builder;
  const secretFile = (file: string, content: pulumi.Input<string>) => ({
    file,
    content: pulumi.secret(content),
    permissions: layout.secretMode,
  });
  const pathOf = (file: DaemonFile) => `/etc/buildkit/${file.name}`;
  const { settings, files: registryFiles } = withRegistryFiles(
    builder.buildkitd ?? {},
    builder.registryCertificates ?? {},
    pathOf,
  );
  const furtherFiles = [
    ...(builder.files ?? []),
    ...registryFiles.map((file) => ({ ...file, path: pathOf(file) })),
  ];
  return [
    ...containerFiles({
      network: builder.network ?? "host",
      rootless,
      proxies: hasProxies(name, environment),
      settings,
    }),
    secretFile("/etc/buildkit/ca.pem", builder.caCertPem),
    secretFile("/etc/buildkit/cert.pem", certificate.certPem),
    secretFile("/etc/buildkit/key.pem", certificate.privateKeyPem),
    ...requirePaths(name, furtherFiles).map(({ path, content, isPublic }) => ({
      file: path,
      content: pulumi.secret(content),
      permissions: isPublic ? "0644" : layout.secretMode,
    })),
  ];
}

/** The hand-over around the provider's work, and the question of a client on this machine after it. */
function hooksOf(builder: Builder): pulumi.ResourceHookBinding {
  const { name, connection, place, rootless, layout, startSeconds, restart } = builder;
  const { endpoint, caCertPem, serverName, healthCheck: client } = builder;
  const hooks = containerHooks(name, {
    connection,
    place,
    rootless,
    startSeconds,
    restart,
    init: builder.init ?? false,
    socket: layout.socket,
    unmasked: rootless && !builder.buildkitd?.worker?.noProcessSandbox,
  });
  const reached = client ? reachedHook(name, { endpoint, serverName, caCertPem, client }) : [];
  return {
    ...hooks,
    afterCreate: [...(hooks.afterCreate ?? []), ...reached],
    afterUpdate: [...(hooks.afterUpdate ?? []), ...reached],
  };
}

/**
 * What a reviewer and a policy have to see and no resource shows: the container's files are one secret, and whether a deletion
 * takes the cache along is an option of its volume. What is as by default is left out, so that the state stays small.
 */
function shownInputs({ buildkitd, rootless, removeCacheOnDelete }: BuilderContainerArgs): object {
  const hasSettings = buildkitd && Object.keys(buildkitd).length > 0;
  return {
    ...(hasSettings && { buildkitd }),
    ...(rootless && { rootless }),
    ...(removeCacheOnDelete && { removeCacheOnDelete }),
  };
}

/** Refuses files at places that are none, or that another file has. */
function requirePaths(name: string, files: ContainerFileArgs[]): ContainerFileArgs[] {
  const ours = ["buildkitd.toml", "runc-with-proxies", "ca.pem", "cert.pem", "key.pem"];
  const taken = new Set(ours.map((file) => `/etc/buildkit/${file}`));
  for (const [index, { path }] of files.entries()) {
    const fault =
      !path.startsWith("/") || path.endsWith("/") || path.split("/").some((part) => part === "..")
        ? "expected the absolute path of a file in the container"
        : taken.has(path)
          ? "which the container has already; choose another"
          : undefined;
    if (fault) throw new Error(`${name}: files[${index}].path is '${path}'; ${fault}`);
    taken.add(path);
  }
  return files;
}

/** Two arguments of which one says what the other denies. */
function refuseContradictions(name: string, args: BuilderContainerArgs): void {
  const { adoptCache, cachePath, cacheVolume, protectCache, removeCacheOnDelete } = args;
  if (cachePath !== undefined && !cachePath.startsWith("/")) {
    throw new Error(
      `${name}: cachePath is '${cachePath}'; expected an absolute path of the host, or cacheVolume for the name of a volume`,
    );
  }
  const ofVolume = { adoptCache, cacheVolume, protectCache, removeCacheOnDelete };
  const deletes = { protectCache, removeCacheOnDelete };
  const refused = Object.entries(cachePath !== undefined ? ofVolume : adoptCache ? deletes : {});
  const one = refused.find(([, value]) => value);
  if (one) {
    const present = cachePath !== undefined ? `cachePath '${cachePath}'` : "adoptCache: true";
    throw new Error(
      `${name}: ${one[0]} is ${one[1]} beside ${present}, which is never deleted and ${cachePath !== undefined ? "no volume" : "not the stack's"}; remove one of the two`,
    );
  }
}

function labelList(labels: Record<string, string>): { label: string; value: string }[] {
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => ({ label, value }));
}

/**
 * `cpus` as the provider reads it back (`1.5`, `2.0`, `10.`): in other words for the same number it would
 * see another limit, and replace the container each time.
 */
function cpuLimit(cpus: number): string {
  if (!Number.isInteger(cpus)) return cpus.toString();
  return cpus < 10 ? `${cpus}.0` : `${cpus}.`;
}

/** Seconds as Go writes them, and so as the provider reads them back: in other words it would see a change. */
function goDuration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return [hours && `${hours}h`, seconds >= 60 && `${minutes}m`, `${seconds % 60}s`]
    .filter(Boolean)
    .join("");
}

/** https://github.com/moby/buildkit/blob/master/docs/rootless.md#docker */
const ROOTLESS_SECURITY = ["apparmor=unconfined", "seccomp=unconfined", "systempaths=unconfined"];

/** buildkitd answers on its local socket, and offers each of the emulated platforms. */
function healthCheck(socket: string, emulated: string[]): string[] {
  const buildctl = ["buildctl", "--addr", `unix://${socket}`, "debug", "workers"];
  if (emulated.length === 0) return ["CMD", ...buildctl];
  const each = emulated.map(
    (platform) =>
      `{ echo "$w" | grep -q '${platform}' || { echo 'buildkitd does not offer ${platform}'; exit 1; }; }`,
  );
  return ["CMD-SHELL", [`w=$(${buildctl.join(" ")})`, ...each].join(" && ")];
}

const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/** Whether build steps get proxies. The script that hands them on knows no quoting. */
function hasProxies(name: string, environment: Record<string, string>): boolean {
  const set = PROXY_VARIABLES.filter((variable) => environment[variable]);
  for (const variable of set) {
    if (/["\\\s]/.test(environment[variable] ?? "")) {
      throw new Error(
        `${name}: environment.${variable} has a quote, a backslash or a blank; write it without`,
      );
    }
  }
  return set.length > 0;
}

import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { boardctlId, boardctlPacked } from "./board/boardctl.ts";
import { bundle, bundleId } from "./board/bundle.ts";
import {
  activateCommand,
  installCommand,
  preflightCommand,
  stageConfigCommand,
  uninstallCommand,
  withdrawCommand,
} from "./board/commands.ts";
import { boardFilePath, boardFiles, stagedName } from "./board/files.ts";
import { silenceAt } from "./board/greeting.ts";
import { architecture, type ReleaseComponent, release, UPSTREAM } from "./board/releases.ts";
import { cacheLimit } from "./buildkitd/diskSpace.ts";
import { type RegistryCertificateArgs, withRegistryFiles } from "./buildkitd/registryFiles.ts";
import type { BuildkitdSettings } from "./buildkitd/schema.ts";
import {
  defaultBridge,
  defaultNetwork,
  defaultRoot,
  defaultRootlessRoot,
} from "./buildkitd/toml.ts";
import { reachedHook, resolved } from "./reached.ts";
import { renamed } from "./renamed.ts";
import { hostInUrl } from "./socketAddress.ts";

// Pulumi's schema of a package has no unions; it knows an enumeration by an object of constants.

/** What executes build steps: BuildKit's own use of runc, or containerd. */
export const BoardWorker = { oci: "oci", containerd: "containerd" } as const;
export type BoardWorker = (typeof BoardWorker)[keyof typeof BoardWorker];

/** The network of `RUN` steps: a bridge of their own, or the board's. */
export const BoardNetwork = { bridge: "bridge", host: "host" } as const;
export type BoardNetwork = (typeof BoardNetwork)[keyof typeof BoardNetwork];

/** How to reach a host over SSH. */
export interface BoardConnectionArgs {
  /** Name or address. */
  host: pulumi.Input<string>;
  /** Default: 22. */
  port?: pulumi.Input<number>;
  /** root, or a user with passwordless sudo. Default: `root`. */
  user?: pulumi.Input<string>;
  /** The host's public key, `ssh-ed25519 AAAA…` or `ecdsa-sha2-nistp256 AAAA…`; any other host is refused. */
  hostKey: pulumi.Input<string>;
  /** PEM. Default: the keys of the agent behind SSH_AUTH_SOCK. */
  privateKey?: pulumi.Input<string>;
  /** The host that the connection goes through, its `proxy` ignored. Default: none. */
  proxy?: BoardConnectionArgs;
}

/** Versions, as their tags name them. */
export interface BoardReleasesArgs {
  containerd: string;
  runc: string;
  buildkit: string;
  /** Needed for `rootless` only. */
  rootlesskit?: string;
  /** sha256 by upstream's asset name. Default: what upstream publishes beside the asset. */
  checksums?: Record<string, string>;
  /**
   * Where the board fetches `<owner>/<repo>/releases/download/<tag>/<asset>`.
   * Default: `https://github.com`.
   */
  mirror?: string;
  /**
   * A folder on this machine with the assets under upstream's names, pushed to the board over SSH; the
   * board then needs no network. `checksums` must name each. Default: none, the board fetches.
   */
  push?: string;
}

/** The address that buildkitd listens on. */
export interface BoardListenArgs {
  /** Default: `0.0.0.0`. */
  address?: string;
  /** Default: 1234. */
  port?: number;
}

/** A key and a certificate of the builders' CA. */
export interface BoardCertificateArgs {
  certPem: pulumi.Input<string>;
  privateKeyPem: pulumi.Input<string>;
}

/** The board's own certificate. */
export interface BoardServerCertificateArgs extends BoardCertificateArgs {
  /** RFC 3339. */
  validityStartTime: pulumi.Input<string>;
  /** RFC 3339. */
  validityEndTime: pulumi.Input<string>;
}

/** A file on the board beside its configuration. What is not public becomes a secret of the state. */
export interface BoardFileArgs {
  /** In letters, digits and `._-`, such as `registry-ca.pem`. */
  name: string;
  content: pulumi.Input<string>;
  /** Whether everybody on the board may read it; else only the daemon may. Default: false. */
  isPublic?: boolean;
}

export interface BuilderBoardArgs {
  connection: BoardConnectionArgs;
  /** `linux/riscv64`, `linux/arm64` or `linux/amd64`: what the board must be. */
  platform: string;
  releases: BoardReleasesArgs;
  /** The CA's certificate, PEM: whose clients are let in. */
  caCertPem: pulumi.Input<string>;
  /** When the CA's certificate begins, RFC 3339: the board's clock must not be before it. */
  caValidityStartTime: pulumi.Input<string>;
  /** When it ends, RFC 3339: the board's clock must not be after it. Default: not checked before the installation. */
  caValidityEndTime?: pulumi.Input<string>;
  certificate: BoardServerCertificateArgs;
  /** A client's, shown to the daemon after each change; on the board it is kept in memory, while that takes. */
  healthCheck: BoardCertificateArgs;
  /** The name or address in the server certificate that clients verify. */
  serverName: string;
  /** As clients reach it. Default: `tcp://<serverName>:<port>`. */
  endpoint?: string;
  /** What the builder offers. Default: `platform`. */
  platforms?: string[];
  /** Default: `oci`. */
  worker?: BoardWorker;
  /** Default: `bridge`; `host` where `rootless`. */
  network?: BoardNetwork;
  /** Runs the daemon as a user of its own, without root. Default: false. */
  rootless?: boolean;
  listen?: BoardListenArgs;
  /** systemd listens, and starts buildkitd at the first connection. Default: false. */
  socketActivation?: boolean;
  /** Where metrics are served without authentication, so on loopback: `127.0.0.1:6060`. Default: nowhere. */
  metricsAddress?: string;
  /** Of buildkitd: OTEL_*; HTTP_PROXY, HTTPS_PROXY and NO_PROXY, by which the board downloads releases too. Default: none. */
  environment?: Record<string, string>;
  /** buildkitd.toml under upstream's names. Default: upstream's defaults. */
  buildkitd?: PackagedSettings;
  /**
   * Files for `buildkitd` to name, such as certificates of registries: as
   * `/usr/local/lib/buildhosts/current/config/buildkitd.<name>`, and where `rootless` and not public as
   * `/run/credentials/buildkitd.service/<name>`. Default: none.
   */
  files?: BoardFileArgs[];
  /** Certificates for the connection with registries, by host as under `buildkitd.registry`. Default: none. */
  registryCertificates?: Record<string, RegistryCertificateArgs>;
  /** How long a restart waits for running builds, in seconds. Default: 600. */
  drainSeconds?: number;
  /** Whether deletion takes the build cache along. Default: false. */
  removeCacheOnDelete?: boolean;
  /** Deletion leaves the board alone: the way out for one that is gone. Default: false. */
  abandon?: boolean;
  /**
   * What this board was called before: it goes on under its new name, and nothing that runs is touched. A board of
   * another stack, `<project>/<stack>/<name>`, is taken over from it. Default: none.
   */
  formerName?: string;
}

/**
 * The settings, as a map to Pulumi's schema: upstream's names with a hyphen or a dot are no names in most
 * languages that an SDK is generated for. TypeScript still checks them.
 */
// biome-ignore lint/suspicious/noExplicitAny: the analyzer of that schema knows no `unknown`.
export type PackagedSettings = BuildkitdSettings & Record<string, any>;

const preflights = new WeakMap<BuilderBoard, pulumi.Resource>();

/** What a board's other resources may wait for: after it, nothing of the board is refused any more. */
export function preflightOf(board: BuilderBoard): pulumi.Resource {
  const preflight = preflights.get(board);
  if (!preflight) throw new Error("the board is not made yet");
  return preflight;
}

/** Seconds since 1970 of an RFC 3339 time. */
const epoch = (time: string) => Math.floor(Date.parse(time) / 1000);

/** A step that waits for no build: downloads over a slow line, another boardctl's end. boardctl ends itself earlier. */
const TIMEOUT_SECONDS = 3600;

/**
 * A board is a BuildKit builder: containerd, runc and buildkitd run on it under systemd, and whoever
 * has a client certificate of the CA builds there over mutual TLS.
 *
 * On the host it keeps everything below /usr/local/lib/buildhosts; links in /usr/local/bin,
 * /usr/local/sbin and /etc/buildkit and units in /usr/local/lib/systemd/system lead there. Each step is
 * one SSH session: `-preflight` (checks, then places the script that does the rest), `-install`
 * (verified releases into a store), `-config` (likewise), `-service` (brings the certificates, switches
 * to all of it, restarts only what changed, asks the daemon as a client would, and goes back when it does
 * not answer). Delete removes all of it, and the build cache if `removeCacheOnDelete`, unless the board belongs
 * to another stack or another board by then. That is what `.removal` is for, which runs nothing before: the steps can be
 * replaced, which runs them again and removes nothing.
 *
 * ```ts
 * new BuilderBoard("board-1", {
 *   connection: { host: "board-1.example.com", hostKey: "ssh-ed25519 AAAA…" },
 *   platform: "linux/riscv64",
 *   releases: { containerd: "v2.4.2", runc: "v1.5.2", buildkit: "v0.34.2" },
 *   caCertPem: ca.certPem,
 *   caValidityStartTime: ca.validityStartTime,
 *   certificate: server,
 *   healthCheck: client,
 *   serverName: "board-1.example.com",
 * });
 * ```
 */
export class BuilderBoard extends pulumi.ComponentResource {
  readonly endpoint: pulumi.Output<string>;
  readonly platforms: pulumi.Output<string[]>;

  constructor(name: string, args: BuilderBoardArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("buildhosts:index:BuilderBoard", name, {}, renamed(opts, args.formerName));
    const { machine } = architecture(args.platform);
    const worker = args.worker ?? "oci";
    const rootless = args.rootless ?? false;
    const network = args.network ?? defaultNetwork(rootless);
    const listen = { address: args.listen?.address ?? "0.0.0.0", port: args.listen?.port ?? 1234 };
    const { settings, files: registryFiles } = withRegistryFiles(
      args.buildkitd ?? {},
      args.registryCertificates ?? {},
      (file) => boardFilePath(file, rootless),
    );
    const root = settings.root ?? (rootless ? defaultRootlessRoot : defaultRoot);
    const bridge =
      network === "bridge"
        ? {
            name: settings.worker?.bridgeName ?? defaultBridge.name,
            subnet: settings.worker?.bridgeSubnet ?? defaultBridge.subnet,
          }
        : undefined;
    const drainSeconds = args.drainSeconds ?? 600;
    const endpoint = args.endpoint ?? `tcp://${hostInUrl(args.serverName)}:${listen.port}`;

    const stack = `${pulumi.getProject()}/${pulumi.getStack()}`;

    // The first step of an update asks, and the others know: sshd counts a connection without a log-in against
    // whoever makes it (PerSourcePenalties).
    let silence: Promise<string | undefined> | undefined;
    const heard = new pulumi.ResourceHook(`${name}-heard`, async () => {
      silence ??= silenceOf(name, args.connection);
      const reason = await silence;
      if (reason !== undefined) throw new Error(reason);
    });
    const onceHeard = { beforeCreate: [heard], beforeUpdate: [heard] };

    // Resolved once, not by each of the steps.
    const connection = pulumi.output(connectionArgs(args.connection));
    const step = (
      role: string,
      inputs: Omit<command.remote.CommandArgs, "connection">,
      {
        waitsSeconds = 0,
        hooks,
        ...opts
      }: pulumi.CustomResourceOptions & { waitsSeconds?: number } = {},
    ) => {
      const timeout = `${TIMEOUT_SECONDS + waitsSeconds}s`;
      return new command.remote.Command(
        `${name}-${role}`,
        // The output before last is no input of the next run, and may not pass through the environment.
        { connection, addPreviousOutputInEnv: false, ...inputs },
        {
          parent: this,
          retainOnDelete: args.abandon ?? false,
          customTimeouts: { create: timeout, update: timeout, delete: timeout },
          hooks: { ...onceHeard, ...hooks },
          ...opts,
        },
      );
    };

    const preflight = step("preflight", {
      create: pulumi
        .all([args.caValidityStartTime, args.caValidityEndTime, connectionAddress(args.connection)])
        .apply(([start, end, address]) =>
          preflightCommand({
            board: name,
            stack,
            formerName: args.formerName,
            address,
            machine,
            platform: args.platform,
            network,
            rootless,
            bridge,
            snapshotter: settings.worker?.snapshotter,
            selinux: settings.worker?.selinux ?? false,
            clockAfter: epoch(start),
            clockBefore: end === undefined ? undefined : epoch(end),
            cacheBytes: cacheLimit(settings.worker ?? {}),
            cacheRoot: root,
            ownNameservers: (settings.dns?.nameservers ?? []).length > 0,
            port: listen.port,
            metricsPort: args.metricsAddress ? portOf(args.metricsAddress) : undefined,
            scriptId: boardctlId,
          }),
        ),
      // Known when `create` is: while the CA is not made yet, a preview need not carry the script for every board.
      stdin: pulumi.output(args.caValidityStartTime).apply(() => boardctlPacked),
      // A step that is replaced is deleted last: what its delete does must leave alone what is in use.
      delete: withdrawCommand(`${stack}/${name}`),
    });

    preflights.set(this, preflight);

    const components: ReleaseComponent[] = ["containerd", "runc", "buildkit"];
    if (rootless) components.push("rootlesskit");
    const releases = components.map((component) => {
      const version = args.releases[component];
      if (!version) throw new Error(`${name}: releases.${component} is missing; name a version`);
      return release(component, version, args.platform);
    });
    const checksums = args.releases.checksums ?? {};
    const mirror = args.releases.mirror ?? UPSTREAM;
    const push = args.releases.push;

    const pushed = push
      ? releases.map(
          ({ component, asset }) =>
            new command.remote.CopyToRemote(
              `${name}-push-${component}`,
              {
                connection,
                source: new pulumi.asset.FileAsset(`${push}/${asset}`),
                remotePath: `${PUSHED}/${asset}`,
              },
              {
                parent: this,
                dependsOn: [preflight],
                retainOnDelete: args.abandon ?? false,
                hooks: onceHeard,
                // The provider copies only when the file or its path changes, so not to another board.
                replaceOnChanges: ["connection"],
                deleteBeforeReplace: true,
              },
            ),
        )
      : [];

    const install = step(
      "install",
      {
        create: installCommand(
          releases.map((one) => {
            const sha256 = checksums[one.asset];
            if (push && !sha256) {
              throw new Error(
                `${name}: releases.checksums has no sha256 for ${one.asset}, which is pushed from ${push}; add it`,
              );
            }
            return {
              release: one,
              url: push ? `file://${PUSHED}/${one.asset}` : `${mirror}/${one.path}`,
              checksum: sha256 ? `sha256:${sha256}` : `${mirror}/${one.checksumPath}`,
            };
          }),
          args.environment,
        ),
      },
      { dependsOn: [preflight, ...pushed] },
    );

    const ownFiles = requireFileNames(name, [...(args.files ?? []), ...registryFiles]);
    const rendered = boardFiles({
      worker,
      network,
      rootless,
      listen,
      socketActivation: args.socketActivation ?? false,
      metricsAddress: args.metricsAddress,
      environment: args.environment ?? {},
      settings,
      secretFiles: ownFiles.filter(({ isPublic }) => !isPublic).map((file) => file.name),
    });
    // A secret where one of the files is.
    const configuration = pulumi
      .all(ownFiles.map(({ content, isPublic }) => (isPublic ? content : pulumi.secret(content))))
      .apply((contents) =>
        bundle({
          ...rendered,
          ...Object.fromEntries(
            ownFiles.map((file, index) => [stagedName(file.name), contents[index] ?? ""]),
          ),
        }),
      );
    const configId = pulumi.unsecret(configuration.apply(bundleId));
    const config = step(
      "config",
      { create: configId.apply(stageConfigCommand), stdin: configuration },
      { dependsOn: [preflight] },
    );

    const reached = reachedHook(name, {
      endpoint,
      serverName: args.serverName,
      caCertPem: args.caCertPem,
      client: args.healthCheck,
    });

    const service = step(
      "service",
      {
        create: configId.apply((id) =>
          activateCommand({
            releases: releases.map(({ component, version, asset }) => ({
              component,
              version,
              sha256: checksums[asset],
            })),
            configId: id,
            checkAddress: `tcp://${hostInUrl(loopbackOf(listen.address))}:${listen.port}`,
            serverName: args.serverName,
            drainSeconds,
            root,
            bridge,
          }),
        ),
        stdin: pulumi.secret(
          pulumi
            .all([
              args.caCertPem,
              args.certificate.certPem,
              args.certificate.privateKeyPem,
              args.certificate.validityStartTime,
              args.certificate.validityEndTime,
              args.healthCheck.certPem,
              args.healthCheck.privateKeyPem,
            ])
            .apply(([ca, cert, key, start, end, clientCert, clientKey]) =>
              bundle({
                "ca.pem": ca,
                "cert.pem": cert,
                "client-cert.pem": clientCert,
                "client-key.pem": clientKey,
                "key.pem": key,
                validity: `${epoch(start)} ${epoch(end)}`,
              }),
            ),
        ),
      },
      {
        dependsOn: [install, config],
        additionalSecretOutputs: ["stdout", "stderr"],
        waitsSeconds: drainSeconds,
        hooks: { afterCreate: [reached], afterUpdate: [reached] },
      },
    );

    // It runs nothing before its deletion, which comes before that of the steps: where the board is dead, nothing of it leaves the
    // state. The deletion of preflight removes what was never put to use. Its name is none of those that a pattern for the
    // steps of a board fits (`<name>-*`), so that a repair replaces them and not this.
    new command.remote.Command(
      `${name}.removal`,
      {
        connection,
        addPreviousOutputInEnv: false,
        delete: uninstallCommand(`${stack}/${name}`, args.removeCacheOnDelete ?? false),
      },
      {
        parent: this,
        dependsOn: [service],
        retainOnDelete: args.abandon ?? false,
        customTimeouts: { delete: `${TIMEOUT_SECONDS}s` },
      },
    );

    // Known while previewing, but true only once the daemon has answered.
    this.endpoint = service.id.apply(() => endpoint);
    this.platforms = service.id.apply(() => args.platforms ?? [args.platform]);
    this.registerOutputs({ endpoint: this.endpoint, platforms: this.platforms });
  }
}

/** Refuses names that would be units, or files of the configuration itself. */
function requireFileNames(board: string, files: readonly BoardFileArgs[]) {
  for (const [index, { name }] of files.entries()) {
    const isTaken = files.findIndex((other) => other.name === name) < index;
    if (
      /^(?!toml$|env$)[\w-][\w.-]*$/.test(name) &&
      !/__|\.(service|socket|conf)$/.test(name) &&
      !isTaken
    ) {
      continue;
    }
    throw new Error(
      `${board}: files[${index}].name is '${name}'; ${isTaken ? "which there is already: choose another" : "expected letters, digits and ._-, such as registry-ca.pem"}`,
    );
  }
  return files;
}

/** Where files that come over SSH wait for their verification. */
const PUSHED = "/usr/local/lib/buildhosts/pushed";

/** How the provider connects. */
export function connectionArgs(
  c: BoardConnectionArgs,
): pulumi.Input<command.types.input.remote.ConnectionArgs> {
  const one = ({ host, port, user, hostKey, privateKey }: BoardConnectionArgs) => ({
    host,
    port: port ?? 22,
    user: user ?? "root",
    hostKey,
    privateKey: privateKey === undefined ? undefined : pulumi.secret(privateKey),
    // The provider repeats every failed dial, a refused key or a wrong host key included.
    dialErrorLimit: 2,
    perDialTimeout: 20,
  });
  return { ...one(c), ...(c.proxy && { proxy: one(c.proxy) }) };
}

/** `user@host:port`, for readers. */
export function connectionAddress(c: BoardConnectionArgs): pulumi.Output<string> {
  return pulumi
    .all([c.user ?? "root", c.host, c.port ?? 22])
    .apply(([user, host, port]) => `${user}@${hostInUrl(host)}:${port}`);
}

/** Why the SSH server that the first hop leads to says nothing; nothing where it speaks, or refuses to. */
export async function silenceOf(
  board: string,
  c: BoardConnectionArgs,
): Promise<string | undefined> {
  const first = c.proxy ?? c;
  const { host, port } = await resolved({ host: first.host, port: first.port ?? 22 });
  const at = `${board}: ${c.proxy ? "the jump host " : ""}${hostInUrl(host)}:${port}`;
  const reason = await silenceAt(host, port, (line) => void pulumi.log.warn(`${at}: ${line}`));
  return (
    reason &&
    `${at} accepts connections, but ${reason}: it hangs, or another program has that port. Look at its console (a full disk, no memory left), restart it, or correct host and port in the stack`
  );
}

const portOf = (address: string) => Number(address.slice(address.lastIndexOf(":") + 1));

/** The address at which the board reaches a daemon of its own that listens on `address`. */
function loopbackOf(address: string): string {
  if (address === "0.0.0.0") return "127.0.0.1";
  if (address === "::") return "::1";
  return address;
}

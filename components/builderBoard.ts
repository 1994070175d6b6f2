import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { boardctlId, boardctlPacked } from "./board/boardctl.ts";
import { bundle, bundleId } from "./board/bundle.ts";
import {
  activateCommand,
  type Bridge,
  installCommand,
  preflightCommand,
  stageConfigCommand,
  uninstallCommand,
  withdrawCommand,
} from "./board/commands.ts";
import { boardFilePath, boardFiles, stagedName } from "./board/files.ts";
import { silenceAt } from "./board/greeting.ts";
import type { BoardStep } from "./board/look.ts";
import { architecture, type ReleaseComponent, release, UPSTREAM } from "./board/releases.ts";
import { RemoteCommand } from "./board/remoteCommand.ts";
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
import { updateHook } from "./updateHook.ts";

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

/**
 * What somebody changed on a board by hand, one line each, by the step that mends it. Each step that has a line runs again, as a
 * replacement that shows these lines.
 */
export interface BoardDriftArgs {
  preflight?: string[];
  install?: string[];
  config?: string[];
  service?: string[];
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
  /** What a look at the board found (`stack/drift.ts`). Default: nothing. */
  drift?: BoardDriftArgs;
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
    const board = completed(name, args);
    const steps = new Steps(this, board);

    const preflight = preflightStep(steps, board);
    preflights.set(this, preflight);
    const pushed = pushedReleases(steps, board, preflight);
    const install = installStep(steps, board, [preflight, ...pushed]);
    const config = configStep(steps, board, [preflight]);
    const service = serviceStep(steps, board, config.id, [install, config.step]);
    removal(steps, board, service);

    // Known while previewing, but true only once the daemon has answered.
    this.endpoint = service.id.apply(() => board.endpoint);
    this.platforms = service.id.apply(() => args.platforms ?? [args.platform]);
    this.registerOutputs({ endpoint: this.endpoint, platforms: this.platforms });
  }
}

/** A board's arguments with every default filled in. */
type Board = ReturnType<typeof completed>;

function completed(name: string, args: BuilderBoardArgs) {
  const rootless = args.rootless ?? false;
  const network = args.network ?? defaultNetwork(rootless);
  const listen = { address: args.listen?.address ?? "0.0.0.0", port: args.listen?.port ?? 1234 };
  const { settings, files: registryFiles } = withRegistryFiles(
    args.buildkitd ?? {},
    args.registryCertificates ?? {},
    (file) => boardFilePath(file, rootless),
  );
  const bridge: Bridge | undefined =
    network === "bridge"
      ? {
          name: settings.worker?.bridgeName ?? defaultBridge.name,
          subnet: settings.worker?.bridgeSubnet ?? defaultBridge.subnet,
        }
      : undefined;
  return {
    ...args,
    name,
    /** `project/stack` */
    stack: `${pulumi.getProject()}/${pulumi.getStack()}`,
    machine: architecture(args.platform).machine,
    worker: args.worker ?? "oci",
    rootless,
    network,
    listen,
    settings,
    bridge,
    root: settings.root ?? (rootless ? defaultRootlessRoot : defaultRoot),
    drainSeconds: args.drainSeconds ?? 600,
    endpoint: args.endpoint ?? `tcp://${hostInUrl(args.serverName)}:${listen.port}`,
    environment: args.environment ?? {},
    abandon: args.abandon ?? false,
    files: requireFileNames(name, [...(args.files ?? []), ...registryFiles]),
    releases: releasesOf(name, args, rootless),
    checksums: args.releases.checksums ?? {},
    mirror: args.releases.mirror ?? UPSTREAM,
    push: args.releases.push,
  };
}

function releasesOf(name: string, { releases, platform }: BuilderBoardArgs, rootless: boolean) {
  const components: ReleaseComponent[] = ["containerd", "runc", "buildkit"];
  if (rootless) components.push("rootlesskit");
  return components.map((component) => {
    const version = releases[component];
    if (!version) throw new Error(`${name}: releases.${component} is missing; name a version`);
    return release(component, version, platform);
  });
}

/** Declares the steps of one board: commands over one connection, which wait until the host has spoken. */
class Steps {
  readonly #parent: pulumi.Resource;
  readonly #board: Board;
  /** Resolved once, not by each of the steps. */
  readonly connection: pulumi.Output<command.types.input.remote.ConnectionArgs>;
  readonly onceHeard: pulumi.ResourceHookBinding;

  constructor(parent: pulumi.Resource, board: Board) {
    this.#parent = parent;
    this.#board = board;
    const { name, connection } = board;
    this.connection = pulumi.secret(connectionArgs(connection));
    this.onceHeard = onceHeard(name, connection);
  }

  /** What every resource of the board has among its options. */
  get options() {
    return { parent: this.#parent, retainOnDelete: this.#board.abandon };
  }

  command(
    role: BoardStep,
    inputs: Omit<command.remote.CommandArgs, "connection">,
    {
      waitsSeconds = 0,
      hooks,
      ...opts
    }: pulumi.CustomResourceOptions & { waitsSeconds?: number } = {},
  ): RemoteCommand {
    const timeout = `${TIMEOUT_SECONDS + waitsSeconds}s`;
    const reasons = this.#board.drift?.[role];
    return new RemoteCommand(
      `${this.#board.name}-${role}`,
      // The output before last is no input of the next run, and may not pass through the environment.
      {
        connection: this.connection,
        addPreviousOutputInEnv: false,
        ...inputs,
        ...again(reasons),
      },
      {
        ...this.options,
        ignoreChanges: unlessAgain(reasons),
        customTimeouts: { create: timeout, update: timeout, delete: timeout },
        hooks: { ...this.onceHeard, ...hooks },
        ...opts,
      },
    );
  }
}

/** Checks the board, and brings boardctl there. */
function preflightStep(steps: Steps, board: Board): RemoteCommand {
  const { name, stack, settings } = board;
  const { caValidityStartTime, caValidityEndTime, connection } = board;
  return steps.command("preflight", {
    create: pulumi
      .all([caValidityStartTime, caValidityEndTime, connectionAddress(connection)])
      .apply(([start, end, address]) =>
        preflightCommand({
          board: name,
          stack,
          formerName: board.formerName,
          address,
          machine: board.machine,
          platform: board.platform,
          network: board.network,
          rootless: board.rootless,
          bridge: board.bridge,
          snapshotter: settings.worker?.snapshotter,
          selinux: settings.worker?.selinux ?? false,
          clockAfter: epoch(start),
          clockBefore: end === undefined ? undefined : epoch(end),
          cacheBytes: cacheLimit(settings.worker ?? {}),
          cacheRoot: board.root,
          ownNameservers: (settings.dns?.nameservers ?? []).length > 0,
          port: board.listen.port,
          metricsPort: board.metricsAddress ? portOf(board.metricsAddress) : undefined,
          scriptId: boardctlId,
        }),
      ),
    // Known when `create` is: while the CA is not made yet, a preview need not carry the script for every board.
    stdin: pulumi.output(caValidityStartTime).apply(() => boardctlPacked),
    // A step that is replaced is deleted last: what its delete does must leave alone what is in use.
    delete: withdrawCommand(`${stack}/${name}`),
  });
}

/** Copies the releases of a folder of this machine to the board; none where the board fetches them. */
function pushedReleases(
  steps: Steps,
  { name, push, releases, drift }: Board,
  preflight: pulumi.Resource,
): command.remote.CopyToRemote[] {
  if (push === undefined) return [];
  return releases.map(
    ({ component, asset }) =>
      new command.remote.CopyToRemote(
        `${name}-push-${component}`,
        {
          connection: steps.connection,
          source: new pulumi.asset.FileAsset(`${push}/${asset}`),
          remotePath: `${PUSHED}/${asset}`,
          ...again(drift?.install),
        },
        {
          ...steps.options,
          ignoreChanges: unlessAgain(drift?.install),
          dependsOn: [preflight],
          hooks: steps.onceHeard,
          // The provider copies only when the file or its path changes, so not to another board.
          replaceOnChanges: ["connection"],
          deleteBeforeReplace: true,
        },
      ),
  );
}

/** Brings verified releases into the board's store. */
function installStep(
  steps: Steps,
  { name, releases, checksums, mirror, push, environment }: Board,
  dependsOn: pulumi.Resource[],
): RemoteCommand {
  const sources = releases.map((one) => {
    const sha256 = checksums[one.asset];
    if (push !== undefined && !sha256) {
      throw new Error(
        `${name}: releases.checksums has no sha256 for ${one.asset}, which is pushed from ${push}; add it`,
      );
    }
    return {
      release: one,
      url: push === undefined ? `${mirror}/${one.path}` : `file://${PUSHED}/${one.asset}`,
      checksum: sha256 ? `sha256:${sha256}` : `${mirror}/${one.checksumPath}`,
    };
  });
  return steps.command("install", { create: installCommand(sources, environment) }, { dependsOn });
}

/** Brings the configuration into the board's store, and gives the id that it has there. */
function configStep(
  steps: Steps,
  board: Board,
  dependsOn: pulumi.Resource[],
): { step: RemoteCommand; id: pulumi.Output<string> } {
  const { files } = board;
  const rendered = boardFiles({
    worker: board.worker,
    network: board.network,
    rootless: board.rootless,
    listen: board.listen,
    socketActivation: board.socketActivation ?? false,
    metricsAddress: board.metricsAddress,
    environment: board.environment,
    settings: board.settings,
    secretFiles: files.filter(({ isPublic }) => !isPublic).map((file) => file.name),
  });
  // A secret where one of the files is.
  const configuration = pulumi
    .all(files.map(({ content, isPublic }) => (isPublic ? content : pulumi.secret(content))))
    .apply((contents) =>
      bundle({
        ...rendered,
        ...Object.fromEntries(
          files.map((file, index) => [stagedName(file.name), contents[index] ?? ""]),
        ),
      }),
    );
  const id = pulumi.unsecret(configuration.apply(bundleId));
  const inputs = { create: id.apply(stageConfigCommand), stdin: configuration };
  return { step: steps.command("config", inputs, { dependsOn }), id };
}

/** Puts releases, configuration and certificates to use, and goes back where the daemon does not answer. */
function serviceStep(
  steps: Steps,
  board: Board,
  configId: pulumi.Output<string>,
  dependsOn: pulumi.Resource[],
): RemoteCommand {
  const { name, listen, serverName, drainSeconds, root, bridge, checksums } = board;
  const { caCertPem, certificate, healthCheck, endpoint } = board;
  const reached = reachedHook(name, { endpoint, serverName, caCertPem, client: healthCheck });
  return steps.command(
    "service",
    {
      create: configId.apply((id) =>
        activateCommand({
          releases: board.releases.map(({ component, version, asset }) => ({
            component,
            version,
            sha256: checksums[asset],
          })),
          configId: id,
          checkAddress: `tcp://${hostInUrl(loopbackOf(listen.address))}:${listen.port}`,
          serverName,
          drainSeconds,
          root,
          bridge,
        }),
      ),
      stdin: pulumi.secret(
        pulumi
          .all([
            caCertPem,
            certificate.certPem,
            certificate.privateKeyPem,
            certificate.validityStartTime,
            certificate.validityEndTime,
            healthCheck.certPem,
            healthCheck.privateKeyPem,
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
      dependsOn,
      additionalSecretOutputs: ["stdout", "stderr"],
      waitsSeconds: drainSeconds,
      hooks: { afterCreate: reached, afterUpdate: reached },
    },
  );
}

/**
 * Runs nothing before its deletion, which comes before that of the steps: where the board is dead, nothing of it leaves the
 * state. The deletion of preflight removes what was never put to use. Its name is none of those that a pattern for the
 * steps of a board fits (`<name>-*`), so that a repair replaces them and not this.
 */
function removal(steps: Steps, board: Board, service: pulumi.Resource): void {
  const { name, stack } = board;
  new RemoteCommand(
    `${name}.removal`,
    {
      connection: steps.connection,
      addPreviousOutputInEnv: false,
      delete: uninstallCommand(`${stack}/${name}`, board.removeCacheOnDelete ?? false),
    },
    {
      ...steps.options,
      dependsOn: [service],
      customTimeouts: { delete: `${TIMEOUT_SECONDS}s` },
    },
  );
}

/**
 * What makes a step run once more: the provider knows one input for that, which replaces it. It stays in the state, so without a
 * reason it is left as it is.
 */
const again = (reasons: string[] | undefined) => (reasons?.length ? { triggers: reasons } : {});
const unlessAgain = (reasons: string[] | undefined) => (reasons?.length ? [] : ["triggers"]);

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

/** Has the steps of an update wait until the host has spoken. */
export function onceHeard(
  name: string,
  connection: BoardConnectionArgs,
): pulumi.ResourceHookBinding {
  // The first step asks, and the others know: sshd counts a connection without a log-in against whoever makes it
  // (PerSourcePenalties).
  let silence: Promise<string | undefined> | undefined;
  const heard = updateHook(`${name}-heard`, async () => {
    silence ??= silenceOf(name, connection);
    const reason = await silence;
    if (reason !== undefined) throw new Error(reason);
  });
  return { beforeCreate: heard, beforeUpdate: heard };
}

/** Why the SSH server that the first hop leads to says nothing; nothing where it speaks, or refuses to. */
async function silenceOf(board: string, c: BoardConnectionArgs): Promise<string | undefined> {
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

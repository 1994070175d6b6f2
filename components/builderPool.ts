import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { bundle } from "./board/bundle.ts";
import { RemoteCommand } from "./board/remoteCommand.ts";
import {
  type BoardCertificateArgs,
  type BoardConnectionArgs,
  type BoardListenArgs,
  connectionAddress,
  connectionArgs,
  onceHeard,
} from "./builderBoard.ts";
import {
  type DockerConnectionArgs,
  dockerConnection,
  dockerProvider,
} from "./container/connection.ts";
import { STACK_LABEL } from "./container/place.ts";
import { FILLED_BY_PODMAN } from "./container/podman.ts";
import {
  activateCommand,
  cfgId,
  poolUnit,
  removeCommand,
  stageCommand,
  stageInput,
} from "./pool/commands.ts";
import { CA_FILE, CLIENT_FILE, haproxyCfg, type PoolServer } from "./pool/haproxyCfg.ts";
import { reachedHook } from "./reached.ts";
import { shortHash } from "./shortHash.ts";
import { hostFromUrl, socketAddress } from "./socketAddress.ts";

/** A builder of a pool. */
export interface PoolBuilderArgs {
  name: string;
  /** As the pool's machine reaches it, `tcp://host:port`. */
  endpoint: pulumi.Input<string>;
}

export interface BuilderPoolArgs {
  /** The machine that HAProxy runs on under systemd; this or `docker`. */
  connection?: BoardConnectionArgs;
  /** The Docker host that HAProxy runs on in a container; this or `connection`. */
  docker?: DockerConnectionArgs;
  /** Needed with `docker`: an image that has HAProxy 2.6 or newer, such as `haproxy:3.2-alpine@sha256:<digest>`. */
  image?: string;
  /**
   * A DNS name of at least two labels that every builder's certificate has, as it has `*.<domain>`. A client asks for
   * `<project>.<domain>`. No DNS server needs to know it.
   */
  domain: string;
  builders: PoolBuilderArgs[];
  /** What clients may build on it: what each of its builders offers. */
  platforms: string[];
  /** As clients reach the pool, `tcp://host:port`. */
  endpoint: string;
  /** Default: port 1235 of all addresses. */
  listen?: BoardListenArgs;
  /** Where metrics are served without authentication, so on loopback. Default: port 8405 of 127.0.0.1. */
  metrics?: BoardListenArgs;
  /** Of the builders' CA, PEM. */
  caCertPem: pulumi.Input<string>;
  /** The client by which the pool asks its builders for their health. BuildKit gives it every right. */
  healthCheck: BoardCertificateArgs;
  /** With `docker`: how long a container that is replaced serves running builds, in seconds. Default: 600. */
  drainSeconds?: number;
  /** Deletion leaves the machine alone: the way out for one that is gone. Default: false. */
  abandon?: boolean;
}

/** SSH steps install a package at most. poolctl ends itself earlier. */
const TIMEOUT = "1800s";

/**
 * One address leads to several builders: HAProxy takes each project to a builder of its own, as long as that is up, and to
 * another one meanwhile. It passes TLS through, so it decrypts no build.
 *
 * By `connection` it runs under systemd: the package haproxy of the distribution, which the first step installs where it is
 * missing, a folder below /usr/local/lib/buildhosts-pools and the unit buildhosts-pool@<name>. A change reloads it, and running
 * builds go on. By `docker` it runs in a container with the host's network, and a change starts another one beside it. Delete
 * removes all of it but the package and the image.
 *
 * ```ts
 * new BuilderPool("riscv64", {
 *   connection: { host: "board-1.example.com", hostKey: "ssh-ed25519 AAAA…" },
 *   domain: "riscv64.builders.example.com",
 *   endpoint: "tcp://board-1.example.com:1235",
 *   builders: [
 *     { name: "board-1", endpoint: board1.endpoint },
 *     { name: "board-2", endpoint: board2.endpoint },
 *   ],
 *   platforms: ["linux/riscv64"],
 *   caCertPem: ca.certPem,
 *   healthCheck: client,
 * });
 * ```
 */
export class BuilderPool extends pulumi.ComponentResource {
  readonly endpoint: pulumi.Output<string>;
  readonly platforms: pulumi.Output<string[]>;

  constructor(name: string, args: BuilderPoolArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("buildhosts:index:BuilderPool", name, {}, opts);
    const { connection, docker: dockerArgs } = args;
    if ((connection === undefined) === (dockerArgs === undefined)) {
      throw new Error(
        `${name}: ${connection ? "connection and docker are both given" : "neither connection nor docker is given"}; name one machine`,
      );
    }
    if (args.builders.length === 0) {
      throw new Error(`${name}: builders is empty; name at least one builder`);
    }
    const listen = { address: args.listen?.address ?? "0.0.0.0", port: args.listen?.port ?? 1235 };
    const metrics = {
      address: args.metrics?.address ?? "127.0.0.1",
      port: args.metrics?.port ?? 8405,
    };
    // In the image HAProxy is no root from the beginning.
    const user = connection ? "haproxy" : undefined;
    const cfg = pulumi.all(args.builders.map(({ endpoint }) => endpoint)).apply((endpoints) =>
      haproxyCfg({
        ...{ domain: args.domain, listen, metrics, user },
        servers: args.builders.map((builder, i) => serverAt(builder.name, endpoints[i] ?? "")),
      }),
    );
    const files = pulumi.secret(
      pulumi
        .all([args.caCertPem, args.healthCheck.certPem, args.healthCheck.privateKeyPem])
        .apply<Record<string, string>>(([ca, cert, key]) => ({
          [CA_FILE]: ca,
          [CLIENT_FILE]: `${cert}${key}`,
        })),
    );
    const reached = reachedHook(
      name,
      {
        endpoint: args.endpoint,
        serverName: args.domain,
        caCertPem: args.caCertPem,
        client: args.healthCheck,
      },
      "HAProxy runs, but from this machine no client is let in at",
    );
    const hooks = { afterCreate: reached, afterUpdate: reached };
    const made = connection
      ? this.#underSystemd(name, { ...args, connection }, { cfg, files, metrics, hooks })
      : this.#inContainer(
          name,
          { ...args, docker: dockerArgs as DockerConnectionArgs },
          { cfg, files, hooks },
        );
    // Known while previewing, but true only once HAProxy runs.
    this.endpoint = made.id.apply(() => args.endpoint);
    this.platforms = made.id.apply(() => args.platforms);
    this.registerOutputs({ endpoint: this.endpoint, platforms: this.platforms });
  }

  /** `-config` places the package and haproxy.cfg, `-service` puts it to use; `.removal` runs nothing before. */
  #underSystemd(
    name: string,
    args: BuilderPoolArgs & { connection: BoardConnectionArgs },
    { cfg, files, metrics, hooks }: Parts & { metrics: { address: string; port: number } },
  ): pulumi.CustomResource {
    const pool = { pool: name, owner: `${pulumi.getProject()}/${pulumi.getStack()}/${name}` };
    const heard = onceHeard(name, args.connection);
    const ssh = {
      connection: pulumi.secret(connectionArgs(args.connection)),
      addPreviousOutputInEnv: false,
    };
    const options = {
      parent: this,
      retainOnDelete: args.abandon ?? false,
      customTimeouts: { create: TIMEOUT, update: TIMEOUT, delete: TIMEOUT },
    };
    const id = cfg.apply(cfgId);
    const config = new RemoteCommand(
      `${name}-config`,
      {
        ...ssh,
        create: pulumi
          .all([connectionAddress(args.connection), id])
          .apply(([address, cfgIdOfIt]) => stageCommand(pool, address, cfgIdOfIt)),
        stdin: cfg.apply(stageInput),
      },
      { ...options, hooks: heard },
    );
    const service = new RemoteCommand(
      `${name}-service`,
      {
        ...ssh,
        create: id.apply((cfgIdOfIt) => activateCommand(pool, cfgIdOfIt, socketAddress(metrics))),
        stdin: files.apply((all) => bundle({ ...all, unit: poolUnit })),
      },
      {
        ...options,
        dependsOn: [config],
        additionalSecretOutputs: ["stdout", "stderr"],
        hooks: { ...heard, ...hooks },
      },
    );
    // As of a board: steps can be replaced, which must remove nothing that runs.
    new RemoteCommand(
      `${name}.removal`,
      { ...ssh, delete: removeCommand(pool) },
      { ...options, dependsOn: [service] },
    );
    return service;
  }

  /**
   * Its name ends with a hash, so that the provider makes the new one first: both listen at once, as they have the host's network,
   * and the old one ends when its builds have.
   */
  #inContainer(
    name: string,
    args: BuilderPoolArgs & { docker: DockerConnectionArgs },
    { cfg, files, hooks }: Parts,
  ): pulumi.CustomResource {
    const provider =
      this.getProvider("docker:index/container:Container") ??
      dockerProvider(`${name}-docker`, dockerConnection(name, args.docker), { parent: this });
    const options = { parent: this, provider, retainOnDelete: args.abandon ?? false };
    if (!args.image) {
      throw new Error(
        `${name}: image is missing; name one that has HAProxy 2.6 or newer, such as haproxy:3.2-alpine@sha256:<digest>`,
      );
    }
    const image = new docker.RemoteImage(
      `${name}-image`,
      { name: args.image, keepLocally: true },
      options,
    );
    const folder = "/usr/local/etc/haproxy";
    const drainSeconds = args.drainSeconds ?? 600;
    return new docker.Container(
      `${name}-container`,
      {
        name: pulumi.unsecret(
          pulumi
            .all([cfg, files, image.imageId])
            .apply((parts) => `${name}-${shortHash(JSON.stringify(parts))}`),
        ),
        image: image.imageId,
        command: ["haproxy", "-W", "-db", "-f", `${folder}/haproxy.cfg`],
        envs: [`POOL_FILES=${folder}`],
        uploads: pulumi.all([cfg, files]).apply(([text, all]) =>
          Object.entries({ "haproxy.cfg": text, ...all }).map(([file, content]) => ({
            file: `${folder}/${file}`,
            content: pulumi.secret(content),
            // HAProxy is not root there, and nobody else is in the container.
            permissions: "0644",
          })),
        ),
        networkMode: "host",
        restart: "unless-stopped",
        // Listens no more, and ends with the last build.
        stopSignal: "SIGUSR1",
        stopTimeout: drainSeconds,
        destroyGraceSeconds: drainSeconds,
        labels: [
          { label: "buildhosts.pool", value: name },
          {
            label: STACK_LABEL,
            value: `${pulumi.getProject()}/${pulumi.getStack()}`,
          },
        ],
      },
      {
        ...options,
        deleteBeforeReplace: false,
        customTimeouts: { delete: `${drainSeconds + 600}s` },
        ignoreChanges: FILLED_BY_PODMAN,
        hooks,
      },
    );
  }
}

/** What both kinds of machine get. */
interface Parts {
  cfg: pulumi.Output<string>;
  files: pulumi.Output<Record<string, string>>;
  hooks: pulumi.ResourceHookBinding;
}

function serverAt(name: string, endpoint: string): PoolServer {
  const url = URL.parse(endpoint);
  if (url?.protocol !== "tcp:" || !url.port) {
    throw new Error(`${name}: endpoint is '${endpoint}'; expected tcp://<host>:<port>`);
  }
  return { name, host: hostFromUrl(url.hostname), port: Number(url.port) };
}

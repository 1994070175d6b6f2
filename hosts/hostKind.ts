import type { Output, Resource } from "@pulumi/pulumi";
import type * as z from "zod";
import type { BuilderPoolArgs } from "../components/builderPool.ts";
import type { CertificateAuthority } from "../components/certificateAuthority.ts";
import type { ClientCertificate } from "../components/clientCertificate.ts";
import type { ServerCertificate } from "../components/serverCertificate.ts";
import type { Endpoint } from "../config/endpoint.ts";
import { type Findings, readEach } from "../config/findings.ts";
import type { Machine } from "../config/machineFiles.ts";
import type { SshKey } from "../config/sshKey.ts";
import type { CertificateNames } from "../config/stackConfig.ts";
import type { Installation, StackReleases } from "../config/stackReleases.ts";
import type { BuilderLook, Drift, LookOptions } from "./hostLook.ts";

/** The parts of the stack that a host needs. */
export interface HostContext {
  releases: StackReleases;
  /** Names that the stack, and its pools, add to a builder's certificate. */
  extraNames(builder: string): readonly string[];
  /** The key for hosts that name none; nothing where it cannot be had, and an error says so already. */
  stackKey: SshKey | undefined;
  machine: Machine;
}

/** A builder as the stack file names it. */
export interface NamedBuilder {
  name: string;
  /** Nothing where only the proving ground knows it. */
  endpoint: Endpoint | undefined;
  /** The name of the host that it runs on. */
  host: string;
  /** What it offers. */
  platforms: readonly string[];
}

/** A host as a pool needs to know it that runs there. */
export interface PoolMachine {
  name: string;
  /** Whether HAProxy runs there in a container, and not under systemd. */
  isDocker: boolean;
  isVirtual: boolean;
  /** As clients reach it; nothing of a virtual one. */
  host: string | undefined;
  /** Ports that are taken there, and by what. */
  ports: readonly { port: number; what: string }[];
  abandon: boolean;
}

/** How the component of a pool reaches the host that it runs on. */
export type PoolConnection = { name: string } & Pick<BuilderPoolArgs, "connection" | "docker">;

/** The builders of the kinds that come first in `hostKinds`: the path of each, by its name and by its endpoint's id. */
export interface EarlierBuilders {
  names: Map<string, string>;
  endpoints: Map<string, string>;
}

/** A builder as clients reach it, on any kind of host. */
export interface Builder {
  name: string;
  /** `tcp://host:port` */
  endpoint: Output<string>;
  platforms: Output<string[]>;
  /** The name that clients verify in the builder's certificate. */
  serverName: string;
}

/** The CA of a stack and everything about it that its builders and clients need. */
export interface StackCertificates {
  ca: CertificateAuthority;
  clients: Record<string, ClientCertificate>;
  /** The stack's own client, which asks a builder for its health after a change. */
  healthCheck: ClientCertificate;
  /** The client of a pool, which asks its builders for their health all the time. */
  poolClient(pool: string): ClientCertificate;
  /** A certificate for a builder, whatever kind of host it runs on. The program makes it when `after` is there. */
  server(
    builder: string,
    names: CertificateNames,
    opts?: { formerName?: string; after?: Promise<Resource> },
  ): ServerCertificate;
}

/** Declares the resources of one host. `drift` is what somebody changed on hosts. */
export type Declaration = (certificates: StackCertificates, drift: Drift) => Builder[];

/** Declares the resources of any host of a kind. */
export type Composition<Config> = (
  config: Config,
  certificates: StackCertificates,
  drift: Drift,
) => Builder[];

/**
 * The parts of a kind of host, for the loader and for the composition. `Written` is an entry of the list in the stack
 * file, `Host` the same with the platform or the address of a virtual machine, and `Config` the arguments of the component.
 */
interface HostKindParts<Key extends string, Written, Host, Config> {
  /** The key of the stack file below `buildhosts:`. */
  key: Key;
  /** Of the whole list. */
  schema: z.ZodType;
  /** Of an entry. */
  entry: z.ZodType<Written>;
  /** Whether the provider dials the SSH agent of the environment even for a host with a key of its own. */
  dialsAgent: boolean;
  /** Adds what the proving ground knows of a virtual host. */
  completed(host: Written, machine: Machine, findings: Findings): Host | undefined;
  builders(host: Host): NamedBuilder[];
  /** The host for a pool that runs there. */
  poolMachine(host: Host): PoolMachine;
  /** How a pool's component reaches it. */
  poolConnection(host: Config): PoolConnection;
  /** Name or address by which this machine reaches the host; nothing for a virtual one. */
  machine(host: Host): string | undefined;
  /** The releases that the host installs, if it installs any. */
  installs(host: Host): Installation | undefined;
  needsStackKey(host: Host): boolean;
  /** Refuses hosts and builders that are the same as earlier ones, and enters the others among the earlier ones. */
  refuseSame(
    hosts: readonly (Host | undefined)[],
    earlier: EarlierBuilders,
    findings: Findings,
  ): void;
  /** Refuses an environment that the kind's provider would follow instead of the stack. */
  refuseEnvironment?(environment: Machine["environment"], findings: Findings): void;
  /** Refuses combinations of keys; `mirror` is that of the stack's releases. */
  refuseImpossible(host: Host, mirror: string | undefined, findings: Findings): void;
  /** Warns about what an entry allows; `buildkit` is the stack's version. */
  warnOfRisks(host: Host, buildkit: string, findings: Findings): void;
  /** Warns once about what several hosts have in common. */
  warnOfAll?(hosts: readonly Host[], buildkit: string, findings: Findings): void;
  /** The arguments of the component; nothing where a file or a key cannot be found. */
  resolved(host: Host, context: HostContext, findings: Findings): Config | undefined;
  /** Looks at the hosts for changes that somebody made there by hand. It throws nothing. */
  look(hosts: readonly Config[], options: LookOptions): Promise<BuilderLook[]>;
  /** Builders that keep a mark in the state even if nothing looks at them. */
  unseen?(hosts: readonly Config[]): Promise<BuilderLook[]>;
  /** Loads the composition, and with it Pulumi's provider: a stack without such hosts does not wait for either. */
  composition(): Promise<Composition<Config>>;
}

/** The hosts of one kind in a stack file. */
export interface Hosts<Config> {
  /** How many entries the list has, whether or not they can be read. */
  count: number;
  /** With a gap for each host that cannot be read. */
  builders: (NamedBuilder | undefined)[];
  poolMachines: PoolMachine[];
  machines: string[];
  installations: Installation[];
  needStackKey: boolean;
  /** Whether their provider dials the SSH agent in any case. */
  dialAgent: boolean;
  refuseSame(earlier: EarlierBuilders): void;
  /** Without a context, it only refuses what is wrong with the hosts themselves. */
  resolved(mirror: string | undefined, context: HostContext | undefined): Config[];
}

/** A kind of host, as `config/load.ts` and `stack/compose.ts` use it. */
export interface HostKind<Key extends string, Config> {
  key: Key;
  /** Of the whole list. */
  schema: z.ZodType;
  /** Reads the list; `findings` are those of its key. */
  read(value: unknown, machine: Machine, findings: Findings): Hosts<Config>;
  look(
    hosts: Readonly<Record<Key, readonly Config[]>>,
    options: LookOptions,
  ): Promise<BuilderLook[]>;
  unseen(hosts: Readonly<Record<Key, readonly Config[]>>): Promise<BuilderLook[]>;
  poolConnections(hosts: Readonly<Record<Key, readonly Config[]>>): PoolConnection[];
  /** For each host, in the order of the stack file, what declares its resources. */
  declarations(hosts: Readonly<Record<Key, readonly Config[]>>): Promise<Declaration[]>;
}

export function hostKind<Key extends string, Written, Host, Config>(
  kind: HostKindParts<Key, Written, Host, Config>,
): HostKind<Key, Config> {
  const { key, schema } = kind;
  return {
    key,
    schema,
    read(value, machine, findings) {
      const hosts = readEach(kind, value, findings).map(
        (host, index) => host && kind.completed(host, machine, findings.at(index)),
      );
      const readable = hosts.filter((host) => host !== undefined);
      return {
        count: hosts.length,
        builders: hosts.flatMap((host) => (host ? kind.builders(host) : [undefined])),
        poolMachines: readable.map(kind.poolMachine),
        machines: readable.flatMap((host) => kind.machine(host) ?? []),
        installations: readable.flatMap((host) => kind.installs(host) ?? []),
        needStackKey: readable.some(kind.needsStackKey),
        dialAgent: kind.dialsAgent && readable.length > 0,
        refuseSame(earlier) {
          kind.refuseSame(hosts, earlier, findings);
          if (readable.length > 0) kind.refuseEnvironment?.(machine.environment, findings);
        },
        resolved(mirror, context) {
          const resolved = hosts.map((host, index) => {
            if (!host) return undefined;
            const at = findings.at(index);
            kind.refuseImpossible(host, mirror, at);
            if (!context) return undefined;
            kind.warnOfRisks(host, context.releases.versions.buildkit, at);
            return kind.resolved(host, context, at);
          });
          if (context) kind.warnOfAll?.(readable, context.releases.versions.buildkit, findings);
          return resolved.filter((host) => host !== undefined);
        },
      };
    },
    look: ({ [key]: hosts }, options) => kind.look(hosts, options),
    unseen: async ({ [key]: hosts }) => (await kind.unseen?.(hosts)) ?? [],
    poolConnections: ({ [key]: hosts }) => hosts.map(kind.poolConnection),
    async declarations({ [key]: hosts }) {
      if (hosts.length === 0) return [];
      const compose = await kind.composition();
      return hosts.map((host) => (certificates, drift) => compose(host, certificates, drift));
    },
  };
}

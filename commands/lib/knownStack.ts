import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { hostFromUrl } from "../../components/socketAddress.ts";
import type { HostKey } from "../../hosts/kinds.ts";
import { type WrittenHost, writtenHosts } from "../../hosts/writtenHosts.ts";
import type { KnownBuilder as OutputBuilder } from "../../stack/outputs.ts";
import type { ClientFiles } from "./clientFiles.ts";
import { stackOutputs } from "./engineSession.ts";
import { exitCodes, Failure } from "./failure.ts";
import { looking, quiet } from "./output.ts";
import { releasesOf, requireStackFile, stackFile } from "./stackFile.ts";

/** A builder of a stack's outputs, and how to reach it. */
export interface KnownBuilder extends OutputBuilder {
  host: string;
  port: number;
  /** The name in the builder's certificate. */
  serverName: string;
  /** The version of BuildKit that the stack file asks for; undefined where its image has another tag. */
  wanted: string | undefined;
}

/** A pool as its stack's outputs have it. */
export interface KnownPool extends Omit<KnownBuilder, "serverName" | "wanted"> {
  /** A client asks for `<project>.<domain>`. */
  domain: string;
  /** Names of its builders. */
  builders: string[];
}

/** A stack as its state and its stack file describe it; nothing runs its program. */
export interface KnownStack {
  name: string;
  builders: KnownBuilder[];
  pools: KnownPool[];
  clients: Record<string, ClientFiles>;
  /** Certificates with less than this to live are renewed by the next `up`. */
  renewalHours: number;
  /** The name of the buildx builder in the stack's own `buildx` lines. */
  buildxName: string;
}

/**
 * Reads the outputs of the last `up`.
 *
 * @throws Failure with `usage` where there is no stack file, and with `noStack` where the state cannot be read or has no builder.
 */
export async function knownStack(stack: string): Promise<KnownStack> {
  return looking.step(`read the state of stack '${stack}'`, () => readStack(stack));
}

async function readStack(stack: string): Promise<KnownStack> {
  await requireStackFile(stack).catch((error: Error) => {
    throw new Failure(exitCodes.usage, error.message);
  });
  // Who knows the builders asks them next: the library for that takes a quarter of a second to load.
  const outputs = await stackOutputs(stack, quiet, () => import("./look.ts")).catch(
    (error: Error) => {
      throw new Failure(exitCodes.noStack, readable(stack, error.message));
    },
  );
  return stackFrom(stack, outputs, await wishes(stack));
}

/** The part of a stack file that a builder can show. */
export interface Wishes {
  renewalHours: number;
  /** By builder, the version of BuildKit. */
  versions: Record<string, string | undefined>;
}

export function stackFrom(
  stack: string,
  outputs: Record<string, unknown>,
  { renewalHours, versions }: Wishes,
): KnownStack {
  const builders = (outputs.builders ?? []) as {
    name: string;
    endpoint: string;
    platforms: string[];
    serverName?: string;
  }[];
  if (builders.length === 0) {
    throw new Failure(
      exitCodes.noStack,
      `stack '${stack}': it is down: its state has no builder; run: buildhosts up --stack ${stack}`,
    );
  }
  const pools = (outputs.pools ?? []) as Omit<KnownPool, "host" | "port">[];
  const lines = (outputs.buildctl ?? []) as string[];
  const [, buildxName] = /--name (\S+)/.exec(String((outputs.buildx as string[])?.[0])) ?? [];
  return {
    name: stack,
    renewalHours,
    buildxName: buildxName ?? "buildhosts",
    clients: (outputs.clientCertificates ?? {}) as Record<string, ClientFiles>,
    pools: pools.map((pool) => ({ ...pool, ...placeOf(pool.endpoint) })),
    builders: builders.map((builder, i) => {
      const { host, port } = placeOf(builder.endpoint);
      // An address in brackets, or a name, neither of which a shell would have quoted.
      const [, written] = /--tlsservername '?([^\s']+)/.exec(lines[i] ?? "") ?? [];
      return {
        name: builder.name,
        endpoint: builder.endpoint,
        platforms: builder.platforms,
        host,
        port,
        serverName: builder.serverName ?? written ?? host,
        wanted: versions[builder.name],
      };
    }),
  };
}

function placeOf(endpoint: string): { host: string; port: number } {
  const { hostname, port } = new URL(endpoint);
  return { host: hostFromUrl(hostname), port: Number(port) };
}

/** @throws Failure that names the builders there are. */
export function builderOf({ name, builders }: KnownStack, wanted: string): KnownBuilder {
  const found = builders.find((builder) => builder.name === wanted);
  if (found) return found;
  const known = builders.map((builder) => builder.name).join(", ");
  throw new Failure(
    exitCodes.usage,
    `builder '${wanted}': stack '${name}' has no such builder (it has: ${known})`,
  );
}

/** The builder that is meant, or all where none is named. */
export function buildersOf(stack: KnownStack, wanted: string | undefined): KnownBuilder[] {
  return wanted === undefined ? stack.builders : [builderOf(stack, wanted)];
}

/** @throws Failure that names the clients there are. */
export function clientOf(
  { name, clients }: KnownStack,
  wanted: string | undefined,
): { name: string; files: ClientFiles } {
  const client = wanted ?? ("default" in clients ? "default" : Object.keys(clients)[0]);
  const files = client === undefined ? undefined : clients[client];
  if (client !== undefined && files) return { name: client, files };
  const known = Object.keys(clients).join(", ") || "none";
  throw new Failure(
    exitCodes.usage,
    `client '${client ?? "default"}': stack '${name}' has no such client (it has: ${known})`,
  );
}

type StackFile = Partial<Record<`buildhosts:${HostKey}`, WrittenHost[]>> & {
  "buildhosts:certificates"?: { earlyRenewalHours?: number };
};

async function readStackFile(stack: string): Promise<StackFile> {
  return parse(await readFile(stackFile(stack), "utf8"))?.config ?? {};
}

async function wishes(stack: string): Promise<Wishes> {
  const [config, { buildkit }] = await Promise.all([readStackFile(stack), releasesOf(stack)]);
  const versions: Wishes["versions"] = {};
  for (const { name, image } of buildersIn(config)) {
    if (name !== undefined) versions[name] = versionIn(image, buildkit);
  }
  // The schema's default.
  const { earlyRenewalHours = 720 } = config["buildhosts:certificates"] ?? {};
  return { renewalHours: Number(earlyRenewalHours), versions };
}

function buildersIn(config: StackFile): WrittenHost[] {
  return Object.entries(writtenHosts).flatMap(([key, kind]) => {
    const hosts = config[`buildhosts:${key as HostKey}`];
    return Array.isArray(hosts) ? hosts.flatMap(kind.builders) : [];
  });
}

/** `moby/buildkit:v0.34.2-rootless@sha256:…` */
function versionIn(image: string | undefined, buildkit: string): string | undefined {
  if (image === undefined) return buildkit;
  const [, version] = /:v?(\d+\.\d+\.\d+(?:-rc\d+)?)(?:-rootless)?(?:@|$)/.exec(image) ?? [];
  return version && `v${version}`;
}

/** The names of a stack file's builders, for completion: no state is read. */
export async function builderNames(stack: string): Promise<string[]> {
  const config = await readStackFile(stack).catch((): StackFile => ({}));
  return buildersIn(config).flatMap(({ name }) => name ?? []);
}

/** The engine's last line says what is wrong; what to do about the common causes is added. */
function readable(stack: string, message: string): string {
  const line = message.replace("': error: ", "': ");
  if (/no stack named/.test(line))
    return `stack '${stack}': it is not there yet; run: buildhosts up --stack ${stack}`;
  if (/incorrect passphrase|decrypt/.test(line))
    return `${line}; set PULUMI_CONFIG_PASSPHRASE_FILE or PULUMI_CONFIG_PASSPHRASE to the stack's passphrase`;
  return line;
}

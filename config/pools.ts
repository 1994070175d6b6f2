import { nearest } from "../components/schema/closed.ts";
import { shown } from "../components/schema/expected.ts";
import type { NamedBuilder, PoolConnection, PoolMachine } from "../hosts/hostKind.ts";
import { isLoopback } from "./addresses.ts";
import { type Endpoint, endpointId, endpointUrl } from "./endpoint.ts";
import type { Findings } from "./findings.ts";
import type { PoolInput } from "./poolSchema.ts";
import type { PoolConfig } from "./stackConfig.ts";

/** Every builder and every host of a stack that can be read. */
export interface PoolContext {
  builders: readonly NamedBuilder[];
  machines: readonly PoolMachine[];
}

/** The name that a pool's builders have in their certificates, with all names below it. */
export function domainOf({ domain, name }: Pick<PoolInput, "domain" | "name">): string {
  return domain ?? `${name}.buildhosts.internal`;
}

/** The name of the client by which a pool asks for its builders' health. */
export function poolClient(pool: string): string {
  return `pool-${pool}`;
}

/** By builder, the names that its pools add to its certificate. */
export function poolNames(pools: readonly PoolInput[]): (builder: string) => string[] {
  return (builder) =>
    pools
      .filter(({ builders }) => builders.includes(builder))
      .flatMap((pool) => [domainOf(pool), `*.${domainOf(pool)}`]);
}

/** What pools say that cannot be, each on its own and all together. */
export function refuseImpossiblePools(
  pools: readonly (PoolInput | undefined)[],
  { builders, machines }: PoolContext,
  findings: Findings,
): void {
  for (const [index, pool] of pools.entries()) {
    if (!pool) continue;
    const at = findings.at(index);
    const earlier = pools.slice(0, index).filter((one) => one !== undefined);
    if (earlier.some(({ name }) => name === pool.name)) {
      at.refuse(["name"], `received ${shown(pool.name)}, which another pool has; choose another.`);
    } else if ([...builders, ...machines].some(({ name }) => name === pool.name)) {
      at.refuse(
        ["name"],
        `received ${shown(pool.name)}, which a builder or a host of this stack has; choose another.`,
      );
    }
    const members = refuseUnfitMembers(pool, builders, at);
    const [machine, another] = machines.filter(({ name }) => name === pool.on);
    if (another) {
      at.refuse(
        ["on"],
        `received ${shown(pool.on)}, which a board and a Docker host are called; rename one of the two.`,
      );
    }
    if (!machine) {
      at.refuse(["on"], unknown(pool.on, "no board and no Docker host of this stack", machines));
      continue;
    }
    refuseUnfitMachine(pool, machine, at);
    refuseTakenPorts(pool, { ...machine, pools: earlier.filter(({ on }) => on === pool.on) }, at);
    refuseTakenEndpoint({ pool, machine, earlier, builders, machines }, at);
    for (const member of members) refuseUnreachable(pool, member, at);
  }
}

/** The builders of a pool that there are. */
function refuseUnfitMembers(
  pool: PoolInput,
  builders: readonly NamedBuilder[],
  findings: Findings,
): NamedBuilder[] {
  const members: NamedBuilder[] = [];
  for (const [index, name] of pool.builders.entries()) {
    const found = builders.find((builder) => builder.name === name);
    const at = ["builders", index];
    if (!found) findings.refuse(at, unknown(name, "no builder of this stack", builders));
    else if (members.includes(found))
      findings.refuse(at, `received ${shown(name)}, which the list has already; remove one.`);
    else members.push(found);
  }
  const common = commonPlatforms(members);
  if (common.length === 0 && members.length > 0) {
    const each = members.map(({ name, platforms }) => `${name}: ${platforms.join(", ")}`);
    findings.refuse(
      ["builders"],
      `have no platform in common (${each.join("; ")}); make a pool for each platform.`,
    );
  }
  if (members.length === 1 && pool.builders.length === 1) {
    findings.warn(["builders"], "is one builder alone: there is none to take its place.");
  }
  for (const name of Object.keys(pool.endpoints)) {
    if (pool.builders.includes(name)) continue;
    const known = pool.builders.map((one) => ({ name: one }));
    findings.refuse(["endpoints", name], unknown(name, "no builder of this pool", known));
  }
  return members;
}

function commonPlatforms(members: readonly NamedBuilder[]): string[] {
  const [first, ...others] = members;
  return [...new Set(first?.platforms)].filter((platform) =>
    others.every(({ platforms }) => platforms.includes(platform)),
  );
}

function refuseUnfitMachine(pool: PoolInput, machine: PoolMachine, findings: Findings): void {
  if (machine.isVirtual) {
    findings.refuse(
      ["on"],
      `received ${shown(pool.on)}, a virtual board, of which clients reach port 1234 alone; name a machine of your own.`,
    );
  }
  if (!machine.isDocker && pool.image !== undefined) {
    findings.refuse(
      ["image"],
      `is for Docker hosts, and ${machine.name} is a board, which has the distribution's HAProxy; remove image.`,
    );
  }
  if (machine.isDocker && pool.image === undefined) {
    findings.refuse(
      ["image"],
      `is missing: ${machine.name} is a Docker host; name an image of HAProxy by its digest, such as haproxy:3.2-alpine@sha256:<digest>.`,
    );
  }
  const { address, port } = pool.listen;
  if (machine.isDocker && port < 1024) {
    findings.refuse(
      ["listen", "port"],
      `received ${port}; HAProxy has no root in its container, so only ports from 1024 can be listened on.`,
    );
  }
  if (isLoopback(address) && pool.endpoint === undefined) {
    findings.refuse(
      ["listen", "address"],
      `received ${shown(address)}, which no client reaches from elsewhere; name in endpoint what clients reach it by, or listen on 0.0.0.0.`,
    );
  }
}

function refuseTakenPorts(
  pool: PoolInput,
  { name, ports, pools }: PoolMachine & { pools: readonly PoolInput[] },
  findings: Findings,
): void {
  const taken = [
    ...ports,
    ...pools.flatMap((other) => [
      { port: other.listen.port, what: `the pool ${other.name}` },
      { port: other.metrics.port, what: `the metrics of the pool ${other.name}` },
    ]),
  ];
  const own = [...taken, { port: pool.listen.port, what: "listen.port of this pool" }];
  for (const [key, among] of [
    ["listen", taken],
    ["metrics", own],
  ] as const) {
    const holder = among.find(({ port }) => port === pool[key].port);
    if (!holder) continue;
    findings.refuse(
      [key, "port"],
      `received ${pool[key].port}, which ${holder.what} has on ${name} already; choose another.`,
    );
  }
}

function poolEndpoint(pool: PoolInput, host: string | undefined): Endpoint | undefined {
  return pool.endpoint ?? (host === undefined ? undefined : { host, port: pool.listen.port });
}

function refuseTakenEndpoint(
  all: {
    pool: PoolInput;
    machine: PoolMachine;
    earlier: readonly PoolInput[];
    builders: readonly NamedBuilder[];
    machines: readonly PoolMachine[];
  },
  findings: Findings,
): void {
  const { pool, machine, earlier, builders, machines } = all;
  const mine = poolEndpoint(pool, machine.host);
  if (!mine) return;
  const others = [
    ...builders.map(({ name, endpoint }) => ({ name, endpoint })),
    ...earlier.map((one) => ({
      name: one.name,
      endpoint: poolEndpoint(one, machines.find(({ name }) => name === one.on)?.host),
    })),
  ];
  const same = others.find(({ endpoint }) => endpoint && endpointId(endpoint) === endpointId(mine));
  if (!same) return;
  findings.refuse(
    ["endpoint"],
    `is ${shown(endpointUrl(mine))}, as that of ${same.name}; clients could not tell the two apart.`,
  );
}

/** An address that means another machine there. */
function refuseUnreachable(pool: PoolInput, member: NamedBuilder, findings: Findings): void {
  if (pool.endpoints[member.name] || member.host === pool.on) return;
  if (!member.endpoint || isLoopback(member.endpoint.host)) {
    const where = member.endpoint
      ? `${endpointUrl(member.endpoint)}, which is ${pool.on} itself there`
      : "this machine alone, because it is virtual";
    findings.refuse(
      ["builders", pool.builders.indexOf(member.name)],
      `${member.name} is reached at ${where}; name in endpoints.${member.name} how ${pool.on} reaches it.`,
    );
  }
}

function unknown(name: string, what: string, known: readonly { name: string }[]): string {
  const names = known.map((one) => one.name);
  const near = nearest(name, names);
  const hint = near
    ? `did you mean ${shown(near)}?`
    : names.length > 0
      ? `there is ${names.join(", ")}.`
      : "there is none.";
  return `received ${shown(name)}, which is ${what}; ${hint}`;
}

/** A pool with every default filled in; undefined if its machine or a builder could not be resolved. */
export function resolvePool(
  pool: PoolInput,
  { builders, machines }: PoolContext,
  connections: readonly PoolConnection[],
): PoolConfig | undefined {
  const members = builders.filter(({ name }) => pool.builders.includes(name));
  const machine = machines.find(({ name }) => name === pool.on);
  const reachedBy = connections.find(({ name }) => name === pool.on);
  const endpoint = poolEndpoint(pool, machine?.host);
  const { name, listen, metrics, image, drainSeconds } = pool;
  if (!endpoint || !machine || !reachedBy) return undefined;
  const endpoints = new Map<string, string>();
  for (const member of members) {
    const reached = pool.endpoints[member.name] ?? member.endpoint;
    if (reached) endpoints.set(member.name, endpointUrl(reached));
  }
  return {
    ...reachedBy,
    ...{ name, listen, metrics, drainSeconds },
    ...(machine.isDocker && { image }),
    abandon: machine.abandon,
    domain: domainOf(pool),
    endpoint: endpointUrl(endpoint),
    platforms: commonPlatforms(members),
    builders: pool.builders.flatMap((builder) => {
      const reached = endpoints.get(builder);
      return reached === undefined ? [] : [{ name: builder, endpoint: reached }];
    }),
  };
}

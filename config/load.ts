import * as pulumi from "@pulumi/pulumi";
import { nearest } from "../components/schema/closed.ts";
import { shown } from "../components/schema/expected.ts";
import type { EarlierBuilders, Hosts } from "../hosts/hostKind.ts";
import type { SshInput } from "../hosts/hostSchema.ts";
import { type HostConfigs, hostKinds } from "../hosts/kinds.ts";
import { certificateConfig, HEALTH_CHECK } from "./certificateConfig.ts";
import { ConfigError, Findings, problemLine, read, readEach } from "./findings.ts";
import { githubConfig } from "./githubConfig.ts";
import type { Machine } from "./machineFiles.ts";
import { poolSchema } from "./poolSchema.ts";
import { poolClient, poolNames, refuseImpossiblePools, resolvePool } from "./pools.ts";
import { privateKeyIn } from "./privateKey.ts";
import { type StackKey, stackKeys } from "./schema.ts";
import { findSshKey, type SshKey, secretKey, staleAgent } from "./sshKey.ts";
import type { StackConfig } from "./stackConfig.ts";
import { stackReleases } from "./stackReleases.ts";

/**
 * The configuration of the stack that Pulumi runs.
 *
 * @throws {ConfigError} with every problem in one message; the engine prints it without a stack trace.
 */
export function loadConfig(projectDir: string): StackConfig {
  const values = pulumi.runtime.allConfig();
  return readStackConfig(
    { values, secretKeys: Object.keys(values).filter(isSecret) },
    { projectDir, environment: process.env },
  );
}

/** Which keys are secret is known to the SDK, and typed as internal there. */
function isSecret(key: string): boolean {
  const runtime = pulumi.runtime as unknown as { isConfigSecret(key: string): boolean };
  return runtime.isConfigSecret(key);
}

/** A stack's configuration as the engine hands it over: objects and lists as JSON, secrets in clear. */
export interface StackValues {
  /** By full key, `buildhosts:boards`. */
  values: Readonly<Record<string, string>>;
  secretKeys: readonly string[];
}

/** Like `loadConfig`, with everything that it depends on as arguments. */
export function readStackConfig(stack: StackValues, machine: Machine): StackConfig {
  const findings = new Findings();
  refuseUnknownKeys(stack, findings);
  const value = (key: ReadableKey) => stackValue(stack, key, findings);
  const { releases: releasesSchema, certificates: certificatesSchema } = stackKeys;
  const releasesInput = read(releasesSchema, value("releases"), findings.at("releases"));
  const certificatesInput = read(
    certificatesSchema,
    value("certificates"),
    findings.at("certificates"),
  );
  const clients = read(stackKeys.clients, value("clients"), findings.at("clients"));
  const driftCheck = read(stackKeys.driftCheck, value("driftCheck"), findings.at("driftCheck"));
  const ssh = read(stackKeys.ssh, value("ssh"), findings.at("ssh"));
  const kinds = hostKinds.map((kind) => ({
    key: kind.key,
    hosts: kind.read(value(kind.key), machine, findings.at(kind.key)),
  }));
  const hosts = kinds.map((kind) => kind.hosts);
  const builders = hosts.flatMap((kind) => kind.builders);
  const poolInputs = readEach(
    { schema: stackKeys.pools, entry: poolSchema },
    value("pools"),
    findings.at("pools"),
  );
  const readablePools = poolInputs.filter((pool) => pool !== undefined);
  const poolClients = readablePools.map(({ name }) => poolClient(name));

  if (clients) refuseUnfitClients(clients, poolClients, findings.at("clients"));
  const earlier: EarlierBuilders = { names: new Map(), endpoints: new Map() };
  for (const kind of hosts) kind.refuseSame(earlier);
  const certificates =
    certificatesInput &&
    certificateConfig(
      certificatesInput,
      {
        clients: [...(clients ?? []), ...poolClients],
        builders: builders.includes(undefined)
          ? undefined
          : builders.flatMap((one) => one?.name ?? []),
      },
      findings.at("certificates"),
    );
  const releases =
    releasesInput &&
    stackReleases(
      releasesInput,
      hosts.flatMap(({ installations }) => installations),
      machine.projectDir,
      findings.at("releases"),
    );
  const stackKey = findStackKey({ stack, ssh, hosts, machine }, findings);
  const namesByPools = poolNames(readablePools);
  const extraNames = (builder: string) => [
    ...(certificatesInput?.extraNames ?? []),
    ...namesByPools(builder),
  ];
  const poolContext = {
    builders: builders.filter((one) => one !== undefined),
    machines: hosts.flatMap(({ poolMachines }) => poolMachines),
  };
  // A builder that cannot be read would be missed here too.
  if (!builders.includes(undefined))
    refuseImpossiblePools(poolInputs, poolContext, findings.at("pools"));
  const context = releases && certificates && { releases, extraNames, stackKey, machine };
  const resolved = Object.fromEntries(
    kinds.map((kind) => [kind.key, kind.hosts.resolved(releasesInput?.mirror, context)]),
  ) as HostConfigs;
  const connections = hostKinds.flatMap((kind) => kind.poolConnections(resolved));
  const pools = readablePools.map((pool) => resolvePool(pool, poolContext, connections));
  const githubInput = read(stackKeys.github, value("github"), findings.at("github"));
  const github =
    githubInput &&
    githubConfig(
      githubInput,
      {
        clients: clients ?? [],
        builderCount: builders.length + poolInputs.length,
        hosts: {
          ofBuilders: distinct(builders.flatMap((one) => one?.endpoint?.host ?? [])),
          ofMachines: distinct(hosts.flatMap(({ machines }) => machines)),
        },
        token: stack.values[`${namespace}githubToken`] ?? "",
        tokenIsSecret: stack.secretKeys.includes(`${namespace}githubToken`),
        environment: machine.environment,
        projectDir: machine.projectDir,
      },
      findings.at("github"),
      findings.at("githubToken"),
    );
  if (hosts.every(({ count }) => count === 0))
    findings.warn([hostKinds[0].key], "there is none, so the stack has no builder.");

  const { problems, warnings } = findings;
  if (problems.length > 0 || !releases || !certificates || !clients)
    throw new ConfigError(problems);
  return {
    certificates,
    clients,
    ...resolved,
    pools: pools.filter((pool) => pool !== undefined),
    driftCheck: driftCheck ?? true,
    ...(github && { github }),
    warnings: warnings.map(problemLine),
  };
}

const distinct = (texts: string[]) => [...new Set(texts)];

/** The secrets are read apart. */
type ReadableKey = Exclude<StackKey, "sshPrivateKey" | "githubToken">;

const namespace = "buildhosts:";

function refuseUnknownKeys({ values }: StackValues, findings: Findings): void {
  const known = Object.keys(stackKeys);
  for (const key of Object.keys(values)) {
    if (!key.startsWith(namespace)) continue;
    const name = key.slice(namespace.length);
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const hint = near ? `did you mean buildhosts:${near}?` : `known are ${known.join(", ")}.`;
    findings.refuse([name], `unknown key; ${hint}`);
  }
}

/**
 * The value of one key, or nothing where the stack does not set it. The engine hands objects and lists
 * over as JSON and every other value as text.
 */
function stackValue(
  { values, secretKeys }: StackValues,
  key: ReadableKey,
  findings: Findings,
): unknown {
  const text = values[namespace + key];
  if (text === undefined) return undefined;
  if (secretKeys.includes(namespace + key)) {
    // Its values would appear in plain outputs and, in errors, in logs.
    findings.refuse(
      [key],
      "is a secret; only buildhosts:sshPrivateKey and buildhosts:githubToken may be secrets. Set it again without --secret.",
    );
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function refuseUnfitClients(
  clients: readonly string[],
  poolClients: readonly string[],
  findings: Findings,
): void {
  for (const [index, name] of clients.entries()) {
    if (clients.indexOf(name) !== index) {
      findings.refuse([index], `received ${shown(name)}, which the list has already; remove one.`);
    }
    if (name === HEALTH_CHECK || poolClients.includes(name)) {
      findings.refuse(
        [index],
        `received ${shown(name)}, which is the stack's own client; choose another name.`,
      );
    }
  }
}

/** The key for all hosts that name none of their own. */
function findStackKey(
  {
    stack,
    ssh,
    hosts,
    machine,
  }: {
    stack: StackValues;
    ssh: SshInput | undefined;
    hosts: readonly Pick<Hosts<unknown>, "needStackKey" | "dialAgent">[];
    machine: Machine;
  },
  findings: Findings,
): SshKey | undefined {
  const pem = stack.values[`${namespace}sshPrivateKey`] ?? "";
  const needed = hosts.some(({ needStackKey }) => needStackKey);
  let key: SshKey | undefined;
  if (pem !== "") key = secretStackKey(pem, stack, ssh, findings);
  else if (ssh && needed) key = findSshKey(ssh, machine, findings.at("ssh"));
  if (key?.privateKey !== undefined || (!needed && hosts.some(({ dialAgent }) => dialAgent))) {
    const stale = staleAgent(machine);
    if (stale) findings.refuse(["ssh"], `${stale}.`);
  }
  return key;
}

function secretStackKey(
  pem: string,
  { secretKeys }: StackValues,
  ssh: SshInput | undefined,
  findings: Findings,
): SshKey | undefined {
  if (ssh?.agent || ssh?.privateKeyFile !== undefined) {
    findings.refuse(["ssh"], "does not go together with buildhosts:sshPrivateKey; keep one way.");
  }
  if (!secretKeys.includes(`${namespace}sshPrivateKey`)) {
    findings.refuse(
      ["sshPrivateKey"],
      "is not secret: the key stands readable in the stack file. Make a new key, and run: pulumi config set --secret buildhosts:sshPrivateKey < path",
    );
    return undefined;
  }
  const reading = privateKeyIn(pem);
  if ("pem" in reading) return secretKey(reading.pem);
  findings.refuse(["sshPrivateKey"], `${reading.refusal}.`);
  return undefined;
}

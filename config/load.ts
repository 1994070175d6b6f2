import * as pulumi from "@pulumi/pulumi";
import type * as z from "zod";
import { nearest } from "../components/schema/closed.ts";
import { shown } from "../components/schema/expected.ts";
import { refuseImpossible, warnOfRisks } from "./boardChecks.ts";
import { certificateConfig, HEALTH_CHECK } from "./certificates.ts";
import {
  refuseImpossibleHost,
  refuseMisleadingEnvironment,
  refuseSameBuilders,
  warnOfHost,
  warnOfTags,
} from "./dockerChecks.ts";
import { endpointId, endpointUrl } from "./endpoint.ts";
import { githubConfig } from "./github.ts";
import { poolClient, poolNames, refuseImpossiblePools, resolvePool } from "./pools.ts";
import { ConfigError, Findings, problemLine, read } from "./problems.ts";
import { stackReleases } from "./releases.ts";
import { endpointOf, resolveBoard } from "./resolveBoard.ts";
import { containerEndpointOf, hostOf, resolveDockerHost } from "./resolveDockerHost.ts";
import {
  type BoardInput,
  boardSchema,
  type DockerHostInput,
  dockerHostSchema,
  poolSchema,
  type SshInput,
  type StackKey,
  stackKeys,
} from "./schema.ts";
import { findSshKey, type Machine, privateKeyIn, secretKey, staleAgent } from "./sshKey.ts";
import type { SshKey, StackConfig } from "./stackConfig.ts";
import { located } from "./virtualDockerHost.ts";
import { startedPlatform } from "./virtualPlatform.ts";

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
  const ssh = read(stackKeys.ssh, value("ssh"), findings.at("ssh"));
  const boardInputs = readEach(stack, "boards", boardSchema, findings).map((board) =>
    board?.virtual
      ? {
          ...board,
          platform: board.platform ?? startedPlatform(machine.projectDir, "virtual-board"),
        }
      : board,
  );
  const hostInputs = readEach(stack, "dockerHosts", dockerHostSchema, findings).map(
    (host, index) => host && located(host, machine.projectDir, findings.at("dockerHosts", index)),
  );
  const hosts = hostInputs.filter((host) => host !== undefined);
  const readable = boardInputs.filter((board) => board !== undefined);
  const poolInputs = readEach(stack, "pools", poolSchema, findings);
  const readablePools = poolInputs.filter((pool) => pool !== undefined);
  const poolClients = readablePools.map(({ name }) => poolClient(name));

  if (clients) refuseUnfitClients(clients, poolClients, findings.at("clients"));
  refuseSameBoards(boardInputs, findings.at("boards"));
  const certificates =
    certificatesInput &&
    certificateConfig(
      certificatesInput,
      {
        clients: [...(clients ?? []), ...poolClients],
        builders: namesOf(boardInputs, hostInputs),
      },
      findings.at("certificates"),
    );
  const releases =
    releasesInput &&
    stackReleases(releasesInput, readable, machine.projectDir, findings.at("releases"));
  refuseSameBuilders(boardInputs, hostInputs, findings.at("dockerHosts"));
  if (hosts.length > 0) {
    refuseMisleadingEnvironment(machine.environment, findings.at("dockerHosts"));
  }
  const stackKey = findStackKey({ stack, ssh, boards: readable, hosts, machine }, findings);
  const extraNames = certificatesInput?.extraNames ?? [];
  const namesByPools = poolNames(readablePools);
  const machines = { boards: readable, dockerHosts: hosts };
  // A builder that cannot be read would be missed here too.
  if (readable.length === boardInputs.length && hosts.length === hostInputs.length)
    refuseImpossiblePools(poolInputs, machines, findings.at("pools"));

  const boards = boardInputs.map((board, index) => {
    if (!board) return undefined;
    const boardFindings = findings.at("boards", index);
    refuseImpossible(board, releasesInput?.mirror, boardFindings);
    if (!releases || !certificates) return undefined;
    warnOfRisks(board, releases.versions.buildkit, boardFindings);
    const names = [...extraNames, ...namesByPools(board.name)];
    return resolveBoard(board, { releases, extraNames: names, stackKey, machine }, boardFindings);
  });
  const dockerHosts = hostInputs.map((host, index) => {
    if (!host) return undefined;
    const hostFindings = findings.at("dockerHosts", index);
    refuseImpossibleHost(host, hostFindings);
    if (!releases || !certificates) return undefined;
    const { buildkit } = releases.versions;
    warnOfHost(host, buildkit, hostFindings);
    const names = (builder: string) => [...extraNames, ...namesByPools(builder)];
    return resolveDockerHost(host, { buildkit, names, stackKey, machine }, hostFindings);
  });
  if (releases) warnOfTags(hosts, releases.versions.buildkit, findings.at("dockerHosts"));
  const githubInput = read(stackKeys.github, value("github"), findings.at("github"));
  const github =
    githubInput &&
    githubConfig(
      githubInput,
      {
        clients: clients ?? [],
        builderCount:
          boardInputs.length +
          hostInputs.flatMap((host) => host?.builders ?? []).length +
          poolInputs.length,
        hosts: hostsOf(readable, hosts),
        token: stack.values[`${namespace}githubToken`] ?? "",
        tokenIsSecret: stack.secretKeys.includes(`${namespace}githubToken`),
        environment: machine.environment,
        projectDir: machine.projectDir,
      },
      findings.at("github"),
      findings.at("githubToken"),
    );
  if (boardInputs.length + hostInputs.length === 0)
    findings.warn(["boards"], "there is none, so the stack has no builder.");

  const resolved = {
    boards: boards.filter((board) => board !== undefined),
    dockerHosts: dockerHosts.filter((host) => host !== undefined),
  };
  const pools = readablePools.map((pool) => resolvePool(pool, machines, resolved));

  const { problems, warnings } = findings;
  if (problems.length > 0 || !releases || !certificates || !clients)
    throw new ConfigError(problems);
  return {
    certificates,
    clients,
    ...resolved,
    pools: pools.filter((pool) => pool !== undefined),
    ...(github && { github }),
    warnings: warnings.map(problemLine),
  };
}

/** The names of all builders; nothing where one of them cannot be read. */
function namesOf(
  boards: readonly (BoardInput | undefined)[],
  hosts: readonly (DockerHostInput | undefined)[],
): string[] | undefined {
  const named = [...boards, ...hosts.flatMap((host) => host?.builders ?? [undefined])];
  const names = named.flatMap((one) => one?.name ?? []);
  return names.length === named.length ? names : undefined;
}

/** Where clients reach the builders, and where this machine reaches what they run on. */
function hostsOf(boards: readonly BoardInput[], dockerHosts: readonly DockerHostInput[]) {
  const endpoints = [
    ...boards.flatMap((board) => endpointOf(board) ?? []),
    ...dockerHosts.flatMap((host) =>
      host.builders.map((builder) => containerEndpointOf(builder, host)),
    ),
  ];
  const machines = [
    ...boards.flatMap((board) => (board.virtual ? [] : [board.jump?.host ?? board.host])),
    ...dockerHosts.map(hostOf),
  ];
  return {
    ofBuilders: [...new Set(endpoints.map(({ host }) => host))],
    ofMachines: [...new Set(machines)],
  };
}

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

/** The items of a list by their position in the stack file, with gaps where one cannot be read. */
function readEach<Item extends z.ZodType>(
  stack: StackValues,
  key: "boards" | "dockerHosts" | "pools",
  item: Item,
  findings: Findings,
): (z.output<Item> | undefined)[] {
  const value = stackValue(stack, key, findings);
  // One by one, because zod checks nothing across items while one of them is wrong.
  if (Array.isArray(value)) {
    return value.map((one, index) => read(item, one, findings.at(key, index)));
  }
  // Not a list: this says so, or there is none.
  read(stackKeys[key] as z.ZodType, value, findings.at(key));
  return [];
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

/** The key for all boards and hosts that name none of their own. */
function findStackKey(
  {
    stack,
    ssh,
    boards,
    hosts,
    machine,
  }: {
    stack: StackValues;
    ssh: SshInput | undefined;
    boards: readonly BoardInput[];
    hosts: readonly DockerHostInput[];
    machine: Machine;
  },
  findings: Findings,
): SshKey | undefined {
  const pem = stack.values[`${namespace}sshPrivateKey`] ?? "";
  const needed =
    boards.some((board) => !board.virtual && !board.ssh) ||
    hosts.some((host) => host.docker.startsWith("ssh:") && !host.ssh);
  let key: SshKey | undefined;
  if (pem !== "") key = secretStackKey(pem, stack, ssh, findings);
  else if (ssh && needed) key = findSshKey(ssh, machine, findings.at("ssh"));
  if (key?.privateKey !== undefined || (boards.length > 0 && !needed)) {
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

function refuseSameBoards(boards: readonly (BoardInput | undefined)[], findings: Findings): void {
  const firstWith = (index: number, text: (board: BoardInput) => string | undefined) => {
    const board = boards[index];
    const wanted = board && text(board);
    const first = boards.findIndex((other) => other && text(other) === wanted);
    return wanted !== undefined && first < index ? first : undefined;
  };
  for (const [index, board] of boards.entries()) {
    if (!board) continue;
    const sameName = firstWith(index, ({ name }) => name);
    if (sameName !== undefined) {
      findings.refuse(
        [index, "name"],
        `received ${shown(board.name)}, which boards[${sameName}] has already; choose another.`,
      );
    }
    const former = board.formerName;
    const stillThere = boards.findIndex((other) => other !== undefined && other.name === former);
    if (former !== undefined && stillThere !== -1) {
      findings.refuse(
        [index, "formerName"],
        `received ${shown(former)}, which boards[${stillThere}] still has; take that one or formerName away.`,
      );
    }
    const sameHost = firstWith(index, place);
    if (sameHost !== undefined) {
      findings.refuse(
        [index, board.virtual ? "platform" : "host"],
        `is the same machine as boards[${sameHost}]; remove one of the two.`,
      );
      continue;
    }
    const sameEndpoint = firstWith(index, (other) => {
      const endpoint = endpointOf(other);
      return endpoint && endpointId(endpoint);
    });
    if (sameEndpoint !== undefined) {
      const endpoint = endpointOf(board);
      findings.refuse(
        [index, "endpoint"],
        `is ${shown(endpoint && endpointUrl(endpoint))}, as that of boards[${sameEndpoint}]; clients could not tell the two apart.`,
      );
    }
    const sameKey = firstWith(index, (other) => (other.virtual ? undefined : other.hostKey));
    if (sameKey !== undefined) {
      findings.warn(
        [index, "hostKey"],
        `is that of boards[${sameKey}] too: the same machine twice, or a copied disk, whose host key should be made anew.`,
      );
    }
  }
}

/** What tells machines apart: where SSH leads. */
function place(board: BoardInput): string {
  if (board.virtual) return `virtual ${board.platform}`;
  const { host, port, jump } = board;
  return JSON.stringify([host.toLowerCase(), port, jump?.host.toLowerCase(), jump?.port]);
}

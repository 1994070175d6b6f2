import * as pulumi from "@pulumi/pulumi";
import { boardctlId } from "../components/board/boardctl.ts";
import { BOARD_STEPS, type BoardLook, lookAtBoard } from "../components/board/look.ts";
import { SshClients, type SshHost } from "../components/board/ssh.ts";
import type { BoardConnectionArgs, BoardDriftArgs } from "../components/builderBoard.ts";
import { withDocker } from "../components/container/client.ts";
import { dockerConnection } from "../components/container/connection.ts";
import {
  type ContainerLook,
  lookAtContainer,
  MENDED_LABEL,
} from "../components/container/drift.ts";
import { resolved } from "../components/reached.ts";
import type { BoardConfig, ContainerConfig, StackConfig } from "../config/stackConfig.ts";

/** What somebody changed on the hosts of a stack by hand, by builder. */
export interface Drift {
  boards: ReadonlyMap<string, BoardDriftArgs>;
  /** What the label `buildhosts.mended` of a container is to be. */
  containers: ReadonlyMap<string, string>;
}

export const noDrift: Drift = { boards: new Map(), containers: new Map() };

/** Of what the last update left in the state, by resource name: `create` of the steps of boards, the labels of containers. */
export type Stated = ReadonlyMap<string, { create?: string; mended?: string }>;

/**
 * Looks at all hosts at once, and says in one line for each what somebody changed there, or why that is not known. A host that
 * cannot be looked at is no reason to fail.
 */
export async function findDrift(config: StackConfig): Promise<Drift> {
  let asked: Promise<Stated> | undefined;
  // To ask for the state takes its time where there are many hosts, and it is needed where there is something to mend.
  const stated = () => {
    asked ??= readStated();
    return asked;
  };
  const [boards, containers] = await Promise.all([
    boardsDrift(config, stated),
    containersDrift(config, stated),
  ]);
  return { boards, containers };
}

async function boardsDrift({ driftCheck, boards }: StackConfig, stated: () => Promise<Stated>) {
  const drift = new Map<string, BoardDriftArgs>();
  if (!driftCheck || boards.length === 0) return drift;
  const clients = new SshClients();
  const looks = await Promise.all(boards.map((board) => look(clients, board)));
  clients.close();
  for (const [index, board] of boards.entries()) {
    const found = looks[index] as BoardLook;
    if (found.is === "unknown") {
      sayUnknown(board.name, found.reason);
      continue;
    }
    if (!isSuspicious(found)) continue;
    const changes = changesOf(board, found, await stated());
    const lines = new Set(BOARD_STEPS.flatMap((step) => changes[step] ?? []));
    if (lines.size === 0) continue;
    drift.set(board.name, changes);
    say(board.name, lines);
  }
  return drift;
}

/** The label of each container that has one, or gets one. Where it cannot be seen, it stays as the state has it. */
async function containersDrift(
  { driftCheck, dockerHosts }: StackConfig,
  stated: () => Promise<Stated>,
) {
  const drift = new Map<string, string>();
  const asStated = async (name: string) => {
    const mended = (await stated()).get(`${name}-container`)?.mended;
    if (mended !== undefined) drift.set(name, mended);
  };
  await Promise.all(
    dockerHosts.map(async ({ name: host, connection, builders }) => {
      const names = builders.map(({ name }) => name);
      if (!driftCheck) {
        for (const name of names) await asStated(name);
        return;
      }
      let looks: ContainerLook[];
      try {
        looks = await withDocker(
          dockerConnection(host, connection),
          (docker) => Promise.all(builders.map((one) => lookAtContainer(docker, wantedOf(one)))),
          LOOK_SECONDS,
        );
      } catch (error) {
        sayUnknown(host, (error as Error).message);
        for (const name of names) await asStated(name);
        return;
      }
      for (const [index, { mended, changes }] of looks.entries()) {
        const name = names[index] ?? "";
        // A container that no update has made yet was not removed by hand.
        const isMissed = changes.length > 0 && (await stated()).has(`${name}-container`);
        if (isMissed) say(name, changes);
        const label = isMissed ? changes.join("; ") : mended;
        if (label !== undefined) drift.set(name, label);
      }
    }),
  );
  return drift;
}

/** A preview of many hosts shall not wait long for one. */
const LOOK_SECONDS = 20;

const wantedOf = ({ name, containerName, restart, memoryMb, cpus }: ContainerConfig) => ({
  container: containerName ?? name,
  builder: name,
  stack: `${pulumi.getProject()}/${pulumi.getStack()}`,
  restart: restart ?? "unless-stopped",
  memoryMb,
  cpus,
});

function say(name: string, lines: Iterable<string>): void {
  for (const line of lines) void pulumi.log.warn(`${name}: ${line}; the update mends it.`);
}

function sayUnknown(name: string, reason: string): void {
  void pulumi.log.warn(`${name}: whether somebody changed it by hand is not known: ${reason}`);
}

async function look(clients: SshClients, board: BoardConfig): Promise<BoardLook> {
  const { connection, name, formerName, listen, metricsAddress } = board;
  const { proxy, ...host } = connection;
  const metricsPort = metricsAddress?.split(":").at(-1);
  return lookAtBoard(
    clients,
    { ...(await hostOf(host)), proxy: proxy && (await hostOf(proxy)) },
    {
      owner: `${pulumi.getProject()}/${pulumi.getStack()}/${name}`,
      formerName,
      ports: [listen?.port ?? 1234, ...(metricsPort ? [Number(metricsPort)] : [])],
    },
  );
}

async function hostOf(host: Omit<BoardConnectionArgs, "proxy">): Promise<SshHost> {
  const known = await resolved<{
    host: string;
    hostKey: string;
    port: number | undefined;
    user: string | undefined;
    privateKey: string | undefined;
  }>({
    host: host.host,
    hostKey: host.hostKey,
    port: host.port,
    user: host.user,
    privateKey: host.privateKey,
  });
  return { ...known, port: known.port ?? 22, user: known.user ?? "root" };
}

/** Whether a look is worth a question to the state. */
const isSuspicious = (found: BoardLook) =>
  found.is !== "ours" ||
  Object.keys(found.changes).length > 0 ||
  (found.script !== undefined && found.script !== boardctlId);

/** Of what a look found, that which the state knows otherwise. Exported for the tests. */
export function changesOf(
  { name, formerName }: Pick<BoardConfig, "name" | "formerName">,
  found: BoardLook,
  stated: Stated,
): BoardDriftArgs {
  const createOf = (step: string) =>
    (stated.get(`${name}-${step}`) ?? stated.get(`${formerName}-${step}`))?.create;
  const changes: BoardDriftArgs = {};
  if (found.is === "empty") {
    const line = `nothing of buildhosts is on the machine any more: ${found.since}`;
    for (const step of BOARD_STEPS) changes[step] = [line];
  } else if (found.is === "others") {
    changes.preflight = [`the machine belongs to ${found.owner} now`];
  } else if (found.is === "ours") {
    Object.assign(changes, structuredClone(found.changes));
    const create = createOf("preflight");
    // One of an earlier version gives way to ours in the same update, by its own change.
    if (found.script && found.script !== boardctlId && !create?.includes(found.script)) {
      const line = "/usr/local/lib/buildhosts/boardctl was changed by hand";
      changes.preflight = [`${line} (${found.script})`, ...(changes.preflight ?? [])];
    }
    // What is put back is of use once the service runs from it.
    const restarting = [...(changes.install ?? []), ...(changes.config ?? [])];
    if (restarting.length > 0) changes.service = [...(changes.service ?? []), ...restarting];
  }
  // What no update has brought there yet was not changed by hand.
  for (const step of BOARD_STEPS) if (createOf(step) === undefined) delete changes[step];
  return changes;
}

async function readStated(): Promise<Stated> {
  const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const { outputs = {} } = await pulumi.runtime.invoke(
    "pulumi:pulumi:readStackResourceOutputs",
    { stackName },
    { async: true },
  );
  const stated = new Map<string, { create?: string; mended?: string }>();
  for (const [urn, state] of Object.entries<{ outputs: StatedOutputs }>(outputs)) {
    const name = urn.split("::").at(-1) ?? urn;
    if (urn.includes("command:remote:Command::")) {
      stated.set(name, { create: state.outputs.create ?? "" });
    } else if (urn.includes("docker:index/container:Container::")) {
      const mended = state.outputs.labels?.find(({ label }) => label === MENDED_LABEL)?.value;
      stated.set(name, mended === undefined ? {} : { mended });
    }
  }
  return stated;
}

interface StatedOutputs {
  create?: string;
  labels?: { label: string; value: string }[];
}

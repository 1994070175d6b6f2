import * as pulumi from "@pulumi/pulumi";
import { boardctlId } from "../components/board/boardctl.ts";
import { BOARD_STEPS, type BoardLook } from "../components/board/look.ts";
import type { BoardDriftArgs } from "../components/builderBoard.ts";
import { MENDED_LABEL } from "../components/container/drift.ts";
import type { BoardConfig, DockerHostConfig, StackConfig } from "../config/stackConfig.ts";
import { lookAtHosts } from "./looks.ts";

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
  const boards = new Map<string, BoardDriftArgs>();
  const containers = new Map<string, string>();
  let asked: Promise<Stated> | undefined;
  // To ask for the state takes its time where there are many hosts, and it is needed where there is something to mend.
  const stated = () => {
    asked ??= readStated();
    return asked;
  };
  const asStated = async ({ builders }: DockerHostConfig) => {
    for (const { name } of builders) {
      const mended = (await stated()).get(`${name}-container`)?.mended;
      if (mended !== undefined) containers.set(name, mended);
    }
  };
  if (!config.driftCheck) {
    for (const host of config.dockerHosts) await asStated(host);
    return { boards, containers };
  }

  const stack = `${pulumi.getProject()}/${pulumi.getStack()}`;
  const looks = await lookAtHosts(config, { stack });
  for (const board of config.boards) {
    const found = looks.boards.get(board.name);
    if (found?.is === "unknown") sayUnknown(board.name, found.reason);
    else if (found && isSuspicious(found)) {
      const changes = changesOf(board, found, await stated());
      const lines = new Set(BOARD_STEPS.flatMap((step) => changes[step] ?? []));
      if (lines.size === 0) continue;
      boards.set(board.name, changes);
      say(board.name, lines);
    }
  }
  for (const host of config.dockerHosts) {
    const reason = looks.silentDockerHosts.get(host.name);
    if (reason !== undefined) {
      sayUnknown(host.name, reason);
      await asStated(host);
    }
  }
  for (const [name, { mended, changes }] of looks.containers) {
    // A container that no update has made yet was not removed by hand.
    const isMissed = changes.length > 0 && (await stated()).has(`${name}-container`);
    if (isMissed) say(name, changes);
    const label = isMissed ? changes.join("; ") : mended;
    if (label !== undefined) containers.set(name, label);
  }
  return { boards, containers };
}

function say(name: string, lines: Iterable<string>): void {
  for (const line of lines) void pulumi.log.warn(`${name}: ${line}; the update mends it.`);
}

function sayUnknown(name: string, reason: string): void {
  void pulumi.log.warn(`${name}: whether somebody changed it by hand is not known: ${reason}`);
}

/** Whether a look is worth a question to the state. */
export const isSuspicious = (found: BoardLook) =>
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

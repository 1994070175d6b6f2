import { boardctlId } from "../../components/board/boardctl.ts";
import { BOARD_STEPS, type BoardLook, lookAtBoard } from "../../components/board/look.ts";
import { SshClients, type SshHost } from "../../components/board/ssh.ts";
import type { BoardConnectionArgs, BoardDriftArgs } from "../../components/builderBoard.ts";
import { defaultRoot, defaultRootlessRoot } from "../../components/buildkitd/toml.ts";
import { resolved } from "../../components/reached.ts";
import type { BuilderLook, LookOptions, Stated } from "../hostLook.ts";
import type { BoardConfig } from "./resolveBoard.ts";

/** Looks at all boards at once, in one SSH session each. It throws nothing. */
export async function lookAtBoards(
  boards: readonly BoardConfig[],
  options: LookOptions,
): Promise<BuilderLook<BoardDriftArgs>[]> {
  const clients = new SshClients();
  const looks = await Promise.all(
    boards.map(async (board) => builderLook(board, await lookAt(clients, board, options))),
  );
  clients.close();
  return looks;
}

async function lookAt(
  clients: SshClients,
  board: BoardConfig,
  { stack, freeRoom, seconds }: LookOptions,
): Promise<BoardLook> {
  const { connection, name, formerName, listen, metricsAddress, rootless, buildkitd } = board;
  const { proxy, ...host } = connection;
  const metricsPort = metricsAddress?.split(":").at(-1);
  const root = buildkitd?.root ?? (rootless ? defaultRootlessRoot : defaultRoot);
  return lookAtBoard(
    clients,
    { ...(await hostOf(host)), proxy: proxy && (await hostOf(proxy)) },
    {
      owner: `${stack}/${name}`,
      formerName,
      ports: [listen?.port ?? 1234, ...(metricsPort ? [Number(metricsPort)] : [])],
      cacheRoot: freeRoom ? root : undefined,
    },
    seconds,
  );
}

async function hostOf(host: Omit<BoardConnectionArgs, "proxy">): Promise<SshHost> {
  const known = await resolved<Omit<SshHost, "port" | "user"> & Partial<SshHost>>(host);
  return { ...known, port: known.port ?? 22, user: known.user ?? "root" };
}

function builderLook(board: BoardConfig, found: BoardLook): BuilderLook<BoardDriftArgs> {
  const { name } = board;
  const common = { builder: name, host: name };
  if (found.is === "unknown") return { ...common, changes: undefined, reason: found.reason };
  const look: BuilderLook<BoardDriftArgs> = { ...common, changes: linesOf(changesIn(found)) };
  if (found.is === "ours") {
    if (found.free) look.free = found.free;
    const isOther = found.script !== undefined && found.script !== boardctlId;
    if (look.changes?.length === 0 && !isOther) return look;
  }
  return {
    ...look,
    against(stated) {
      const mend = changesAgainst(board, found, stated);
      const lines = linesOf(mend);
      return { lines: lines.map(withEnd), mend: lines.length > 0 ? mend : undefined };
    },
  };
}

/** A change with what an update does about it. */
function withEnd(change: string): string {
  if (change.startsWith("port ")) {
    return `${change}; stop that program, or choose another port (listen, metrics)`;
  }
  if (change.startsWith("the machine belongs")) return `${change}; an update will be refused there`;
  return `${change}; the update mends it`;
}

function linesOf(changes: BoardDriftArgs): string[] {
  return [...new Set(BOARD_STEPS.flatMap((step) => changes[step] ?? []))];
}

/** The changes by step, as a look found them. */
function changesIn(found: BoardLook): BoardDriftArgs {
  if (found.is === "empty") {
    const line = `nothing of buildhosts is on the machine any more: ${found.since}`;
    return Object.fromEntries(BOARD_STEPS.map((step) => [step, [line]]));
  }
  if (found.is === "others") return { preflight: [`the machine belongs to ${found.owner} now`] };
  return found.is === "ours" ? structuredClone(found.changes) : {};
}

/** Those changes that the state contradicts. Exported for the tests. */
export function changesAgainst(
  { name, formerName }: Pick<BoardConfig, "name" | "formerName">,
  found: BoardLook,
  stated: Stated,
): BoardDriftArgs {
  const createOf = (step: string) =>
    (stated.get(`${name}-${step}`) ?? stated.get(`${formerName}-${step}`))?.create;
  const changes = changesIn(found);
  if (found.is === "ours") {
    const create = String(createOf("preflight"));
    // One of an earlier version gives way to ours in the same update, by its own change.
    if (found.script && found.script !== boardctlId && !create.includes(found.script)) {
      const line = "/usr/local/lib/buildhosts/boardctl was changed by hand";
      changes.preflight = [`${line} (${found.script})`, ...(changes.preflight ?? [])];
    }
    // A service uses a mended file only after a restart.
    const restarting = [...(changes.install ?? []), ...(changes.config ?? [])];
    if (restarting.length > 0) changes.service = [...(changes.service ?? []), ...restarting];
  }
  // A step that is not in the state has not been on the board yet.
  for (const step of BOARD_STEPS) if (createOf(step) === undefined) delete changes[step];
  return changes;
}

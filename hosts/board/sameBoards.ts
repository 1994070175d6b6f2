import { shown } from "../../components/schema/expected.ts";
import { endpointId, endpointUrl } from "../../config/endpoint.ts";
import type { Findings } from "../../config/findings.ts";
import type { EarlierBuilders } from "../hostKind.ts";
import type { BoardInput } from "./boardSchema.ts";
import { endpointOf } from "./resolveBoard.ts";

/** Refuses boards that are one machine, one builder or one name, and enters each among the builders of the stack. */
export function refuseSameBoards(
  boards: readonly (BoardInput | undefined)[],
  earlier: EarlierBuilders,
  findings: Findings,
): void {
  const firstWith = (index: number, text: (board: BoardInput) => string | undefined) => {
    const board = boards[index];
    const wanted = board && text(board);
    const first = boards.findIndex((other) => other && text(other) === wanted);
    return wanted !== undefined && first < index ? first : undefined;
  };
  for (const [index, board] of boards.entries()) {
    if (!board) continue;
    enter(board, `boards[${index}]`, earlier);
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
    const sameHost = firstWith(index, machineId);
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

/** Tells machines apart: where SSH leads. */
function machineId(board: BoardInput): string {
  if (board.virtual) return `virtual ${board.platform}`;
  const { host, port, jump } = board;
  return JSON.stringify([host.toLowerCase(), port, jump?.host.toLowerCase(), jump?.port]);
}

/** Of several boards with one name or one endpoint, the first one has it. */
function enter(board: BoardInput, path: string, { names, endpoints }: EarlierBuilders): void {
  if (!names.has(board.name)) names.set(board.name, path);
  const endpoint = endpointOf(board);
  if (endpoint === undefined) return;
  const id = endpointId(endpoint);
  if (!endpoints.has(id)) endpoints.set(id, path);
}

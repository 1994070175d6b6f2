interface Change {
  op: string;
  urn: string;
  old?: { inputs?: Record<string, unknown> };
  new?: { inputs?: Record<string, unknown> };
}

/**
 * What a preview's changes mean for the machines behind boards, one line each, from the engine's event log: the engine knows
 * resources, and neither that two of them are one machine nor that one becomes another.
 */
export function foretell(eventLog: string): string[] {
  const changes: Change[] = [];
  for (const text of eventLog.split("\n")) {
    if (!text.trim()) continue;
    const change: Change | undefined = JSON.parse(text).resourcePreEvent?.metadata;
    if (change?.urn.endsWith("-preflight")) changes.push(change);
  }
  const leaving = new Map<string | undefined, string>();
  for (const { op, urn, old } of changes)
    if (op === "delete") leaving.set(addressIn(old?.inputs), boardOf(urn));

  const lines: string[] = [];
  for (const { op, urn, old, new: then } of changes) {
    const board = boardOf(urn);
    const [before, after] = [addressIn(old?.inputs), addressIn(then?.inputs)];
    const former = leaving.get(after);
    if (op === "create" && after && former) {
      lines.push(
        `${board}: ${after} is the machine of '${former}', which leaves the stack: the update will be refused there, and '${former}' stays. If '${former}' has a new name, set formerName: ${former} for ${board}; otherwise take '${former}' out in an update of its own first`,
      );
    } else if (op === "update" && before && after && before !== after) {
      lines.push(
        `${board}: moves from ${before} to ${after}. If these are two machines, the one before stays a builder with a valid certificate: take the board out of the stack first, or run there boardctl uninstall (docs/operations.md, 'Removing it')`,
      );
    }
  }
  return lines;
}

const boardOf = (urn: string) => (urn.split("::").at(-1) ?? urn).replace(/-preflight$/, "");

/** `user@host:port`, which the command says for its readers; unknown while there is no CA yet. */
function addressIn(inputs: Record<string, unknown> | undefined): string | undefined {
  return /--at (\S+)/.exec(String(inputs?.create ?? ""))?.[1];
}

import { type PlannedStep, type ResourceState, textOf } from "./planned.ts";

/**
 * What a preview's changes mean for the machines behind boards, one line each: the engine knows resources, and neither that two
 * of them are one machine nor that one becomes another.
 */
export function foretell(steps: readonly PlannedStep[]): string[] {
  const changes = steps.filter(({ name }) => name.endsWith("-preflight"));
  const leaving = new Map<string | undefined, string>();
  for (const { op, name, old } of changes)
    if (op === "delete") leaving.set(addressIn(old), boardOf(name));

  const lines: string[] = [];
  for (const { op, name, old, new: then } of changes) {
    const board = boardOf(name);
    const [before, after] = [addressIn(old), addressIn(then)];
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

const boardOf = (name: string) => name.replace(/-preflight$/, "");

/** `user@host:port`, which preflight says for its readers; unknown while there is no CA yet. */
export function addressIn(state: ResourceState | undefined): string | undefined {
  return /--at (\S+)/.exec(textOf(state, "create") ?? "")?.[1];
}

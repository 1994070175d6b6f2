import { isPartial, isSpan } from "../components/buildkitd/diskSpace.ts";
import type { GcPolicy } from "../components/buildkitd/schema.ts";
import { nearest } from "../components/schema/closed.ts";
import { shown } from "../components/schema/expected.ts";
import type { Findings } from "./findings.ts";

/** The types of cache records in BuildKit v0.34.2 (`client/diskusage.go`). */
const recordTypes = [
  "source.local",
  "source.git.checkout",
  "exec.cachemount",
  "frontend",
  "internal",
  "regular",
];

/** Records that only a policy with `all: true` may remove. */
const keptWithoutAll = ["frontend", "internal"];

/** The fields of a record that garbage collection gives to a filter: with a value, or present and without one. */
const valueFields = ["id", "description", "type"];
const plainFields = ["mutable", "immutable", "shared", "private"];

/** One condition of a filter; without an operator it asks whether the field is there. */
interface Condition {
  field: string;
  operator?: "==" | "!=" | "~=" | undefined;
  value: string;
}

interface CacheRecord {
  type: string;
  isMutable: boolean;
  isShared: boolean;
}

const records: CacheRecord[] = recordTypes.flatMap((type) =>
  [true, false].flatMap((isMutable) =>
    [true, false].map((isShared) => ({ type, isMutable, isShared })),
  ),
);

const quoted = /"(?:[^"\\\n]|\\.)*"/.source;
const field = `(?:\\w+|${quoted})`;
const value = `${quoted}|/(?:[^/\\\\\\n]|\\\\.)*/|\\|(?:[^|\\\\\\n]|\\\\.)*\\||[^\\s,.=!~"/|][^\\s,]*`;
const condition = new RegExp(
  `\\s*(${field})(?:\\.\\s*${field})*(?:\\s*(==|!=|~=)(?![=!~])\\s*(${value}))?(,|$)`,
  "y",
);

/** The conditions of a filter in containerd's syntax (`pkg/filters`), or nothing where it is none. */
function parseFilter(filter: string): Condition[] | undefined {
  const conditions: Condition[] = [];
  let separator = ",";
  for (let at = 0; separator === ","; at = condition.lastIndex) {
    condition.lastIndex = at;
    const match = condition.exec(filter);
    if (!match) return undefined;
    const [, name = "", operator, operand = "", end = ""] = match;
    // The other quotes are for regular expressions.
    if (operator !== "~=" && /^[/|]/.test(operand)) return undefined;
    conditions.push({
      field: unquoted(name),
      operator: operator as Condition["operator"],
      value: unquoted(operand),
    });
    separator = end;
  }
  return conditions;
}

function unquoted(text: string): string {
  return /^["/|]/.test(text) ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text;
}

/** Whether some record of that kind could fulfil the condition. */
function mayHold({ field: name, operator, value: operand }: Condition, record: CacheRecord) {
  if (name === "id" || name === "description") return true;
  const isPresent = {
    type: true,
    mutable: record.isMutable,
    immutable: !record.isMutable,
    shared: record.isShared,
    private: !record.isShared,
  }[name];
  const found = name === "type" ? record.type : "";
  switch (operator) {
    case undefined:
      return isPresent;
    case "==":
      return isPresent && found === operand;
    case "!=":
      return found !== operand;
    case "~=":
      try {
        return isPresent && new RegExp(operand).test(found);
      } catch {
        // Go's expressions are not all JavaScript's.
        return isPresent;
      }
  }
}

/** Filters that BuildKit reads only when it collects garbage: a wrong one is an error then, or matches nothing. */
export function refuseVainFilters({ all, filters = [] }: GcPolicy, findings: Findings): void {
  for (const [index, filter] of filters.entries()) {
    const refusal = filterRefusal(filter, all ?? false);
    if (refusal) findings.refuse(["filters", index], `received ${shown(filter)}; ${refusal}.`);
  }
}

function filterRefusal(filter: string, all: boolean): string | undefined {
  const conditions = parseFilter(filter);
  if (!conditions) {
    return "expected a condition such as type==source.local, with ==, != or ~=, or several with commas, which must all hold; with another one each garbage collection ends in an error, and removes nothing";
  }
  const fields = [...valueFields, ...plainFields];
  const unknown = conditions.find((one) => !fields.includes(one.field));
  if (unknown) {
    return `garbage collection does not know ${unknown.field} of a record; it knows ${fields.join(", ")}`;
  }
  const matches = records.filter((record) => conditions.every((one) => mayHold(one, record)));
  if (matches.length === 0) return vainBecause(conditions);
  const isReached = ({ type, isShared }: CacheRecord) =>
    !isShared && !keptWithoutAll.includes(type);
  if (all || matches.some(isReached)) return undefined;
  return "a policy without all: true leaves all internal, frontend and shared records alone; set all: true, or remove the filter";
}

/** Why no record fulfils the conditions. */
function vainBecause(conditions: readonly Condition[]): string {
  for (const { field: name, operator, value: operand } of conditions) {
    if (operator === undefined || operator === "!=") continue;
    if (plainFields.includes(name)) return `${name} has no value; write ${name} alone`;
    if (name !== "type" || (operator === "==" && recordTypes.includes(operand))) continue;
    const near = operator === "==" ? nearest(operand, recordTypes) : undefined;
    const isAny = records.some((record) =>
      mayHold({ field: name, operator, value: operand }, record),
    );
    if (isAny) continue;
    return `no record has such a type; ${near ? `write ${near}` : `the types are ${recordTypes.join(", ")}`}`;
  }
  return "a comma means that both must hold, and no record is both; write two filters, of which one is enough";
}

/**
 * With enough free space, minFreeSpace alone sets the present size as the target, and BuildKit stops only below it
 * (`pruneOnce` in `cache/manager.go`): each run deletes one record.
 */
export function warnOfErosion(
  { minFreeSpace, maxUsedSpace }: Pick<GcPolicy, "minFreeSpace" | "maxUsedSpace">,
  findings: Findings,
): void {
  if (minFreeSpace === undefined || maxUsedSpace !== undefined) return;
  findings.warn(
    ["minFreeSpace"],
    "stands without maxUsedSpace, and then each garbage collection removes what was used longest ago, even where the disk has room; set maxUsedSpace too.",
  );
}

/** Policies that keep too much or too little. */
export function warnOfPolicies(policies: readonly GcPolicy[], findings: Findings): void {
  for (const [index, policy] of policies.entries()) {
    const { reservedSpace, maxUsedSpace, minFreeSpace, keepDuration } = policy;
    warnOfErosion(policy, findings.at(index));
    const hasAmount = [reservedSpace, maxUsedSpace, minFreeSpace].some((one) => one !== undefined);
    if (hasAmount || isSpan(keepDuration)) continue;
    findings.warn(
      [index],
      "has neither an amount of disk nor a keepDuration, so each garbage collection removes all that it is about and no build uses; set maxUsedSpace.",
    );
  }
  if (policies.length > 0 && policies.every(isPartial)) {
    findings.warn(
      [],
      "nothing bounds the cache: keepDuration keeps what was used lately, however much it is, and filters leave the rest alone; add a last policy without both, such as { all: true, maxUsedSpace: 80GB }.",
    );
  }
}

// What an official plugin does with inputs, whatever it manages: it has a Terraform
// provider inside, which compares the state with a plan, the inputs with the defaults of those not set.

import { randomBytes } from "node:crypto";
import { type Difference, differences } from "./differences.ts";
import type { CheckContext, Diff, Existing } from "./plugin.ts";
import { type Checked, check, type Field, type Shape } from "./shapes.ts";
import { equal, hasUnknowns, isMap, type PropertyMap, UNKNOWN, type Value } from "./values.ts";

/** An input of a resource, or of an object in one. */
export interface Attribute extends Field {
  /** What an input counts as that is not set; as nothing (no text, false, 0, an empty list) unless said. */
  readonly unset?: Value;
  /** What is not set is chosen where the resource is made, and stays. */
  readonly computed?: boolean;
  /**
   * Another value makes a new resource. `count`: only another number of elements does; another element
   * is called an update, and nothing is done about it.
   */
  readonly replaces?: boolean | "count";
  /** The order of the elements says nothing. */
  readonly unordered?: boolean;
  /** An input that is empty is none. */
  readonly emptyIsUnset?: boolean;
}

export type Attributes = { readonly [name: string]: Attribute };

export interface Planned {
  readonly attributes: Attributes;
  /** Outputs that no input has. */
  readonly outputs: readonly string[];
  /** Gives a resource without `name` one: its own and seven random digits. */
  readonly autoName?: boolean;
  readonly deleteBeforeReplace?: boolean;
  /**
   * Lists that are chosen there. The state of a create that failed has them not; the official plugin
   * expects a change then, and so a new resource.
   */
  readonly knownOnceMade?: readonly string[];
}

/** The names of the inputs that defaults filled in, noted where they stand as the official plugin does. */
const DEFAULTS = "__defaults";

/** `inputs` with the defaults filled in that are not nothing, and everything that is wrong with them. */
export function checkPlanned(
  inputs: PropertyMap,
  { name, olds }: CheckContext,
  { attributes, autoName }: Planned,
): Checked {
  const named: PropertyMap =
    autoName && !("name" in inputs)
      ? {
          ...inputs,
          name: defaultNames(olds).has("name")
            ? (olds.name ?? UNKNOWN)
            : `${name}-${randomBytes(4).toString("hex").slice(0, 7)}`,
        }
      : inputs;
  const { inputs: checked, failures } = check(named, attributes);
  const filled = withDefaults(checked, attributes);
  if (named === inputs) return { inputs: filled, failures };
  const noted = [...defaultNames(filled), "name"].sort();
  return { inputs: { ...filled, [DEFAULTS]: noted }, failures };
}

function defaultNames(inputs: PropertyMap): Set<Value> {
  const noted = inputs[DEFAULTS];
  return new Set(Array.isArray(noted) ? (noted as Value[]) : []);
}

function withDefaults(inputs: PropertyMap, attributes: Attributes): PropertyMap {
  const filled: { [name: string]: Value } = {};
  const defaults: string[] = [];
  for (const [name, attribute] of Object.entries(attributes)) {
    const value = inputs[name];
    if (value !== undefined) {
      filled[name] = mapObjects(value, attribute.shape, withDefaults);
    } else if (attribute.unset !== undefined && !isNothing(attribute.unset)) {
      filled[name] = attribute.unset;
      defaults.push(name);
    }
  }
  return { [DEFAULTS]: defaults.sort(), ...filled };
}

/** `value` with each object in it, of those that `shape` knows, as `change` makes it. */
function mapObjects(
  value: Value,
  shape: Shape,
  change: (object: PropertyMap, attributes: Attributes) => PropertyMap,
): Value {
  if (shape.kind === "list" && Array.isArray(value)) {
    return value.map((element) => mapObjects(element, shape.of, change));
  }
  if (shape.kind === "object" && isMap(value)) return change(value, shape.fields as Attributes);
  return value;
}

/** The state that `inputs` ask for, as far as a preview can know it. */
export function planOf(inputs: PropertyMap, attributes: Attributes): PropertyMap {
  const planned: { [name: string]: Value } = {};
  for (const [name, attribute] of Object.entries(attributes)) {
    const value = inputs[name] ?? attribute.unset;
    if (value !== undefined) planned[name] = mapObjects(value, attribute.shape, planOf);
  }
  return planned;
}

/** The same with everything unknown that is chosen there. */
export function previewOf(inputs: PropertyMap, { attributes, outputs }: Planned): PropertyMap {
  const preview: { [name: string]: Value } = { ...planOf(inputs, attributes), id: UNKNOWN };
  for (const name of outputs) preview[name] = UNKNOWN;
  for (const [name, { computed }] of Object.entries(attributes)) {
    if (computed) preview[name] ??= UNKNOWN;
  }
  return preview;
}

/** What is to do for a resource whose state is `old.state` when its inputs become `news`. */
export function diffPlanned(old: Existing, news: PropertyMap, planned: Planned): Diff {
  const changes = new Map<string, Difference>();
  const replaces = new Set<string>();
  const plan = planOf(news, planned.attributes);
  for (const [name, attribute] of Object.entries(planned.attributes)) {
    const found = changesOf(name, old.state[name], plan[name], attribute);
    for (const [path, difference] of found) {
      changes.set(path, difference);
      if (replacing(old.state[name], plan[name], attribute)) replaces.add(path);
    }
  }
  for (const name of planned.knownOnceMade ?? []) {
    if (isSet(old.state[name]) || isSet(plan[name])) continue;
    changes.set(name, "add");
    if (planned.attributes[name]?.replaces) replaces.add(name);
  }
  const deleteBeforeReplace = planned.deleteBeforeReplace || hasGivenName(news, planned);
  // The official plugin compares with the state: the inputs of before are not what is shown.
  return { changes, replaces, deleteBeforeReplace };
}

/**
 * Whether the program gave the name where one could have been made. Two of one name cannot be, says the official
 * plugin (`nameRequiresDeleteBeforeReplace` of its bridge) whatever else a replacement changes.
 */
function hasGivenName(news: PropertyMap, { autoName }: Planned): boolean {
  return autoName === true && DEFAULTS in news && !defaultNames(news).has("name");
}

function replacing(state: Value | undefined, plan: Value | undefined, attribute: Attribute) {
  if (attribute.replaces !== "count") return attribute.replaces === true;
  return countOf(state) !== countOf(plan);
}

function countOf(value: Value | undefined): number {
  return Array.isArray(value) ? value.length : 0;
}

function changesOf(
  name: string,
  state: Value | undefined,
  wanted: Value | undefined,
  attribute: Attribute,
): Map<string, Difference> {
  const none = new Map<string, Difference>();
  const plan = withChosen(wanted, state, attribute.shape);
  if (plan === undefined && attribute.computed) return none;
  if (attribute.emptyIsUnset && isNothing(plan ?? null)) return none;
  if (same(state, plan, attribute)) return none;
  if (isNothing(state ?? null))
    return new Map([[name, isSet(state) && !isMany(state) ? "update" : "add"]]);
  if (!isSet(plan)) return new Map([[name, "delete"]]);
  if (hasUnknowns(plan)) return new Map([[name, "update"]]);
  if (attribute.unordered && countOf(state) + countOf(plan) > 2) {
    return elementChanges(name, state as Value[], plan as Value[], attribute);
  }
  const normal = (value: Value) => normalized(value, attribute) ?? null;
  return differences({ [name]: normal(state ?? null) }, { [name]: normal(plan) });
}

/** The elements that only one of two sets has. Which of them became which cannot be told. */
function elementChanges(
  name: string,
  state: readonly Value[],
  plan: readonly Value[],
  attribute: Attribute,
): Map<string, Difference> {
  const found = new Map<string, Difference>();
  const among = (elements: readonly Value[], one: Value) =>
    elements.some((other) => same([one], [other], attribute));
  for (const [index, element] of state.entries()) {
    if (!among(plan, element)) found.set(`${name}[${index}]`, "delete");
  }
  for (const [index, element] of plan.entries()) {
    const path = `${name}[${index}]`;
    if (!among(state, element)) found.set(path, found.has(path) ? "update" : "add");
  }
  return found;
}

/** `plan` with what has been chosen for each of its objects, from `state`. */
function withChosen(
  plan: Value | undefined,
  state: Value | undefined,
  shape: Shape,
): Value | undefined {
  if (shape.kind === "list" && Array.isArray(plan) && Array.isArray(state)) {
    return plan.map((element, index) => withChosen(element, state[index], shape.of) ?? element);
  }
  if (shape.kind !== "object" || !isMap(plan) || !isMap(state)) return plan;
  const chosen = Object.entries(shape.fields as Attributes)
    .filter(([name, field]) => field.computed && !(name in plan) && isSet(state[name]))
    .map(([name]) => [name, state[name] ?? null] as const);
  return chosen.length === 0 ? plan : { ...plan, ...Object.fromEntries(chosen) };
}

function isSet(value: Value | undefined): value is Value {
  return value !== undefined && value !== null;
}

function isMany(value: Value): boolean {
  return Array.isArray(value) || isMap(value);
}

/** Whether two values of an attribute are the same to the official plugin. */
export function same(a: Value | undefined, b: Value | undefined, attribute: Attribute): boolean {
  if (hasUnknowns(a ?? null) || hasUnknowns(b ?? null)) return false;
  return equal(normalized(a, attribute), normalized(b, attribute));
}

/** `value` without what counts as nothing, and in order; undefined for nothing. */
function normalized(value: Value | undefined, attribute: Attribute): Value | undefined {
  const present = value ?? attribute.unset;
  if (!isSet(present) || isNothing(present)) return undefined;
  const { shape } = attribute;
  if (shape.kind === "list" && Array.isArray(present)) {
    const elements = present.map((element) => normalized(element, { shape: shape.of }) ?? null);
    return attribute.unordered ? elements.sort(byText) : elements;
  }
  if (shape.kind === "object" && isMap(present)) {
    const fields: { [name: string]: Value } = {};
    for (const [name, field] of Object.entries(shape.fields as Attributes)) {
      const inner = normalized(present[name], field);
      if (inner !== undefined) fields[name] = inner;
    }
    return fields;
  }
  return present;
}

function byText(a: Value, b: Value): number {
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function isNothing(value: Value): boolean {
  if (value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isMap(value) && Object.keys(value).length === 0;
}

/**
 * The inputs of a resource whose state has been found to be `state`: those that were set, with what has
 * changed under them. What a default filled in and is something else now counts as set.
 */
export function inputsFound(
  inputs: PropertyMap,
  state: PropertyMap,
  attributes: Attributes,
): PropertyMap {
  const found: { [name: string]: Value } = {};
  const changed = new Set<Value>();
  for (const [name, input] of Object.entries(inputs)) {
    const attribute = attributes[name];
    if (attribute === undefined || same(input, state[name], attribute)) {
      found[name] = input;
      continue;
    }
    changed.add(name);
    const now = state[name];
    if (isSet(now)) found[name] = now;
  }
  if (DEFAULTS in inputs) {
    found[DEFAULTS] = [...defaultNames(inputs)].filter((name) => !changed.has(name));
  }
  return found;
}

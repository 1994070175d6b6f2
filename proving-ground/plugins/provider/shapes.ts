// What a resource's or a function's inputs look like, and the check of what a program passed.

import {
  isArchive,
  isAsset,
  isMap,
  type PropertyMap,
  Secret,
  secret,
  UNKNOWN,
  type Value,
} from "./values.ts";

export type Shape =
  | { readonly kind: "any" | "boolean" | "asset" }
  | { readonly kind: "string"; readonly allowed?: readonly string[]; readonly pattern?: RegExp }
  | { readonly kind: "number"; readonly minimum?: number }
  | { readonly kind: "list" | "map"; readonly of: Shape }
  | { readonly kind: "object"; readonly fields: Fields };

export interface Field {
  readonly shape: Shape;
  readonly required?: boolean;
  /** The value is made secret, whether the program did so or not. */
  readonly secret?: boolean;
  /** Filled in when the program sets nothing. */
  readonly default?: Value;
  /** Set when the official plugin takes this input and the stand-in does not. */
  readonly unsupported?: string;
}

export type Fields = { readonly [name: string]: Field };

export interface Failure {
  readonly property: string;
  readonly reason: string;
}

export interface Checked {
  readonly inputs: PropertyMap;
  readonly failures: readonly Failure[];
}

/** `inputs` with defaults filled in and secrets marked, and everything that is wrong with them. */
export function check(inputs: PropertyMap, fields: Fields): Checked {
  const failures: Failure[] = [];
  return { inputs: checkFields("", inputs, fields, failures), failures };
}

function checkFields(
  prefix: string,
  inputs: PropertyMap,
  fields: Fields,
  failures: Failure[],
): PropertyMap {
  const checked: { [name: string]: Value } = {};
  for (const [name, value] of Object.entries(inputs)) {
    const property = prefix + name;
    const field = fields[name];
    if (field === undefined) {
      // What begins with two underscores is the engine's or an SDK's own.
      if (name.startsWith("__") || (prefix === "" && name === "version")) continue;
      const known = Object.keys(fields).join(", ");
      failures.push({ property, reason: `unknown input; the inputs are ${known}` });
    } else if (field.unsupported !== undefined) {
      failures.push({ property, reason: field.unsupported });
    } else {
      const inner = checkValue(property, value, field.shape, failures);
      checked[name] = field.secret ? secret(inner) : inner;
    }
  }
  for (const [name, field] of Object.entries(fields)) {
    if (name in checked || name in inputs) continue;
    if (field.default !== undefined) checked[name] = field.default;
    if (field.required) failures.push({ property: prefix + name, reason: "required, but not set" });
  }
  return checked;
}

function checkValue(property: string, value: Value, shape: Shape, failures: Failure[]): Value {
  if (value === UNKNOWN || shape.kind === "any") return value;
  if (value instanceof Secret) {
    return new Secret(checkValue(property, value.value, shape, failures));
  }
  const refuse = (wanted: string): Value => {
    // The value itself stays unsaid: it may be a password in the wrong place.
    failures.push({ property, reason: `must be ${wanted}, not ${kindOf(value)}` });
    return value;
  };
  switch (shape.kind) {
    case "boolean":
      return typeof value === "boolean" ? value : refuse("true or false");
    case "string":
      if (typeof value !== "string") return refuse("a string");
      if (shape.allowed !== undefined && !shape.allowed.includes(value)) {
        const allowed = shape.allowed.join(", ");
        failures.push({ property, reason: `is ${JSON.stringify(value)}; allowed: ${allowed}` });
      }
      // As above, the value may be a password in the wrong place.
      if (shape.pattern !== undefined && !shape.pattern.test(value)) {
        failures.push({ property, reason: `does not match ${shape.pattern.source}` });
      }
      return value;
    case "number":
      if (typeof value !== "number") return refuse("a number");
      if (shape.minimum !== undefined && value < shape.minimum) {
        failures.push({ property, reason: `is ${value}; the least is ${shape.minimum}` });
      }
      return value;
    case "asset":
      return isAsset(value) || isArchive(value) ? value : refuse("an asset or an archive");
    case "list":
      if (!Array.isArray(value)) return refuse("a list");
      return value.map((element, index) =>
        checkValue(`${property}[${index}]`, element, shape.of, failures),
      );
    case "map":
      if (!isMap(value)) return refuse("a map");
      return Object.fromEntries(
        Object.entries(value).map(([name, inner]) => [
          name,
          checkValue(`${property}.${name}`, inner, shape.of, failures),
        ]),
      );
    case "object":
      return isMap(value)
        ? checkFields(`${property}.`, value, shape.fields, failures)
        : refuse("an object");
  }
}

function kindOf(value: Value): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (isAsset(value)) return "an asset";
  if (isArchive(value)) return "an archive";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

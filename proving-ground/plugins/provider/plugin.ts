import type { Difference } from "./differences.ts";
import type { Checked } from "./shapes.ts";
import type { PropertyMap } from "./values.ts";

/** A resource plugin: what its package is called, and what it does for each token. */
export interface Plugin {
  readonly name: string;
  /** The version of the official plugin that this one stands in for. */
  readonly version: string;
  /**
   * Whether inputs and state arrive with their secrets marked. Where they do not, the engine itself
   * marks each output whose input of the same name was secret.
   */
  readonly acceptsSecrets: boolean;
  /** Inputs that the official plugin adds to its provider resource, so that the state is the same. */
  readonly providerInputs: PropertyMap;
  readonly resources: { readonly [type: string]: Resource };
  readonly functions: { readonly [token: string]: PluginFunction };
}

/** Where a resource tells the engine what happens. */
export interface Log {
  /** A line that shows beside the resource until the next one comes. */
  status(line: string): void;
  warning(line: string): void;
  error(line: string): void;
}

export interface Request {
  /** The resource's name in the program. */
  readonly name: string;
  /** Nothing may be done, only foretold. */
  readonly preview: boolean;
  readonly log: Log;
  /** Aborts when the user interrupts the engine. */
  readonly signal: AbortSignal;
}

/** A resource as the last update left it. */
export interface Existing {
  readonly id: string;
  readonly inputs: PropertyMap;
  readonly state: PropertyMap;
}

export interface Diff {
  /** Changed inputs by property path, or by the name of a property. */
  readonly changes: ReadonlyMap<string, Difference>;
  /** Those of `changes` that make a new resource of it. */
  readonly replaces: ReadonlySet<string>;
  /** False where the engine is to show the inputs' differences as it finds them; true unless said. */
  readonly detailed?: boolean;
}

export interface Resource {
  check(inputs: PropertyMap): Checked;
  diff(old: Existing, news: PropertyMap): Diff;
  /** Makes the resource. When this throws, nothing is kept in the state. */
  create(inputs: PropertyMap, request: Request): Promise<{ id: string; state: PropertyMap }>;
  update(old: Existing, news: PropertyMap, request: Request): Promise<PropertyMap>;
  delete(old: Existing, request: Request): Promise<void>;
  /** Inputs and state as they are now. */
  read(old: Existing): Omit<Existing, "id">;
}

export interface PluginFunction {
  check(args: PropertyMap): Checked;
  invoke(args: PropertyMap, request: Omit<Request, "name" | "preview">): Promise<PropertyMap>;
}

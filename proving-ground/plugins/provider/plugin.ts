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
  /** The configuration that the provider itself takes; without this, it takes none. */
  readonly configuration?: Configuration;
  readonly resources: { readonly [type: string]: Resource };
}

/** What a provider resource says: a host to reach, for example. One process serves one provider. */
export interface Configuration {
  check(inputs: PropertyMap): Checked;
  /** Takes `inputs` for all that follows. What throws here fails every resource of the provider. */
  configure(inputs: PropertyMap): Promise<void>;
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

/** What a check may need to know besides the inputs. */
export interface CheckContext {
  /** The resource's name in the program. */
  readonly name: string;
  /** The inputs of the last update; empty for a new resource. */
  readonly olds: PropertyMap;
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
  /** Whether a replaced resource goes before the new one comes; false unless said. */
  readonly deleteBeforeReplace?: boolean;
  /** False where the engine is to show the inputs' differences as it finds them; true unless said. */
  readonly detailed?: boolean;
}

/**
 * Says that a resource was made or changed, but is not as it should be. The engine keeps it in the
 * state, and tries an update of it next time.
 */
export class NotReady extends Error {
  readonly id: string;
  readonly state: PropertyMap;

  constructor(reason: string, id: string, state: PropertyMap) {
    super(reason);
    this.id = id;
    this.state = state;
  }
}

export interface Resource {
  check(inputs: PropertyMap, context: CheckContext): Checked;
  diff(old: Existing, news: PropertyMap): Diff;
  /** Makes the resource. When this throws anything but `NotReady`, nothing is kept in the state. */
  create(inputs: PropertyMap, request: Request): Promise<{ id: string; state: PropertyMap }>;
  update(old: Existing, news: PropertyMap, request: Request): Promise<PropertyMap>;
  delete(old: Existing, request: Request): Promise<void>;
  /** Inputs and state as they are now; nothing when the resource is gone. */
  read(old: Existing): Promise<Omit<Existing, "id"> | undefined>;
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";

/** What description.json holds: an excerpt of GitHub's OpenAPI description, see excerpt.ts. */
export interface Excerpt {
  /** The npm package that it was taken from. */
  readonly source: string;
  readonly license: string;
  readonly paths: { readonly [path: string]: { readonly [method: string]: OperationDescription } };
  readonly schemas: { readonly [name: string]: object };
}

export interface OperationDescription {
  readonly request?: { readonly required: boolean; readonly schema: object };
  /** Schema of the JSON body by status; null where there is none. */
  readonly responses: { readonly [status: string]: object | null };
}

/** One method of one path. */
export interface Operation {
  /** `PUT /repos/{owner}/{repo}/topics`. */
  readonly name: string;
  /** The parts of the path that stand for the names in braces. */
  readonly parameters: { readonly [name: string]: string };
  /** The faults of a request's body, if it has any. */
  checkRequest(body: unknown): string | undefined;
  /** The faults of an answer, if it has any. */
  checkResponse(status: number, body: unknown): string | undefined;
}

const FORMATS: { readonly [name: string]: (text: string) => boolean } = {
  "date-time": (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text),
  // GitHub itself answers an empty string for an address that is not set.
  uri: (text) => text === "" || URL.canParse(text),
  email: (text) => text.includes("@"),
};

/** Properties of requests that GitHub takes without describing them; the official provider sends them. */
const UNDESCRIBED: { readonly [operation: string]: readonly string[] } = {
  "PUT /repos/{owner}/{repo}/environments/{environment_name}": ["can_admins_bypass"],
};

/** Parameters whose values may hold slashes. */
const WITH_SLASHES = new Set(["path", "ref", "branch", "basehead"]);

/** GitHub's published description of its REST API, as far as the proving ground serves it. */
export class Description {
  readonly #ajv: Ajv;
  readonly #excerpt: Excerpt;
  readonly #paths: readonly { readonly path: string; readonly pattern: RegExp }[];
  static #loaded: Promise<Description> | undefined;
  readonly #validators = new Map<string, ValidateFunction>();

  private constructor(excerpt: Excerpt) {
    this.#excerpt = excerpt;
    this.#ajv = new Ajv({ strict: false, allErrors: true, formats: FORMATS, logger: false });
    this.#ajv.addSchema(excerpt, "github");
    this.#paths = Object.keys(excerpt.paths)
      // A literal part is nearer than a parameter: `public-key` is no secret's name.
      .sort((a, b) => literalParts(b) - literalParts(a))
      .map((path) => ({ path, pattern: patternOf(path) }));
  }

  /** The same one each time: what it has compiled serves every GitHub of a process. */
  static load(): Promise<Description> {
    Description.#loaded ??= readFile(join(import.meta.dirname, "description.json"), "utf8").then(
      (text) => new Description(JSON.parse(text) as Excerpt),
    );
    return Description.#loaded;
  }

  /** The operation that a request is for, or nothing when the description has none such. */
  find(method: string, path: string): Operation | undefined {
    for (const { path: described, pattern } of this.#paths) {
      const matched = pattern.exec(path);
      const operation = this.#excerpt.paths[described]?.[method.toLowerCase()];
      if (matched !== null && operation !== undefined) {
        return this.#operation(method.toLowerCase(), described, operation, matched.groups ?? {});
      }
    }
    return undefined;
  }

  #operation(
    method: string,
    path: string,
    { request, responses }: OperationDescription,
    groups: { readonly [name: string]: string },
  ): Operation {
    const name = `${method.toUpperCase()} ${path}`;
    const at = `github#/paths/${escapePointer(path)}/${method}`;
    return {
      name,
      parameters: Object.fromEntries(
        Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]),
      ),
      checkRequest: (body) => {
        if (request === undefined) return undefined;
        if (body === undefined) return request.required ? "a body is required" : undefined;
        return this.#check(`${at}/request/schema`, without(body, UNDESCRIBED[name] ?? []));
      },
      checkResponse: (status, body) => {
        // Statuses that may come from everywhere, which the description names only here and there.
        if (!(status in responses)) {
          return status >= 400 || status === 304 ? undefined : `status ${status} is not described`;
        }
        if (responses[status] === null) {
          return body === undefined ? undefined : "a body, where none is described";
        }
        if (status === 304) return undefined;
        return this.#check(`${at}/responses/${status}`, body);
      },
    };
  }

  #check(reference: string, body: unknown): string | undefined {
    let validate = this.#validators.get(reference);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: reference });
      this.#validators.set(reference, validate);
    }
    if (validate(body)) return undefined;
    return this.#ajv.errorsText(validate.errors, { dataVar: "body" });
  }
}

function without(body: unknown, names: readonly string[]): unknown {
  if (names.length === 0 || typeof body !== "object" || body === null) return body;
  return Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)));
}

function literalParts(path: string): number {
  return path.split("/").filter((part) => !part.startsWith("{")).length;
}

function patternOf(path: string): RegExp {
  const pattern = path.replace(/\{(\w+)\}/g, (_, name) =>
    WITH_SLASHES.has(name) ? `(?<${name}>.+)` : `(?<${name}>[^/]+)`,
  );
  return new RegExp(`^${pattern}$`);
}

function escapePointer(part: string): string {
  return encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
}

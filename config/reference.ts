import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMap, isNode, isScalar, parseDocument } from "yaml";
import type * as z from "zod";
import { stackFileSchema } from "./jsonSchema.ts";

/** Where the reference lies, relative to the project. */
export const referencePath = "docs/configuration.md";

type JsonSchema = z.core.JSONSchema.BaseSchema;

const introduction = `# Configuration

<!-- Written by config/generateReference.ts from the schema: change the descriptions there. -->

This page has every key of a stack file, \`Pulumi.<stack>.yaml\`. Each key stands below \`config:\` with the prefix
\`buildhosts:\`. An unknown key is an error, a misspelt one deep inside too. An editor that reads
\`schema/stack.schema.json\` completes the keys; [Pulumi.example.yaml](../Pulumi.example.yaml) shows
the line that tells it to. A dot means nesting: \`listen.port\` is \`port\` below \`listen\`. \`[]\` is an item of an array,
and \`<name>\` a key that you choose. Types are those of JSON Schema.
`;

const buildkitdIntroduction = `\`buildkitd\` of a board, or of a builder on a Docker host, is buildkitd.toml under upstream's names and with upstream's
defaults. The other keys of a builder decide addresses and TLS, the worker that is on, its runc, and its network. Sizes are bytes
(\`512000000\`), a text with a unit (\`"512MB"\`, powers of 1024) or a share of the disk (\`"10%"\`). Times are seconds
(\`172800\`) or a text (\`"48h"\`).
`;

/** Where the example of a section is: a file below examples/, which a test reads, and the keys that lead there. */
const examples: Record<string, readonly [file: string, ...path: (string | number)[]]> = {
  releases: ["mixed-fleet/Pulumi.mixed-fleet.yaml"],
  certificates: ["mixed-fleet/Pulumi.mixed-fleet.yaml"],
  clients: ["mixed-fleet/Pulumi.mixed-fleet.yaml"],
  ssh: ["mixed-fleet/Pulumi.mixed-fleet.yaml"],
  boards: ["mixed-fleet/Pulumi.mixed-fleet.yaml"],
  dockerHosts: ["docker-hosts/Pulumi.docker-hosts.yaml"],
  pools: ["pool/Pulumi.pool.yaml"],
  driftCheck: ["mixed-fleet/Pulumi.mixed-fleet.yaml"],
  github: ["github/Pulumi.github-builders.yaml"],
  buildkitd: ["mixed-fleet/Pulumi.mixed-fleet.yaml", "buildhosts:boards", 1],
};

/** How a secret comes into a stack file. */
const secretExample = (key: string) => `
\`\`\`sh
npm run pulumi -- --stack <stack> -- config set --secret buildhosts:${key} <path
\`\`\`
`;

/** The example of a section as its file has it, with its comments. */
function example(key: string): string {
  const [file, ...path] = examples[key] ?? [];
  if (file === undefined) throw new Error(`config/reference.ts has no example of ${key}`);
  const text = readFileSync(join(import.meta.dirname, "..", "examples", file), "utf8");
  const parent = parseDocument(text).getIn(["config", ...path]);
  const name = path.length === 0 ? `buildhosts:${key}` : key;
  const found = isMap(parent)
    ? parent.items.find((pair) => isScalar(pair.key) && pair.key.value === name)
    : undefined;
  if (!isNode(found?.key) || !isNode(found.value)) throw new Error(`${file} has no ${name}`);
  const [start = 0] = found.key.range ?? [];
  const [, end = 0] = found.value.range ?? [];
  const indent = start - text.lastIndexOf("\n", start) - 1;
  const lines = text.slice(start, end).trimEnd().split("\n");
  const dedented = lines.map((line, index) => (index === 0 ? line : line.slice(indent)));
  return `
From [${file}](../examples/${file}):

\`\`\`yaml
${dedented.join("\n")}
\`\`\`
`;
}

/** The configuration reference: a section for each part of a stack file, and a heading for each key, in Markdown. */
export function configurationReference(): string {
  const schema = stackFileSchema();
  const definitions = (schema.definitions ?? {}) as Record<string, JsonSchema>;
  const config = schema.properties?.config as JsonSchema;
  const keys = Object.entries(config.properties as Record<string, JsonSchema>);
  const parts = keys.map(([key, value]) => {
    const name = key.replace("buildhosts:", "");
    return isHosts(value) ? hostsPart(name, value) : part(name, value);
  });
  return [
    introduction,
    contents([...keys.map(([key]) => key), "buildkitd"]),
    ...parts,
    `## \`buildkitd\`\n\n${buildkitdIntroduction}${example("buildkitd")}${buildkitdHeadings(definitions)}`,
  ].join("\n");
}

function contents(headings: readonly string[]): string {
  return headings.map((one) => `- [${one}](#${one.replace(":", "").toLowerCase()})\n`).join("");
}

/** Whether a key is a list of hosts: each is a machine of one's own, or a virtual one. */
function isHosts({ items }: JsonSchema): boolean {
  return (items as JsonSchema | undefined)?.oneOf !== undefined;
}

/** The keys of a machine that a virtual one does not have. */
function lacking(physical: JsonSchema, virtual: JsonSchema): string {
  const keys = Object.keys(physical.properties ?? {});
  return keys.filter((key) => !virtual.properties?.[key]).join(", ");
}

/** A section for a kind of host. */
function hostsPart(key: string, hosts: JsonSchema): string {
  const [host = {}, virtual = {}] = (hosts.items as JsonSchema).oneOf as JsonSchema[];
  const { text } = described(hosts);
  const about = `${text} A virtual one has no ${lacking(host, virtual)}: the proving ground gives them.`;
  return `## \`buildhosts:${key}\`\n\n${about}\n${example(key)}${headings(keysOf(host, `${key}[].`))}`;
}

/** A section for a key of the stack. */
function part(key: string, schema: JsonSchema): string {
  const { text, byDefault } = described(schema);
  const isSecret = schema.properties?.secure !== undefined;
  const items = (schema.items ?? {}) as JsonSchema;
  const keys = isSecret ? [] : [...keysOf(schema, `${key}.`), ...keysOf(items, `${key}[].`)];
  const type = isSecret ? "string, a secret" : typeOf(schema);
  const about =
    keys.length > 0 ? text : `${typeAndDefault(type, false, byDefault)}  \n${escaped(text)}`;
  return `## \`buildhosts:${key}\`\n\n${about}\n${isSecret ? secretExample(key) : example(key)}${headings(keys)}`;
}

/** The keys of each definition that buildkitd's settings are made of, under its path. */
function buildkitdHeadings(definitions: Record<string, JsonSchema>): string {
  const keys: Key[] = [];
  const visit = (path: string, name: string) => {
    const definition = definitions[name];
    if (!definition) throw new Error(`the schema has no definition ${name}`);
    const required = new Set(definition.required ?? []);
    for (const [key, property] of Object.entries(definition.properties ?? {})) {
      const value = property as JsonSchema;
      const inner = innerDefinition(value);
      const keyPath = `${path}.${/\./.test(key) ? `"${key}"` : key}`;
      const { text, byDefault } = described(value);
      keys.push({
        path: keyPath,
        type: inner ? (typeNames[inner.suffix] ?? "") : typeOf(value),
        isRequired: required.has(key),
        byDefault,
        text: text || (inner ? described(definitions[inner.name] ?? {}).text : ""),
      });
      if (inner) visit(`${keyPath}${inner.suffix}`, inner.name);
    }
  };
  visit("buildkitd", "BuildkitdSettings");
  return headings(keys);
}

/** The type of a value that consists of another definition, by what is behind its name in a path. */
const typeNames: Record<string, string> = {
  "": "object",
  "[]": "array of object",
  ".<name>": "object of object",
};

/** The definition that a value, a list's items or a map's values are of. */
function innerDefinition(schema: JsonSchema): { name: string; suffix: string } | undefined {
  const own = definitionName(schema);
  if (own) return { name: own, suffix: "" };
  const item = definitionName((schema.items ?? {}) as JsonSchema);
  if (item) return { name: item, suffix: "[]" };
  const value = definitionName((schema.additionalProperties || {}) as JsonSchema);
  return value ? { name: value, suffix: ".<name>" } : undefined;
}

function definitionName(schema: JsonSchema): string | undefined {
  const reference = schema.$ref ?? (schema.allOf?.[0] as JsonSchema | undefined)?.$ref;
  return reference?.replace("#/definitions/", "");
}

/** A key of the reference. */
interface Key {
  path: string;
  type: string;
  isRequired: boolean;
  byDefault: string;
  text: string;
}

/** The keys below an object, each before those below itself. */
function keysOf(schema: JsonSchema, prefix: string): Key[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const value = property as JsonSchema;
    const { text, byDefault } = described(value);
    const path = `${prefix}${key}`;
    const own = { path, type: typeOf(value), isRequired: required.has(key), byDefault, text };
    // The settings of buildkitd have a section of their own.
    if (definitionName(value)) return [{ ...own, text: `${text} See [buildkitd](#buildkitd).` }];
    const items = (value.items ?? {}) as JsonSchema;
    const values = (value.additionalProperties || {}) as JsonSchema;
    return [
      own,
      ...keysOf(value, `${path}.`),
      ...keysOf(items, `${path}[].`),
      ...keysOf(values, `${path}.<name>.`),
    ];
  });
}

function headings(keys: readonly Key[]): string {
  return keys
    .map(
      ({ path, type, isRequired, byDefault, text }) =>
        `\n### \`${path}\`\n\n${typeAndDefault(type, isRequired, byDefault)}${text && `  \n${escaped(text)}`}\n`,
    )
    .join("");
}

/** `integer, default 1234` */
function typeAndDefault(type: string, isRequired: boolean, byDefault: string): string {
  const addition = isRequired ? "required" : byDefault && `default: ${escaped(byDefault)}`;
  return `*${[type, addition].filter(Boolean).join(", ")}*`;
}

/** A description without its sentence about the default, and that. */
function described({ description = "", default: value }: JsonSchema) {
  const [, text = "", told] =
    /^(.*?)(?:\s*Default(?: of the section left out)?: (.*?)\.?)?$/s.exec(description) ?? [];
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  const byDefault =
    told ?? (value === undefined || value === "" || isEmpty ? "" : `\`${JSON.stringify(value)}\``);
  return { text, byDefault };
}

function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(" or ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map((one) => typeOf(one as JsonSchema)))].join(" or ");
  if (schema.type === "array") {
    const items = (schema.items ?? {}) as JsonSchema;
    return `array of ${items.enum ? `(${typeOf(items)})` : typeOf(items)}`;
  }
  if (schema.type === "object" && !schema.properties && schema.additionalProperties)
    return `object of ${typeOf(schema.additionalProperties as JsonSchema)}`;
  return String(schema.type ?? "object");
}

/** Outside of code, Markdown would take angle brackets for HTML, and stars for emphasis. */
function escaped(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part) =>
      part.startsWith("`")
        ? part
        : part.replace(/[<*]/g, (sign) => (sign === "<" ? "&lt;" : `\\${sign}`)),
    )
    .join("");
}

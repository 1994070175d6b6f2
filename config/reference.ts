import type * as z from "zod";
import { stackFileSchema } from "./jsonSchema.ts";

/** Where the reference lies, relative to the project. */
export const referencePath = "docs/configuration.md";

type JsonSchema = z.core.JSONSchema.BaseSchema;

const introduction = `# Configuration

<!-- Written by config/generateReference.ts from the schema: change the descriptions there. -->

Every key of a stack file, \`Pulumi.<stack>.yaml\`. Each stands below \`config:\` with the prefix
\`buildhosts:\`. An unknown key is an error, a misspelt one deep inside too. An editor that reads
\`schema/stack.schema.json\` completes the keys; [Pulumi.example.yaml](../Pulumi.example.yaml) shows
the line that tells it to. A dot means nesting: \`listen.port\` is \`port\` below \`listen\`.
`;

const buildkitdIntroduction = `What \`buildkitd\` of a board, or of a builder on a Docker host, may hold: buildkitd.toml under upstream's
names and with upstream's defaults. What is not here is decided by the other keys: addresses and TLS, the worker that is
on, its runc, and its network. Sizes are bytes (\`512000000\`), a text with a unit (\`"512MB"\`, powers of
1024) or a share of the disk (\`"10%"\`). Times are seconds (\`172800\`) or a text (\`"48h"\`).
`;

/** The configuration reference: a table for each part of a stack file, in Markdown. */
export function configurationReference(): string {
  const schema = stackFileSchema();
  const definitions = (schema.definitions ?? {}) as Record<string, JsonSchema>;
  const config = schema.properties?.config as JsonSchema;
  const keys = config.properties as Record<string, JsonSchema>;
  const all = Object.entries(keys);
  return [
    introduction,
    ...all
      .filter(([, value]) => !isHosts(value))
      .map(([key, value]) => part(`\`${key}${itemsOf(value).properties ? "[]" : ""}\``, value)),
    ...all.filter(([, value]) => isHosts(value)).flatMap(([key, value]) => hostParts(key, value)),
    `## \`buildhosts:boards[].buildkitd\`\n\n${buildkitdIntroduction}`,
    ...buildkitdParts(definitions),
  ].join("\n");
}

/** Whether a key is a list of hosts: each is a machine of one's own, or a virtual one. */
function isHosts({ items }: JsonSchema): boolean {
  return (items as JsonSchema | undefined)?.oneOf !== undefined;
}

/** The keys of a machine that a virtual one has not. */
function lacking(physical: JsonSchema, virtual: JsonSchema): string {
  const keys = Object.keys(physical.properties ?? {});
  return keys.filter((key) => !virtual.properties?.[key]).join(", ");
}

/** A table for a kind of host, and one for the builders on it where they are several. */
function hostParts(key: string, hosts: JsonSchema): string[] {
  const [host = {}, virtual = {}] = (hosts.items as JsonSchema).oneOf as JsonSchema[];
  const builders = host.properties?.builders as JsonSchema | undefined;
  const description = `${described(hosts).text} A virtual one has no ${lacking(host, virtual)}: the proving ground gives them.`;
  const parts = [part(`\`${key}[]\``, { ...host, description })];
  if (builders) {
    const one = { ...(builders.items as JsonSchema), description: builders.description };
    parts.push(part(`\`${key}[].builders[]\``, one));
  }
  return parts;
}

function part(title: string, schema: JsonSchema): string {
  const { text, byDefault } = described(schema);
  const rows = rowsOf(itemsOf(schema).properties ? itemsOf(schema) : schema);
  const about = [text, rows.length === 0 ? `Type: ${typeOf(schema)}.` : ""];
  if (rows.length === 0 && byDefault) about.push(`Default: ${byDefault}.`);
  return `## ${title}\n\n${about.filter(Boolean).join(" ")}\n${table(rows)}`;
}

function itemsOf({ items }: JsonSchema): JsonSchema {
  return (items ?? {}) as JsonSchema;
}

/** One table for each definition that buildkitd's settings are made of, under its path. */
function buildkitdParts(definitions: Record<string, JsonSchema>): string[] {
  const parts: string[] = [];
  const visit = (path: string, name: string) => {
    const definition = definitions[name];
    if (!definition) throw new Error(`the schema has no definition ${name}`);
    const { text } = described(definition);
    const isShown = text !== "" && path !== "buildkitd";
    parts.push(`### \`${path}\`\n${isShown ? `\n${text}\n` : ""}${table(rowsOf(definition))}`);
    for (const [key, value] of Object.entries(definition.properties ?? {})) {
      const inner = innerDefinition(value as JsonSchema);
      if (inner) visit(`${path}.${/\./.test(key) ? `"${key}"` : key}${inner.suffix}`, inner.name);
    }
  };
  visit("buildkitd", "BuildkitdSettings");
  return parts;
}

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

type Row = [key: string, type: string, byDefault: string, meaning: string];

function rowsOf(schema: JsonSchema, prefix = ""): Row[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const value = property as JsonSchema;
    const { text, byDefault } = described(value);
    const row: Row = [
      `\`${prefix}${key}\``,
      typeOf(value),
      required.has(key) ? "required" : byDefault,
      text,
    ];
    if (value.type === "object" && value.properties) {
      return [row, ...rowsOf(value, `${prefix}${key}.`)];
    }
    const items = (value.items ?? {}) as JsonSchema;
    if (items.properties) return [row, ...rowsOf(items, `${prefix}${key}[].`)];
    const values = (value.additionalProperties || {}) as JsonSchema;
    return values.properties ? [row, ...rowsOf(values, `${prefix}${key}.<name>.`)] : [row];
  });
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
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map((one) => typeOf(one as JsonSchema)))].join(" or ");
  if (schema.type === "array") return `list of ${typeOf((schema.items ?? {}) as JsonSchema)}`;
  if (schema.type === "object" && !schema.properties && schema.additionalProperties)
    return `map to ${typeOf(schema.additionalProperties as JsonSchema)}`;
  const names: Record<string, string> = {
    integer: "whole number",
    string: "text",
    boolean: "true or false",
  };
  return names[String(schema.type)] ?? "keys below";
}

function table(rows: Row[]): string {
  if (rows.length === 0) return "";
  const lines = rows.map((row) => `| ${row.map((cell) => escaped(cell)).join(" | ")} |\n`);
  return `\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n${lines.join("")}`;
}

/** Markdown would end the cell at a bar, and take what stands in angle brackets for HTML. */
function escaped(cell: string): string {
  return cell.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

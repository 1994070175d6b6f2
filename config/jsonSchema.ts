import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import * as z from "zod";
import { secretKeys, stackKeys } from "./schema.ts";

/** Where the JSON schema lies, relative to the project; stack files name it in their first line. */
export const stackSchemaPath = "schema/stack.schema.json";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/**
 * The JSON schema of a whole stack file, `Pulumi.<stack>.yaml`, for completion and checks in an editor.
 * It is as strict as a JSON schema can be; what depends on two keys at once is left to the program.
 */
export function stackFileSchema(): JsonSchema {
  const { $schema, definitions, properties } = describe(
    z.toJSONSchema(z.strictObject(stackKeys), { target: "draft-7", io: "input" }),
  );
  const config = Object.fromEntries(
    Object.entries(properties ?? {}).map(([key, schema]) => [
      `buildhosts:${key}`,
      secretKeys.includes(key) ? secretOf(schema as JsonSchema) : schema,
    ]),
  );
  return {
    $schema,
    title: "A stack of buildhosts",
    type: "object",
    properties: {
      config: {
        type: "object",
        properties: config,
        // Keys of other namespaces belong to Pulumi and its providers.
        patternProperties: { "^(?!buildhosts:)": {} },
        additionalProperties: false,
      },
      ...pulumiKeys,
    },
    additionalProperties: false,
    definitions,
  };
}

/** A copy in which buildkitd's settings carry the docstrings of their interfaces. */
function describe(schema: JsonSchema): JsonSchema {
  // As text and back: keys of one kind share their schema, and would share its description.
  const copy: JsonSchema = JSON.parse(JSON.stringify(schema));
  const interfaces = settingsDocs();
  for (const [name, definition] of Object.entries(copy.definitions ?? {}) as [
    string,
    JsonSchema,
  ][]) {
    const docs = interfaces.get(name);
    if (docs?.doc) definition.description ??= docs.doc;
    for (const [key, property] of Object.entries(definition.properties ?? {})) {
      const doc = docs?.properties.get(key);
      if (typeof property === "object" && doc) property.description ??= doc;
    }
  }
  return copy;
}

/** What Pulumi itself keeps in a stack file (`ProjectStack` in its source). */
const pulumiKeys: Record<string, JsonSchema> = {
  secretsprovider: { type: "string", description: "Where secrets are encrypted. Pulumi's." },
  encryptedkey: { type: "string", description: "Key of a cloud's secrets provider. Pulumi's." },
  encryptionsalt: { type: "string", description: "Salt of the passphrase. Pulumi's." },
  environment: { description: "Pulumi ESC environments. Pulumi's." },
};

/** A secret as it stands in a stack file. */
function secretOf({ description }: JsonSchema): JsonSchema {
  return {
    type: "object",
    description,
    properties: {
      secure: { type: "string", description: "As pulumi config set --secret writes it." },
    },
    required: ["secure"],
    additionalProperties: false,
  };
}

interface InterfaceDocs {
  doc: string | undefined;
  properties: Map<string, string | undefined>;
}

/** The docstrings of buildkitd's settings: they are written once, where the components have them. */
function settingsDocs(): Map<string, InterfaceDocs> {
  const path = join(import.meta.dirname, "../components/buildkitd/settings.ts");
  const source = ts.createSourceFile(
    path,
    readFileSync(path, "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  return new Map(
    source.statements
      .filter((statement) => ts.isInterfaceDeclaration(statement))
      .map((declaration) => [
        declaration.name.text,
        {
          doc: docOf(declaration),
          properties: new Map(declaration.members.map((member) => [nameOf(member), docOf(member)])),
        },
      ]),
  );
}

function nameOf({ name }: ts.TypeElement): string {
  return name && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? name.text : "";
}

function docOf(node: ts.Node): string | undefined {
  const [doc] = ts.getJSDocCommentsAndTags(node);
  return ts.getTextOfJSDocComment(doc?.comment)?.replace(/\s+/g, " ");
}

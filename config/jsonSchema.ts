import * as z from "zod";
import { secretKeys, stackKeys } from "./schema.ts";

/** Where the JSON schema lies, relative to the project; stack files name it in their first line. */
export const stackSchemaPath = "schema/stack.schema.json";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/**
 * The JSON schema of a whole stack file, `Pulumi.<stack>.yaml`, for completion and checks in an editor.
 * It is as strict as a JSON schema can be; the program checks rules about two keys at once.
 */
export function stackFileSchema(): JsonSchema {
  const { $schema, definitions, properties } = z.toJSONSchema(z.strictObject(stackKeys), {
    target: "draft-7",
    io: "input",
  });
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

/** Pulumi's own keys of a stack file (`ProjectStack` in its source). */
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

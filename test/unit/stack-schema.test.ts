import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { stackFileSchema, stackSchemaPath } from "../../config/jsonSchema.ts";
import { configurationReference, referencePath } from "../../config/reference.ts";
import { secretKeys } from "../../config/schema.ts";
import { everySetting } from "./everySetting.ts";

const project = join(import.meta.dirname, "../..");
const text = (path: string) => readFileSync(join(project, path), "utf8");

const schema = stackFileSchema();
const validate: ValidateFunction = new Ajv({ strict: false }).compile(schema);

/** Where the schema finds fault with a stack file that has these keys. */
function faults(config: Record<string, unknown>): string[] {
  validate({ config });
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const board = {
  name: "a",
  host: "a.example.com",
  hostKey: "ssh-ed25519 AAAA",
  platform: "linux/riscv64",
};

test(`${stackSchemaPath} is what config/generateSchema.ts writes`, () => {
  expect(text(stackSchemaPath)).toBe(`${JSON.stringify(schema, null, 2)}\n`);
});

test("the reference has the keys of what stands in a map", () => {
  for (const key of ["caFile", "certFile", "keyFile"]) {
    for (const builder of ["boards[]", "dockerHosts[].builders[]"]) {
      expect(configurationReference()).toContain(
        `\n### \`${builder}.registryCertificates.<name>.${key}\`\n\n*string*`,
      );
    }
  }
});

test("the reference has types in JSON Schema's words, with what is required and the defaults", () => {
  for (const lines of [
    "### `certificates.validityHours`\n\n*integer, default: `8760`*",
    '### `certificates.algorithm`\n\n*`"ECDSA"` or `"ED25519"`, default: `"ECDSA"`*',
    "### `boards[].name`\n\n*string, required*",
    "### `boards[].rootless`\n\n*boolean, default: `false`*",
    "### `releases.checksums`\n\n*object of string*",
    "### `dockerHosts[].builders`\n\n*array of object, required*",
    "### `buildkitd.worker.gcpolicy[].all`\n\n*boolean",
  ]) {
    expect(configurationReference()).toContain(`\n${lines}`);
  }
});

test("each section of the reference has an example, which is a part of a tested file", () => {
  const sections = configurationReference().split(/^## /m).slice(1);
  const withoutBlanks = (lines: string) =>
    lines.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  for (const section of sections) {
    const [, title = ""] = /^`(?:buildhosts:)?(\w+)`/.exec(section) ?? [];
    if (secretKeys.includes(title)) {
      expect.soft(section, title).toContain(`config set --secret buildhosts:${title} <`);
      continue;
    }
    const [, file = "", yaml = ""] =
      /\(\.\.\/(examples\/[^)]+)\):\n\n```yaml\n(.*?)```/s.exec(section) ?? [];
    expect.soft(yaml, title).toMatch(new RegExp(`^(buildhosts:)?${title}:`));
    expect
      .soft(withoutBlanks(text(file)).join("\n"), title)
      .toContain(withoutBlanks(yaml).join("\n"));
  }
});

test(`${referencePath} is what config/generateReference.ts writes`, () => {
  expect(text(referencePath)).toBe(configurationReference());
});

test("keys of one kind have descriptions of their own", () => {
  const definitions = schema.definitions as Record<
    string,
    { properties: Record<string, { description: string }> }
  >;
  const descriptions = Object.values(definitions.GhaCacheVerifyPolicy?.properties ?? {}).map(
    ({ description }) => description,
  );
  expect(new Set(descriptions).size).toBe(descriptions.length);
});

test.each(["Pulumi.dev.yaml", "Pulumi.docker.yaml", "Pulumi.github.yaml", "Pulumi.example.yaml"])(
  "%s names the schema and is valid",
  (file) => {
    expect(text(file)).toMatch(
      /^# yaml-language-server: \$schema=\.\/schema\/stack\.schema\.json\n/,
    );
    validate(parse(text(file)));
    expect(validate.errors).toBeNull();
  },
);

test("Pulumi.yaml describes each key as the schema does, and asks for none", () => {
  const declared: Record<string, { description?: string; default?: unknown }> = parse(
    text("Pulumi.yaml"),
  ).config;
  const config = schema.properties?.config as {
    properties: Record<string, { description: string }>;
  };
  expect(Object.keys(declared).map((key) => `buildhosts:${key}`)).toEqual(
    Object.keys(config.properties),
  );
  for (const [key, { description, default: value }] of Object.entries(declared)) {
    expect.soft(description, key).toBe(config.properties[`buildhosts:${key}`]?.description);
    expect.soft(value, key).toBeDefined();
  }
});

describe("the schema", () => {
  test("accepts every setting of buildkitd, a secret key, and what Pulumi keeps in a stack file", () => {
    const config = {
      "buildhosts:boards": [
        { ...board, buildkitd: everySetting },
        { name: "v", virtual: true, platform: "arm64" },
      ],
      "buildhosts:sshPrivateKey": { secure: "v1:abc" },
      "pulumi:tags": { team: "lab" },
    };
    validate({ config, encryptionsalt: "v1:abc", secretsprovider: "passphrase" });
    expect(validate.errors).toBeNull();
  });

  test.each<[string, Record<string, unknown>]>([
    ["an unknown key of the stack", { "buildhosts:board": [] }],
    ["an unknown key of a section", { "buildhosts:releases": { buildkitt: "v0.34.2" } }],
    ["a board without a host key", { "buildhosts:boards": [{ ...board, hostKey: undefined }] }],
    [
      "an unknown key of buildkitd",
      { "buildhosts:boards": [{ ...board, buildkitd: { gc: true } }] },
    ],
    [
      "an amount that is none",
      { "buildhosts:boards": [{ ...board, buildkitd: { worker: { maxUsedSpace: "lots" } } }] },
    ],
    ["a virtual board with a host", { "buildhosts:boards": [{ ...board, virtual: true }] }],
    ["a key in plain text", { "buildhosts:sshPrivateKey": "-----BEGIN" }],
  ])("refuses %s", (_, config) => {
    expect(faults(config)).not.toEqual([]);
  });

  test("describes every key", () => {
    const { config } = schema.properties as { config: object };
    expect(undescribed(config, "config")).toEqual([]);
    for (const [name, definition] of Object.entries(schema.definitions ?? {})) {
      expect.soft(definition, name).toHaveProperty("description");
      expect.soft(undescribed(definition, name)).toEqual([]);
    }
  });
});

/** Whose description stands where it is defined. */
function isReference(property: object): boolean {
  return "$ref" in property || "allOf" in property;
}

/** The properties without a description, in all of a schema. */
function undescribed(node: unknown, path: string): string[] {
  if (typeof node !== "object" || node === null) return [];
  const { properties, ...rest } = node as { properties?: Record<string, object> };
  const own = Object.entries(properties ?? {}).flatMap(([key, property]) => [
    ...("description" in property || isReference(property) ? [] : [`${path}.${key}`]),
    ...undescribed(property, `${path}.${key}`),
  ]);
  return [
    ...own,
    ...Object.entries(rest).flatMap(([key, child]) => undescribed(child, `${path}/${key}`)),
  ];
}

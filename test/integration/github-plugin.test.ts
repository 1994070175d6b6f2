// The plugin for GitHub beside the SDK that asks for it: package.json pins the one, go.mod in
// runtime/githubPlugin what the other is built from.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { beforeAll, expect, inject, test } from "vitest";
import { githubPlugin } from "./githubPlugin.ts";
import { projectDir } from "./ground.ts";

const sdk = join(projectDir, "node_modules", "@pulumi", "github");

beforeAll(githubPlugin);

/** Of each type, its inputs as the SDK sends them, and which of them it marks as secret. */
async function typesOfSdk(): Promise<Record<string, { inputs: string[]; secrets: string[] }>> {
  const types: Awaited<ReturnType<typeof typesOfSdk>> = {};
  for (const file of await readdir(sdk)) {
    if (!file.endsWith(".js")) continue;
    const text = await readFile(join(sdk, file), "utf8");
    const type = /__pulumiType = '(github:index[^']+)'/.exec(text)?.[1];
    if (type === undefined) continue;
    const inputs = text.matchAll(/resourceInputs\["(\w+)"\] = .*\bargs\?\.\w+/g);
    const secrets = /additionalSecretOutputs: (\[.*?\])/.exec(text)?.[1] ?? "[]";
    types[type] = {
      inputs: [...inputs].map(([, name]) => name ?? "").sort(),
      secrets: JSON.parse(secrets).sort(),
    };
  }
  return types;
}

test("the plugin has every resource of the SDK, with its inputs and secrets", async () => {
  const { engine, env } = inject("ground");
  const { stdout } = await execa(engine.pulumi, ["package", "get-schema", "github"], { env });
  const schema: {
    version: string;
    resources: Record<string, Record<"inputProperties" | "properties", Record<string, object>>>;
  } = JSON.parse(stdout);
  expect(schema.version).toBe(
    JSON.parse(await readFile(join(sdk, "package.json"), "utf8")).version,
  );
  const types = Object.entries(schema.resources).map(([type, resource]) => [
    type,
    {
      inputs: Object.keys(resource.inputProperties).sort(),
      secrets: Object.entries(resource.properties)
        .filter(([, property]) => "secret" in property)
        .map(([name]) => name)
        .sort(),
    },
  ]);
  const ofSdk = await typesOfSdk();
  expect(Object.keys(ofSdk)).toContain("github:index/repository:Repository");
  expect(Object.fromEntries(types)).toEqual(ofSdk);
});

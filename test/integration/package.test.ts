import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { parse } from "yaml";
import { quote } from "../../components/shell.ts";
import { ensureEngine } from "../../runtime/engine/engine.ts";
import { toStderr as log } from "../../runtime/progress.ts";

const projectDir = join(import.meta.dirname, "..", "..");
const examples = join(projectDir, "examples");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "buildhosts-package-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/**
 * The schema that Pulumi makes of components/. The plugin is started as a language host does it; that a
 * language host does, the one from Go modules cannot prove: it is older than component packages.
 */
async function packageSchema() {
  const engine = await ensureEngine(log);
  const plugin = join(folder, "pulumi-resource-buildhosts");
  const host = join(projectDir, "node_modules", "@pulumi", "pulumi", "cmd", "run-plugin");
  const words = [process.execPath, host, join(projectDir, "components")].map(quote);
  await writeFile(plugin, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`);
  await chmod(plugin, 0o755);
  const { stdout } = await execa(engine.pulumi, ["package", "get-schema", plugin], {
    env: { ...engine.env, PULUMI_HOME: join(folder, "home") },
    timeout: 60_000,
  });
  return JSON.parse(stdout);
}

test("components/ is a Pulumi package: ten components, their arguments typed", async () => {
  const schema = await packageSchema();

  expect(schema.name).toBe("buildhosts");
  expect(Object.keys(schema.resources)).toEqual([
    "buildhosts:index:BuilderBoard",
    "buildhosts:index:BuilderContainer",
    "buildhosts:index:BuilderPool",
    "buildhosts:index:BuilderRepository",
    "buildhosts:index:BuilderSecrets",
    "buildhosts:index:CertificateAuthority",
    "buildhosts:index:ClientCertificate",
    "buildhosts:index:HostEmulation",
    "buildhosts:index:RepositoryWorkflows",
    "buildhosts:index:ServerCertificate",
  ]);
  const board = schema.resources["buildhosts:index:BuilderBoard"];
  expect(board.isComponent).toBe(true);
  expect(board.requiredInputs).toEqual([
    "caCertPem",
    "caValidityStartTime",
    "certificate",
    "connection",
    "healthCheck",
    "platform",
    "releases",
    "serverName",
  ]);
  expect(board.inputProperties.worker.$ref).toBe("#/types/buildhosts:index:BoardWorker");
  expect(
    schema.types["buildhosts:index:BoardWorker"].enum.map((e: { value: string }) => e.value),
  ).toEqual(["oci", "containerd"]);
  expect(board.properties).toMatchObject({
    endpoint: { type: "string" },
    platforms: { type: "array", items: { type: "string" } },
  });
});

test("the example in YAML has types and properties of the package, and everything that they require", async () => {
  const schema = await packageSchema();
  const program = parse(await readFile(join(examples, "package-yaml", "Pulumi.yaml"), "utf8"));
  const types = program.resources as Record<string, { type: string; properties: object }>;

  for (const [name, { type, properties }] of Object.entries(types)) {
    const { inputProperties, requiredInputs = [] } = schema.resources[type] ?? {};
    expect(inputProperties, `${name}: ${type}`).toBeDefined();
    expect(Object.keys(inputProperties), name).toEqual(
      expect.arrayContaining(Object.keys(properties)),
    );
    expect(Object.keys(properties), name).toEqual(expect.arrayContaining(requiredInputs));
    for (const [property, value] of Object.entries(properties)) {
      const nested = schema.types[inputProperties[property].$ref?.replace("#/types/", "")];
      if (!nested?.properties) continue;
      const path = `${name}.${property}`;
      expect(Object.keys(nested.properties), path).toEqual(
        expect.arrayContaining(Object.keys(value)),
      );
      expect(Object.keys(value), path).toEqual(expect.arrayContaining(nested.required ?? []));
    }
  }
});

test("the example in TypeScript is previewed from its own folder", async () => {
  const { engine, env } = inject("ground");
  const stackFolder = join(folder, "typescript");
  const example = join(examples, "package-typescript");
  await mkdir(join(stackFolder, "state"), { recursive: true });
  await cp(join(example, "Pulumi.yaml"), join(stackFolder, "Pulumi.yaml"));
  const pulumi = (cwd: string, ...args: string[]) =>
    execa(engine.pulumi, [...args, "--non-interactive", "--color", "never", "--cwd", cwd], {
      env: { ...env, PULUMI_BACKEND_URL: `file://${join(stackFolder, "state")}` },
      all: true,
      timeout: 60_000,
    });
  await pulumi(stackFolder, "stack", "init", "home");

  const { all } = await pulumi(
    example,
    ...["preview", "--stack", "home", "--config-file", join(stackFolder, "Pulumi.home.yaml")],
  );

  expect(all).toMatch(/BuilderBoard visionfive create/);
  expect(all).toMatch(/command:remote:Command visionfive-service create/);
  expect(all).toMatch(/\+ \d+ to create/);
});

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { quote } from "../../components/shell.ts";
import { ensureEngine } from "../../proving-ground/engine/engine.ts";
import { toStderr as log } from "../../proving-ground/progress.ts";

const projectDir = join(import.meta.dirname, "..", "..");

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

test("components/ is a Pulumi package: nine components, their arguments typed", async () => {
  const schema = await packageSchema();

  expect(schema.name).toBe("buildhosts");
  expect(Object.keys(schema.resources)).toEqual([
    "buildhosts:index:BuilderBoard",
    "buildhosts:index:BuilderContainer",
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

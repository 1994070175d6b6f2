import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import * as components from "../../components/index.ts";
import { startGithub } from "../../proving-ground/github/github.ts";
import { compose } from "../../stack/compose.ts";
import { type RecordingMocks, settled, underMocks } from "./pulumiMocks.ts";
import { type StackFileReader, stackFileReader } from "./stackFiles.ts";

const examples = join(import.meta.dirname, "..", "..", "examples");

/** Stack files, each with the warnings that it is meant to have, and what it is an example of. */
const stackFiles: Record<string, { warnings: string[]; resources: string[] }> = {
  "one-board/Pulumi.one-board.yaml": {
    warnings: [],
    resources: ["buildhosts:index:BuilderBoard visionfive"],
  },
  "mixed-fleet/Pulumi.mixed-fleet.yaml": {
    warnings: [],
    resources: ["visionfive", "rock", "epyc"].map(
      (name) => `buildhosts:index:BuilderBoard ${name}`,
    ),
  },
  "docker-hosts/Pulumi.docker-hosts.yaml": {
    warnings: ["has no digest"],
    resources: [
      "buildhosts:index:BuilderContainer desk-amd64",
      "buildhosts:index:BuilderContainer lab-kernel",
      "buildhosts:index:BuilderContainer lab-web",
      "buildhosts:index:HostEmulation lab-emulation",
    ],
  },
  "pool/Pulumi.pool.yaml": {
    warnings: [],
    resources: [
      "buildhosts:index:BuilderBoard board-1",
      "buildhosts:index:BuilderBoard board-2",
      "buildhosts:index:BuilderBoard board-3",
      "buildhosts:index:BuilderPool riscv64",
    ],
  },
  "github/Pulumi.github-builders.yaml": {
    warnings: ["images by tags that move"],
    resources: [
      "buildhosts:index:BuilderBoard visionfive",
      "buildhosts:index:BuilderRepository buildkit-riscv64",
      "buildhosts:index:BuilderSecrets website",
      "buildhosts:index:RepositoryWorkflows buildkit-riscv64",
    ],
  },
};
const programs = ["package-typescript", "package-yaml"];

test("each folder is a stack file or a program that is tested here", () => {
  const folders = readdirSync(examples).sort();
  const tested = [...Object.keys(stackFiles).map((file) => file.split("/")[0]), ...programs];
  expect(folders).toEqual(tested.sort());
});

describe("a stack file", () => {
  let reader: StackFileReader;
  const here = process.cwd();
  beforeAll(async () => {
    reader = await stackFileReader();
    // Where files of the SSH client are written.
    process.chdir(reader.projectDir);
  });
  afterAll(() => {
    process.chdir(here);
    reader.close();
  });

  test.each(Object.entries(stackFiles))(
    "%s is accepted, and composed",
    async (file, { warnings, resources }) => {
      const config = reader.read(readFileSync(join(examples, file), "utf8"));
      expect(config.warnings).toEqual(warnings.map((one) => expect.stringContaining(one)));
      if (config.github) {
        const { owner } = config.github;
        const github = await startGithub({ organizations: [owner] });
        onTestFinished(() => github.stop());
        config.github = { ...config.github, baseUrl: `${github.url}/`, token: github.token };
      }
      const { mocks, result } = await underMocks(() => compose(config));
      await result;
      expect(mocks.names()).toEqual(expect.arrayContaining(resources));
    },
  );

  test("of the mixed fleet has boards of all platforms behind the jump host", () => {
    const text = readFileSync(join(examples, "mixed-fleet/Pulumi.mixed-fleet.yaml"), "utf8");
    const { boards } = reader.read(text);
    expect(boards.map(({ platform }) => platform).sort()).toEqual([
      "linux/amd64",
      "linux/arm64",
      "linux/riscv64",
    ]);
    expect(parse(text).config["buildhosts:boards"]).toEqual(
      boards.map(() =>
        expect.objectContaining({ jump: expect.objectContaining({ host: "jump.example.com" }) }),
      ),
    );
  });
});

/** Every resource that both programs make, and what the board is told. */
const resources = [
  "buildhosts:index:BuilderBoard visionfive",
  "buildhosts:index:ClientCertificate alice",
  "buildhosts:index:ClientCertificate health-check",
  "buildhosts:index:ServerCertificate visionfive-server",
];

function expectBoard(mocks: RecordingMocks): void {
  expect(mocks.names()).toEqual(expect.arrayContaining(resources));
  expect(mocks.names()).toContain("buildhosts:index:CertificateAuthority builders");
  for (const step of ["-preflight", "-install", "-config", "-service"]) {
    expect(mocks.inputs(`visionfive${step}`)).toHaveProperty("create");
  }
  expect(mocks.inputs("visionfive.removal")).toHaveProperty("delete");
  expect(JSON.stringify(mocks.inputs("visionfive-config"))).toContain('maxUsedSpace = \\"100GB\\"');
}

describe("the package", () => {
  test("makes a CA, certificates and a board from TypeScript", async () => {
    const { mocks, result } = await underMocks(
      () => import("../../examples/package-typescript/index.ts"),
    );
    expectBoard(mocks);
    const { endpoint } = await result;
    expect((await settled(endpoint)).value).toBe("tcp://visionfive.example.com:1234");
  });

  test("makes the same from YAML", async () => {
    const { mocks, result } = await underMocks(() =>
      runYaml(readFileSync(join(examples, "package-yaml/Pulumi.yaml"), "utf8")),
    );
    expectBoard(mocks);
    expect(await settled(result.endpoint as pulumi.Output<string>)).toMatchObject({
      value: "tcp://visionfive.example.com:1234",
    });
  });

  test("is where the example in YAML says", () => {
    const { packages } = parse(readFileSync(join(examples, "package-yaml/Pulumi.yaml"), "utf8"));
    const folder = join(examples, "package-yaml", packages.buildhosts);
    expect(existsSync(join(folder, "PulumiPlugin.yaml"))).toBe(true);
  });
});

interface YamlResource {
  type: string;
  properties: object;
}

/**
 * A program in Pulumi YAML, of which the example uses resources in order and `${resource.property}`. The components are the real ones;
 * package.test.ts compares the properties with the package's schema.
 */
function runYaml(text: string): Record<string, unknown> {
  const program = parse(text);
  const made: Record<string, unknown> = {};
  const resolved = (value: unknown): unknown => {
    const reference = typeof value === "string" && /^\$\{([\w-]+)\.(\w+)\}$/.exec(value);
    if (reference) {
      const [, name = "", property = ""] = reference;
      const output = (made[name] as Record<string, unknown> | undefined)?.[property];
      if (output === undefined) throw new Error(`${value} leads nowhere`);
      return output;
    }
    if (Array.isArray(value)) return value.map(resolved);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(one)]));
  };
  for (const [name, { type, properties }] of Object.entries<YamlResource>(program.resources)) {
    const Component = (components as unknown as Record<string, Constructor>)[
      type.replace("buildhosts:index:", "")
    ];
    if (!Component) throw new Error(`${name}: there is no ${type}`);
    made[name] = new Component(name, resolved(properties));
  }
  return resolved(program.outputs) as Record<string, unknown>;
}

type Constructor = new (name: string, args: unknown) => pulumi.ComponentResource;

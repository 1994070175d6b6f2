import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");

/** The modules of a folder, by their path in the project. */
const modulesIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file));

interface Import {
  /** A path in the project, or the name of a package. */
  of: string;
  /** Node.js strips it. */
  isType: boolean;
  /** A module loads it where it needs it, and not at its own start. */
  isLazy: boolean;
}

function importsOf(module: string): Import[] {
  const text = readFileSync(join(root, module), "utf8");
  const found = (of: string, isType: boolean, isLazy: boolean): Import => ({
    of: of.startsWith(".") ? relative(root, join(root, dirname(module), of)) : of,
    isType,
    isLazy,
  });
  return [
    ...[...text.matchAll(/^(?:import|export) (type )?(?:[^;"]*? from )?"([^"]+)";$/gm)].map(
      ([, type, of = ""]) => found(of, type !== undefined, false),
    ),
    ...[...text.matchAll(/\bimport\("([^"]+)"\)/g)].map(([, of = ""]) => found(of, false, true)),
  ];
}

const folders = ["components", "config", "hosts", "stack"];
const modules = folders.flatMap(modulesIn);

/** Which of the imports of a folder's modules are of another folder; packages are left out. */
function foreignImports(folder: string): { module: string; of: string; isLazy: boolean }[] {
  return modulesIn(folder).flatMap((module) =>
    importsOf(module)
      .filter(({ of }) => of.endsWith(".ts") && !of.startsWith(`${folder}/`))
      .map(({ of, isLazy }) => ({ module, of, isLazy })),
  );
}

const foldersOf = (folder: string) => [
  ...new Set(foreignImports(folder).map(({ of }) => of.split("/")[0])),
];

test("the imports of every module are found", () => {
  const imports = importsOf("hosts/hostKind.ts");
  expect(imports).toContainEqual({ of: "@pulumi/pulumi", isType: true, isLazy: false });
  expect(imports).toContainEqual({ of: "config/findings.ts", isType: false, isLazy: false });
  for (const module of modules) {
    const lines = readFileSync(join(root, module), "utf8").match(/^import\b/gm) ?? [];
    expect(importsOf(module).length, module).toBeGreaterThanOrEqual(lines.length);
  }
});

describe("the layers", () => {
  test("components/ imports nothing outside itself", () => {
    expect(foreignImports("components")).toEqual([]);
  });

  test("config/ and hosts/ import nothing of stack/", () => {
    expect(foldersOf("config").sort()).toEqual(["components", "hosts"]);
    expect(foldersOf("hosts").sort()).toEqual(["components", "config"]);
  });

  test("reading a stack file loads no provider of Pulumi", () => {
    const loaded = new Set<string>();
    const load = (module: string) => {
      if (loaded.has(module)) return;
      loaded.add(module);
      if (!module.endsWith(".ts")) return;
      for (const { of, isType, isLazy } of importsOf(module)) if (!isType && !isLazy) load(of);
    };
    load("config/load.ts");
    const providers = [...loaded].filter((one) => one.startsWith("@pulumi/")).sort();
    expect(providers).toEqual(["@pulumi/pulumi"]);
  });

  test("no module imports itself by others", () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (module: string, path: readonly string[]) => {
      if (path.includes(module)) {
        circles.push([...path.slice(path.indexOf(module)), module].join(" → "));
        return;
      }
      if (done.has(module)) return;
      for (const { of, isType, isLazy } of importsOf(module)) {
        if (of.endsWith(".ts") && !isType && !isLazy) visit(of, [...path, module]);
      }
      done.add(module);
    };
    for (const module of modules) visit(module, []);
    expect(circles).toEqual([]);
  });

  test("only hosts/kinds.ts imports the folder of a kind of host", () => {
    const kinds = readdirSync(join(root, "hosts"), { withFileTypes: true }).filter((one) =>
      one.isDirectory(),
    );
    const importers = modules.flatMap((module) =>
      importsOf(module)
        .filter(({ of }) => kinds.some(({ name }) => of.startsWith(`hosts/${name}/`)))
        .filter(({ of }) => dirname(of) !== dirname(module))
        .map(() => module),
    );
    expect([...new Set(importers)]).toEqual(["hosts/kinds.ts"]);
    const listed = importsOf("hosts/kinds.ts").map(({ of }) => dirname(of));
    expect(listed).toEqual(expect.arrayContaining(kinds.map(({ name }) => `hosts/${name}`)));
  });
});

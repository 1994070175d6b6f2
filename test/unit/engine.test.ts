import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import sdk from "../../node_modules/@pulumi/pulumi/package.json" with { type: "json" };
import {
  engineVersion,
  isAtLeast,
  minimumEngineVersion,
  parseVersion,
} from "../../runtime/engine/engine.ts";
import { goModule, thisMachine } from "../../runtime/golang.ts";

describe("parseVersion", () => {
  test.each([
    ["v3.259.0\n", "3.259.0"],
    ["3.245.1", "3.245.1"],
    ["v3.260.0-alpha.1731+dirty", "3.260.0-alpha.1731"],
    ["warning: A new version is available\nv3.250.0", "3.250.0"],
  ])("reads %j as %s", (printed, version) => {
    expect(parseVersion(printed)).toBe(version);
  });

  test.each(["", "dev", "pulumi: command not found"])("finds none in %j", (printed) => {
    expect(parseVersion(printed)).toBeUndefined();
  });
});

describe("isAtLeast", () => {
  test.each([
    ["3.245.0", "3.245.0", true],
    ["3.259.0", "3.245.0", true],
    ["3.244.9", "3.245.0", false],
    ["4.0.0", "3.245.0", true],
    ["2.999.999", "3.245.0", false],
    ["3.1000.0", "3.245.0", true],
    ["3.245.0-alpha.1", "3.245.0", true],
  ])("%s against %s: %s", (version, minimum, expected) => {
    expect(isAtLeast(version, minimum)).toBe(expected);
  });
});

test("what is downloaded or built would be taken from the user as well", () => {
  expect(isAtLeast(engineVersion, minimumEngineVersion)).toBe(true);
});

test("the Automation API's installer and go.mod bring the version that we say", () => {
  expect(sdk.version).toBe(engineVersion);
  const goMod = readFileSync(new URL("../../runtime/engine/go.mod", import.meta.url), "utf8");
  expect(goMod).toContain(`github.com/pulumi/pulumi/pkg/v3 v${engineVersion}`);
});

test("a machine without Go is told so once, with the choices", async () => {
  vi.stubEnv("PATH", "/nonexistent");
  try {
    await expect(goModule("example.com/module", "v1.0.0")).rejects.toThrow(
      /^go: not found on PATH, but 1\.21 or newer is needed .* Install Go .* or let this machine reach/,
    );
  } finally {
    vi.unstubAllEnvs();
  }
});

test("this machine has a name in Go's words", () => {
  expect(thisMachine.goarch).toMatch(/^(amd64|arm64|riscv64|386|arm|ppc64|s390x|loong64)$/);
});

import { execa } from "execa";
import { expect, test } from "vitest";

/** In a process of its own: what it changes holds for all of a process. */
async function inProgram(env: Record<string, string>): Promise<string> {
  const { stdout } = await execa(
    process.execPath,
    [
      "--input-type=module",
      "--eval",
      `import { log } from "@pulumi/pulumi";
       const sdks = log.debug;
       await import("./stack/sdkDebugging.ts");
       const lines = new Error("as it is").stack.split("\\n").length;
       console.log(log.debug === sdks, lines > 1);`,
    ],
    { env },
  );
  return stdout;
}

test("the SDK sends no debug messages, and errors have no stack traces", async () => {
  expect(await inProgram({})).toBe("false false");
});

test("BUILDHOSTS_DEBUG_SDK=1 brings both back", async () => {
  expect(await inProgram({ BUILDHOSTS_DEBUG_SDK: "1" })).toBe("true true");
});

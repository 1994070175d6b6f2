import { execa } from "execa";
import { expect, test } from "vitest";

/** What a program prints that has a resource with `given`, `made` and `absent`; in a process of its own, which the change holds for. */
async function inProgram(lines: string): Promise<unknown> {
  const { stdout } = await execa(process.execPath, [
    "--input-type=module",
    "--eval",
    `import * as pulumi from "@pulumi/pulumi";
     await import("./stack/sdkOutputs.ts");
     let refusal;
     await pulumi.runtime.setMocks({
       call: () => ({}),
       newResource: async ({ inputs }) => {
         if (refusal) throw new Error(refusal);
         return { id: "7", state: { ...inputs, made: "by the provider", secret: pulumi.secret(1) } };
       },
     });
     class Thing extends pulumi.CustomResource {
       constructor(inputs) {
         super("a:b:Thing", "thing", { ...inputs, made: undefined, absent: undefined });
       }
     }
     const read = (output) => output.promise();
     const registered = (thing) => read(thing.urn);
     const print = (value) => console.log(JSON.stringify(value));
     ${lines}`,
  ]);
  return JSON.parse(stdout);
}

test("an output of a resource is made when it is read, and then stays the same", async () => {
  const seen = await inProgram(`
    const thing = new Thing({ given: "x" });
    const isMade = () => Object.getOwnPropertyDescriptor(thing, "given").get === undefined;
    const before = isMade();
    const output = thing.given;
    print([before, isMade(), output === thing.given, pulumi.Output.isInstance(output)]);
  `);
  expect(seen).toEqual([false, true, true, true]);
});

test("an output has the same value, read before the resource is registered or long after", async () => {
  const values = `[read(thing.given), read(thing.made), read(thing.absent), read(thing.id)]`;
  const wanted = ["x", "by the provider", null, "7"];
  expect(
    await inProgram(`const thing = new Thing({ given: "x" });
      print(await Promise.all(${values}));`),
  ).toEqual(wanted);
  expect(
    await inProgram(`const thing = new Thing({ given: "x" });
      await registered(thing);
      await new Promise((resolve) => setImmediate(resolve));
      print(await Promise.all(${values}));`),
  ).toEqual(wanted);
});

test("an output keeps what it depends on, and whether it is secret", async () => {
  const seen = await inProgram(`
    const thing = new Thing({ given: pulumi.secret("x") });
    await registered(thing);
    const { given } = thing;
    print([await given.isSecret, [...given.resources()].map((one) => one === thing)]);
  `);
  expect(seen).toEqual([true, [true]]);
});

test("an output of a resource that the engine refuses fails, read before or after", async () => {
  const seen = await inProgram(`
    process.on("unhandledRejection", () => {});
    refusal = "no such thing";
    const failure = (output) => read(output).then(() => "no failure", (error) => error.message);
    const thing = new Thing({ given: "x" });
    const early = failure(thing.given);
    const before = await early;
    print([before, await failure(thing.made)]);
    process.exit();
  `);
  expect(seen).toEqual([
    expect.stringContaining("no such thing"),
    expect.stringContaining("no such thing"),
  ]);
});

import { afterEach, describe, expect, test } from "vitest";
import { isAsked, runAsking } from "../../commands/lib/asking.ts";
import type { EngineRun } from "../../commands/lib/engineSession.ts";
import { planOf } from "../../commands/lib/plan.ts";

/** A session, and somebody who gives these answers. */
function asked(answers: ("yes" | "no" | "details")[], ...ends: Partial<EngineRun>[]) {
  const done: string[] = [];
  const run = async (args: string[]): Promise<EngineRun> => {
    done.push(args.join(" "));
    const end = ends[done.filter((one) => !/^(shown|asked)$/.test(one)).length - 1];
    return { code: 0, explanations: [], plan: () => planOf(""), ...end };
  };
  const asking = {
    show: () => done.push("shown"),
    answer: async () => {
      done.push("asked");
      return answers.shift() ?? "no";
    },
  };
  return { run, asking, done };
}

describe("an update", () => {
  test("is previewed, shown, asked about and then done without another preview", async () => {
    const { run, asking, done } = asked(["yes"], {}, { code: 3 });
    const end = await runAsking({ run }, ["up", "--refresh", "--continue-on-error"], asking);
    expect(end.code).toBe(3);
    expect(done).toEqual([
      "preview --refresh",
      "shown",
      "asked",
      "up --refresh --continue-on-error --yes --skip-preview",
    ]);
  });

  test("is not done after a no, and fails", async () => {
    const { run, asking, done } = asked(["no"]);
    expect(await runAsking({ run }, ["up"], asking)).toMatchObject({ code: 1, isDeclined: true });
    expect(done).toEqual(["preview", "shown", "asked"]);
  });

  test("is shown line by line to whoever wants details, and asked about again", async () => {
    const { run, asking, done } = asked(["details", "yes"]);
    await runAsking({ run }, ["up", "--diff"], asking);
    expect(done).toEqual([
      ...["preview --diff", "shown", "asked"],
      ...["preview --diff", "shown", "asked"],
      "up --diff --yes --skip-preview",
    ]);
  });

  test("whose preview fails is not asked about", async () => {
    const { run, asking, done } = asked(["yes"], { code: 255 });
    expect((await runAsking({ run }, ["up"], asking)).code).toBe(255);
    expect(done).toEqual(["preview"]);
  });
});

test("a removal is previewed by the engine's own means", async () => {
  const { run, asking, done } = asked(["yes"]);
  await runAsking({ run }, ["destroy"], asking);
  expect(done).toEqual([
    "destroy --preview-only",
    "shown",
    "asked",
    "destroy --yes --skip-preview",
  ]);
});

describe("who is asked", () => {
  const terminals = [process.stdin, process.stdout].map((stream) => ({
    stream,
    before: Object.getOwnPropertyDescriptor(stream, "isTTY"),
  }));
  afterEach(() => {
    for (const { stream, before } of terminals) {
      if (before) Object.defineProperty(stream, "isTTY", before);
      else Reflect.deleteProperty(stream, "isTTY");
    }
  });
  const sit = (isTTY: boolean) => {
    for (const { stream } of terminals)
      Object.defineProperty(stream, "isTTY", { value: isTTY, configurable: true });
  };

  test("is somebody at a terminal", () => {
    sit(true);
    expect(isAsked(["up", "--refresh"], { TERM: "xterm" })).toBe(true);
  });

  test.each<[string, string[], NodeJS.ProcessEnv]>([
    ["with --yes", ["up", "--yes"], {}],
    ["with -y", ["up", "-y"], {}],
    ["with --skip-preview", ["up", "--skip-preview=true"], {}],
    ["with --non-interactive", ["up", "--non-interactive"], {}],
    ["who only previews", ["destroy", "--preview-only"], {}],
    ["who updates by a plan", ["up", "--plan", "x"], {}],
    ["in CI", ["up"], { CI: "true" }],
    ["at a dumb terminal", ["up"], { TERM: "dumb" }],
  ])("is nobody %s", (_, args, env) => {
    sit(true);
    expect(isAsked(args, env)).toBe(false);
  });

  test("is nobody where there is no terminal", () => {
    sit(false);
    expect(isAsked(["up"], {})).toBe(false);
  });
});

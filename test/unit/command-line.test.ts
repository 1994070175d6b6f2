import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, isIPv6 } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { buildOf, inSteps, logWriter } from "../../commands/builds.ts";
import { examine } from "../../commands/doctor.ts";
import { kindsOf, sumsOf } from "../../commands/du.ts";
import type { ClientFiles } from "../../commands/lib/clientFiles.ts";
import { Control, type PruneRequest, type UsageRecord } from "../../commands/lib/control.ts";
import { exitCodes, worst } from "../../commands/lib/failure.ts";
import { dnsAnswer, dnsQuestion, nameServersIn, proxyIn } from "../../commands/lib/insideStep.ts";
import {
  builderOf,
  clientOf,
  type KnownBuilder,
  type KnownStack,
  stackFrom,
} from "../../commands/lib/knownStack.ts";
import { capOf, lookAtAll } from "../../commands/lib/look.ts";
import { onEach } from "../../commands/lib/onEach.ts";
import { bytes, duration, table } from "../../commands/lib/output.ts";
import { chosenOnes, poolFor, projectLabel, targetsOf } from "../../commands/lib/project.ts";
import { countOf, sizeOf, timeOf } from "../../commands/lib/quantities.ts";
import { type Finding, refusal, shortError } from "../../commands/lib/reach.ts";
import { asking, printing, type SystemCall, stepProgram } from "../../commands/lib/stepProgram.ts";
import { candidates, whyNothing } from "../../commands/prune.ts";
import { judge } from "../../commands/status.ts";
import type { BuilderLook } from "../../hosts/hostLook.ts";
import { answeringStep, fakeBuildkitd, TestAuthority, timestamp } from "./fakeBuildkitd.ts";

let authority: TestAuthority;
let files: ClientFiles;
beforeAll(async () => {
  authority = await TestAuthority.make();
  files = await authority.client();
});

const fakes: { close(): void }[] = [];
afterEach(() => {
  for (const fake of fakes.splice(0)) fake.close();
});

async function fake(
  ...args: Parameters<typeof fakeBuildkitd> extends [unknown, ...infer R] ? R : never
) {
  const made = await fakeBuildkitd(authority, ...args);
  fakes.push(made);
  return made;
}

/** A port that takes connections and says nothing. */
async function silentPort(): Promise<number> {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  fakes.push({ close: () => void server.close() });
  return (server.address() as { port: number }).port;
}

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function at(port: number, name: string, wanted = "v0.34.2"): KnownBuilder {
  return {
    ...{ name, host: "127.0.0.1", port, endpoint: `tcp://127.0.0.1:${port}`, wanted },
    ...{ platforms: ["linux/amd64"], serverName: "127.0.0.1" },
  };
}

const stackOf = (builders: KnownBuilder[]): KnownStack => ({
  ...{ name: "home", builders, clients: { default: files }, renewalHours: 720 },
  pools: [],
  buildxName: "buildhosts",
});

describe("status", () => {
  const judged = async (builders: KnownBuilder[], client = files, boundMs = 1000) =>
    judge(stackOf(builders), client, await lookAtAll(builders, client, boundMs));

  test("tells of a builder what it says of itself", async () => {
    const { builder } = await fake({
      usage: [{ Size: 3e9 }, { Size: 1e9, Shared: true }],
      builds: [
        { Ref: "runs", CreatedAt: timestamp(Date.now()) },
        { Ref: "ran", CreatedAt: timestamp(1000), CompletedAt: timestamp(2000) },
      ],
    });
    const { builders, exitCode } = await judged([builder]);
    expect(exitCode).toBe(exitCodes.well);
    expect(builders).toEqual([
      {
        ...{ name: "board", endpoint: builder.endpoint, reachable: true, problems: [] },
        ...{ answerMs: expect.any(Number), version: "v0.34.2", wantedVersion: "v0.34.2" },
        ...{ workers: 1, platforms: ["linux/amd64"], runningBuilds: 1 },
        ...{ cacheBytes: 3e9, cacheCapBytes: 20e9, freeBytes: null, freeInodes: null, drift: null },
        certificateDays: { server: 299, client: 299, ca: 3649 },
      },
    ]);
  });

  test("tells what its host says: free room, what somebody changed, or why that is not known", async () => {
    const { builder } = await fake({});
    const looks = await lookAtAll([builder], files, 1000);
    const host = (look: Partial<BuilderLook>) =>
      new Map([["board", { builder: "board", host: "board", changes: undefined, ...look }]]);
    const free = { bytes: 5e9, inodes: 1000 };
    const changed = judge(stackOf([builder]), files, looks, host({ changes: ["a was b"], free }));
    expect(changed.exitCode).toBe(exitCodes.attention);
    expect(changed.builders[0]).toMatchObject({
      ...{ drift: ["a was b"], freeBytes: 5e9, freeInodes: 1000 },
      problems: ["drift: a was b; run: buildhosts up --stack home"],
    });
    const unknown = judge(stackOf([builder]), files, looks, host({ reason: "no route to host" }));
    expect(unknown.exitCode).toBe(exitCodes.well);
    expect(unknown.builders[0]).toMatchObject({
      drift: null,
      problems: ["whether somebody changed it by hand is not known: no route to host"],
    });
    const inSync = judge(stackOf([builder]), files, looks, host({ changes: [] }));
    expect(inSync.builders[0]).toMatchObject({ drift: [], problems: [] });
  });

  test("needs attention where another version runs, and where up would renew a certificate", async () => {
    const { builder } = await fake({ version: "v0.34.1", days: 20 });
    const { builders, exitCode } = await judged([builder]);
    expect(exitCode).toBe(exitCodes.attention);
    expect(builders[0]?.problems).toEqual([
      "BuildKit v0.34.1 runs, and the stack file asks for v0.34.2; run: buildhosts up --stack home",
      expect.stringMatching(
        /^certificate of the builder: ends in 19 d \(.*\); run: buildhosts up --stack home, which renews it$/,
      ),
    ]);
  });

  test("of ten builders of which four are dead in their own ways takes 2 s, and the worst decides", async () => {
    const well = await Promise.all(["a", "b", "c", "d", "e", "f"].map((name) => fake({ name })));
    const silent = await fake({ name: "silent", silent: ["Info", "ListWorkers"] });
    const other = await fakeBuildkitd(await TestAuthority.make(), { name: "other" });
    fakes.push(other);
    const builders = [
      ...well.map(({ builder }) => builder),
      silent.builder,
      at(await closedPort(), "closed"),
      at(await silentPort(), "mute"),
      other.builder,
    ];
    const started = performance.now();
    const { builders: told, exitCode } = await judged(builders, files, 600);
    expect(performance.now() - started).toBeLessThan(2000);
    expect(exitCode).toBe(exitCodes.failed);
    expect(
      told.filter(({ reachable }) => !reachable).map(({ name, problems }) => [name, ...problems]),
    ).toEqual([
      ["silent", "no answer in time"],
      [
        "closed",
        expect.stringMatching(/^port: 127\.0\.0\.1:\d+: ECONNREFUSED; nothing listens there/),
      ],
      ["mute", expect.stringMatching(/^TLS: no handshake: no answer; /)],
      ["other", expect.stringMatching(/^TLS: the certificate shown is not of this stack's CA/)],
    ]);
  });

  test("is of use where the cache is not counted in time", async () => {
    const { builder } = await fake({ silent: ["DiskUsage"] });
    const { builders } = await judged([builder], files, 400);
    expect(builders[0]).toMatchObject({ reachable: true, cacheBytes: null, problems: [] });
  });

  test("says what a builder means that refuses the client", async () => {
    const { builder } = await fake();
    const { cert, key } = await (await TestAuthority.make()).client();
    const { builders } = await judged([builder], { ...files, cert, key });
    expect(builders[0]?.problems[0]).toMatch(
      // Node's server says nothing, buildkitd does: test/integration/command-line.test.ts.
      /^the client's rights: the builder ends the connection after the handshake, .*; run up again/,
    );
  });
});

describe("doctor", () => {
  const all = async (builder: KnownBuilder, client = files, speed = true) => {
    const findings: Finding[] = [];
    const stack = { name: "home", renewalHours: 720 };
    for await (const one of examine(stack, builder, client, speed)) findings.push(one);
    return findings;
  };
  const states = (findings: { check: string; state: string }[]) =>
    Object.fromEntries(findings.map(({ check, state }) => [check, state]));

  test("looks at everything that a build needs", async () => {
    const { builder, asked } = await fake({ names: ["localhost"] });
    const findings = await all({ ...builder, host: "localhost" });
    expect(states(findings)).toEqual({
      ...{ "certificate of the client": "well", "certificate of the CA": "well" },
      ...{ name: "well", port: "well", TLS: "well", "certificate of the builder": "well" },
      ...{ "the client's rights": "well", BuildKit: "well", clocks: "well", workers: "well" },
      ...{ cache: "well", "a step of a build": "well", "names in a step": "well" },
      ...{ "proxy in a step": "well", speed: "well" },
    });
    const solved = asked.Solve ?? [];
    // A step, what it sees, its name server; and ten parts of 10 MB. None is in the builder's history.
    expect(
      solved
        .map(({ Frontend }) => Frontend)
        .join(" ")
        .trim(),
    ).toBe("dockerfile.v0 dockerfile.v0 dockerfile.v0");
    expect(solved).toHaveLength(13);
    expect(solved.every(({ Internal }) => Internal)).toBe(true);
    // All of it is taken away again.
    const filters = asked.Prune?.map(({ filter }) => filter[0]);
    expect(filters).toEqual(Array(4).fill("description~=buildhosts-probe"));
  });

  test("stops at a name that has no address, with what to do", async () => {
    const findings = await all({ ...at(1, "gone"), host: "gone.invalid" });
    expect(findings.at(-1)).toMatchObject({
      check: "name",
      state: "failed",
      seen: expect.stringMatching(/^gone\.invalid has no address here: (ENOTFOUND|EAI_AGAIN)$/),
      fix: expect.stringContaining("'endpoint'"),
    });
  });

  test("stops at a closed port", async () => {
    const findings = await all(at(await closedPort(), "closed"));
    expect(findings.at(-1)).toMatchObject({ check: "port", state: "failed" });
  });

  test("says which names a certificate has", async () => {
    const { builder } = await fake();
    const findings = await all({ ...builder, serverName: "builder.example.com" });
    expect(findings.at(-1)).toMatchObject({
      check: "TLS",
      state: "failed",
      seen: "the certificate is not for builder.example.com, but for IP Address:127.0.0.1",
    });
  });

  test("says that a client's certificate has ended", async () => {
    const { builder } = await fake();
    const [first] = await all(builder, await authority.client(-1));
    expect(first).toMatchObject({
      check: "certificate of the client",
      state: "failed",
      fix: "run: buildhosts up --stack home",
    });
  });

  test.each([
    [10_000, "attention"],
    [600_000, "failed"],
    [-600_000, "failed"],
    [0, "well"],
  ])("says of a clock that is %i ms ahead: %s", async (aheadMs, state) => {
    const { builder } = await fake({ aheadMs });
    const findings = await all(builder, files, false);
    expect(findings.find(({ check }) => check === "clocks")?.state).toBe(state);
  });

  test("has the reason of a step that does not run", async () => {
    const { builder } = await fake({ solveError: "runc run failed: no cgroup" });
    const findings = await all(builder, files, false);
    expect(findings.at(-1)).toMatchObject({
      check: "a step of a build",
      state: "failed",
      seen: "runc run failed: no cgroup",
    });
  });

  test.each([
    ["names in a step", "10.0.0.53 does not answer a step", { isMute: true }],
    ["names in a step", "steps have no name server", { resolv: "" }],
    ["proxy in a step", "10.0.0.9:3128 does not answer a step", { isMute: true }],
  ])("says of %s: %s", async (check, seen, differs) => {
    const environment = "HTTPS_PROXY=http://10.0.0.9:3128\0";
    const { builder } = await fake({ inStep: answeringStep({ environment, ...differs }) });
    const findings = await all(builder, files, false);
    expect(findings.find((one) => one.check === check)).toMatchObject({ state: "attention", seen });
  });

  test("has what a proxy answered to a step", async () => {
    const environment = "HTTPS_PROXY=http://10.0.0.9:3128\0";
    const { builder } = await fake({ inStep: answeringStep({ environment }) });
    const findings = await all(builder, files, false);
    expect(findings.at(-1)).toMatchObject({
      ...{ check: "proxy in a step", state: "well" },
      seen: "10.0.0.9:3128 answers a step (registry-1.docker.io: HTTP/1.1 200 OK)",
    });
  });

  test("tells of a platform that is gone", async () => {
    const { builder } = await fake();
    const platforms = ["linux/amd64", "linux/riscv64"];
    const findings = await all({ ...builder, platforms }, files, false);
    expect(findings.find(({ check }) => check === "workers")).toMatchObject({
      state: "attention",
      seen: "1, for linux/amd64; not for linux/riscv64",
    });
  });
});

describe("builds", () => {
  const record = {
    ...{ Ref: "r", Frontend: "dockerfile.v0", FrontendAttrs: {}, error: null },
    ...{ CreatedAt: timestamp(1000), CompletedAt: timestamp(3500) },
    ...{ numCachedSteps: 1, numTotalSteps: 4, numCompletedSteps: 4 },
  };

  test.each([
    ["done", {}],
    ["failed", { error: { code: 2, message: "exit code: 1" } }],
    ["canceled", { error: { code: 1, message: "context canceled" } }],
    ["running", { CompletedAt: null }],
  ])("tells one that is %s", (state, differs) => {
    expect(buildOf({ ...record, ...differs }, "board", 6000)).toMatchObject({
      ...{ builder: "board", ref: "r", state, durationMs: state === "running" ? 5000 : 2500 },
      ...{ steps: { cached: 1, completed: 4, total: 4 }, what: "dockerfile.v0" },
    });
  });

  test("says what was built, as far as the client did", () => {
    const FrontendAttrs = {
      "vcs:source": "https://example.com/a",
      filename: "Dockerfile",
      target: "t",
    };
    expect(buildOf({ ...record, FrontendAttrs }, "b").what).toBe("https://example.com/a, target t");
  });

  test("come from every builder that answers", async () => {
    const one = await fake({ name: "one", builds: [record] });
    const { found, silent } = await onEach(
      [one.builder, at(await closedPort(), "two")],
      files,
      async (control) => (await control.builds()).records.map(({ Ref }) => Ref),
    );
    expect(found).toEqual([["r"]]);
    expect(silent).toEqual([{ builder: "two", error: expect.stringContaining("ECONNREFUSED") }]);
  });

  test("have a log, whose lines may come in halves", async () => {
    const log = (vertex: string, text: string) => ({ logs: [{ vertex, msg: Buffer.from(text) }] });
    const vertex = { digest: "a", name: "[1/2] RUN make", started: timestamp(1000) };
    const { builder } = await fake({
      logs: {
        r: [
          { vertexes: [vertex] },
          log("a", "cc ma"),
          log("a", "in.c\nlink"),
          { vertexes: [{ ...vertex, completed: timestamp(3500) }] },
          {
            vertexes: [
              {
                digest: "b",
                name: "COPY",
                cached: true,
                started: timestamp(1),
                completed: timestamp(1),
              },
            ],
          },
        ],
      },
    });
    const lines: string[] = [];
    const control = new Control(builder, files);
    await control.follow(
      "r",
      logWriter((line) => lines.push(line)),
      5000,
    );
    control.close();
    expect(lines).toEqual([
      ...["#1 [1/2] RUN make", "#1 cc main.c", "#1 link", "#1 DONE 2.5s"],
      ...["#2 COPY", "#2 CACHED"],
    ]);
  });
});

describe("the log of a build that has ended", () => {
  test("has together what belongs to a step, in the order in which steps began", () => {
    const step = (digest: string, from: number, to: number) => ({
      ...{ digest, name: digest, cached: false, error: "" },
      ...{ started: timestamp(from), completed: timestamp(to) },
    });
    const said = (vertex: string, text: string) => ({ vertex, msg: Buffer.from(text) });
    const lines: string[] = [];
    const write = logWriter((line) => lines.push(line));
    for (const part of inSteps([
      { vertexes: [step("late", 2000, 3000), step("early", 1000, 2000)], logs: [], warnings: [] },
      { vertexes: [], logs: [said("late", "b\n"), said("early", "a\n")], warnings: [] },
    ]))
      write(part);
    const early = ["#1 early", "#1 a", "#1 DONE 1.0s"];
    expect(lines).toEqual([...early, "#2 late", "#2 b", "#2 DONE 1.0s"]);
  });
});

describe("the bin", () => {
  const root = join(import.meta.dirname, "../..");
  const run = (...args: string[]) =>
    execa(process.execPath, [join(root, "commands/main.ts"), ...args], {
      env: { NODE_COMPILE_CACHE: join(tmpdir(), "buildhosts-unit-compile"), NO_COLOR: "1" },
      stdin: "ignore",
      reject: false,
      timeout: 20_000,
    });

  test.each([
    [[], 2, /^Usage: buildhosts/],
    [["stat"], 2, /^error: unknown command 'stat'\n\(Did you mean .*status/s],
    [["status", "--wat"], 2, /^error: unknown option '--wat'\n.*see buildhosts status --help/s],
    [["doctor"], 2, /^error: missing required argument 'builder'\n.*see buildhosts doctor --help/s],
    [["prune", "--older-than", "7"], 2, /argument '7' is invalid\. Expected a time such as 90m/],
    [["status", "--stack", "none"], 2, /^✗ stack 'none': there is no Pulumi\.none\.yaml; /],
    [["connect", "--remove", "--client", "../x"], 2, /^✗ client '\.\.\/x': that is no name/],
  ])("%j ends with %i, and says why in a line", async (args, code, says) => {
    const { exitCode, stdout, stderr } = await run(...args);
    expect(stderr).toMatch(says);
    expect(stdout).toBe("");
    expect(exitCode).toBe(code);
  });

  test.each(["connect", "status", "builds", "builds logs", "du", "prune", "doctor"])(
    "%s has a help, with the stack and JSON",
    async (name) => {
      const { exitCode, stdout } = await run(...name.split(" "), "--help");
      expect(stdout).toMatch(/^ {2}-s, --stack <stack> /m);
      expect(stdout).toMatch(/^ {2}--json /m);
      expect(exitCode).toBe(0);
    },
  );

  test("is the tools of npm run as well, whose help says so", async () => {
    const { exitCode, stdout } = await run("down", "--help");
    expect(stdout).toMatch(/^buildhosts down \[options\]\n/);
    expect(exitCode).toBe(0);
  });

  test.each([
    [["st"], "status"],
    [["doctor", "--stack", "example", ""], "visionfive"],
    [["status", "--stack", "na"], "native"],
    [["prune", "--older"], "--older-than"],
  ])("completes %j", async (words, expected) => {
    const { stdout } = await run("complete", "--", ...words);
    const offered = stdout.split("\n").map((line) => line.split("\t")[0]);
    expect(offered).toContain(expected);
  });

  test.each(["bash", "zsh", "fish"])("prints what %s sources", async (shell) => {
    const { exitCode, stdout } = await run("complete", shell);
    expect(stdout).toContain("buildhosts complete --");
    expect(exitCode).toBe(0);
  });
});

const usage = (differs: Partial<UsageRecord>): UsageRecord => ({
  ...{ ID: "x", Mutable: false, InUse: false, Size: 100, CreatedAt: null, LastUsedAt: null },
  ...{ UsageCount: 0, Description: "", RecordType: "regular", Shared: false, ...differs },
});

describe("du", () => {
  const records = [
    usage({ Size: 5 }),
    usage({ Size: 7, InUse: true }),
    usage({ Size: 11, Shared: true }),
    usage({ Size: 13, RecordType: "exec.cachemount" }),
  ];

  test("counts what is shared once", () => {
    expect(sumsOf(records)).toEqual({
      records: 4,
      bytes: 25,
      reclaimableBytes: 18,
      sharedBytes: 11,
    });
  });

  test("has the largest kind first", () => {
    expect(Object.keys(kindsOf(records))).toEqual(["exec.cachemount", "regular"]);
  });
});

describe("prune", () => {
  const plain: PruneRequest = { filter: [], all: false, keepDuration: 0, reservedSpace: 0 };
  const now = 10_000_000;
  const hour = { keepDuration: 3600e9 };
  const young = usage({ LastUsedAt: timestamp(now - 60_000) });

  test.each<[string, UsageRecord[], Partial<PruneRequest>, string[]]>([
    ["an empty cache", [], {}, ["the cache is empty"]],
    [
      "builds that run",
      [usage({ InUse: true })],
      {},
      ["1 record (100 B): used by a build, or by another record"],
    ],
    [
      "what BuildKit keeps",
      [usage({ RecordType: "internal" }), usage({ RecordType: "frontend" })],
      {},
      ["2 records (200 B): BuildKit's own (internal, frontend), which --all takes"],
    ],
    [
      "what is shared",
      [usage({ Shared: true })],
      {},
      ["1 record (100 B): shared with an image of containerd, which --all takes"],
    ],
    [
      "what is young",
      [young],
      hour,
      ["1 record (100 B): used in the last 1 h 0 min (--older-than)"],
    ],
    [
      "a small cache",
      [usage({})],
      { reservedSpace: 1000 },
      ["the cache has 100 B, which is less than --keep-storage 1.0 kB"],
    ],
    ["a filter", [usage({})], { filter: ["type==x"] }, ["--filter type==x fits none of 1 record"]],
  ])("names as the reason for nothing: %s", (_, records, request, reasons) => {
    expect(whyNothing(records, { ...plain, ...request }, now)).toEqual(reasons);
  });

  test("may take what nothing keeps", () => {
    const records = [usage({}), young, usage({ InUse: true }), usage({ RecordType: "internal" })];
    expect(candidates(records, { ...plain, ...hour }, now)).toEqual([records[0]]);
    expect(candidates(records, { ...plain, all: true }, now)).toHaveLength(3);
  });

  test("sends what was asked for", async () => {
    const { builder, asked } = await fake({ usage: [usage({}), usage({ InUse: true })] });
    const control = new Control(builder, files);
    const freed: UsageRecord[] = [];
    const request = {
      filter: ["type==regular"],
      all: true,
      keepDuration: 3600e9,
      reservedSpace: 5,
    };
    await control.prune(request, (record) => freed.push(record), 5000);
    control.close();
    expect(asked.Prune).toEqual([request]);
    expect(freed).toHaveLength(1);
  });
});

describe("a stack's outputs", () => {
  const outputs = {
    builders: [
      { name: "lab", endpoint: "tcp://10.0.0.1:1234", platforms: ["linux/amd64"] },
      { name: "six", endpoint: "tcp://[fd00::1]:1235", platforms: ["linux/riscv64"] },
    ],
    buildctl: [
      "buildctl --addr tcp://10.0.0.1:1234 --tlsservername lab.example.com --tlscacert ca.pem",
      "buildctl --addr 'tcp://[fd00::1]:1235' --tlsservername fd00::1 --tlscacert ca.pem",
    ],
    buildx: ["docker buildx create --name buildhosts --node lab"],
    clientCertificates: { alice: { ca: "", cert: "", key: "" } },
  };
  const wishes = { renewalHours: 720, versions: { lab: "v0.34.2" } };

  test("say where builders are, and under which name", () => {
    expect(stackFrom("home", outputs, wishes).builders).toEqual([
      {
        ...outputs.builders[0],
        host: "10.0.0.1",
        port: 1234,
        serverName: "lab.example.com",
        wanted: "v0.34.2",
      },
      {
        ...outputs.builders[1],
        host: "fd00::1",
        port: 1235,
        serverName: "fd00::1",
        wanted: undefined,
      },
    ]);
  });

  test("of a stack that is down are refused with the way up", () => {
    expect(() => stackFrom("home", {}, wishes)).toThrow(
      "stack 'home': it is down: its state has no builder; run: buildhosts up --stack home",
    );
  });

  test("name the builders and the clients that there are", () => {
    const known = stackFrom("home", outputs, wishes);
    expect(() => builderOf(known, "lap")).toThrow(
      "builder 'lap': stack 'home' has no such builder (it has: lab, six)",
    );
    expect(() => clientOf(known, "bob")).toThrow(
      "client 'bob': stack 'home' has no such client (it has: alice)",
    );
    expect(clientOf(known, undefined).name).toBe("alice");
  });

  test("say which pools there are, and where", () => {
    expect(stackFrom("home", outputs, wishes).pools).toEqual([]);
    const pool = {
      ...{ name: "pool", endpoint: "tcp://[fd00::2]:1235", platforms: ["linux/amd64"] },
      ...{ domain: "pool.example.com", builders: ["lab"] },
    };
    expect(stackFrom("home", { ...outputs, pools: [pool] }, wishes).pools).toEqual([
      { ...pool, host: "fd00::2", port: 1235 },
    ]);
  });
});

describe("a project", () => {
  const builder = (name: string, ...platforms: string[]): KnownBuilder => ({
    ...{
      name,
      endpoint: `tcp://${name}.example.com:1234`,
      host: `${name}.example.com`,
      port: 1234,
    },
    ...{ platforms, serverName: `${name}.example.com`, wanted: "v0.34.2" },
  });
  const [a, b, c] = ["a", "b", "c"].map((name) => builder(name, "linux/riscv64")) as [
    KnownBuilder,
    KnownBuilder,
    KnownBuilder,
  ];
  const emulating = builder("d", "linux/amd64", "linux/riscv64");
  const pool = {
    ...{ name: "pool", endpoint: "tcp://pool.example.com:1235", host: "pool.example.com" },
    ...{ port: 1235, platforms: ["linux/riscv64"], domain: "builders.example.com" },
    builders: ["a", "b"],
  };

  test.each([
    ["shop", "shop"],
    ["Owner/My_Repo.js", "owner-my-repo-js"],
    ["--x--", "x"],
  ])("%s is %s in a name of DNS", (project, label) => expect(projectLabel(project)).toBe(label));

  test.each(["", "/", "ä", "x".repeat(64)])("'%s' is none", (project) => {
    expect(() => projectLabel(project)).toThrow(/^project '.*': expected a name with 1 to 63/);
  });

  test("asks a pool by its own name, and builders that are in none by theirs", () => {
    const known = { ...stackFrom("home", { builders: [a] }, wishesOfNone), builders: [a, b, c] };
    expect(targetsOf({ ...known, pools: [pool] }, "shop")).toEqual([
      {
        ...{
          name: "pool",
          endpoint: pool.endpoint,
          host: pool.host,
          port: 1235,
          wanted: undefined,
        },
        ...{ platforms: ["linux/riscv64"], serverName: "shop.builders.example.com" },
      },
      c,
    ]);
  });

  test("is built on one builder of each platform, the same each time, and another while that is silent", () => {
    const chosen = chosenOnes([emulating, a, b, c], [], "shop");
    expect(chosen.map(({ platforms }) => platforms)).toEqual([["linux/amd64"], ["linux/riscv64"]]);
    const [, first] = chosen;
    expect(chosenOnes([c, b, a, emulating], [], "shop")).toContainEqual(first);
    const others = [a, b, c].filter(({ name }) => name !== first?.name);
    const [second] = chosenOnes(others, [], "shop");
    expect(second?.name).not.toBe(first?.name);
  });

  test("is built in a pool beside the builder that is chosen among those in none", () => {
    const node = poolFor(pool, "shop");
    expect(chosenOnes([node, c], [pool], "shop")).toEqual([node, c]);
  });

  test("differs from others in its builder", () => {
    const names = Array.from(
      { length: 30 },
      (_, i) => chosenOnes([a, b, c], [], `p-${i}`)[0]?.name,
    );
    expect(new Set(names)).toEqual(new Set(["a", "b", "c"]));
  });
});

const wishesOfNone = { renewalHours: 720, versions: {} };

describe("what is written and read", () => {
  test.each([
    ["20GB", 20e9],
    ["1.5 GiB", 1.5 * 2 ** 30],
    ["512mb", 512e6],
    ["0", 0],
  ])("%s is a size", (text, size) => expect(sizeOf(text)).toBe(size));

  test.each([
    ["90m", 5_400_000],
    ["7d", 604_800_000],
  ])("%s is a time", (text, ms) => expect(timeOf(text)).toBe(ms));

  test.each([
    ["20 eggs", sizeOf],
    ["-1GB", sizeOf],
    ["7", timeOf],
    ["0", countOf],
    ["1.5", countOf],
  ])("%s is refused", (text, read) => expect(() => read(text)).toThrow(/^Expected a /));

  test("sizes and times are short", () => {
    expect([0, 999, 1000, 12_345_678, 250e9].map(bytes)).toEqual([
      "0 B",
      "999 B",
      "1.0 kB",
      "12.3 MB",
      "250 GB",
    ]);
    expect([5, 1500, 250_000, 599_990, 7_500_000, 4e8].map(duration)).toEqual([
      "5 ms",
      "1.5 s",
      "4 min 10 s",
      "10 min 0 s",
      "2 h 5 min",
      "4 d",
    ]);
  });

  test("a table has no lines, and nothing at the ends of its rows", () => {
    expect(
      table(
        ["A", "LONGER"],
        [
          ["value", "1"],
          ["v", ""],
        ],
      ),
    ).toBe("A       LONGER\nvalue   1\nv\n");
  });

  test("the worst decides", () => {
    expect(worst([])).toBe(0);
    expect(worst([0, 3, 1, 3])).toBe(1);
    expect(worst([0, 3])).toBe(3);
  });

  test("the cap of a cache is the largest of its rules", () => {
    const rule = { all: true, keepDuration: 0, minFreeSpace: 0, filters: [] };
    expect(
      capOf([
        { ...rule, maxUsedSpace: 5, reservedSpace: 9 },
        { ...rule, maxUsedSpace: 0, reservedSpace: 7 },
      ]),
    ).toBe(7);
    expect(capOf([])).toBeUndefined();
  });

  test("an error of gRPC is one line", () => {
    expect(shortError({ code: 4, details: "Deadline exceeded after 1.2s" })).toBe(
      "no answer in time",
    );
    expect(
      shortError({
        code: 14,
        details:
          "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ",
      }),
    ).toBe("connect ECONNREFUSED 127.0.0.1:1");
  });

  test.each([
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", /does not know the CA/],
    ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", /has ended/],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", /was shown none/],
    ["remote error: tls: bad certificate", /refuses the client's certificate/],
    ["ECONNRESET", undefined],
  ])("%s is said in words", (alert, words) => {
    if (words) expect(refusal(alert)).toMatch(words);
    else expect(refusal(alert)).toBeUndefined();
  });
});

describe("a program for a step", () => {
  const architectures = { x64: "amd64", arm64: "arm64", riscv64: "riscv64" } as const;
  const own = architectures[process.arch as keyof typeof architectures];
  const runs = process.platform === "linux" && own !== undefined;

  async function run(calls: SystemCall[]): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "buildhosts-program-"));
    try {
      const file = join(folder, "program");
      await writeFile(file, stepProgram(own ?? "", calls) ?? "", { mode: 0o755 });
      const options = { env: { SAID: "yes" }, extendEnv: false, timeout: 10_000 };
      return (await execa(file, [], options)).stdout;
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  test.runIf(runs)("prints files, and passes over one that is not there", async () => {
    const file = join(import.meta.dirname, "../../LICENSE");
    const said = await run(printing(["/nonexistent", file, "/proc/self/environ"], "|"));
    const text = await readFile(file, "utf8");
    expect(said).toBe(`|${text}|SAID=yes\0|`);
  });

  test.runIf(runs).each(["127.0.0.1", "::1"])("asks by UDP at %s", async (address) => {
    const server = createSocket(isIPv6(address) ? "udp6" : "udp4");
    try {
      await new Promise<void>((resolve) => server.bind(0, address, resolve));
      server.on("message", (question, from) =>
        server.send(Buffer.concat([Buffer.from("re: "), question]), from.port, from.address),
      );
      const at = { address, port: server.address().port };
      expect(await run(asking("udp", at, Buffer.from("who?"), 5))).toBe("re: who?");
    } finally {
      server.close();
    }
  });

  test.runIf(runs)("asks by TCP, and ends well where nobody answers", async () => {
    const server = createServer((socket) => socket.on("data", (data) => socket.end(`re: ${data}`)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    fakes.push({ close: () => void server.close() });
    const { port } = server.address() as { port: number };
    const at = (port: number) => ({ address: "127.0.0.1", port });
    expect(await run(asking("tcp", at(port), Buffer.from("who?"), 5))).toBe("re: who?");
    expect(await run(asking("tcp", at(await closedPort()), Buffer.from("who?"), 5))).toBe("");
  });

  // Each was run when it was written, on its own processor or on QEMU's: another byte is to be tried again there.
  test.each([
    ["amd64", "8ae46ab527197431c9fb5a2a6759e03e3e8e4fe13ddcafde228868ba153c0eb2"],
    ["arm64", "492363bf166a8b6b00bfe10f7572111026f95f745c4e348f3d2039bc875a141c"],
    ["riscv64", "9c0f7f205d9940553253c89ac0bdfae4bc6216e9957d811696b860a8818e0fb8"],
  ])("is for %s what it was", (architecture, sum) => {
    const calls = [
      ...printing(["/etc/resolv.conf"], "\n"),
      ...asking("udp", { address: "10.0.0.53", port: 53 }, Buffer.from("who?"), 5),
      ...asking("tcp", { address: "fd00::53", port: 3128 }, Buffer.from("who?"), 5),
    ];
    const program = stepProgram(architecture, calls) ?? Buffer.alloc(0);
    expect(createHash("sha256").update(program).digest("hex")).toBe(sum);
  });

  test("is not there for a processor that is not known", () => {
    expect(stepProgram("mips", [])).toBeUndefined();
  });
});

describe("what is asked in a step", () => {
  test("is a name server of those in resolv.conf", () => {
    const resolv =
      "search lan\nnameserver 10.0.0.1\n# nameserver 1.1.1.1\nnameserver fe80::1%eth0\n";
    expect(nameServersIn(resolv)).toEqual(["10.0.0.1"]);
  });

  test("has an answer if it is that question's", () => {
    const question = dnsQuestion(7, "a.example");
    expect(question.toString("latin1")).toBe(
      "\0\u0007\u0001\0\0\u0001\0\0\0\0\0\0\u0001a\u0007example\0\0\u0001\0\u0001",
    );
    const answer = Buffer.from(question);
    answer.writeUInt16BE(0x8183, 2);
    expect(dnsAnswer(7, answer)).toBe("NXDOMAIN");
    expect(dnsAnswer(8, answer)).toBeUndefined();
    expect(dnsAnswer(7, Buffer.alloc(0))).toBeUndefined();
  });

  test.each([
    ["PATH=/bin\0", undefined],
    ["http_proxy=http://a:1\0HTTPS_PROXY=http://b:2\0", "http://b:2/"],
    ["http_proxy=http://a:1\0https_proxy=\0", "http://a:1/"],
    ["HTTP_PROXY=nonsense\0", undefined],
  ])("is the proxy of %j", (environment, url) => {
    expect(proxyIn(environment)?.href).toBe(url);
  });
});

// haproxy.cfg of pools, by HAProxy itself: whether it takes it, whom it chooses, and whom it finds healthy.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ClientFiles } from "../../commands/lib/clientFiles.ts";
import { Control } from "../../commands/lib/control.ts";
import { chosenFor, serverIds } from "../../components/pool/consistentHash.ts";
import {
  CA_FILE,
  CLIENT_FILE,
  type HaproxyInputs,
  haproxyCfg,
} from "../../components/pool/haproxyCfg.ts";
import { systemPath } from "../../proving-ground/debian/apt.ts";
import { freePort } from "../../runtime/freePort.ts";
import { eventually } from "../integration/onBoard.ts";
import { type FakeBuildkitd, fakeBuildkitd, TestAuthority } from "./fakeBuildkitd.ts";

const domain = "pool.buildhosts.internal";
let folder: string;
let authority: TestAuthority;
let client: ClientFiles;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "buildhosts-haproxy-"));
  authority = await TestAuthority.make();
  client = await authority.client();
  writeFileSync(join(folder, CA_FILE), authority.certificate);
  writeFileSync(join(folder, CLIENT_FILE), `${client.cert}\n${client.key}`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const env = () => ({ ...process.env, PATH: systemPath(), POOL_FILES: folder });

const inputs: HaproxyInputs = {
  domain,
  listen: { address: "0.0.0.0", port: 1235 },
  metrics: { address: "127.0.0.1", port: 8405 },
  user: undefined,
  servers: [
    { name: "board-2", host: "192.0.2.2", port: 1234 },
    { name: "board-1", host: "192.0.2.1", port: 1234 },
  ],
};

/** Whether this HAProxy is of a version that chooses otherwise than `chosenFor`. */
const placesOtherwise = /version 3\.[0-2]\b/.test(
  spawnSync("haproxy", ["-v"], { env: { PATH: systemPath() }, encoding: "utf8" }).stdout ?? "",
);

/** What `haproxy -c` ends with and says. */
function checked(more: Partial<HaproxyInputs>): string {
  const file = join(folder, "checked.cfg");
  writeFileSync(file, haproxyCfg({ ...inputs, ...more }));
  const { status, stdout, stderr } = spawnSync("haproxy", ["-c", "-f", file], {
    env: env(),
    encoding: "utf8",
  });
  return `${status} ${stdout}${stderr}`;
}

describe("haproxy.cfg", () => {
  test("of a pool on a board", () => {
    expect(haproxyCfg({ ...inputs, user: "haproxy" })).toMatchSnapshot();
  });

  test("is the same in whatever order the builders are named", () => {
    const servers = [...inputs.servers].reverse();
    expect(haproxyCfg({ ...inputs, servers })).toBe(haproxyCfg(inputs));
  });

  test.each<[string, Partial<HaproxyInputs>]>([
    ["two builders", {}],
    // The user must be there on the machine that checks.
    ["another user", { user: "root" }],
    ["one builder", { servers: inputs.servers.slice(0, 1) }],
    [
      "addresses of IPv6",
      {
        listen: { address: "::", port: 1235 },
        metrics: { address: "::1", port: 8405 },
        servers: [{ name: "board-1", host: "2001:db8::1", port: 1234 }],
      },
    ],
    ["one address", { listen: { address: "192.0.2.1", port: 1235 } }],
    [
      "a hundred builders",
      {
        servers: Array.from({ length: 100 }, (_, i) => ({
          name: `board-${i}`,
          host: `198.51.100.${i}`,
          port: 1234,
        })),
      },
    ],
  ])("with %s is valid to HAProxy, which warns of nothing", (_, more) => {
    expect(checked(more)).toBe("0 Configuration file is valid\n");
  });

  test("with a name that no DNS server knows is valid, and that builder is left out", () => {
    const servers = [{ name: "board-1", host: "board-1.invalid", port: 1234 }];
    const said = checked({ servers });
    expect(said).toMatch(/^0 /);
    expect(said).toContain("could not resolve address 'board-1.invalid', disabling server.");
  });
});

describe("HAProxy with that configuration", () => {
  const builders: FakeBuildkitd[] = [];
  let haproxy: ChildProcess;
  let port: number;
  let metrics: number;
  const names = ["board-1", "board-2", "board-3", "board-4"];
  const projects = Array.from({ length: 24 }, (_, i) => `project-${i}.${domain}`);

  beforeAll(async () => {
    const stranger = await TestAuthority.make();
    for (const name of names) {
      const builder = await fakeBuildkitd(authority, {
        name,
        names: ["127.0.0.1", domain, `*.${domain}`],
        version: name,
      });
      builders.push(builder);
    }
    const foreign = await fakeBuildkitd(stranger, {
      name: "foreign",
      names: ["127.0.0.1", domain],
    });
    builders.push(foreign);
    [port, metrics] = [await freePort(), await freePort()];
    const file = join(folder, "haproxy.cfg");
    writeFileSync(
      file,
      haproxyCfg({
        ...inputs,
        listen: { address: "127.0.0.1", port },
        metrics: { address: "127.0.0.1", port: metrics },
        servers: builders.map(({ builder }) => ({
          name: builder.name,
          host: "127.0.0.1",
          port: builder.port,
        })),
      }),
    );
    haproxy = spawn("haproxy", ["-db", "-f", file], { env: env(), stdio: "ignore" });
    await eventually("HAProxy's checks", 20, async () => {
      const seen = await statuses().catch(() => ({}) as Record<string, string>);
      return seen.foreign === "DOWN" && names.every((name) => seen[name] === "UP L7OK");
    });
  }, 60_000);
  afterAll(() => {
    haproxy?.kill();
    for (const builder of builders) builder.close();
  });

  /** Each builder's status, as the metrics page has it. */
  async function statuses(): Promise<Record<string, string>> {
    const page = await (await fetch(`http://127.0.0.1:${metrics}/;csv`)).text();
    const rows = page.split("\n").map((line) => line.split(","));
    const at = (column: string) => rows[0]?.indexOf(column) ?? -1;
    return Object.fromEntries(
      rows
        .filter(([proxy, server]) => proxy === "builders" && server !== "BACKEND")
        .map((row) => [
          row[1] ?? "",
          row[at("status")] === "UP" ? `UP ${row[at("check_status")]}` : (row[at("status")] ?? ""),
        ]),
    );
  }

  /** The name of the builder that answers. */
  async function answering(serverName: string, files = client): Promise<string> {
    const control = new Control({ host: "127.0.0.1", port, serverName }, files);
    try {
      return await control.version();
    } finally {
      control.close();
    }
  }

  test("leads each project to one builder, and none to the one that is down", async () => {
    const found = await Promise.all(projects.map((project) => answering(project)));
    expect(await Promise.all(projects.map((project) => answering(project)))).toEqual(found);
    expect(new Set(found)).toEqual(new Set(names));
    if (!placesOtherwise) expect(found).toEqual(projects.map((one) => chosenFor(one, names)));
  });

  test("does not mind how a client writes the name", async () => {
    const [project = ""] = projects;
    expect(await answering(project.toUpperCase())).toBe(await answering(project));
  });

  test("lets a client in that has no certificate of the CA no more than a builder does", async () => {
    const strange = await (await TestAuthority.make()).client();
    await expect(
      answering(projects[0] ?? "", { ...strange, ca: authority.certificate }),
    ).rejects.toThrow();
  });

  test("serves metrics", async () => {
    const page = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    expect(page).toMatch(/haproxy_server_status\{proxy="builders",server="board-1",state="UP"\} 1/);
  });

  test("leads the projects of a builder that is gone to others at once, and no other project", async () => {
    const before = await Promise.all(projects.map((project) => answering(project)));
    const gone = before[0] ?? "";
    builders.find(({ builder }) => builder.name === gone)?.close();
    const after = await Promise.all(projects.map((project) => answering(project)));
    for (const [i, project] of projects.entries()) {
      if (before[i] === gone) expect.soft(after[i], project).not.toBe(gone);
      else expect.soft(after[i], project).toBe(before[i]);
    }
    await eventually("the check to see it", 10, async () => (await statuses())[gone] === "DOWN");
  });
});

describe("the consistent hash", () => {
  const keys = Array.from({ length: 2000 }, (_, i) => `project-${i}.${domain}`);
  const four = ["a", "b", "c", "d"];

  test("gives each builder its share", () => {
    for (const name of four) {
      const share = keys.filter((key) => chosenFor(key, four) === name).length / keys.length;
      expect(share).toBeGreaterThan(0.15);
      expect(share).toBeLessThan(0.35);
    }
  });

  test("moves no project between builders that stay", () => {
    for (const key of keys.slice(0, 300)) {
      const before = chosenFor(key, four);
      if (before !== "d") expect(chosenFor(key, ["c", "a", "b"])).toBe(before);
    }
  });

  test("numbers names without doublets, as HAProxy can tell them apart", () => {
    const names = Array.from({ length: 5000 }, (_, i) => `board-${i}`);
    const ids = [...serverIds(names).values()];
    expect(new Set(ids).size).toBe(names.length);
    expect(Math.min(...ids)).toBeGreaterThan(0);
    expect(Math.max(...ids)).toBeLessThan(2 ** 20);
  });
});

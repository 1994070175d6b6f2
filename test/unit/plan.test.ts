import { describe, expect, test } from "vitest";
import { planOf } from "../../commands/lib/plan.ts";
import { sentencesOf, tableOf } from "../../commands/lib/planText.ts";
import { bundle } from "../../components/board/bundle.ts";

/** What the engine puts in the place of a secret in its event log. */
const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

type Inputs = Record<string, unknown>;
interface Step {
  op: string;
  /** `board-1-install` of `BuilderBoard board-1`: as in a URN. */
  of: [component: string, name: string];
  type?: string;
  name: string;
  old?: Inputs;
  next?: Inputs;
  differs?: string[];
  was?: string;
  retained?: boolean;
}

const urnOf = (type: string, name: string) => `urn:pulumi:test::buildhosts::${type}::${name}`;

/** The event log of a preview with these steps. */
function log(...steps: Step[]): string {
  const lines = steps.map(
    ({ op, of, type = "command:remote:Command", name, old, next, differs, was, retained }) => {
      const [component, parentName] = of;
      const parent = urnOf(`buildhosts:index:${component}`, parentName);
      const state = (inputs: Inputs | undefined, urn: string) =>
        inputs && { type, urn, parent, inputs, ...(retained && { retainOnDelete: true }) };
      const urn = urnOf(`buildhosts:index:${component}$${type}`, name);
      const before = urnOf(`buildhosts:index:${component}$${type}`, was ?? name);
      return JSON.stringify({
        resourcePreEvent: {
          metadata: {
            op,
            urn,
            type,
            old: state(old, before),
            new: state(next, urn),
            diffs: differs ?? null,
          },
          planning: true,
        },
      });
    },
  );
  return `${lines.join("\n")}\n{"diagnosticEvent":{"message":"resourcePreEvent"}}\n`;
}

const said = (...steps: Step[]) => sentencesOf(planOf(log(...steps)));

const BOARD: Step["of"] = ["BuilderBoard", "lab"];
const activate = (options: Partial<Record<string, string>> = {}) => {
  const {
    containerd = "v2.4.2",
    runc = "v1.5.2",
    buildkit = "v0.34.2",
    drain = "600",
    config = "83b5124dac3e",
  } = options;
  return {
    create: `/usr/local/lib/buildhosts/boardctl activate \\\n  --containerd ${containerd} \\\n  --runc ${runc} \\\n  --buildkit ${buildkit} \\\n  --config ${config} \\\n  --check tcp://127.0.0.1:1234 --server-name lab.lan \\\n  --drain-seconds ${drain} \\\n  --root /var/lib/buildkit --bridge buildkit0`,
    stdin: SECRET,
  };
};
const service = (old: object, next: object = old, more: Partial<Step> = {}): Step => ({
  op: "update",
  of: BOARD,
  name: "lab-service",
  old: { ...old },
  next: { ...next },
  ...more,
});
const preflight = (at: string, script = "aaaa") => ({
  create: `sh -c '…' sh \\\n  --board lab --at ${at} \\\n  --port 1234 \\\n  --script ${script}`,
});
const config = (id: string, stdin: unknown) => ({
  create: `/usr/local/lib/buildhosts/boardctl stage-config ${id}`,
  stdin,
});
const files = (toml: string, more: Record<string, string> = {}) =>
  bundle({ "buildkitd.toml": toml, "buildkitd.service": "[Service]\n", ...more });
const certificate = (op: string, component: string, name: string): Step => ({
  op,
  of: [component, name],
  type: "tls:index/locallySignedCert:LocallySignedCert",
  name: `${name}-certificate`,
  old: {},
  next: {},
});

describe("of a board", () => {
  test("each version that changes is named, and what restarts for it", () => {
    expect(said(service(activate(), activate({ buildkit: "v0.35.0" })))).toEqual([
      "lab: buildkit v0.34.2 → v0.35.0, buildkitd restarts, running builds get 600 s",
    ]);
    expect(
      said(
        service(
          activate({ drain: "30" }),
          activate({ drain: "30", containerd: "v2.4.3", buildkit: "v0.35.0" }),
        ),
      ),
    ).toEqual([
      "lab: containerd v2.4.2 → v2.4.3, buildkit v0.34.2 → v0.35.0, containerd restarts, buildkitd restarts, running builds get 30 s",
    ]);
    // runc is started anew for each step of a build.
    expect(said(service(activate(), activate({ runc: "v1.5.3" })))).toEqual([
      "lab: runc v1.5.2 → v1.5.3, running builds go on",
    ]);
    expect(
      said(
        service(
          activate({ buildkit: `v0.34.2@${"0".repeat(64)}` }),
          activate({ buildkit: `v0.34.2@${"1".repeat(64)}` }),
        ),
      ),
    ).toEqual([
      "lab: buildkit v0.34.2 with another checksum, buildkitd restarts, running builds get 600 s",
    ]);
  });

  test("a restart that waits for no build ends them", () => {
    const none = { drain: "0" };
    const steps = service(activate(none), activate({ ...none, buildkit: "v0.35.0" }));
    expect(said(steps)).toEqual([
      "lab: buildkit v0.34.2 → v0.35.0, buildkitd restarts, running builds end",
    ]);
    expect(tableOf(planOf(log(steps)))).toContain("| **yes**, at once |");
  });

  test("another wait alone restarts nothing", () => {
    expect(said(service(activate(), activate({ drain: "60" })))).toEqual([
      "lab: a restart waits 60 s in place of 600 s for builds, running builds go on",
    ]);
  });

  test("the keys of buildkitd.toml that change are named, with what they become", () => {
    const before = files(
      'root = "/var/lib/buildkit"\n[log]\nformat = "text"\n[dns]\nnameservers = ["10.0.0.1"]\n',
    );
    const after = files(
      'root = "/var/lib/buildkit"\n[log]\nformat = "json"\n[registry."docker.io"]\nmirrors = ["mirror.lan:5000"]\n',
    );
    expect(
      said(
        {
          op: "update",
          of: BOARD,
          name: "lab-config",
          old: config("a1", before),
          next: config("b2", after),
        },
        service(activate()),
      ),
    ).toEqual([
      'lab: buildkitd.toml: without dns.nameservers, log.format = json, registry."docker.io".mirrors + mirror.lan:5000, buildkitd restarts, running builds get 600 s',
    ]);
  });

  test("many keys are counted, and a password in an address is not shown", () => {
    const toml = (value: string) =>
      Array.from({ length: 9 }, (_, index) => `key${index} = "${value}"\n`).join("");
    const [line] = said({
      op: "update",
      of: BOARD,
      name: "lab-config",
      old: config("a1", files(toml("1"))),
      next: config("b2", files(toml("http://user:word@proxy.lan"))),
    });
    expect(line).toContain("key0 = http://…@proxy.lan, ");
    expect(line).toContain("key4 = http://…@proxy.lan, 4 more keys, ");
    expect(line).not.toContain("word");
  });

  test("other files are named, and only the daemon's own restart it", () => {
    const step = (more: Record<string, string>): Step => ({
      op: "update",
      of: BOARD,
      name: "lab-config",
      old: config(
        "a1",
        files("", { runc: "1", "buildkitd.env": 'A="1"\nHTTPS_PROXY="http://u:p@x"\n' }),
      ),
      next: config(
        "b2",
        files("", { runc: "1", "buildkitd.env": 'A="1"\nHTTPS_PROXY="http://u:p@x"\n', ...more }),
      ),
    });
    expect(said(step({ runc: "2" }))).toEqual(["lab: files: runc, running builds go on"]);
    expect(said(step({ "buildkitd.env": 'A="2"\n', "buildkitd.service__x.conf": "1" }))).toEqual([
      "lab: environment: A, HTTPS_PROXY, files: buildkitd.service.d/x.conf, buildkitd restarts, running builds get 600 s",
    ]);
  });

  test("a configuration that holds a secret is said to change, and no more", () => {
    expect(
      said({
        op: "update",
        of: BOARD,
        name: "lab-config",
        old: config("a1", SECRET),
        next: config("b2", SECRET),
      }),
    ).toEqual([
      "lab: its configuration changes, which holds a secret, buildkitd restarts, running builds get 600 s",
    ]);
  });

  test("a renewed certificate restarts it, and that of the health check does not", () => {
    expect(
      said(
        certificate("replace", "ServerCertificate", "lab-server"),
        service(activate(), activate(), { differs: ["stdin"] }),
      ),
    ).toEqual(["lab: gets a new certificate, buildkitd restarts, running builds get 600 s"]);
    expect(
      said(
        certificate("replace", "ClientCertificate", "client-health-check"),
        service(activate(), activate(), { differs: ["stdin"] }),
      ),
    ).toEqual(["lab: the certificate of its health check is renewed, running builds go on"]);
  });

  test("the names that its certificate gets and loses are told", () => {
    expect(
      said(
        {
          op: "replace",
          of: ["ServerCertificate", "lab-server"],
          name: "lab-server-request",
          type: "tls:index/certRequest:CertRequest",
          old: { dnsNames: ["lab.lan"], ipAddresses: ["10.0.0.1"] },
          next: { dnsNames: ["lab.lan", "builds.lan"], ipAddresses: [] },
        },
        certificate("replace", "ServerCertificate", "lab-server"),
        service(activate()),
      ),
    ).toEqual([
      "lab: gets a new certificate (+ builds.lan, - 10.0.0.1), buildkitd restarts, running builds get 600 s",
    ]);
  });

  test("a rename touches nothing that runs", () => {
    const at = preflight("root@lab.lan:22");
    expect(
      said(
        {
          op: "update",
          of: BOARD,
          name: "lab-preflight",
          was: "board-preflight",
          old: at,
          next: at,
        },
        service(activate(), activate(), { op: "same" }),
      ),
    ).toEqual(["lab: is called lab in place of board, running builds go on"]);
  });

  test("another address is said, with a warning", () => {
    const plan = planOf(
      log({
        op: "update",
        of: BOARD,
        name: "lab-preflight",
        old: preflight("root@10.0.0.1:22"),
        next: preflight("root@10.0.0.2:22"),
      }),
    );
    expect(sentencesOf(plan)).toEqual([
      "lab: moves from root@10.0.0.1:22 to root@10.0.0.2:22, running builds go on",
    ]);
    expect(plan.warnings).toEqual([expect.stringContaining("If these are two machines")]);
    expect(tableOf(plan)).toContain("**Attention:** lab: moves from");
  });

  test("a new one is said to be that, with its address where it is known", () => {
    const create = (name: string, next: Inputs): Step => ({ op: "create", of: BOARD, name, next });
    expect(
      said(
        create("lab-preflight", preflight("root@lab.lan:22")),
        create("lab-service", activate()),
      ),
    ).toEqual([
      "lab: becomes a builder at root@lab.lan:22, gets containerd v2.4.2, runc v1.5.2, buildkit v0.34.2",
    ]);
    expect(
      said(
        create("lab-preflight", { create: UNKNOWN }),
        create("lab-service", { create: UNKNOWN }),
      ),
    ).toEqual(["lab: becomes a builder"]);
  });

  test.each<[string, Partial<Step>, string]>([
    [
      "keeps its cache",
      {},
      "leaves the stack: what buildhosts installed there is removed, the build cache stays, running builds end",
    ],
    [
      "loses its cache",
      { old: { delete: "boardctl uninstall --owner a/b/lab --remove-cache" } },
      "leaves the stack: what buildhosts installed there is removed, the build cache is deleted, running builds end",
    ],
    [
      "is abandoned",
      { retained: true },
      "leaves the stack without being contacted (abandon): what runs there stays, running builds go on",
    ],
  ])("one that leaves %s", (_, more, line) => {
    const removal: Step = {
      op: "delete",
      of: BOARD,
      name: "lab.removal",
      old: { delete: "boardctl uninstall --owner a/b/lab" },
      ...more,
    };
    expect(
      said(removal, {
        op: "delete",
        of: BOARD,
        name: "lab-service",
        old: activate(),
        ...(more.retained && { retained: true }),
      }),
    ).toEqual([`lab: ${line}`]);
  });

  test("a removal that would take the cache along is said before it comes to that", () => {
    const words = (more = "") => ({ delete: `boardctl uninstall --owner a/b/lab${more}` });
    expect(
      said({
        op: "update",
        of: BOARD,
        name: "lab.removal",
        old: words(),
        next: words(" --remove-cache"),
      }),
    ).toEqual(["lab: its removal will delete the build cache, too, running builds go on"]);
  });

  test("steps that are told to run again mend it", () => {
    const again = (name: string): Step[] =>
      ["create-replacement", "replace", "delete-replaced"].map((op) => ({
        op,
        of: BOARD,
        name,
        old: activate(),
        ...(op !== "delete-replaced" && { next: activate() }),
      }));
    expect(said(...again("lab-service"))).toEqual([
      "lab: its steps run again, and mend what is not in place, buildkitd restarts if what it runs with is mended, running builds then get 600 s",
    ]);
  });

  test.each<[string, string[], string, string]>([
    [
      "buildkitd.toml",
      ["/etc/buildkit/buildkitd.toml was changed by hand at 2026-11-27 18:16:33 UTC"],
      "mends: /etc/buildkit/buildkitd.toml was changed by hand at 2026-11-27 18:16:33 UTC, buildkitd restarts, running builds get 600 s",
      "**yes**, after 600 s at most",
    ],
    [
      "the mode of a key",
      [
        "/etc/buildkit/key.pem has the mode 644 of root, not 600 of root, since 2026-11-27 18:16:33 UTC",
      ],
      "mends: /etc/buildkit/key.pem has the mode 644 of root, not 600 of root, since 2026-11-27 18:16:33 UTC, running builds go on",
      "no",
    ],
    [
      "a unit of containerd",
      ["/usr/local/lib/systemd/system/containerd.service was changed by hand at X"],
      "mends: /usr/local/lib/systemd/system/containerd.service was changed by hand at X, containerd restarts, running builds go on",
      "no",
    ],
    [
      "a service that was stopped",
      ["buildkitd.service was disabled at X", "buildkitd.service is inactive since X"],
      "mends: buildkitd.service was disabled at X; buildkitd.service is inactive since X, buildkitd starts",
      "",
    ],
    [
      "a reset",
      [
        "nothing of buildhosts is on the machine any more: it runs since X, and the folder above changed at Y",
      ],
      "is set up anew: nothing of buildhosts is on the machine any more: it runs since X, and the folder above changed at Y, buildkitd starts",
      "",
    ],
    [
      "what is not known here",
      ["port 1234 is taken by nginx (pid 7)"],
      "mends: port 1234 is taken by nginx (pid 7), buildkitd restarts if what it runs with is mended, running builds then get 600 s",
      "perhaps, after 600 s at most",
    ],
  ])(
    "what was changed by hand is mended, and restarts what runs with it: %s",
    (_, words, line, builds) => {
      const steps = ["lab-config", "lab-service"].flatMap((name) => [
        {
          op: "create-replacement",
          of: BOARD,
          name,
          differs: ["triggers"],
          old: activate(),
          next: { ...activate(), triggers: words },
        },
        { op: "delete-replaced", of: BOARD, name, old: activate() },
      ]);
      expect(said(...steps)).toEqual([`lab: ${line}`]);
      expect(tableOf(planOf(log(...steps)))).toContain(`| ${builds} |`);
    },
  );

  test("the words of an earlier mending stay in the state, and say nothing", () => {
    const before = {
      ...activate(),
      triggers: ["/etc/buildkit/buildkitd.toml was changed by hand at X"],
    };
    expect(said({ op: "same", of: BOARD, name: "lab-service", old: before, next: before })).toEqual(
      ["No host changes."],
    );
  });

  test.each<[string, Partial<Step>, string]>([
    [
      "another SSH key",
      {
        old: preflight("root@lab.lan:22"),
        next: preflight("root@lab.lan:22"),
        differs: ["connection"],
      },
      "is reached in another way (SSH key, user, host key or jump host)",
    ],
    [
      "a newer boardctl",
      {
        old: preflight("root@lab.lan:22"),
        next: preflight("root@lab.lan:22", "bbbb"),
        differs: ["create"],
      },
      "boardctl is renewed, and checks the host again",
    ],
    [
      "another check",
      {
        old: preflight("root@lab.lan:22"),
        next: { create: `${preflight("root@lab.lan:22").create} --selinux true` },
        differs: ["create"],
      },
      "runs preflight again",
    ],
  ])("%s is said where nothing else is", (_, more, line) => {
    expect(said({ op: "update", of: BOARD, name: "lab-preflight", ...more })).toEqual([
      `lab: ${line}, running builds go on`,
    ]);
  });

  test("another mirror restarts nothing", () => {
    const install = (mirror: string) => ({
      create: `boardctl install \\\n  containerd v2.4.2 ${mirror}/containerd/containerd/releases/download/v2.4.2/x sha256:0`,
    });
    expect(
      said({
        op: "update",
        of: BOARD,
        name: "lab-install",
        old: install("https://github.com"),
        next: install("https://mirror.lan"),
      }),
    ).toEqual([
      "lab: releases come from https://mirror.lan in place of https://github.com, running builds go on",
    ]);
  });
});

const BOX: Step["of"] = ["BuilderContainer", "box"];
const inBox = (
  op: string,
  kind: "container" | "image" | "cache",
  more: Partial<Step> = {},
): Step => ({
  op,
  of: BOX,
  name: `box-${kind}`,
  type: {
    container: "docker:index/container:Container",
    image: "docker:index/remoteImage:RemoteImage",
    cache: "docker:index/volume:Volume",
  }[kind],
  old: {},
  next: {},
  ...more,
});

describe("of a pool", () => {
  const OF: Step["of"] = ["BuilderPool", "pool"];
  const cfg = (...servers: string[]) => ({
    create: "sh -c '…' sh \\\n  pool p/s/pool 0123 \\\n  --at root@a.lan:22 --script 4567",
    stdin: `H4sI\nbackend builders\n${servers.map((one) => `  server ${one} id 7\n`).join("")}`,
  });
  const step = (op: string, name: string, more: Partial<Step> = {}): Step => ({
    ...{ op, of: OF, name, ...more },
  });
  const active = { create: "sh -c '…' sh /usr/local/lib/buildhosts-pools/poolctl activate" };

  test("a new one, and its client is nobody's", () => {
    expect(
      said(
        step("create", "pool-config", { next: cfg("a a.lan:1234") }),
        step("create", "pool-service", { next: active }),
        certificate("create", "ClientCertificate", "client-pool-pool"),
      ),
    ).toEqual(["pool: becomes a pool at root@a.lan:22"]);
  });

  test("other builders behind it", () => {
    expect(
      said(
        step("update", "pool-config", {
          old: cfg("a a.lan:1234", "b b.lan:1234"),
          next: cfg("a a.lan:1235", "c c.lan:1234"),
        }),
        step("update", "pool-service", { old: active, next: active }),
      ),
    ).toEqual([
      "pool: leads to c too, leads to b no more, reaches a at a.lan:1235, HAProxy reloads, running builds go on",
    ]);
  });

  test("one in a container is replaced while its builds go on", () => {
    const type = "docker:index/container:Container";
    expect(said(step("replace", "pool-container", { type, old: {}, next: {} }))).toEqual([
      "pool: another container takes over, running builds go on",
    ]);
  });

  test("one that nothing changes is not named", () => {
    expect(said(step("same", "pool-service", { old: active, next: active }))).toEqual([
      "No host changes.",
    ]);
  });

  test("one that leaves, or is abandoned", () => {
    const service = step("delete", "pool-service", { old: active });
    expect(said(service)).toEqual([
      "pool: leaves the stack: HAProxy ends there, running builds end",
    ]);
    expect(said({ ...service, retained: true })).toEqual([
      "pool: leaves the stack without being contacted (abandon): HAProxy stays, running builds go on",
    ]);
  });
});

describe("of a builder in a container", () => {
  test("another image replaces it, which ends its builds", () => {
    const digest = (one: string) => `@sha256:${one.repeat(64)}`;
    expect(
      said(
        inBox("replace", "image", {
          old: { name: "moby/buildkit:v0.34.1" },
          next: { name: "moby/buildkit:v0.34.2" },
        }),
        inBox("replace", "container", { differs: ["image"] }),
      ),
    ).toEqual([
      "box: image moby/buildkit:v0.34.1 → v0.34.2, the container is replaced, running builds end",
    ]);
    expect(
      said(
        inBox("replace", "image", {
          old: { name: `moby/buildkit:v0.34.2${digest("0")}` },
          next: { name: `registry.lan:5000/buildkit${digest("1")}` },
        }),
        inBox("replace", "container", { differs: ["image"] }),
      ),
    ).toEqual([
      "box: image moby/buildkit:v0.34.2@sha256:000000000000 → registry.lan:5000/buildkit:latest@sha256:111111111111, the container is replaced, running builds end",
    ]);
  });

  test("ports, limits and the environment are named, without the environment's values", () => {
    const inputs = (port: number, envs: string[]) => ({
      ports: [{ ip: "0.0.0.0", external: port, internal: 1234 }],
      envs,
      memory: port === 1 ? undefined : 512,
    });
    const [line] = said(
      inBox("replace", "container", {
        old: inputs(1, ["A=secret", "B=1"]),
        next: inputs(2, ["B=1", "HTTPS_PROXY=http://u:p@x"]),
        differs: ["envs", "memory", "memorySwap", "ports"],
      }),
    );
    expect(line).toBe(
      "box: environment: A, HTTPS_PROXY, memory no limit → 512 MB, port 0.0.0.0:1 → 0.0.0.0:2, the container is replaced, running builds end",
    );
  });

  test("what was changed by hand is mended by another container", () => {
    const labels = (...more: string[]) => ({
      labels: [
        { label: "buildhosts.builder", value: "box" },
        ...more.map((value) => ({ label: "buildhosts.mended", value })),
      ],
    });
    expect(
      said(
        inBox("replace", "container", {
          old: labels(),
          next: labels("the container 'box' was stopped at X"),
          differs: ["labels"],
        }),
      ),
    ).toEqual([
      "box: mends: the container 'box' was stopped at X, the container is replaced, running builds end",
    ]);
  });

  test("a change that Docker makes as it runs ends no build", () => {
    expect(
      said(inBox("update", "container", { old: { cpus: "1.5" }, next: {}, differs: ["cpus"] })),
    ).toEqual([
      "box: cpus 1.5 → no limit, the container is changed as it runs, running builds go on",
    ]);
  });

  test("its settings are told by the component, and its other files are not", () => {
    const component = (old: Inputs, next: Inputs): Step => ({
      op: "update",
      of: ["", ""],
      type: "buildhosts:index:BuilderContainer",
      name: "box",
      old,
      next,
    });
    expect(
      said(
        component(
          {},
          { buildkitd: { registry: { "docker.io": { mirrors: ["mirror.lan:5000"] } } } },
        ),
        inBox("replace", "container", { differs: ["uploads"] }),
      ),
    ).toEqual([
      'box: buildkitd.toml: registry."docker.io".mirrors + mirror.lan:5000, the container is replaced, running builds end',
    ]);
    expect(said(inBox("replace", "container", { differs: ["uploads"] }))).toEqual([
      "box: its files change, which are secret, the container is replaced, running builds end",
    ]);
    expect(said(component({}, { removeCacheOnDelete: true }))).toEqual([
      "box: its removal will delete the build cache, too, running builds go on",
    ]);
  });

  test.each<[string, Step[], string]>([
    [
      "keeps its cache",
      [inBox("delete", "container"), inBox("delete", "cache", { retained: true })],
      "leaves the stack: its container is removed, the build cache stays, running builds end",
    ],
    [
      "loses its cache",
      [inBox("delete", "container"), inBox("delete", "cache")],
      "leaves the stack: its container is removed, the build cache is deleted, running builds end",
    ],
    [
      "is abandoned",
      [inBox("delete", "container", { retained: true })],
      "leaves the stack without its host being contacted (abandon): what runs there stays, running builds go on",
    ],
  ])("one that leaves %s", (_, steps, line) => {
    expect(said(...steps)).toEqual([`box: ${line}`]);
  });

  test("another volume is said, and what becomes of the one before", () => {
    const names = { old: { name: "box-cache" }, next: { name: "other" } };
    expect(said(inBox("replace", "cache", { ...names, retained: true }))).toEqual([
      "box: build cache box-cache → other, the one before stays, running builds go on",
    ]);
    expect(said(inBox("replace", "cache", names))).toEqual([
      "box: build cache box-cache → other, the one before is deleted, running builds go on",
    ]);
  });
});

describe("of a host that emulates", () => {
  test("what it emulates is said", () => {
    const emulation = (op: string): Step => ({
      op,
      of: ["HostEmulation", "farm-emulation"],
      name: "farm-emulation-container",
      type: "docker:index/container:Container",
      next: { command: ["--install", "riscv64,arm64"] },
    });
    expect(said(emulation("create"))).toEqual([
      "farm: emulates riscv64,arm64, running builds go on",
    ]);
  });
});

describe("of certificates", () => {
  const authority = (op: string): Step => ({
    op,
    of: ["CertificateAuthority", "ca"],
    type: "tls:index/selfSignedCert:SelfSignedCert",
    name: "ca-certificate",
    old: {},
    next: {},
  });

  test("a renewed CA is said once, and not of each client", () => {
    expect(
      said(
        authority("replace"),
        certificate("replace", "ClientCertificate", "client-ci"),
        certificate("replace", "ServerCertificate", "lab-server"),
        service(activate(), activate(), { differs: ["stdin"] }),
      ),
    ).toEqual([
      "CA: is renewed: every certificate is signed anew, and clients need their new files",
      "lab: gets a new certificate, buildkitd restarts, running builds get 600 s",
    ]);
  });

  test("clients that come, change and go are said, and no host changes", () => {
    expect(
      said(
        certificate("create", "ClientCertificate", "client-new"),
        certificate("replace", "ClientCertificate", "client-ci"),
        certificate("delete", "ClientCertificate", "client-old"),
        certificate("replace", "ClientCertificate", "client-health-check"),
      ),
    ).toEqual([
      "client ci: gets a new certificate, and needs its new files",
      "client new: gets a certificate",
      "client old: leaves the stack; builders accept its certificate until it ends",
      "No host changes.",
    ]);
  });
});

describe("of GitHub", () => {
  const github = (
    op: string,
    kind: string,
    inputs: Inputs,
    of: Step["of"] = ["BuilderSecrets", "images"],
  ): Step => ({
    op,
    of,
    type: `github:index/${kind[0]?.toLowerCase()}${kind.slice(1)}:${kind}`,
    name: `images-${JSON.stringify(inputs)}`,
    old: inputs,
    next: inputs,
  });
  const repository = "images";

  test("what changes is summed up for each repository", () => {
    expect(
      said(
        github("create", "RepositoryFile", { repository, file: ".github/workflows/builders.yml" }),
        github("update", "RepositoryFile", { repository, file: ".github/workflows/a.yml" }),
        github("update", "RepositoryFile", { repository, file: "Dockerfile" }),
        github("replace", "ActionsSecret", {
          repository,
          secretName: "BUILDER_AUTH_TLS_CERT",
          value: SECRET,
        }),
        github("replace", "ActionsSecret", {
          repository,
          secretName: "BUILDER_AUTH_TLS_KEY",
          value: SECRET,
        }),
        github("update", "ActionsVariable", { repository: UNKNOWN, variableName: "BUILDER_NODES" }),
        github("update", "ActionsOrganizationSecret", { secretName: "BUILDER_AUTH_TLS_CERT" }),
        github("same", "Repository", { name: repository }),
      ),
    ).toEqual([
      "No host changes.",
      "organization: secret BUILDER_AUTH_TLS_CERT is changed",
      "repository images: file Dockerfile is changed, secret BUILDER_AUTH_TLS_CERT, BUILDER_AUTH_TLS_KEY are made anew, variable BUILDER_NODES is changed, workflow a.yml is changed, workflow builders.yml is made",
    ]);
  });

  test.each<[string, object, string]>([
    ["deletes a repository", {}, "is deleted, with all of its history"],
    ["archives it", { archiveOnDestroy: true }, "is archived"],
  ])("what %s is said", (_, more, line) => {
    expect(
      said(
        github("delete", "Repository", { name: repository, ...more }, [
          "BuilderRepository",
          "images",
        ]),
      ),
    ).toEqual(["No host changes.", `repository images: ${line}`]);
  });
});

describe("as a whole", () => {
  test("hosts stand in the order of their names, whatever the engine's", () => {
    const bump = (name: string): Step => ({
      ...service(activate(), activate({ buildkit: "v0.35.0" })),
      of: ["BuilderBoard", name],
      name: `${name}-service`,
    });
    const lines = said(
      bump("board-10"),
      bump("board-9"),
      inBox("update", "container", { differs: [] }),
    );
    expect(lines.map((line) => line.split(":")[0])).toEqual(["board-9", "board-10", "box"]);
  });

  test("what stays, what a refresh sees and an empty log change no host", () => {
    expect(said()).toEqual(["No host changes."]);
    expect(
      said(
        service(activate(), activate(), { op: "same" }),
        service(activate(), activate(), { op: "refresh" }),
      ),
    ).toEqual(["No host changes."]);
    expect(tableOf(planOf(""))).toBe("No host changes.\n");
  });

  test("the table says whether builds are interrupted", () => {
    const plan = planOf(
      log(
        service(activate(), activate({ buildkit: "v0.35.0" })),
        inBox("replace", "container", { differs: ["init"] }),
        certificate("create", "ClientCertificate", "client-new"),
      ),
    );
    expect(tableOf(plan)).toBe(
      `| | What happens | Are builds interrupted? |
| --- | --- | --- |
| box | init changes<br>the container is replaced | **yes** |
| lab | buildkit v0.34.2 → v0.35.0<br>buildkitd restarts | **yes**, after 600 s at most |
| client new | gets a certificate |  |
`,
    );
  });

  test("what stands in a stack begins no link, mention, picture, HTML or cell", () => {
    const toml = (value: string) =>
      config(value.length.toString(), files(`x = ${JSON.stringify(value)}\n`));
    const table = tableOf(
      planOf(
        log({
          op: "update",
          of: BOARD,
          name: "lab-config",
          old: toml(""),
          next: toml("a|b <b> @me ![x](https://x.y) `z`"),
        }),
      ),
    );
    expect(table.split("\n")[2]?.split("|")).toHaveLength(5);
    expect(table).not.toMatch(/<b>|@|\]\(|`|https:\/\//);
  });

  test("a table that is too long says how much is missing", () => {
    const boards = Array.from({ length: 500 }, (_, index) => `board-${index}`).map(
      (name): Step => ({
        ...service(activate(), activate({ buildkit: "v0.35.0" })),
        of: ["BuilderBoard", name],
        name: `${name}-service`,
      }),
    );
    const table = tableOf(planOf(log(...boards)));
    expect(Buffer.byteLength(table)).toBeLessThan(20_000);
    const shown = table.match(/^\| board-/gm)?.length ?? 0;
    expect(table).toContain(`\n${500 - shown} more, see the diff.\n`);
  });
});

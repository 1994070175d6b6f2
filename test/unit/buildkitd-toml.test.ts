import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import type { BuildkitdSettings } from "../../components/buildkitd/schema.ts";
import {
  type BuildkitdTomlArgs,
  keysOfOneWorker,
  renderBuildkitdToml,
} from "../../components/buildkitd/toml.ts";
import { everySetting } from "./everySetting.ts";

const args: BuildkitdTomlArgs = {
  settings: {},
  worker: "oci",
  network: "bridge",
  addresses: ["tcp://0.0.0.0:1234", "unix:///run/buildkit/buildkitd.sock"],
  tls: {
    ca: "/etc/buildkit/ca.pem",
    cert: "/etc/buildkit/cert.pem",
    key: "/etc/buildkit/key.pem",
  },
  runc: "/usr/local/sbin/runc",
  rootless: false,
};

/** Every setting that the worker has. */
function settingsFor(worker: "oci" | "containerd"): BuildkitdSettings {
  const others: readonly string[] = keysOfOneWorker[worker === "oci" ? "containerd" : "oci"];
  const own = Object.entries(everySetting.worker).filter(([key]) => !others.includes(key));
  return { ...everySetting, worker: Object.fromEntries(own) };
}

/** Each value of a document with its path; the items of a list of tables are told apart by position. */
function leaves(value: unknown, path = ""): [string, unknown][] {
  const isTable = (item: unknown) => typeof item === "object" && item !== null;
  return isTable(value) && !(Array.isArray(value) && !value.some(isTable))
    ? Object.entries(value as object).flatMap(([key, child]) => leaves(child, `${path}/${key}`))
    : [[path, value]];
}

test("a board without settings gets the daemon's defaults and what the board owns", () => {
  expect(renderBuildkitdToml(args)).toMatchInlineSnapshot(`
    "# Written by buildhosts: what is changed here is overwritten. Change the stack's configuration instead.
    root = "/var/lib/buildkit"

    [grpc]
    address = [ "tcp://0.0.0.0:1234", "unix:///run/buildkit/buildkitd.sock" ]

    [grpc.tls]
    ca = "/etc/buildkit/ca.pem"
    cert = "/etc/buildkit/cert.pem"
    key = "/etc/buildkit/key.pem"

    [worker.containerd]
    enabled = false

    [worker.oci]
    binary = "/usr/local/sbin/runc"
    enabled = true
    networkMode = "bridge"
    "
  `);
});

test("the containerd worker uses the releases' runc, by a runtime that is named", () => {
  expect(renderBuildkitdToml({ ...args, worker: "containerd" })).toMatchInlineSnapshot(`
    "# Written by buildhosts: what is changed here is overwritten. Change the stack's configuration instead.
    root = "/var/lib/buildkit"

    [grpc]
    address = [ "tcp://0.0.0.0:1234", "unix:///run/buildkit/buildkitd.sock" ]

    [grpc.tls]
    ca = "/etc/buildkit/ca.pem"
    cert = "/etc/buildkit/cert.pem"
    key = "/etc/buildkit/key.pem"

    [worker.containerd]
    address = "/run/containerd/containerd.sock"
    enabled = true
    networkMode = "bridge"

    [worker.containerd.runtime]
    name = "io.containerd.runc.v2"

    [worker.containerd.runtime.options]
    BinaryName = "/usr/local/sbin/runc"

    [worker.oci]
    enabled = false
    "
  `);
});

test("a rootless daemon with metrics says so", () => {
  const text = renderBuildkitdToml({
    ...args,
    network: "host",
    rootless: true,
    metricsAddress: "127.0.0.1:6060",
  });
  const document = parse(text) as { grpc: object; worker: { oci: object } };
  expect(document.grpc).toMatchObject({ debugAddress: "127.0.0.1:6060" });
  expect(document.worker.oci).toEqual({
    enabled: true,
    rootless: true,
    networkMode: "host",
    binary: "/usr/local/sbin/runc",
  });
});

describe.each(["oci", "containerd"] as const)("with every setting of the %s worker", (worker) => {
  const settings = settingsFor(worker);
  const text = renderBuildkitdToml({ ...args, worker, settings, metricsAddress: "127.0.0.1:6060" });

  test("the file is as before", () => {
    expect(text).toMatchSnapshot();
  });

  test("each setting stands in it once, under upstream's name, in the chosen worker's table", () => {
    const expected = leaves({ ...settings, worker: { [worker]: settings.worker } });
    const rendered = new Map(leaves(parse(text)));
    for (const [path, value] of expected) expect.soft(rendered.get(path), path).toEqual(value);
    const owned = [
      "/grpc/address",
      "/grpc/debugAddress",
      "/grpc/tls/ca",
      "/grpc/tls/cert",
      "/grpc/tls/key",
      `/worker/${worker}/enabled`,
      `/worker/${worker}/networkMode`,
      ...(worker === "oci"
        ? ["/worker/oci/binary", "/worker/containerd/enabled"]
        : [
            "/worker/containerd/address",
            "/worker/containerd/runtime/options/BinaryName",
            "/worker/oci/enabled",
          ]),
    ];
    expect([...rendered.keys()].sort()).toEqual(
      [...expected.map(([path]) => path), ...owned].sort(),
    );
  });

  test("the order of keys in the settings changes nothing", () => {
    expect(
      renderBuildkitdToml({
        ...args,
        worker,
        settings: reversed(settings) as BuildkitdSettings,
        metricsAddress: "127.0.0.1:6060",
      }),
    ).toBe(text);
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, child]) => [key, reversed(child)]),
  );
}

test("what the board owns cannot be overwritten by a setting from outside the types", () => {
  const settings = {
    grpc: { address: ["tcp://0.0.0.0:1"], tls: {} },
    worker: { enabled: false, binary: "/tmp/runc", networkMode: "host" },
  } as BuildkitdSettings;
  expect(renderBuildkitdToml({ ...args, settings })).toBe(renderBuildkitdToml(args));
});

test("texts are quoted: a value cannot become a key", () => {
  const text = renderBuildkitdToml({
    ...args,
    settings: { worker: { labels: { 'a"b': 'x"\n[grpc]\naddress = []' } } },
  });
  expect(parse(text)).toMatchObject({
    worker: { oci: { labels: { 'a"b': 'x"\n[grpc]\naddress = []' } } },
    grpc: { address: args.addresses },
  });
});

test("another runtime than runc's gets no options of runc's", () => {
  const text = renderBuildkitdToml({
    ...args,
    worker: "containerd",
    settings: { worker: { runtime: { name: "io.containerd.kata.v2" } } },
  });
  expect(parse(text)).toMatchObject({
    worker: { containerd: { runtime: { name: "io.containerd.kata.v2" } } },
  });
  expect(text).not.toContain("BinaryName");
});

test.each([
  ["oci", { namespace: "x" }, "buildkitd.worker.namespace: only the containerd worker has it"],
  [
    "containerd",
    { noProcessSandbox: true },
    "buildkitd.worker.noProcessSandbox: only the oci worker",
  ],
] as const)("the %s worker refuses the other's settings", (worker, own, message) => {
  expect(() => renderBuildkitdToml({ ...args, worker, settings: { worker: own } })).toThrow(
    message,
  );
});

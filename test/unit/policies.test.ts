import { describe, expect, test } from "vitest";
import { bundle } from "../../components/board/bundle.ts";
import {
  installCommand,
  stageConfigCommand,
  uninstallCommand,
} from "../../components/board/commands.ts";
import { boardFiles } from "../../components/board/files.ts";
import { release } from "../../components/board/releases.ts";
import { containerFiles } from "../../components/container/files.ts";
import { defaultVersions } from "../../config/versions.ts";
import {
  brokenPromises,
  type Examined,
  endingCaches,
  oldReleases,
  openDoors,
  plainSecrets,
} from "../../policy/policies.ts";

const command = (props: object): Examined => ({
  type: "command:remote:Command",
  name: "board-1-step",
  builder: "board-1",
  props: { ...props },
});
const container = (props: object): Examined => ({
  type: "docker:index/container:Container",
  name: "box-container",
  builder: "box",
  props: { ...props },
});
const component = (props: object): Examined => ({
  type: "buildhosts:index:BuilderContainer",
  name: "box",
  builder: "box",
  props: { ...props },
});
const docker = (props: object): Examined => ({
  type: "pulumi:providers:docker",
  name: "farm-docker",
  builder: "farm-docker",
  props: { ...props },
});

/** The step of a board that brings its configuration, as the component makes it. */
function configuration(
  more: Partial<Parameters<typeof boardFiles>[0]> = {},
  edit = (text: string) => text,
): Examined {
  const files = boardFiles({
    worker: "oci",
    network: more.rootless ? "host" : "bridge",
    rootless: false,
    listen: { address: "0.0.0.0", port: 1234 },
    socketActivation: false,
    metricsAddress: undefined,
    environment: {},
    settings: {},
    ...more,
  });
  return command({
    create: stageConfigCommand("83b5124dac3e"),
    stdin: edit(bundle(files)),
  });
}

const withoutTls = (text: string) => text.replace(/\[grpc\.tls\]\n(?:\w+ = .*\n)+/, "");

describe("mutual TLS", () => {
  test.each([
    ["a board", configuration()],
    ["a board whose port systemd listens on", configuration({ socketActivation: true })],
    ["a board with metrics on loopback", configuration({ metricsAddress: "127.0.0.1:6060" })],
    [
      "another step",
      command({
        create: "/usr/local/lib/buildhosts/boardctl activate",
        stdin: "==> ca.pem <==\nx\n==> end <==\n",
      }),
    ],
    [
      "a container",
      container({
        uploads: containerFiles({ network: "host", rootless: false, proxies: false, settings: {} }),
      }),
    ],
    [
      "a container that listens to itself",
      container({ command: ["--addr", "tcp://127.0.0.1:1234"] }),
    ],
    [
      "a container that asks for certificates",
      container({ command: ["--addr=tcp://0.0.0.0:1234", "--tlscacert", "/ca.pem"] }),
    ],
    ["a Docker host over SSH", docker({ host: "ssh://root@farm.lan" })],
    [
      "a Docker host with TLS",
      docker({ host: "tcp://farm.lan:2376", caMaterial: "a", certMaterial: "b", keyMaterial: "c" }),
    ],
    ["what is not known yet", command({ create: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" })],
  ])("is found at %s", (_, resource) => {
    expect(openDoors(resource)).toEqual([]);
  });

  test.each<[string, Examined, string]>([
    [
      "a board",
      configuration({}, withoutTls),
      "board-1: buildkitd listens at tcp://0.0.0.0:1234 without mutual TLS",
    ],
    [
      "a board that asks for no client's certificate",
      configuration({}, (text) => text.replace(/^ca = .*\n/m, "")),
      "board-1: buildkitd listens at tcp://0.0.0.0:1234 without mutual TLS",
    ],
    [
      "a board whose port systemd listens on",
      configuration({ socketActivation: true }, withoutTls),
      "board-1: buildkitd listens at fd:// without mutual TLS",
    ],
    [
      "a board's metrics",
      configuration({ metricsAddress: "10.0.0.9:6060" }),
      "board-1: metrics and profiles are served at 10.0.0.9:6060 without authentication",
    ],
    [
      "a container",
      container({
        uploads: [
          {
            file: "/etc/buildkit/buildkitd.toml",
            content: '[grpc]\naddress = "tcp://[::]:1234"\n',
          },
        ],
      }),
      "box: buildkitd listens at tcp://[::]:1234 without mutual TLS",
    ],
    [
      "a container by its command",
      container({ command: ["--addr=tcp://0.0.0.0:1234", "--tlscert", "/cert.pem"] }),
      "box: buildkitd listens at tcp://0.0.0.0:1234 without mutual TLS",
    ],
    [
      "a Docker host",
      docker({ host: "tcp://farm.lan:2375", caMaterial: "a" }),
      "farm-docker: Docker is reached at tcp://farm.lan:2375 without mutual TLS",
    ],
  ])("is missed at %s", (_, resource, line) => {
    expect(openDoors(resource)).toEqual([expect.stringContaining(line)]);
  });
});

describe("old releases", () => {
  const install = (versions: Record<string, string>) =>
    command({
      create: installCommand(
        (["containerd", "runc", "buildkit"] as const).map((one) => ({
          release: release(one, versions[one] ?? defaultVersions[one], "linux/riscv64"),
          url: "https://mirror.lan/x",
          checksum: "sha256:0",
        })),
      ),
    });
  const image = (name: string): Examined => ({
    type: "docker:index/remoteImage:RemoteImage",
    name: "box-image",
    builder: "box",
    props: { name },
  });

  test.each([
    ["the default ones", install({})],
    ["an image of today", image(`moby/buildkit:${defaultVersions.buildkit}-rootless@sha256:0`)],
    ["an image without a version", image("moby/buildkit:buildx-stable-1")],
    ["another image", image("tonistiigi/binfmt:qemu-v6.0.0")],
  ])("are not %s", (_, resource) => {
    expect(oldReleases(resource)).toEqual([]);
  });

  test("are all that a board installs below a floor", () => {
    expect(
      oldReleases(install({ buildkit: "v0.12.0", containerd: "v2.3.4", runc: "v1.5.1" })),
    ).toEqual([
      "board-1: containerd v2.3.4: known security holes are open below v2.3.5; name a newer version",
      "board-1: runc v1.5.1: known security holes are open below v1.4.4, and in v1.5 below v1.5.2; name a newer version",
      "board-1: buildkit v0.12.0: is below v0.13.0, and older ones do not support networkMode bridge; name a newer version",
    ]);
  });

  test("are images of them, too", () => {
    expect(oldReleases(image("registry.lan:5000/moby/buildkit:v0.31.1-rootless"))).toEqual([
      "box: buildkit v0.31.1: known security holes are open below v0.31.2; name a newer version",
    ]);
  });
});

describe("rootless", () => {
  test.each<[string, Examined, string[]]>([
    ["a rootless board", configuration({ rootless: true }), ["board-1"]],
    ["a board of which nothing is promised", configuration(), ["another"]],
    ["a rootless container", component({ rootless: true }), ["*"]],
    ["another container", container({ privileged: true }), ["*"]],
  ])("holds for %s", (_, resource, promised) => {
    expect(brokenPromises(resource, promised, new Set())).toEqual([]);
  });

  test.each<[string, Examined, string[], string]>([
    [
      "a board that runs as root",
      configuration(),
      ["board-1"],
      "board-1: is promised to be rootless, and buildkitd runs as root",
    ],
    [
      "a board whose unit runs as root",
      configuration({ rootless: true }, (text) => text.replace("User=buildkit", "User=root")),
      [],
      "board-1: is rootless, and its unit buildkitd.service runs as root all the same",
    ],
    [
      "a container",
      component({}),
      ["*"],
      "box: is promised to be rootless, and its container is privileged",
    ],
    [
      "a container whose component says otherwise",
      container({ privileged: true }),
      [],
      "box: is rootless, and its container is privileged all the same",
    ],
  ])("is broken by %s", (_, resource, promised, line) => {
    const declared = new Set(["box"]);
    expect(brokenPromises(resource, promised, declared)).toEqual([expect.stringContaining(line)]);
  });

  test("is declared by the component, for what is part of it", () => {
    const declared = new Set<string>();
    brokenPromises(component({ rootless: true }), [], declared);
    expect(brokenPromises(container({ privileged: true }), [], declared)).toHaveLength(1);
    brokenPromises(component({}), [], declared);
    expect(brokenPromises(container({ privileged: true }), [], declared)).toEqual([]);
  });
});

describe("a secret in plain", () => {
  const isSecret = (value: unknown) => value instanceof Set;
  test.each<[string, object, string]>([
    [
      "a key in a list",
      { uploads: [{ content: "x\n-----BEGIN EC PRIVATE KEY-----\n" }] },
      "uploads[0].content holds a private key",
    ],
    ["a token", { env: { TOKEN: `ghp_${"a".repeat(36)}` } }, "env.TOKEN holds a token of GitHub"],
    [
      "a password",
      { envs: ["HTTPS_PROXY=http://user:word@proxy.lan:3128"] },
      "envs[0] holds a password in an address",
    ],
  ])("is found: %s", (_, props, line) => {
    const [found, ...others] = plainSecrets(
      { name: "box-container", props: { ...props } },
      isSecret,
    );
    expect(found).toBe(
      `box-container: ${line} in plain; make it a secret (pulumi.secret, or config set --secret)`,
    );
    expect(others).toEqual([]);
    expect(found).not.toMatch(/word@|aaaa/);
  });

  test("is none where it is marked, nor are a certificate, a public key and an address", () => {
    const props = {
      stdin: new Set(["-----BEGIN PRIVATE KEY-----"]),
      certPem: "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
      hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1t",
      endpoint: "tcp://box.lan:1234",
      host: "ssh://builder@farm.lan:22",
    };
    expect(plainSecrets({ name: "x", props }, isSecret)).toEqual([]);
  });
});

describe("a build cache", () => {
  test.each<[string, Examined, string[]]>([
    ["a board", command({ delete: uninstallCommand("buildhosts/home/board-1", false) }), []],
    ["a container", component({}), []],
    ["an exception", component({ removeCacheOnDelete: true }), ["box"]],
  ])("stays of %s", (_, resource, except) => {
    expect(endingCaches(resource, except)).toEqual([]);
  });

  test.each<[Examined, string]>([
    [command({ delete: uninstallCommand("buildhosts/home/board-1", true) }), "board-1"],
    [component({ removeCacheOnDelete: true }), "box"],
  ])("would go with its builder: %#", (resource, builder) => {
    expect(endingCaches(resource, ["another"])).toEqual([
      `${builder}: its removal would delete the build cache; set removeCacheOnDelete: false, or name it in the policy's builders`,
    ]);
  });
});

import { describe, expect, test } from "vitest";
import { bundle } from "../../components/board/bundle.ts";
import { type BoardFilesInputs, boardFiles } from "../../components/board/files.ts";

const board: BoardFilesInputs = {
  worker: "oci",
  network: "bridge",
  rootless: false,
  listen: { address: "0.0.0.0", port: 1234 },
  socketActivation: false,
  metricsAddress: undefined,
  environment: {},
  settings: {},
};

const dropIn = (section: string, subnet: string) =>
  `# What RUN steps send to the daemon's port is dropped.\n[${section}]\nIPAddressDeny=${subnet}\n`;

/** That the kernel does drop it, test/integration/lifecycle-first-up.test.ts shows. */
describe("the daemon's port and RUN steps on the bridge", () => {
  const service = "buildkitd.service__run-steps.conf";
  const socket = "buildkitd.socket__run-steps.conf";

  test("are kept apart by the service", () => {
    const files = boardFiles(board);
    expect(files[service]).toBe(dropIn("Service", "10.10.0.0/16"));
    expect(Object.keys(files)).not.toContain(socket);
  });

  test("are kept apart by the socket too, where systemd listens", () => {
    const files = boardFiles({ ...board, socketActivation: true });
    expect(files[service]).toBe(dropIn("Service", "10.10.0.0/16"));
    expect(files[socket]).toBe(dropIn("Socket", "10.10.0.0/16"));
  });

  test("are kept apart on the bridge that the settings name", () => {
    const files = boardFiles({ ...board, settings: { worker: { bridgeSubnet: "10.77.0.0/24" } } });
    expect(files[service]).toBe(dropIn("Service", "10.77.0.0/24"));
  });

  test.each([
    ["RUN steps have the board's network", { network: "host" as const }],
    ["BuildKit's own proxy serves RUN steps", { settings: { proxyNetwork: true } }],
  ])("are left alone where %s", (_, difference) => {
    expect(Object.keys(boardFiles({ ...board, ...difference }))).not.toContain(service);
  });
});

/** What stands in buildkitd.toml, test/unit/buildkitd-toml.test.ts shows. */
test.each<[string, Partial<BoardFilesInputs>]>([
  ["as most boards have them", {}],
  [
    "with containerd as the worker, by a proxy",
    { worker: "containerd", environment: { HTTPS_PROXY: "http://a$b:1" } },
  ],
  ["where systemd listens", { socketActivation: true, listen: { address: "::", port: 4321 } }],
  ["without root", { rootless: true, network: "host" }],
])("the units and the environment, %s", (_, difference) => {
  const { "buildkitd.toml": _toml, ...units } = boardFiles({ ...board, ...difference });
  expect(bundle(units)).toMatchSnapshot();
});

test("a rootless daemon has a cache of its own, and is handed its key by systemd", () => {
  const files = boardFiles({ ...board, network: "host", rootless: true });
  expect(files["buildkitd.toml"]).toContain('root = "/var/lib/buildkit-rootless"\n');
  expect(files["buildkitd.toml"]).toContain('key = "/run/credentials/buildkitd.service/key.pem"\n');
  expect(files["buildkitd.service"]).toContain("\nStateDirectory=buildkit-rootless\n");
  expect(files["buildkitd.service"]).toContain("\nLoadCredential=key.pem:/etc/buildkit/key.pem\n");
});

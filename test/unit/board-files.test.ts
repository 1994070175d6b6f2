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

const noIpv6 = (bridge: string) =>
  `# Nor is there IPv6 on their bridge, by which they would reach it as well.
ExecStartPre=/bin/sh -c '[ -e /sys/class/net/${bridge} ] || ip link add ${bridge} type bridge'
ExecStartPre=/bin/sh -c '[ ! -e /proc/sys/net/ipv6/conf/${bridge} ] || echo 1 >/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6'
`;

/** That the kernel does drop it, of either family, test/integration/lifecycle-first-up.test.ts shows. */
describe("the daemon's port and RUN steps on the bridge", () => {
  const service = "buildkitd.service__run-steps.conf";
  const socket = "buildkitd.socket__run-steps.conf";

  test("are kept apart by the service", () => {
    const files = boardFiles(board);
    expect(files[service]).toBe(dropIn("Service", "10.10.0.0/16") + noIpv6("buildkit0"));
    expect(Object.keys(files)).not.toContain(socket);
  });

  test("are kept apart by the socket too, where systemd listens", () => {
    const files = boardFiles({ ...board, socketActivation: true });
    expect(files[service]).toBe(dropIn("Service", "10.10.0.0/16") + noIpv6("buildkit0"));
    expect(files[socket]).toBe(dropIn("Socket", "10.10.0.0/16"));
  });

  test("are kept apart on the bridge that the settings name", () => {
    const worker = { bridgeSubnet: "10.77.0.0/24", bridgeName: "builds0" };
    const files = boardFiles({ ...board, settings: { worker } });
    expect(files[service]).toBe(dropIn("Service", "10.77.0.0/24") + noIpv6("builds0"));
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

test.each([
  ["0.0.0.0", "1234"],
  ["::", "1234"],
  ["192.0.2.7", "192.0.2.7:1234"],
  ["2001:db8::7", "[2001:db8::7]:1234"],
])("systemd listens on %s where buildkitd would, whichever family it is", (address, stream) => {
  const listen = { address, port: 1234 };
  const files = boardFiles({ ...board, socketActivation: true, listen });
  expect(files["buildkitd.socket__listen.conf"]).toBe(`[Socket]\nListenStream=${stream}\n`);
  expect(files["buildkitd.socket"]).toContain("\nFreeBind=yes\nBindIPv6Only=both\n");
});

describe("steps of builds, which inherit what the daemons have,", () => {
  test("may be ended for want of memory before what the board lives by, with either worker", () => {
    for (const worker of ["oci", "containerd"] as const) {
      const files = boardFiles({ ...board, worker });
      expect(files["buildkitd.toml"]).toMatch(
        /^(binary|BinaryName) = "\/usr\/local\/lib\/buildhosts\/current\/config\/runc"$/m,
      );
      expect(files.runc).toContain(
        '\necho 0 >/proc/self/oom_score_adj\nexec /usr/local/sbin/runc "$@"\n',
      );
      expect(files["buildkitd.service"]).toContain("\nOOMScoreAdjust=-500\n");
      expect(files["containerd.service"]).toContain("\nOOMScoreAdjust=-999\n");
    }
  });

  test("need no runc of their own where the daemon has no protection", () => {
    const files = boardFiles({ ...board, rootless: true, network: "host" });
    expect(Object.keys(files)).not.toContain("runc");
    expect(files["buildkitd.toml"]).toContain('\nbinary = "/usr/local/sbin/runc"\n');
    expect(files["buildkitd.service"]).not.toContain("OOMScoreAdjust");
  });

  test.each([{}, { rootless: true, network: "host" as const }])(
    "have few files that they might have open, and may have many: %o",
    (difference) => {
      const files = boardFiles({ ...board, ...difference });
      for (const unit of ["buildkitd.service", "containerd.service"])
        expect(files[unit]).toContain("\nLimitNOFILE=1024:1048576\n");
    },
  );
});

test("a rootless daemon has a cache of its own, and is handed its key by systemd", () => {
  const files = boardFiles({ ...board, network: "host", rootless: true });
  expect(files["buildkitd.toml"]).toContain('root = "/var/lib/buildkit-rootless"\n');
  expect(files["buildkitd.toml"]).toContain('key = "/run/credentials/buildkitd.service/key.pem"\n');
  expect(files["buildkitd.service"]).toContain("\nStateDirectory=buildkit-rootless\n");
  expect(files["buildkitd.service"]).toContain("\nLoadCredential=key.pem:/etc/buildkit/key.pem\n");
});

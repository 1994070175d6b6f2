import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { defaultVersions } from "../../config/versions.ts";
import { boardMachine, boardPlatform } from "./boardPlatform.ts";
import { clientOf, dockerfile } from "./building.ts";
import { provisioned, type Scene } from "./ground.ts";
import { listen } from "./listener.ts";
import { buildkitVersion, filesOf, on, pidsOf } from "./onBoard.ts";

/** Each test begins where the one before it ended. */
describe("a board that was brought up from nothing", () => {
  let board: Scene["board"];
  let stack: Scene["stack"];

  beforeAll(async () => {
    ({ board, stack } = await provisioned());
  });

  test("took four steps on the board, and has a certificate for itself and for each client", () => {
    const { up } = stack.ground.baseline;
    expect(up.changes.create?.filter((name) => name.startsWith("board"))).toEqual([
      "board",
      "board-config",
      "board-install",
      "board-preflight",
      "board-server",
      "board-server-certificate",
      "board-server-key",
      "board-server-request",
      "board-service",
      "board.removal",
    ]);
    expect(up.output).toContain(
      "board: healthy: buildkitd answers on tcp://127.0.0.1:1234 over mutual TLS, and ran a step of a build",
    );
  });

  test("has its services under systemd, running and enabled", async () => {
    expect(
      await on(
        board,
        "systemctl show --property Id,Type,ActiveState,UnitFileState,FragmentPath containerd buildkitd",
      ),
    ).toBe(
      ["containerd", "buildkitd"]
        .map(
          (name) =>
            `Type=notify\nId=${name}.service\nActiveState=active\n` +
            `FragmentPath=/usr/local/lib/systemd/system/${name}.service\nUnitFileState=enabled`,
        )
        .join("\n\n"),
    );
    expect(await on(board, "systemctl --failed --plain --no-legend")).toBe("");
  });

  test("runs the versions that the stack names", async () => {
    const { buildkit, containerd, runc } = defaultVersions;
    expect(await buildkitVersion(board)).toBe(buildkit);
    expect(await on(board, "containerd --version | cut -d ' ' -f 3")).toBe(containerd);
    expect(await on(board, "/usr/local/sbin/runc --version | head -n 1")).toBe(
      `runc version ${runc.slice(1)}`,
    );
  });

  test("has the files where the seeds have them, each a link into the generation in use", async () => {
    const places = "/usr/local/bin /usr/local/sbin /etc/buildkit";
    const found = await on(board, `find ${places} -type l -printf '%p %l\\n' | sort`);
    const links = new Map(found.split("\n").map((line) => line.split(" ") as [string, string]));
    for (const [path, part] of [
      ["/etc/buildkit/buildkitd.toml", "config"],
      ["/etc/buildkit/ca.pem", "certificates"],
      ["/etc/buildkit/cert.pem", "certificates"],
      ["/etc/buildkit/key.pem", "certificates"],
      ["/usr/local/bin/buildctl", "buildkit/bin"],
      ["/usr/local/bin/buildkitd", "buildkit/bin"],
      ["/usr/local/bin/containerd", "containerd/bin"],
      ["/usr/local/bin/containerd-shim-runc-v2", "containerd/bin"],
      ["/usr/local/sbin/runc", "runc/bin"],
    ] as const) {
      const name = path.split("/").at(-1);
      expect(links.get(path), path).toBe(`/usr/local/lib/buildhosts/current/${part}/${name}`);
    }
    for (const target of links.values()) {
      expect(target).toMatch(/^\/usr\/local\/lib\/buildhosts\/current\//);
    }
  });

  test("lets only root read its private key, and keeps no client's key", async () => {
    expect(await on(board, "stat -L -c '%a %U:%G' /etc/buildkit/key.pem")).toBe("600 root:root");
    expect(await on(board, "stat -L -c '%a' /etc/buildkit/cert.pem /etc/buildkit/ca.pem")).toBe(
      "644\n644",
    );
    expect(
      await on(
        board,
        "grep -rlE 'BEGIN ([A-Z]+ )?PRIVATE KEY' /usr/local /etc /run /tmp /root /var/lib/buildkit 2>/dev/null | grep -v '^/etc/ssh/\\|^/run/credentials' | sort",
      ),
    ).toMatch(/^\/usr\/local\/lib\/buildhosts\/store\/certificates-[0-9a-f]{12}\/key\.pem$/);
    expect(await on(board, "ls -d /run/buildhosts-health.* 2>/dev/null || echo none")).toBe("none");
  });

  test("has nothing half done lying about", async () => {
    expect(
      await on(
        board,
        "ls -A /usr/local/lib/buildhosts/spool /usr/local/lib/buildhosts/displaced /usr/local/lib/buildhosts/pushed; find /usr/local /etc -name '*.buildhosts-new'; ls /usr/local/lib/buildhosts/pending 2>/dev/null || true",
      ),
    ).toBe(
      "/usr/local/lib/buildhosts/displaced:\n\n/usr/local/lib/buildhosts/pushed:\n\n/usr/local/lib/buildhosts/spool:",
    );
  });

  test("tells its users the builder, the client's files and the lines to use them", async () => {
    const { host, buildkitPort } = board.connection;
    const endpoint = `tcp://${host}:${buildkitPort}`;
    const { builders, buildx, buildctl, clientCertificates } = await stack.outputs();
    expect(builders).toEqual([{ name: "board", endpoint, platforms: [boardPlatform] }]);
    expect(buildx).toEqual([
      `docker buildx create --name buildhosts --node board --driver remote --platform ${boardPlatform} ` +
        `--driver-opt "cacert=$PWD/ca.pem,cert=$PWD/cert.pem,key=$PWD/key.pem,servername=${host}" ${endpoint}`,
    ]);
    expect(buildctl).toEqual([
      `buildctl --addr ${endpoint} --tlsservername ${host} ` +
        "--tlscacert ca.pem --tlscert cert.pem --tlskey key.pem debug workers",
    ]);
    expect(clientCertificates).toEqual({
      default: {
        ca: expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/),
        cert: expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/),
        key: expect.stringMatching(/^-----BEGIN (EC )?PRIVATE KEY-----\n/),
      },
    });
  });

  test("has no private key in its plain outputs, its state or what was printed", async () => {
    const plainOutputs = await stack.pulumi(["stack", "output", "--json"]);
    expect(JSON.parse(plainOutputs.output).clientCertificates).toBe("[secret]");
    const state = await stack.pulumi(["stack", "export"]);
    expect(state.output).toContain('::board-service"');
    const sshKey = await readFile(board.connection.identityFile, "utf8");
    const secretLine = sshKey.split("\n")[2] ?? "";
    expect(secretLine.length).toBeGreaterThan(60);
    for (const text of [plainOutputs.output, state.output, stack.ground.baseline.up.output]) {
      expect(text).not.toMatch(/BEGIN [A-Z ]*PRIVATE KEY/);
      expect(text).not.toContain(secretLine);
    }
  });

  test("builds an image with a RUN step for a client over mutual TLS", async () => {
    const client = await clientOf(stack);
    const build = await client.build();
    expect(build.output).toContain(`built on ${boardMachine}`);
    expect(build.code).toBe(0);
    expect(await build.file("built-on")).toBe(`built on ${boardMachine}\n`);
  });

  test("gives RUN steps a network of their own, which leads outside but not to the daemon", async () => {
    const outside = await listen();
    try {
      const client = await clientOf(stack);
      const build = await client.build({
        dockerfile: dockerfile("network"),
        buildArgs: {
          OUTSIDE: `${board.connection.gateway}:${outside.port}`,
          DAEMON: "10.10.0.1:1234",
        },
      });
      expect(build.output.split("\n").slice(-12).join("\n")).not.toContain("error");
      const addresses = await build.file("addresses");
      expect(addresses).toMatch(/ eth0 +inet 10\.10\.\d+\.\d+\/16 /);
      expect(addresses).not.toContain("10.0.2.15");
      expect(await build.file("outside")).toBe("reached\n");
      expect(await build.file("daemon")).toBe("refused\n");
    } finally {
      outside.close();
    }
  });

  test("treats RUN steps as guests: the first to go for want of memory, few files open, no way to the daemon by IPv6", async () => {
    const client = await clientOf(stack);
    const build = await client.build({
      dockerfile: dockerfile("guest"),
      buildArgs: { PORT: "1234" },
    });
    expect(build.code, build.output).toBe(0);
    expect(await build.file("oom")).toBe("0\n");
    expect(await build.file("files")).toBe("1024\n1048576\n");
    expect(await build.file("by-link-local")).toBe("");
    const daemon = "/proc/$(systemctl show --property MainPID --value buildkitd)";
    expect(await on(board, `cat ${daemon}/oom_score_adj`)).toBe("-500");
    // Go lifts its own to what the kernel allows it, or to one below.
    const files = await on(board, `awk '/open files/ { print $4 }' ${daemon}/limits`);
    expect(["1048575", "1048576"]).toContain(files);
  });

  test("keeps nothing of the health check's step in its cache", async () => {
    const client = await clientOf(stack);
    const { output } = await client.buildctl("du", "--verbose");
    expect(output).not.toContain("buildhosts-health");
  });

  test("is left alone by a second update and by a refresh: no resource, file or process changes", async () => {
    await on(board, "touch /run/before-the-update");
    const pids = await pidsOf(board);

    const again = await stack.up();
    expect(again.output).not.toContain("error");
    expect(Object.keys(again.changes)).toEqual(["same"]);
    const refresh = await stack.operation(["refresh", "--yes", "--skip-preview"]);
    expect(refresh.code).toBe(0);
    expect(Object.keys(refresh.changes).filter((op) => !["same", "refresh"].includes(op))).toEqual(
      [],
    );
    expect(refresh.output).toMatch(/Resources:\n\s+\d+ unchanged\n/);
    const afterwards = await stack.up();
    expect(Object.keys(afterwards.changes)).toEqual(["same"]);

    expect(await pidsOf(board)).toEqual(pids);
    expect(await on(board, "find /usr/local /etc -newer /run/before-the-update")).toBe("");
  });

  test("takes a client more or less without touching anything else", async () => {
    await stack.configure({}, { "buildhosts:clients": ["default", "laptop"] });
    const added = await stack.up();
    expect(added.code, added.output).toBe(0);
    expect(added.changes.create).toEqual([
      "client-laptop",
      "client-laptop-certificate",
      "client-laptop-key",
      "client-laptop-request",
    ]);
    expect(Object.keys(added.changes).sort()).toEqual(["create", "same"]);
    const laptop = await clientOf(stack, "laptop");
    expect((await laptop.buildctl("debug", "workers")).code).toBe(0);

    await stack.configure();
    const removed = await stack.up();
    expect(removed.changes.delete).toEqual(added.changes.create);
    expect(Object.keys(removed.changes).sort()).toEqual(["delete", "same"]);
    expect(Object.keys((await stack.outputs()).clientCertificates as object)).toEqual(["default"]);
    // Removal revokes nothing: BuildKit reads no revocation list.
    expect((await laptop.buildctl("debug", "workers")).code).toBe(0);
  });

  test("is as it was before once it is removed, but for its cache, which is kept", async () => {
    const destroyed = await stack.destroy();
    expect(destroyed.code, destroyed.output).toBe(0);
    expect(await filesOf(board)).toBe(stack.ground.baseline.filesBefore);
    expect(
      await on(board, "pgrep -a 'containerd|buildkit|runc' || echo none; ss -Hltn 'sport = :1234'"),
    ).toBe("none");
    expect(
      await on(board, "systemctl list-units --all --plain --no-legend '*containerd*' '*buildkit*'"),
    ).toBe("");
    expect(await on(board, "ip -br link show buildkit0 2>/dev/null || echo none")).toBe("none");
    expect(await on(board, "iptables-save | grep -Ec 'buildkit0|CNI-' || :")).toBe("0");
    expect(
      await on(
        board,
        "ls -d /var/lib/cni /run/buildhosts /run/lock/buildhosts.lock 2>/dev/null || :",
      ),
    ).toBe("");
    expect(await on(board, "du -s /var/lib/buildkit | cut -f 1").then(Number)).toBeGreaterThan(
      1000,
    );
  });
});

import { describe, expect, test } from "vitest";
import { explain } from "../../commands/lib/explain.ts";

const urn = (name: string) =>
  `urn:pulumi:dev::buildhosts::buildhosts:index:BuilderBoard$command:remote:Command::${name}`;

/** The engine's event log: one JSON object on each line. */
function eventLog(...events: object[]): string {
  return events
    .map((event, sequence) => `${JSON.stringify({ sequence, timestamp: 1795230000, ...event })}\n`)
    .join("");
}

function error(message: string, name = "board-1-preflight") {
  return {
    diagnosticEvent: {
      urn: urn(name),
      prefix: "<{%fg 9%}>error: <{%reset%}>",
      message: `<{%reset%}>${message}<{%reset%}>\n`,
      color: "raw",
      severity: "error",
    },
  };
}

test("what GitHub says to a fine-grained token is explained by what the token needs", () => {
  const said =
    "PUT https://api.github.com/repos/example/images/environments/builders: 403 Resource not accessible by personal access token []";
  expect(explain(eventLog(error(said, "images-environment")))).toEqual([
    {
      resource: "images-environment",
      line: expect.stringMatching(
        /^the token may not do this on GitHub\. A fine-grained one needs .*Environments/,
      ),
    },
  ]);
});

describe("what the SSH client says is explained:", () => {
  test.each([
    // golang.org/x/crypto/ssh, as the official plugin passes it on
    [
      "after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch",
      /another key than the stack's hostKey/,
    ],
    [
      "after 2 failed attempts: ssh: handshake failed: ssh: no common algorithm for host key; we offered: [ssh-ed25519], peer offered: [rsa-sha2-512]",
      /another key than the stack's hostKey/,
    ],
    [
      "proxy: after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch",
      /another key than the stack's hostKey/,
    ],
    ["proxy: after 2 failed attempts: ssh: handshake failed: EOF", /the jump host was reached/],
    ["failed to parse host key: ssh: no key found", /hostKey cannot be read/],
    [
      "after 2 failed attempts: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain",
      /refused the SSH key or the user/,
    ],
    [
      "after 2 failed attempts: dial tcp 192.0.2.7:22: connect: connection refused",
      /nothing listens at that address and port/,
    ],
    ["after 2 failed attempts: dial tcp 192.0.2.7:22: i/o timeout", /does not answer/],
    [
      "after 2 failed attempts: dial tcp 192.0.2.7:22: connect: no route to host",
      /does not answer/,
    ],
    [
      "after 2 failed attempts: dial tcp: lookup board-1.example.com on 192.0.2.1:53: no such host",
      /name is not known/,
    ],
    [
      "dial unix /run/user/0/agent.sock: connect: no such file or directory",
      /agent does not answer/,
    ],
    ["dial unix /run/user/0/agent.sock: connect: connection refused", /agent does not answer/],
    ["ssh: this private key is passphrase protected", /without a passphrase/],
    ["ssh: no key found", /SSH key cannot be used/],
    [
      "after 2 failed attempts: ssh: handshake failed: read tcp 192.0.2.1:40000->192.0.2.7:22: read: connection reset by peer",
      /ended the SSH handshake/,
    ],
    // the stand-in, where its words differ
    ["after 2 failed attempts: dial tcp 192.0.2.7:22: lookup: no such host", /name is not known/],
    [
      "connection.privateKey cannot be used: Encrypted private OpenSSH key detected, but no passphrase given",
      /without a passphrase/,
    ],
    [
      "proxy: after 2 failed attempts: dial tcp 192.0.2.7:22 from the proxy: (SSH) Channel open failure: Connection refused",
      /nothing listens/,
    ],
  ])("%s", (message, line) => {
    const [explanation, ...others] = explain(eventLog(error(message)));
    expect(explanation?.resource).toBe("board-1-preflight");
    expect(explanation?.line).toMatch(line);
    expect(explanation?.line).not.toContain("\n");
    expect(others).toEqual([]);
  });
});

test("a command that failed on the host is explained by its own last line, whatever it speaks of", () => {
  const message = [
    'Process exited with status 1: running "/usr/local/lib/buildhosts/boardctl activate \\\\\\n  --config \\"x\\"":',
    "board-1: buildkitd.service is not healthy: dial tcp 127.0.0.1:1234: connect: connection refused",
    "board-1: returning to what ran before",
    "board-1: the update failed",
    "",
  ].join("\n");
  expect(explain(eventLog(error(message, "board-1-service")))).toEqual([
    { resource: "board-1-service", line: "board-1: the update failed" },
  ]);
});

describe("of a board that was reset, whose steps the state takes for done, the way to mend it is said, by", () => {
  const boardctl = "/usr/local/lib/buildhosts/boardctl";
  const ran = (status: number, said: string) =>
    `Process exited with status ${status}: running "${boardctl} activate \\\\\n  --config \\"x\\"":\n${said}\n`;
  const isGone =
    /^what buildhosts installed on this board is gone, .*--replace '\*\*:remote:\*::board-1-\*'/;
  test.each([
    ["bash", "service", ran(127, `bash: line 1: ${boardctl}: No such file or directory`), isGone],
    ["dash", "install", ran(127, `sh: 1: ${boardctl}: not found`), isGone],
    ["busybox", "config", ran(127, `sh: ${boardctl}: not found`), isGone],
    ["zsh", "config", ran(127, `zsh:1: no such file or directory: ${boardctl}`), isGone],
    ["fish", "service", ran(127, `fish: Unknown command: ${boardctl}`), isGone],
    ["csh", "service", ran(1, `${boardctl}: Command not found.`), isGone],
    [
      "SFTP, of a file that is pushed",
      "push-runc",
      "failed to create parent directories for /usr/local/lib/buildhosts/pushed/runc.riscv64: permission denied",
      isGone,
    ],
    [
      "boardctl, of a release",
      "service",
      ran(1, "board-1: runc v1.5.2 is not on the board any more, though …"),
      /^board-1: runc v1.5.2 is not on the board any more/,
    ],
  ])("%s", (_, role, message, line) => {
    expect(explain(eventLog(error(message, `board-1-${role}`)))).toEqual([
      { resource: `board-1-${role}`, line: expect.stringMatching(line), resetBoard: "board-1" },
    ]);
  });
});

test("a connection that broke off while a command ran is no refused connection", () => {
  const message =
    'wait: remote command exited without exit status or exit signal: running "boardctl install":\nboard-1: fetching\n';
  const [explanation] = explain(eventLog(error(message, "board-1-install")));
  expect(explanation?.line).toMatch(/the connection broke off .* Run the update again/);
  // Not after a power cut, which this may be.
  expect(explanation?.line).toMatch(
    /if it still runs, .* if its power was cut, what worked before/,
  );
});

test("a deletion that failed names the way out for a board that is gone", () => {
  const metadata = { op: "delete", urn: urn("board-1-service"), type: "command:remote:Command" };
  const explanations = explain(
    eventLog(
      error("after 2 failed attempts: dial tcp 192.0.2.7:22: i/o timeout", "board-1-service"),
      { resOpFailedEvent: { metadata, status: 0, steps: 0 } },
    ),
  );
  expect(explanations.map(({ line }) => line)).toEqual([
    expect.stringMatching(/does not answer/),
    expect.stringMatching(/abandon: true/),
  ]);
});

test("a deletion that failed on GitHub says nothing of a host", () => {
  const type = "github:index/actionsVariable:ActionsVariable";
  const metadata = { op: "delete", urn: urn("images-nodes"), type };
  const failed = { resOpFailedEvent: { metadata, status: 0, steps: 0 } };
  expect(explain(eventLog(error("404 Not Found []", "images-nodes"), failed))).toEqual([]);
});

test("errors of other kinds, warnings and events without an error are left to the engine", () => {
  expect(
    explain(
      eventLog(
        { preludeEvent: { config: {} } },
        { diagnosticEvent: { message: "update failed", severity: "error" } },
        { diagnosticEvent: { urn: urn("x"), message: "connection refused", severity: "warning" } },
        error("the provider has no such property"),
        { summaryEvent: { maybeCorrupt: false } },
      ),
    ),
  ).toEqual([]);
});

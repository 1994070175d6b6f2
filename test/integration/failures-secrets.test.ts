import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { provisioned, type Run } from "./ground.ts";
import { doNotIntercept, intercept } from "./heldStep.ts";
import { on } from "./onBoard.ts";
import { secretLines, stateOf } from "./state.ts";

test("no private key is seen in output, logs, state or processes, whatever fails", async () => {
  const { board, stack } = await provisioned();
  const state = await stateOf(stack);
  const canaries = [
    ...secretLines(await readFile(board.connection.identityFile, "utf8")),
    ...["ca-key", "board-server-key", "client-default-key", "client-health-check-key"].flatMap(
      (name) => secretLines(state.resource(name).privateKeyPem ?? ""),
    ),
  ];
  expect(canaries.length).toBeGreaterThanOrEqual(5);
  const seen = (text: string) => canaries.filter((canary) => text.includes(canary));
  // The search itself finds what it looks for.
  expect(seen(state.command("service").stdin)).not.toEqual([]);

  await board.ssh("umask 077; cat >/run/canaries", `${canaries.join("\n")}\n`);
  await on(board, "touch /run/sampling");
  const sampling = board.ssh(
    // As a guest among the processes: the board's own work shall not wait for it.
    `n=0; while [ -e /run/sampling ] && [ $n -lt 1000 ]; do
       nice -n 19 grep -alsF -f /run/canaries /proc/[0-9]*/cmdline /proc/[0-9]*/environ
       n=$((n + 1)); sleep 0.3
     done; echo $n >&2`,
  );

  const found: Record<string, string[]> = {};
  const look = async (title: string, run: Run) => {
    found[`${title}: output`] = seen(run.output);
    // Debug lines, which nobody is shown, hold secrets: our tools keep no event log for that reason.
    const events = (await readFile(join(stack.folder, "events.jsonl"), "utf8"))
      .split("\n")
      .filter((line) => line && JSON.parse(line).diagnosticEvent?.severity !== "debug");
    found[`${title}: events`] = seen(events.join("\n"));
    return run;
  };
  // A certificate with another name in it, and another configuration: every step with a secret runs.
  await stack.configure({
    extraNames: ["canary.example.com"],
    buildkitd: { log: { level: "debug" } },
  });
  const preview = await look("preview", await stack.preview());
  expect(preview.code, preview.output).toBe(0);

  await intercept(board, "mv", "*store/certificates-*", "echo no >&2; exit 1");
  const certificates = await look("failing to stage", await stack.up());
  expect(certificates.code).not.toBe(0);
  expect(certificates.output).toContain("certificates: cannot move it into the store");
  await doNotIntercept(board, "mv");

  await intercept(board, "systemctl", "restart*", "exit 1");
  const service = await look("failing to start", await stack.up());
  expect(service.code).not.toBe(0);
  expect(service.output).toContain("board: the update failed: ");
  await doNotIntercept(board, "systemctl");

  const up = await look("up", await stack.up());
  expect(up.code, up.output).toBe(0);
  await on(board, "rm /run/sampling");
  const { stdout: processes, stderr: samples } = await sampling;
  expect(Number(samples)).toBeGreaterThan(10);
  found.processes = processes.split("\n").filter(Boolean);

  found["plain state"] = seen((await stack.pulumi(["stack", "export"])).output);
  found["plain outputs"] = seen((await stack.pulumi(["stack", "output", "--json"])).output);
  found.journal = (await on(board, "journalctl --no-pager -o cat | grep -F -f /run/canaries || :"))
    .split("\n")
    .filter(Boolean);
  expect(Object.fromEntries(Object.entries(found).filter(([, all]) => all.length > 0))).toEqual({});

  // On the board there is the server's own key and no other, for root alone.
  const files = await on(
    board,
    "grep -rlsF -f /run/canaries /etc /usr/local /tmp /run /root /home /var/log /var/lib/buildkit | grep -v /run/canaries",
  );
  expect(files.split("\n").map((path) => path.replace(/-[0-9a-f]{12}/, "-ID"))).toEqual(
    files.split("\n").map(() => "/usr/local/lib/buildhosts/store/certificates-ID/key.pem"),
  );
  const modes = await on(board, `stat -c '%a %U' ${files.split("\n").join(" ")}`);
  expect(new Set(modes.split("\n"))).toEqual(new Set(["600 root"]));
});

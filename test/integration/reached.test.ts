import { expect, test } from "vitest";
import { provisioned } from "./ground.ts";
import { on } from "./onBoard.ts";

test("a firewall on the board, which nothing there notices, is warned about by the machine that runs Pulumi", async () => {
  const { board, stack } = await provisioned();
  const rule = "INPUT ! -i lo -p tcp --dport 1234 -j DROP";
  await on(board, `iptables -I ${rule}`);
  await stack.configure({ buildkitd: { log: { level: "debug" } } });
  const shut = await stack.up();
  expect(shut.code, shut.output).toBe(0);
  expect(shut.output).toMatch(
    /warning: board: buildkitd is healthy, but from this machine no client is let in at tcp:\S+: no answer within 10 s/,
  );
  await on(board, `iptables -D ${rule}`);
  await stack.configure();
  const open = await stack.up();
  expect(open.code, open.output).toBe(0);
  expect(open.output).not.toContain("no client is let in");
});

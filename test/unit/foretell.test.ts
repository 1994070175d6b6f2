import { expect, test } from "vitest";
import { foretell } from "../../commands/lib/foretell.ts";
import { plannedSteps } from "../../commands/lib/planned.ts";

const inputs = (at: string) => ({
  create: `sh -c '…' sh \\\n  --board x --at ${at} \\\n  --port 1234`,
});

function preview(
  ...changes: [op: string, name: string, before?: string, after?: string][]
): string[] {
  const lines = changes.map(([op, name, before, after]) =>
    JSON.stringify({
      resourcePreEvent: {
        metadata: {
          op,
          urn: `urn:pulumi:dev::buildhosts::buildhosts:index:BuilderBoard$command:remote:Command::${name}`,
          ...(before && { old: { inputs: inputs(before) } }),
          ...(after && { new: { inputs: inputs(after) } }),
        },
      },
    }),
  );
  return foretell(plannedSteps(`${lines.join("\n")}\n\n{"diagnosticEvent":{}}\n`));
}

test("a board that is replaced by one of another name on the same machine is said to need formerName", () => {
  const at = "root@board.lan:22";
  expect(
    preview(
      ["create", "lab-preflight", undefined, at],
      ["delete", "old-preflight", at],
      ["delete", "old-install", at],
    ),
  ).toEqual([
    "lab: root@board.lan:22 is the machine of 'old', which leaves the stack: the update will be refused there, and 'old' stays. If 'old' has a new name, set formerName: old for lab; otherwise take 'old' out in an update of its own first",
  ]);
});

test("a board that goes to another address is said to leave a builder behind", () => {
  expect(preview(["update", "lab-preflight", "root@10.0.0.1:22", "root@10.0.0.2:22"])).toEqual([
    "lab: moves from root@10.0.0.1:22 to root@10.0.0.2:22. If these are two machines, the one before stays a builder with a valid certificate: take the board out of the stack first, or run there boardctl uninstall (docs/operations.md, 'Removing it')",
  ]);
});

test.each<[string, Parameters<typeof preview>]>([
  [
    "a new board and an old one on two machines",
    [
      ["create", "a-preflight", undefined, "root@a:22"],
      ["delete", "b-preflight", "root@b:22"],
    ],
  ],
  [
    "a board before there is a CA",
    [
      ["create", "a-preflight"],
      ["delete", "b-preflight"],
    ],
  ],
  ["another script on the same machine", [["update", "a-preflight", "root@a:22", "root@a:22"]]],
  ["a board that stays", [["same", "a-preflight", "root@a:22", "root@a:22"]]],
])("nothing is said of %s", (_, changes) => {
  expect(preview(...changes)).toEqual([]);
});

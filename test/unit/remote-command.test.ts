import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { expect, test } from "vitest";
import { RemoteCommand } from "../../components/board/remoteCommand.ts";
import { underMocks } from "./pulumiMocks.ts";

test("a step is registered as the SDK's own command is: type, inputs and what is secret", async () => {
  const connection = {
    host: "board.example.com",
    port: 22,
    user: "root",
    dialErrorLimit: 2,
    perDialTimeout: 20,
    hostKey: "ssh-ed25519 A",
  };
  const inputs = {
    create: "true",
    delete: "false",
    stdin: pulumi.secret("in"),
    triggers: ["because"],
    addPreviousOutputInEnv: false,
  };
  const { mocks } = await underMocks(async () => {
    new command.remote.Command("sdk", { connection, ...inputs });
    new RemoteCommand("ours", { connection: pulumi.secret(connection), ...inputs }, {});
  });
  const registered = (name: string) => {
    const found = mocks.registered.find((one) => one.name === name);
    return { type: found?.type, inputs: found?.inputs, options: mocks.options.get(name) };
  };
  expect(registered("ours")).toEqual(registered("sdk"));
  expect(registered("sdk").type).toBe("command:remote:Command");
});

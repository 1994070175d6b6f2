import { beforeAll, describe, expect, test } from "vitest";
import { type Client, defaultClient, handshake } from "./clients.ts";
import { provisioned, type Scene } from "./ground.ts";
import { goodClient, refusedClients, wrongName } from "./refusedClients.ts";
import { type State, stateOf } from "./state.ts";

let scene: Scene;
let state: State;
let right: Client;

beforeAll(async () => {
  scene = await provisioned();
  state = await stateOf(scene.stack);
  right = defaultClient(state);
  expect(await handshake(scene, right)).toBe("");
});

describe("buildkitd answers a client with a certificate of the stack's CA, and refuses", () => {
  // The proof that it is the one difference of each case below that is refused.
  test("not one that was made here, by the stack's CA", async () => {
    expect(await handshake(scene, await goodClient(state))).toBe("");
  });

  test.each(refusedClients)("%s", async (_, client, says) => {
    expect(await handshake(scene, await client(state, "board"))).toMatch(says);
  });

  test("and is refused itself under a name that its certificate does not have", async () => {
    expect(await handshake(scene, { ...right, serverName: "builder.example.com" })).toMatch(
      wrongName,
    );
  });

  test("after all of which it still answers who may", async () => {
    expect(await handshake(scene, right)).toBe("");
  });
});

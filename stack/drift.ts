import { setTimeout as pause } from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../config/stackConfig.ts";
import type { Drift, Stated } from "../hosts/hostLook.ts";
import { hostKinds } from "../hosts/kinds.ts";

/**
 * Looks at all hosts at once, and warns in one line about each change that somebody made there by hand, and about each host that
 * does not answer, which is no reason to fail.
 */
export async function findDrift(config: StackConfig): Promise<Drift> {
  const stack = `${pulumi.getProject()}/${pulumi.getStack()}`;
  const looks = await Promise.all(
    hostKinds.map((kind) =>
      config.driftCheck ? kind.look(config, { stack }) : kind.unseen(config),
    ),
  );
  let asked: Promise<Stated> | undefined;
  const silent = new Set<string>();
  const drift = new Map<string, unknown>();
  for (const look of looks.flat()) {
    const { builder, host, reason } = look;
    if (reason !== undefined && !silent.has(host)) {
      silent.add(host);
      void pulumi.log.warn(`${host}: whether somebody changed it by hand is not known: ${reason}`);
    }
    let { mend } = look;
    if (look.against) {
      // The engine reads the whole state for it, so the program asks once, and only if there is something to compare.
      asked ??= readStated();
      const news = look.against(await asked);
      mend = news.mend;
      for (const line of news.lines) void pulumi.log.warn(`${builder}: ${line}.`);
    }
    if (mend !== undefined) drift.set(builder, mend);
  }
  return drift;
}

async function readStated(): Promise<Stated> {
  const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const { outputs = {} } = await whole(() =>
    pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", { stackName }, { async: true }),
  );
  const stated = new Map<string, Record<string, unknown>>();
  for (const [urn, state] of Object.entries<{ outputs: Record<string, unknown> }>(outputs)) {
    stated.set(urn.split("::").at(-1) ?? urn, state.outputs);
  }
  return stated;
}

/** How often the state is asked for, and the pause after each answer that is none, in milliseconds. */
const ASKS = 50;
const PAUSE_MS = 100;

/**
 * An answer of the engine about the state. While it writes a file with the state, another part of it reads half of that file, and
 * fails: it is asked again. Exported for the tests.
 *
 * @throws one line, if it fails for some seconds. An empty answer in its place would replace containers.
 */
export async function whole<T>(ask: () => Promise<T>, pauseMs: number = PAUSE_MS): Promise<T> {
  let reason = "";
  for (let asked = 0; asked < ASKS; asked++) {
    try {
      return await ask();
    } catch (error) {
      reason = (error as Error).message.trim().split("\n")[0] ?? "";
      await pause(pauseMs);
    }
  }
  throw new Error(
    `the stack's state cannot be read, to compare the hosts with it: ${reason}; run it again`,
  );
}

// Environment variables over SSH.
//
// A server accepts only the variables that its AcceptEnv lists. ssh2 sends them without asking for an
// answer, so that a refused one would silently be missing from the command's environment. The official
// plugin asks, and does not run the command. ssh2 has no interface for that, so what follows reaches
// into it; its version is pinned, and a test holds this to a server that refuses.

import type { Client } from "ssh2";

interface Channel {
  readonly outgoing: { readonly id: number };
  /** What to do with the server's answers, in the order in which it was asked. */
  readonly _callbacks: ((refused: boolean) => void)[];
}

interface Protocol {
  env(channel: number, name: string, value: string, wantReply: boolean): void;
  exec(channel: number, command: string, wantReply: boolean): void;
}

interface Internals {
  readonly _protocol: Protocol;
  readonly _chanMgr: { readonly _channels: { readonly [id: string]: Channel | unknown } };
}

/**
 * Makes the next command of `client` wait for the server's answer to each variable. `mayRun` is told
 * which of them it did not accept, and decides; a command that may not run stays unanswered.
 */
export function awaitEnvironment(client: Client, mayRun: (refused: string[]) => boolean): void {
  const { _protocol: protocol, _chanMgr: channels } = client as unknown as Internals;
  const { env, exec } = protocol;
  if (typeof env !== "function" || typeof exec !== "function") {
    throw new Error("this version of the SSH library cannot set environment variables");
  }
  const refused: string[] = [];
  let unanswered = 0;
  let run: (() => void) | undefined;

  protocol.env = (id, name, value) => {
    const channel = Object.values(channels._channels).find(
      (candidate): candidate is Channel => (candidate as Channel).outgoing?.id === id,
    );
    unanswered++;
    channel?._callbacks.push((no) => {
      if (no) refused.push(name);
      unanswered--;
      if (unanswered === 0) run?.();
    });
    env.call(protocol, id, name, value, true);
  };
  protocol.exec = (id, command, wantReply) => {
    run = () => {
      Object.assign(protocol, { env, exec });
      if (mayRun(refused)) exec.call(protocol, id, command, wantReply);
    };
    if (unanswered === 0) run();
  };
}

import { statSync } from "node:fs";
import { secret } from "@pulumi/pulumi";
import type { BoardConnectionArgs } from "../components/builderBoard.ts";
import { shown } from "../components/schema/expected.ts";
import type { SshInput } from "../hosts/hostSchema.ts";
import type { Findings } from "./findings.ts";
import { type Machine, readPem } from "./machineFiles.ts";

/** The private key of an SSH connection; without one, the plugin takes the agent's keys. */
export type SshKey = Pick<BoardConnectionArgs, "privateKey">;

const otherWays =
  "start one and ssh-add your key, or set ssh.privateKeyFile, or run: pulumi config set --secret buildhosts:sshPrivateKey < path";

/** The key that `ssh` says; the agent where it says nothing, as with ssh itself. */
export function findSshKey(
  ssh: SshInput,
  machine: Machine,
  findings: Findings,
): SshKey | undefined {
  if (ssh.agent && ssh.privateKeyFile !== undefined) {
    findings.refuse(["agent"], "does not go together with privateKeyFile; keep one of the two.");
    return undefined;
  }
  return ssh.privateKeyFile === undefined
    ? agentKey(machine, findings)
    : fileKey(ssh.privateKeyFile, machine, findings.at("privateKeyFile"));
}

function agentKey({ environment }: Machine, findings: Findings): SshKey | undefined {
  const socket = environment.SSH_AUTH_SOCK;
  if (socket && isSocket(socket)) return {};
  const what = socket
    ? `no agent listens at SSH_AUTH_SOCK, ${shown(socket)}`
    : "SSH_AUTH_SOCK is not set";
  findings.refuse(["agent"], `there is no SSH agent: ${what}; ${otherWays}.`);
  return undefined;
}

/**
 * Why the provider would fail with any key: it dials the agent whenever SSH_AUTH_SOCK is set, and a
 * dead one is fatal to it.
 */
export function staleAgent({ environment }: Machine): string | undefined {
  const socket = environment.SSH_AUTH_SOCK;
  return socket && !isSocket(socket)
    ? `no agent listens at SSH_AUTH_SOCK, ${shown(socket)}, and Pulumi's command provider fails on that even if it needs no agent; run: unset SSH_AUTH_SOCK`
    : undefined;
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function fileKey(path: string, machine: Machine, findings: Findings): SshKey | undefined {
  const pem = readPem(path, "key", machine, findings);
  return pem === undefined ? undefined : secretKey(pem);
}

export function secretKey(pem: string): SshKey {
  return { privateKey: secret(pem) };
}

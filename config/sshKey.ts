import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { secret } from "@pulumi/pulumi";
import { type Findings, shown } from "./problems.ts";
import type { SshInput } from "./schema.ts";
import type { SshKey } from "./stackConfig.ts";

/** What of this machine decides how a key is found. */
export interface Machine {
  projectDir: string;
  environment: Readonly<Record<string, string | undefined>>;
}

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
  if (socket && isSocket(socket)) return { kind: "agent" };
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
    ? `SSH_AUTH_SOCK is ${shown(socket)}, where no agent listens, and Pulumi's command provider fails on that even where it needs none; run: unset SSH_AUTH_SOCK`
    : undefined;
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function fileKey(path: string, machine: Machine, findings: Findings): SshKey | undefined {
  const pem = readText(path, machine, findings);
  if (pem === undefined) return undefined;
  const refusal = privateKeyRefusal(pem);
  if (refusal === undefined) return secretKey(pem);
  findings.refuse([], `received ${shown(path)}; ${refusal}.`);
  return undefined;
}

/** The one line of a file: a password, or a token. */
export function readPassword(
  path: string,
  machine: Machine,
  findings: Findings,
): string | undefined {
  const password = readText(path, machine, findings)?.trim();
  if (password === undefined || /^[^\r\n]+$/.test(password)) return password;
  findings.refuse([], `received ${shown(path)}; expected a file with one line, the password.`);
  return undefined;
}

/** The text of a file of this machine, by its path as a stack file names it. */
function readText(path: string, { projectDir }: Machine, findings: Findings): string | undefined {
  const file = resolve(projectDir, path.replace(/^~(?=\/)/, homedir()));
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    findings.refuse([], `received ${shown(path)}; the file cannot be read (${code}): ${file}.`);
    return undefined;
  }
}

/** A certificate or a private key from a PEM file. */
export function readPem(
  path: string,
  what: "certificate" | "key",
  machine: Machine,
  findings: Findings,
): string | undefined {
  const pem = readText(path, machine, findings);
  if (pem === undefined) return undefined;
  const isCertificate = /-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/.test(pem);
  const refusal =
    what === "key"
      ? privateKeyRefusal(pem)
      : isCertificate
        ? undefined
        : "this is no certificate in PEM form, from -----BEGIN to -----END";
  if (refusal === undefined) return pem;
  findings.refuse([], `received ${shown(path)}; ${refusal}.`);
  return undefined;
}

export function secretKey(pem: string): SshKey {
  return { kind: "privateKey", privateKey: secret(pem) };
}

/** Why a text is no private key that the provider can use; it says nothing of the text itself. */
export function privateKeyRefusal(pem: string): string | undefined {
  if (/^(ssh|ecdsa|sk)-\S+ /.test(pem)) return "this is the public key; the private one is needed";
  const match =
    /^-----BEGIN ([A-Z ]*)PRIVATE KEY-----\s([\s\S]+?)-----END \1PRIVATE KEY-----\s*$/.exec(
      pem.trimStart(),
    );
  if (!match) return "this is no private key in PEM form, from -----BEGIN to -----END";
  const [, type = "", body = ""] = match;
  return isEncrypted(type.trim(), body)
    ? "the key has a passphrase, which nobody is there to type; use ssh.agent, or a key without"
    : undefined;
}

function isEncrypted(type: string, body: string): boolean {
  if (type === "ENCRYPTED" || /^Proc-Type:.*ENCRYPTED/m.test(body)) return true;
  if (type !== "OPENSSH") return false;
  // PROTOCOL.key of OpenSSH: "openssh-key-v1\0", then the cipher's name with its length.
  const bytes = Buffer.from(body, "base64");
  const start = "openssh-key-v1\0".length;
  const length = bytes.length >= start + 4 ? bytes.readUInt32BE(start) : 0;
  return bytes.subarray(start + 4, start + 4 + length).toString() !== "none";
}

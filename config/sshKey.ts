import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { secret } from "@pulumi/pulumi";
import type { BoardConnectionArgs } from "../components/builderBoard.ts";
import { shown } from "../components/schema/expected.ts";
import type { SshInput } from "../hosts/hostSchema.ts";
import type { Findings } from "./problems.ts";

/** What of this machine decides how a key is found. */
export interface Machine {
  projectDir: string;
  environment: Readonly<Record<string, string | undefined>>;
}

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

/** A certificate or a private key from a PEM file, without what else is in it. */
export function readPem(
  path: string,
  what: "certificate" | "key",
  machine: Machine,
  findings: Findings,
): string | undefined {
  const text = readText(path, machine, findings);
  if (text === undefined) return undefined;
  const reading = what === "key" ? privateKeyIn(text) : certificatesIn(text);
  if ("pem" in reading) return reading.pem;
  findings.refuse([], `received ${shown(path)}; ${reading.refusal}.`);
  return undefined;
}

/** What was looked for in a text, or why it is not there; that says nothing of the text itself. */
export type PemReading = { pem: string } | { refusal: string };

/** The certificates of a text. A key beside them would be treated as one that anybody may see. */
function certificatesIn(text: string): PemReading {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g);
  if (!blocks)
    return { refusal: "this is no certificate in PEM form, from -----BEGIN to -----END" };
  return { pem: /PRIVATE KEY-----/.test(text) ? `${blocks.join("\n")}\n` : text };
}

export function secretKey(pem: string): SshKey {
  return { privateKey: secret(pem) };
}

/**
 * The private key in a text, as the provider can use it. OpenSSL puts an EC PARAMETERS block in front, the export of
 * PKCS#12 its attributes, and other programs the certificate behind: none of it may be in a key for SSH.
 */
export function privateKeyIn(text: string): PemReading {
  if (/^(ssh|ecdsa|sk)-\S+ /.test(text)) {
    return { refusal: "this is the public key; the private one is needed" };
  }
  const match = /-----BEGIN ([A-Z ]*)PRIVATE KEY-----\s([\s\S]+?)-----END \1PRIVATE KEY-----/.exec(
    text,
  );
  if (!match) {
    return { refusal: "this is no private key in PEM form, from -----BEGIN to -----END" };
  }
  const [block, type = "", body = ""] = match;
  if (isEncrypted(type.trim(), body)) {
    return {
      refusal:
        "the key has a passphrase, and buildhosts cannot ask for it; use ssh.agent, or a key without a passphrase",
    };
  }
  if (isSecurityKey(type.trim(), body)) {
    return {
      refusal: "this is the handle of a security key, which works by the agent only; use ssh.agent",
    };
  }
  // A text that is the key alone stays as it is: in other words it would be another key to the state.
  return { pem: block === text.trim() ? text : `${block}\n` };
}

function isEncrypted(type: string, body: string): boolean {
  if (type === "ENCRYPTED" || /^Proc-Type:.*ENCRYPTED/m.test(body)) return true;
  return type === "OPENSSH" && openSshFields(body).cipher !== "none";
}

/** Whether the key itself is in a device (FIDO), and the file says only which one. */
function isSecurityKey(type: string, body: string): boolean {
  return type === "OPENSSH" && /^sk-/.test(openSshFields(body).keyType);
}

/**
 * PROTOCOL.key of OpenSSH: "openssh-key-v1\0"; the cipher's name, the name and the options of what derives its key, each
 * with its length; the number of keys; with its length the public key, which begins with its type.
 */
function openSshFields(body: string): { cipher: string; keyType: string } {
  const bytes = Buffer.from(body, "base64");
  let position = "openssh-key-v1\0".length;
  const number = () => {
    const value = bytes.length >= position + 4 ? bytes.readUInt32BE(position) : 0;
    position += 4;
    return value;
  };
  const string = () => {
    const length = number();
    position += length;
    return bytes.subarray(position - length, position).toString();
  };
  const cipher = string();
  string();
  string();
  number();
  number();
  return { cipher, keyType: string() };
}

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { shown } from "../components/schema/expected.ts";
import type { Findings } from "./findings.ts";
import { type PemReading, privateKeyIn } from "./privateKey.ts";

/** The machine that runs Pulumi: where it looks for keys and files. */
export interface Machine {
  projectDir: string;
  environment: Readonly<Record<string, string | undefined>>;
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

/** The certificates of a text. A key beside them would be treated as one that anybody may see. */
function certificatesIn(text: string): PemReading {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g);
  if (!blocks)
    return { refusal: "this is no certificate in PEM form, from -----BEGIN to -----END" };
  return { pem: /PRIVATE KEY-----/.test(text) ? `${blocks.join("\n")}\n` : text };
}

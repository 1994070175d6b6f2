import { secret } from "@pulumi/pulumi";
import type { RegistryCertificateArgs } from "../components/buildkitd/registryFiles.ts";
import type { RegistryCertificatesInput } from "../hosts/hostSchema.ts";
import type { Findings } from "./findings.ts";
import { type Machine, readPem } from "./machineFiles.ts";

/** Reads the certificates of each registry from this machine; undefined if it cannot read a file. */
export function readRegistryCertificates(
  input: RegistryCertificatesInput,
  machine: Machine,
  findings: Findings,
): Record<string, RegistryCertificateArgs> | undefined {
  const read: Record<string, RegistryCertificateArgs> = {};
  let isComplete = true;
  for (const [host, { caFile, certFile, keyFile }] of Object.entries(input)) {
    const at = findings.at(host);
    const pem = (file: string | undefined, what: "certificate" | "key", key: string) => {
      if (file === undefined) return undefined;
      const text = readPem(file, what, machine, at.at(key));
      isComplete &&= text !== undefined;
      return text;
    };
    for (const [key, value, other] of [
      ["certFile", certFile, keyFile],
      ["keyFile", keyFile, certFile],
    ] as const) {
      if (value !== undefined || other === undefined) continue;
      at.refuse([key], "missing; a client's certificate and its key go together.");
    }
    if (!caFile && !certFile && !keyFile) {
      at.refuse([], "names no file; set caFile, or certFile and keyFile, or remove it.");
    }
    const key = pem(keyFile, "key", "keyFile");
    read[host] = {
      caPem: pem(caFile, "certificate", "caFile"),
      certPem: pem(certFile, "certificate", "certFile"),
      privateKeyPem: key && secret(key),
    };
  }
  return isComplete ? read : undefined;
}

import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Unwrap } from "@pulumi/pulumi";
import { writePrivate } from "../../components/privateFile.ts";
import type { ClientFiles as Files } from "../../stack/outputs.ts";

/** The files of a client, as the outputs of a stack have them. */
export type ClientFiles = Unwrap<Files>;

/**
 * `ca.pem`, `cert.pem` and `key.pem` are in `folder`, and only the user can read them.
 *
 * @throws one line, when the stack has no such client.
 */
export async function writeClientFiles(
  outputs: Record<string, unknown>,
  client: string,
  folder: string,
): Promise<ClientFiles> {
  const clients = (outputs.clientCertificates ?? {}) as Record<string, ClientFiles>;
  const files = clients[client];
  if (!files) {
    const known = Object.keys(clients).join(", ") || "none yet; run up first";
    throw new Error(`client '${client}': the stack has no such client (it has: ${known})`);
  }
  for (const part of ["ca", "cert", "key"] as const) {
    writePrivate(join(folder, `${part}.pem`), files[part]);
  }
  return files;
}

/** The keys that a stack has in files below `folder` are gone: its clients', and those of SSH for its Docker hosts. */
export async function removeKeys(stack: string, folder: string): Promise<void> {
  for (const keys of ["clients", "docker"]) {
    await rm(join(folder, keys, stack), { recursive: true, force: true });
  }
}

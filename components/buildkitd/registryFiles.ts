import type { Input } from "@pulumi/pulumi";
import type { BuildkitdSettings, RegistrySettings } from "./schema.ts";

/** Certificates for the connection with one registry, PEM. */
export interface RegistryCertificateArgs {
  /** Of the authorities to trust beside the system's. Default: none. */
  caPem?: Input<string>;
  /** The client's, with its key. Default: none. */
  certPem?: Input<string>;
  /** The client's key. Default: none. */
  privateKeyPem?: Input<string>;
}

/** A file that a daemon's settings name. */
export interface DaemonFile {
  name: string;
  content: Input<string>;
  /** Whether everybody on the daemon's machine may read it. */
  isPublic: boolean;
}

/**
 * The settings with the certificates of registries by host, and the files that they name then. `pathOf` says where a
 * file is for the daemon.
 */
export function withRegistryFiles(
  settings: BuildkitdSettings,
  certificates: Readonly<Record<string, RegistryCertificateArgs>>,
  pathOf: (file: DaemonFile) => string,
): { settings: BuildkitdSettings; files: DaemonFile[] } {
  const files: DaemonFile[] = [];
  const registry: Record<string, RegistrySettings> = { ...settings.registry };
  for (const [host, { caPem, certPem, privateKeyPem }] of Object.entries(certificates)) {
    const add = (role: string, content: Input<string>, isPublic: boolean) => {
      // No host has an underscore.
      const file = { name: `registry-${host.replace(":", "_")}-${role}.pem`, content, isPublic };
      files.push(file);
      return pathOf(file);
    };
    const { ca = [], keypair = [], ...others } = registry[host] ?? {};
    const cas = caPem === undefined ? ca : [...ca, add("ca", caPem, true)];
    const pairs =
      certPem === undefined || privateKeyPem === undefined
        ? keypair
        : [...keypair, { cert: add("cert", certPem, true), key: add("key", privateKeyPem, false) }];
    registry[host] = {
      ...others,
      ...(cas.length > 0 && { ca: cas }),
      ...(pairs.length > 0 && { keypair: pairs }),
    };
  }
  return files.length === 0 ? { settings, files } : { settings: { ...settings, registry }, files };
}

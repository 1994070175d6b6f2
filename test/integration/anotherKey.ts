import { generateKeyPairSync } from "node:crypto";
import { opensshPrivateKey, opensshPublicKey } from "../../components/opensshKeys.ts";

/** Another ed25519 key than a host's: of a host, as its public line, and of a user, as its private file. */
export function anotherKey(): { publicLine: string; privateKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    publicLine: opensshPublicKey(publicKey).trim(),
    privateKey: opensshPrivateKey(privateKey),
  };
}

import sodium from "libsodium-wrappers";

/** The key pair that secrets are sealed for; GitHub has one for each repository, environment and organization. */
export interface SecretBox {
  readonly keyId: string;
  /** Base64. */
  readonly publicKey: string;
  /** Opens a box that was sealed for this key; undefined for another box. */
  open(sealed: string): string | undefined;
}

export async function createSecretBox(): Promise<SecretBox> {
  await sodium.ready;
  const { publicKey, privateKey } = sodium.crypto_box_keypair();
  return {
    keyId: Buffer.from(publicKey.subarray(0, 8)).readBigUInt64BE().toString(),
    publicKey: Buffer.from(publicKey).toString("base64"),
    open(sealed) {
      try {
        const opened = sodium.crypto_box_seal_open(
          Buffer.from(sealed, "base64"),
          publicKey,
          privateKey,
        );
        return Buffer.from(opened).toString("utf8");
      } catch {
        return undefined;
      }
    },
  };
}

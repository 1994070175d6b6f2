/** The PEM in a text, or why there is none; the refusal quotes nothing of the text. */
export type PemReading = { pem: string } | { refusal: string };

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

/** A host key as `type base64`, or why the text is none. */
export type HostKeyReading = { hostKey: string } | { refusal: string };

/** Types that Pulumi's command provider negotiates safely, with the length of ed25519's one field. */
const accepted = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
];

const anyType = /^(sk-)?(ssh|ecdsa)-[\w@.-]+$/;

const obtain = "the host has one in /etc/ssh/ssh_host_ed25519_key.pub";

/**
 * Reads a line of known_hosts (hashed or not) or of a public-key file. Its names and its comment are
 * dropped: the stack already says which host it means.
 */
export function readHostKey(text: string): HostKeyReading {
  if (/PRIVATE KEY/.test(text)) {
    return { refusal: `this is a private key; the public one is needed: ${obtain}` };
  }
  if (/^SHA256:|^MD5:|^([0-9a-f]{2}:){15}/i.test(text.trim())) {
    return { refusal: `this is a fingerprint; the whole key is needed: ${obtain}` };
  }
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length > 1) {
    return {
      refusal: `these are ${lines.length} lines; keep one, of type ssh-ed25519 where there is one`,
    };
  }
  const words = (lines[0] ?? "").split(/\s+/);
  if (words[0]?.startsWith("@")) {
    return {
      refusal: `${words[0]} lines are not supported; the host's own key is needed: ${obtain}`,
    };
  }
  const position = words.slice(0, 2).findIndex((word) => anyType.test(word));
  const type = words[position];
  const base64 = words[position + 1];
  if (position < 0 || type === undefined) {
    return { refusal: `no key type found; ${obtain}` };
  }
  if (type === "ssh-rsa") {
    return {
      refusal: `ssh-rsa is refused, because the provider would negotiate it with SHA-1; ${obtain}`,
    };
  }
  if (!accepted.includes(type)) return { refusal: `keys of type ${type} are refused; ${obtain}` };
  if (base64 === undefined || !holds(base64, type)) {
    return { refusal: "the key is cut off or damaged; copy the whole line" };
  }
  return { hostKey: `${type} ${base64}` };
}

/** Whether the base64 text is a key of that type: fields of a length and as many bytes, the first the type. */
function holds(base64: string, type: string): boolean {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64) return false;
  const fields: Buffer[] = [];
  let position = 0;
  while (position + 4 <= bytes.length) {
    const end = position + 4 + bytes.readUInt32BE(position);
    if (end > bytes.length) return false;
    fields.push(bytes.subarray(position + 4, end));
    position = end;
  }
  const lengths: Record<string, number> = {
    "ssh-ed25519": 32,
    nistp256: 65,
    nistp384: 97,
    nistp521: 133,
  };
  const curve = type.replace("ecdsa-sha2-", "");
  return (
    position === bytes.length &&
    fields[0]?.toString() === type &&
    fields.length === (type === "ssh-ed25519" ? 2 : 3) &&
    fields.at(-1)?.length === lengths[curve]
  );
}

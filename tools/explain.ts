/** What a user is told about an error of an update, beside the engine's own words. */
export interface Explanation {
  /** The resource, by its name. */
  resource: string;
  /** What is wrong and what to do, in one line. */
  line: string;
}

interface Rule {
  pattern: RegExp;
  line: string;
}

/** Words of the SSH client that say what happened, but not what to do. */
const RULES: Rule[] = [
  {
    pattern:
      /host key mismatch|host key.*(denied|verification)|no common algorithm for host key|key_type.*host key/i,
    line: "the host showed another key than the stack's hostKey, so nothing was sent to it. If the board was installed anew, take its key from its console (ssh-keygen -y or /etc/ssh/ssh_host_ed25519_key.pub) and correct hostKey; otherwise somebody else answers at that address",
  },
  {
    pattern: /unable to authenticate|authentication methods failed|permission denied/i,
    line: "the host refused the SSH key or the user. Check ssh and user in the stack, and that the public key stands in that user's authorized_keys",
  },
  {
    pattern: /connection refused|ECONNREFUSED/i,
    line: "the host answers, but no SSH server does at that port. Check host and port in the stack, and that sshd runs",
  },
  {
    pattern: /no route to host|i\/o timeout|timed out|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/i,
    line: "the host does not answer. Check that it is on and in reach, and host and port in the stack",
  },
  {
    pattern: /no such host|ENOTFOUND|EAI_AGAIN/i,
    line: "the host's name is not known. Check host in the stack",
  },
  {
    pattern: /SSH_AUTH_SOCK|agent refused|dial unix/i,
    line: "the SSH agent does not answer. Start it and add the key (ssh-add), or name a key file in ssh.privateKeyFile; a stale SSH_AUTH_SOCK must be unset",
  },
];

const DEAD_BOARD =
  "a board that is gone for good: set abandon: true for it and run the update once; then it can leave the stack, and nothing is asked of the host";

/** One line for each resource that failed for a known reason, from the engine's event log. */
export function explain(eventLog: string): Explanation[] {
  const found = new Map<string, Explanation>();
  for (const text of eventLog.split("\n")) {
    if (!text.trim()) continue;
    const { diagnosticEvent, resOpFailedEvent } = JSON.parse(text);
    if (resOpFailedEvent?.metadata?.op === "delete") {
      const resource = resourceName(resOpFailedEvent.metadata.urn);
      found.set(`${resource}+delete`, { resource, line: DEAD_BOARD });
    }
    if (diagnosticEvent?.severity !== "error" || !diagnosticEvent.urn) continue;
    const rule = RULES.find(({ pattern }) => pattern.test(diagnosticEvent.message));
    if (!rule) continue;
    const resource = resourceName(diagnosticEvent.urn);
    found.set(resource, { resource, line: rule.line });
  }
  return [...found.values()];
}

function resourceName(urn: string): string {
  return urn.split("::").at(-1) ?? urn;
}

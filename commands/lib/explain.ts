import { FINE_GRAINED_PERMISSIONS } from "../../config/githubToken.ts";
import { explainDocker } from "./explainDocker.ts";
import { lastLine } from "./lastLine.ts";

/** An explanation of an update's error, which the user gets beside the engine's own words. */
export interface Explanation {
  /** The resource, by its name. */
  resource: string;
  /** The cause and the fix, in one line. */
  line: string;
  /** The board on which something is gone that the state says is there: its steps must run again, all of them. */
  resetBoard?: string;
}

interface Rule {
  pattern: RegExp;
  line: string;
}

/** Words of the SSH client that say what happened, but not what to do; the first that fits counts. */
const CONNECTING: Rule[] = [
  {
    pattern:
      /host key mismatch|no common algorithm for host key|host denied \(verification failed\)/i,
    line: "the host showed another key than the stack's hostKey, so nothing was sent to it. If the board was installed anew, take its key from its console (cat /etc/ssh/ssh_host_ed25519_key.pub) and correct hostKey; otherwise somebody else answers at that address",
  },
  {
    pattern: /failed to parse host key/i,
    line: "the stack's hostKey cannot be read. Give the line of the host's /etc/ssh/ssh_host_ed25519_key.pub",
  },
  {
    pattern: /unable to authenticate|authentication methods failed/i,
    line: "the host refused the SSH key or the user. Check ssh and user in the stack, and that the public key stands in that user's authorized_keys",
  },
  {
    pattern: /SSH_AUTH_SOCK|agent refused|dial unix/i,
    line: "the SSH agent does not answer. Start it and add the key (ssh-add), or name a key file in ssh.privateKeyFile; a stale SSH_AUTH_SOCK must be unset",
  },
  {
    pattern: /connection refused|ECONNREFUSED/i,
    line: "nothing listens at that address and port. Check that the host is on and runs sshd, and host and port in the stack",
  },
  {
    pattern:
      /no route to host|network is unreachable|i\/o timeout|timed out|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/i,
    line: "the host does not answer. Check that it is on and in reach, and host and port in the stack",
  },
  {
    pattern: /no such host|ENOTFOUND|EAI_AGAIN/i,
    line: "the host's name is not known. Check host in the stack",
  },
  {
    pattern: /passphrase protected|private ?key|no key found/i,
    line: "the SSH key cannot be used. Name a private key without a passphrase in ssh.privateKeyFile, or load it into the agent (ssh-add)",
  },
  {
    // The provider tries again on the connection that the jump host has closed, and reports that attempt.
    pattern: /proxy: .*handshake failed: EOF/i,
    line: "the jump host was reached, but the host behind it was not accepted: its key is another than the stack's hostKey, or it ended the connection. Compare hostKey with the host's /etc/ssh/ssh_host_ed25519_key.pub",
  },
  {
    pattern: /handshake failed|connection reset/i,
    line: "something answers at that address, but it ended the SSH handshake. Check host and port in the stack, and the host's sshd (journalctl -u ssh)",
  },
];

const CONNECTION_LOST: Rule = {
  pattern: /exited without exit status or exit signal/,
  line: "the connection broke off while the host was at work; if it still runs, it finishes that step by itself, and if its power was cut, what worked before works again. Run the update again: it goes on from there",
};

const GITHUB_TOKEN: Rule = {
  pattern: /403 Resource not accessible by (personal access token|integration)/,
  line: `the token may not do this on GitHub. A fine-grained one needs ${FINE_GRAINED_PERMISSIONS}`,
};

const DEAD_BOARD =
  "a host that is gone for good: set abandon: true for it and run the update once; then remove it from the stack file; the update does not contact the host";

/** One line for each resource that failed for a known reason, from the engine's event log. */
export function explain(eventLog: string): Explanation[] {
  const found = new Map<string, Explanation>();
  for (const text of eventLog.split("\n")) {
    if (!text.trim()) continue;
    const { diagnosticEvent, resOpFailedEvent } = JSON.parse(text);
    const { op, type, urn } = resOpFailedEvent?.metadata ?? {};
    // Resources on GitHub have no host.
    if (op === "delete" && !type.startsWith("github:")) {
      const resource = resourceName(urn);
      found.set(`${resource}+delete`, { resource, line: DEAD_BOARD });
    }
    if (diagnosticEvent?.severity !== "error" || !diagnosticEvent.urn) continue;
    const resource = resourceName(diagnosticEvent.urn);
    const explanation = explanationOf(diagnosticEvent.message, resource);
    if (explanation) found.set(resource, { resource, ...explanation });
  }
  return [...found.values()];
}

/** `<reason>: running "<command>":` and what it printed, where the host was reached and the command ran. */
const RAN = /^(?<reason>.*): running "(?:[^"\\]|\\.)*":\n(?<output>[\s\S]*)$/m;

/** The words of boardctl and of the login shell on a board that lost an earlier step's work. */
const GONE = /is not on the (?:board|machine) any more|make the board's steps run again/;
const NO_BOARDCTL =
  /buildhosts\/boardctl.*not found|(unknown command|no such file).*buildhosts\/boardctl|buildhosts\/boardctl.*no such file/i;
/** SFTP's words if the folder for pushed files is gone, which its user cannot make. */
const NO_FOLDER = /buildhosts\/pushed\b.*(permission denied|no such file|does not exist)/i;

function wasReset(board: string): Omit<Explanation, "resource"> {
  return {
    line: `what buildhosts installed on this board is gone, though the stack's state says that it is there: make its steps run again: --replace '**:remote:*::${board}-*' (docs/operations.md, 'A board was reset')`,
    resetBoard: board,
  };
}

function explanationOf(
  message: string,
  resource: string,
): Omit<Explanation, "resource"> | undefined {
  const { reason, output } = RAN.exec(message)?.groups ?? {};
  const board = resource.replace(/-(push-)?[a-z]+$/, "");
  if (reason === undefined || output === undefined) {
    if (NO_FOLDER.test(message)) return wasReset(board);
    if (GITHUB_TOKEN.pattern.test(message)) return { line: GITHUB_TOKEN.line };
    const rule = CONNECTING.find(({ pattern }) => pattern.test(message));
    const line = explainDocker(message) ?? rule?.line;
    return line ? { line } : undefined;
  }
  // A command's output may mention refused connections too, but not those between this machine and the host.
  if (CONNECTION_LOST.pattern.test(reason)) return { line: CONNECTION_LOST.line };
  const said = lastLine(output);
  if (!said) return undefined;
  // The login shell's words, which differ.
  if (NO_BOARDCTL.test(said)) return wasReset(board);
  return { line: said, ...(GONE.test(said) && { resetBoard: board }) };
}

function resourceName(urn: string): string {
  return urn.split("::").at(-1) ?? urn;
}

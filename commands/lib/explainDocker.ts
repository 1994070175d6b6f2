import { lastLine } from "./lastLine.ts";

/** Causes of an unreachable Docker daemon, by the words of ssh, TLS and sockets. */
const UNREACHED: { pattern: RegExp; why: string }[] = [
  {
    pattern: /can't open user config file/i,
    why: "this clone has not yet written the SSH client's files for it, which a preview does. Run a preview of the stack, then this again",
  },
  {
    pattern: /host key verification failed|host key .* has changed/i,
    why: "the host showed another key than the stack's hostKey, so nothing was sent to it. If the host was installed anew, take its key from its console (cat /etc/ssh/ssh_host_ed25519_key.pub) and correct hostKey; otherwise somebody else answers at that address",
  },
  {
    pattern: /permission denied \((publickey|password|keyboard)/i,
    why: "the host refused the SSH key or the user. Check the user in docker, ssh in the stack, and that the public key stands in that user's authorized_keys",
  },
  {
    pattern: /permission denied|EACCES/i,
    why: "the user may not use the daemon's socket. Take another user, or add this one to the group docker",
  },
  {
    pattern: /docker: (command )?not found|executable file not found|exit status 127/i,
    why: "there is no docker command on the host, which ssh:// needs. Install Docker there, or podman-docker beside Podman",
  },
  {
    pattern: /certificate|x509|tls:|ssl|self[- ]signed/i,
    why: "the daemon's certificate and the stack's tls do not match. Check that caFile signed its certificate, that certFile and keyFile belong together and are signed by the CA that it trusts, and that its certificate names the host",
  },
  {
    pattern: /could not resolve|no such host|ENOTFOUND|EAI_AGAIN/i,
    why: "the host's name is not known. Check docker in the stack",
  },
  {
    pattern: /connection refused|ECONNREFUSED|no such file or directory|ENOENT/i,
    why: "nothing listens there. Check docker in the stack, and that the daemon runs",
  },
  {
    pattern: /timed out|timeout|no answer within|no route|unreachable|EHOSTUNREACH|ENETUNREACH/i,
    why: "it does not answer in time. Check that the host is on and in reach, and docker in the stack",
  },
];

/** The official plugin's words and those of its stand-in. */
const DAEMON = /(?:make sure that|docker host) (?<url>\S+?)(?: is reachable|:) (?<what>[\s\S]*)$/;
/** The official plugin's, of its own part, which does not say where it asked. */
const NO_DAEMON = /failed to connect to any docker daemon/;
const IMAGE =
  /unable to (?:find or )?pull image (?<official>\S+?)(?:: |$)|image (?<ours>\S+): is not on the host and cannot be pulled/;
/** A hook of ours says it all in its last line. */
const HOOK = /hook "[^"]*" failed: (?<message>[\s\S]*)$/;

/** The meaning of a failure on a Docker host, in one line; undefined for other errors. */
export function explainDocker(message: string): string | undefined {
  const hook = HOOK.exec(message)?.groups?.message;
  if (hook !== undefined) return unreached(hook) ?? lastLine(hook);
  const image = IMAGE.exec(message)?.groups;
  if (image) {
    return `the image ${image.official ?? image.ours} is not on the host and cannot be pulled. Check image in the stack, that the host reaches its registry, and for a private image the host's registryAuth`;
  }
  return unreached(message);
}

function unreached(message: string): string | undefined {
  if (NO_DAEMON.test(message)) {
    return "the Docker daemon cannot be reached. Check docker in the stack, and that the daemon runs";
  }
  const { url, what } = DAEMON.exec(message)?.groups ?? {};
  if (url === undefined || what === undefined) return undefined;
  const why =
    UNREACHED.find(({ pattern }) => pattern.test(what))?.why ?? "see the error for its reason";
  return `the Docker daemon at ${url} cannot be reached: ${why}`;
}

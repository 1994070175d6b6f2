import { X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP } from "node:net";
import { checkServerIdentity, connect as connectTls, type TLSSocket } from "node:tls";
import { GREETING } from "../../components/board/reach.ts";
import type { ClientFiles } from "./clientFiles.ts";
import type { KnownBuilder } from "./knownStack.ts";

/** One thing that was looked at on the way to a builder. */
export interface Finding {
  check: string;
  state: "well" | "attention" | "failed";
  /** The observation, in one line. */
  seen: string;
  /** The fix; absent if all is well. */
  fix?: string;
}

export type Target = Pick<KnownBuilder, "name" | "host" | "port" | "serverName">;

const DAY_MS = 24 * 3600 * 1000;

export function daysUntil(date: Date, now = Date.now()): number {
  return Math.floor((date.getTime() - now) / DAY_MS);
}

/** Whether `days` is the end, or so near to it that the next `up` renews the certificate. */
export function certificateFinding(
  whose: string,
  certificate: X509Certificate,
  renewalHours: number,
  stack: string,
  now = Date.now(),
): Finding {
  const [from, to] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
  const check = `certificate of the ${whose}`;
  const days = daysUntil(to, now);
  const up = `run: buildhosts up --stack ${stack}`;
  if (from.getTime() > now) {
    const fix = "set this machine's clock: timedatectl set-ntp true";
    return { check, state: "failed", seen: `not valid before ${from.toISOString()}`, fix };
  }
  if (to.getTime() <= now) {
    return { check, state: "failed", seen: `ended on ${to.toISOString()}`, fix: up };
  }
  const seen = `ends in ${days} d (${to.toISOString().slice(0, 10)})`;
  return to.getTime() - now < renewalHours * 3600_000
    ? { check, state: "attention", seen, fix: `${up}, which renews it` }
    : { check, state: "well", seen };
}

/**
 * Goes the way to a builder step by step — name, port, TLS — and stops at the first that does not hold. Each is given
 * `boundMs`.
 */
export async function walk(
  { host, port, serverName }: Target,
  files: ClientFiles,
  boundMs: number,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (!isIP(host)) {
    const named = await nameFinding(host, boundMs);
    findings.push(named);
    if (named.state === "failed") return findings;
  }
  const open = await portFinding(host, port, boundMs);
  findings.push(open);
  if (open.state === "failed") return findings;
  findings.push(...(await tlsFindings(host, port, serverName, files, boundMs)));
  return findings;
}

async function nameFinding(host: string, boundMs: number): Promise<Finding> {
  const check = "name";
  const started = performance.now();
  try {
    const found = await within(boundMs, lookup(host, { all: true }));
    const addresses = found.map(({ address }) => address).join(", ");
    const seen = `${host} is ${addresses} (${Math.round(performance.now() - started)} ms)`;
    return { check, state: "well", seen };
  } catch (error) {
    const seen = `${host} has no address here: ${codeOf(error)}`;
    const fix = `give it one in DNS or in /etc/hosts, or name an address as the builder's 'endpoint' in the stack file`;
    return { check, state: "failed", seen, fix };
  }
}

async function portFinding(host: string, port: number, boundMs: number): Promise<Finding> {
  const check = "port";
  const started = performance.now();
  const socket = connectTcp({ host, port });
  try {
    await within(boundMs, once(socket, "connect"));
    const seen = `${port} answers (${Math.round(performance.now() - started)} ms)`;
    return { check, state: "well", seen };
  } catch (error) {
    const code = codeOf(error);
    return { check, state: "failed", seen: `${host}:${port}: ${code}`, fix: portFix(code, port) };
  } finally {
    socket.destroy();
  }
}

function portFix(code: string, port: number): string {
  if (code === "ECONNREFUSED")
    return `nothing listens there: on the machine, \`systemctl status buildkitd\` or \`docker ps\` says why`;
  if (code === "no answer" || code === "ETIMEDOUT")
    return `the machine is off, or a firewall drops port ${port}`;
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH" || code === "EHOSTDOWN")
    return "there is no way to that address: the machine is off, or this one is in another network";
  return "see whether another program of this machine reaches it";
}

async function tlsFindings(
  host: string,
  port: number,
  serverName: string,
  files: ClientFiles,
  boundMs: number,
): Promise<Finding[]> {
  let socket: TLSSocket | undefined;
  const check = "TLS";
  try {
    socket = connectTls({
      host,
      port,
      ca: files.ca,
      cert: files.cert,
      key: files.key,
      servername: isIP(serverName) ? "" : serverName,
      ALPNProtocols: ["h2"],
      // All of it is looked at below, for the words.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    await within(boundMs, once(socket, "secureConnect"));
    const peer = socket.getPeerCertificate(false);
    const server = new X509Certificate(peer.raw);
    const findings: Finding[] = [];
    if (!signedBy(server, files.ca)) {
      findings.push({
        check,
        state: "failed",
        seen: `the certificate shown is not of this stack's CA (its issuer is ${oneLine(server.issuer)})`,
        fix: "another program or another stack's builder has this port; else the CA was replaced: run up again",
      });
    }
    const wrongName = checkServerIdentity(serverName, peer);
    if (wrongName) {
      findings.push({
        check,
        state: "failed",
        seen: `the certificate is not for ${serverName}, but for ${server.subjectAltName ?? "no name"}`,
        fix: "set 'serverName' or 'extraNames' of the builder in the stack file, and run up",
      });
    }
    if (findings.length > 0) return findings;
    const seen = `${socket.getProtocol()}, a certificate of the stack's CA for ${serverName}`;
    findings.push({ check, state: "well", seen });
    const refused = await within(boundMs, refusedClient(socket));
    if (refused) findings.push(refused);
    return findings;
  } catch (error) {
    const seen = `no handshake: ${codeOf(error)}`;
    const fix =
      "nothing serves TLS there: on the machine, `systemctl status buildkitd` or `docker ps` says why, or another program has the port";
    return [{ check, state: "failed", seen, fix }];
  } finally {
    socket?.destroy();
  }
}

/** Since TLS 1.3 the client has shaken hands before the server says what it thinks of its certificate: with an alert, or by going on. */
async function refusedClient(socket: TLSSocket): Promise<Finding | undefined> {
  try {
    const answer = once(socket, "data");
    socket.write(GREETING);
    await answer;
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    const seen =
      refusal(code) ??
      `the builder ends the connection after the handshake, as one does that refuses a client (${code})`;
    const fix =
      "run up again, which gives builder and clients certificates of one CA; where another clone looks after the stack, take its state";
    return { check: "the client's rights", state: "failed", seen, fix };
  }
}

function signedBy(certificate: X509Certificate, ca: string): boolean {
  try {
    const authority = new X509Certificate(ca);
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    return false;
  }
}

/** The meaning of a builder's TLS alert, by OpenSSL's name of it; undefined for other errors. */
export function refusal(alert: string): string | undefined {
  const is = (words: string) => new RegExp(words.replaceAll(" ", "[ _]"), "i").test(alert);
  if (is("certificate expired"))
    return "the builder says that the client's certificate has ended: its clock or the certificate is wrong";
  if (is("unknown ca"))
    return "the builder does not know the CA of the client's certificate: one of both is of another `up`";
  if (is("certificate required"))
    return "the builder asks for a client's certificate and was shown none";
  if (is("bad certificate") || is("unsupported certificate"))
    return "the builder refuses the client's certificate: it is no client's of the builder's CA";
  return undefined;
}

/** A gRPC error as one line. */
export function shortError(error: unknown): string {
  const { code, details, message } = error as {
    code?: unknown;
    details?: string;
    message?: string;
  };
  const text = (details ?? message ?? String(error)).replace(/\s+/g, " ").trim();
  if (code === 4) return "no answer in time";
  const [, last] = /Last error: (.*?)(?:\. Resolution note:.*)?$/.exec(text) ?? [];
  return refusal(text) ?? (last ?? text).replace(/^Error: /, "");
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer")), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // The loser of the race may fail later; ignore that.
    work.catch(() => {});
  }
}

function once(socket: import("node:net").Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
  });
}

function codeOf(error: unknown): string {
  const { code, message, errors } = error as NodeJS.ErrnoException & { errors?: unknown[] };
  // Of a name with several addresses.
  if (errors?.[0]) return codeOf(errors[0]);
  return code ?? message;
}

function oneLine(name: string): string {
  return name.split("\n").join(", ");
}

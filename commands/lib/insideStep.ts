import { randomInt } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { hostFromUrl } from "../../components/socketAddress.ts";
import type { Control, Worker } from "./control.ts";
import type { Finding } from "./reach.ts";
import { saidInStep } from "./step.ts";
import { asking, printing } from "./stepProgram.ts";

const STEP_MS = 60_000;
/** How long a name server or a proxy may take. */
const ANSWER_SECONDS = 5;
/** The name that most builds look up first. */
const ASKED_NAME = "registry-1.docker.io";
const BETWEEN = "\n-- buildhosts --\n";

/** The network of a build step: asks its name server and its proxy from inside a step. */
export async function* insideStep(control: Control, workers: Worker[]): AsyncGenerator<Finding> {
  const files = ["/etc/resolv.conf", "/proc/self/environ"];
  const said = await saidInStep(control, workers, printing(files, BETWEEN), STEP_MS);
  // No program for that processor: the finding about the step has said so.
  if (!said) return;
  const [resolv = "", environment = ""] = said.toString("utf8").split(BETWEEN);
  yield await nameServer(control, workers, resolv);
  yield await proxy(control, workers, environment);
}

async function nameServer(control: Control, workers: Worker[], resolv: string): Promise<Finding> {
  const check = "names in a step";
  const servers = nameServersIn(resolv);
  const [server] = servers;
  const fix =
    "name servers that steps reach: 'dns.nameservers' of the builder's 'buildkitd' in the stack file";
  if (!server) return { check, state: "attention", seen: "steps have no name server", fix };
  const id = randomInt(65_536);
  const calls = asking(
    "udp",
    { address: server, port: 53 },
    dnsQuestion(id, ASKED_NAME),
    ANSWER_SECONDS,
  );
  const answer = await saidInStep(control, workers, calls, STEP_MS);
  const read = answer && dnsAnswer(id, answer);
  if (!read) return { check, state: "attention", seen: `${server} does not answer a step`, fix };
  return { check, state: "well", seen: `${server} answers a step (${ASKED_NAME}: ${read})` };
}

export function nameServersIn(resolv: string): string[] {
  return (
    [...resolv.matchAll(/^nameserver\s+(\S+)/gm)]
      .map(([, address = ""]) => address)
      // Of an address with a zone, the program does not know the device.
      .filter((address) => isIP(address) !== 0 && !address.includes("%"))
  );
}

/** A question for the IPv4 addresses of a name (RFC 1035). */
export function dnsQuestion(id: number, name: string): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2); // recursion is desired
  header.writeUInt16BE(1, 4);
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}

/** A name server's response code in words; undefined if the message does not answer the question. */
export function dnsAnswer(id: number, answer: Buffer): string | undefined {
  if (answer.length < 12 || answer.readUInt16BE(0) !== id) return undefined;
  const codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
  const code = answer.readUInt16BE(2) & 0xf;
  return codes[code] ?? `code ${code}`;
}

async function proxy(control: Control, workers: Worker[], environment: string): Promise<Finding> {
  const check = "proxy in a step";
  const url = proxyIn(environment);
  if (!url) return { check, state: "well", seen: "steps have none" };
  const shown = `${url.hostname}:${portOf(url)}`;
  const host = hostFromUrl(url.hostname);
  const fix =
    "the proxy that the builder's 'environment' names in the stack file, or the way to it";
  const address = isIP(host) ? host : (await lookup(host).catch(() => undefined))?.address;
  if (!address)
    return {
      check,
      state: "attention",
      seen: `${shown}: this machine does not know that name`,
      fix,
    };
  const target = `${ASKED_NAME}:443`;
  const question = Buffer.from(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const calls = asking("tcp", { address, port: portOf(url) }, question, ANSWER_SECONDS);
  const answer = (await saidInStep(control, workers, calls, STEP_MS))?.toString("latin1") ?? "";
  const [line = ""] = answer.split("\r\n");
  if (!line.startsWith("HTTP/"))
    return { check, state: "attention", seen: `${shown} does not answer a step`, fix };
  return { check, state: "well", seen: `${shown} answers a step (${ASKED_NAME}: ${line})` };
}

function portOf({ port, protocol }: URL): number {
  return Number(port || (protocol === "https:" ? 443 : 80));
}

/** The proxy for https, or else for http, of an environment as /proc has it. */
export function proxyIn(environment: string): URL | undefined {
  const variables = new Map(
    environment.split("\0").map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1)];
    }),
  );
  const written = variables.get("https_proxy") || variables.get("http_proxy");
  return written ? (URL.parse(written) ?? undefined) : undefined;
}

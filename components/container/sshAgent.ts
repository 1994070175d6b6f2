import { type ChildProcessByStdio, spawn } from "node:child_process";
import { Agent } from "node:http";
import { Duplex, type Readable, type Writable } from "node:stream";
import { hostFromUrl } from "../socketAddress.ts";

/** How much of what ssh says is kept for an error. */
const STDERR_BYTES = 4096;

/**
 * Connections to the daemon of the host that `url` names, as the docker command makes them: by the
 * machine's own ssh, which asks nothing, and `docker system dial-stdio` there. A path in `url` is the
 * daemon's socket on that host. One connection serves request after request.
 */
export function sshAgent(url: URL, options: readonly string[]): Agent {
  const args = sshArguments(url, options);
  const agent = new Agent({ keepAlive: true });
  agent.createConnection = () => new CommandSocket("ssh", args);
  return agent;
}

/** The arguments for ssh. */
export function sshArguments(url: URL, options: readonly string[]): string[] {
  if (url.password !== "") throw new Error("docker host: ssh:// takes no password; use a key");
  if (url.hostname === "") throw new Error("docker host: ssh:// without a host");
  if (url.search !== "" || url.hash !== "") {
    throw new Error(`docker host ssh://${url.host}: nothing may follow the path`);
  }
  const socket =
    url.pathname === "" || url.pathname === "/" ? [] : ["--host", `unix://${url.pathname}`];
  return [
    ...options,
    ...(options.join("").includes("ConnectTimeout") ? [] : ["-o", "ConnectTimeout=30"]),
    ...(options.includes("-T") ? [] : ["-T"]),
    ...(url.username === "" ? [] : ["-l", decodeURIComponent(url.username)]),
    ...(url.port === "" ? [] : ["-p", url.port]),
    "--",
    hostFromUrl(url.hostname),
    ...["docker", ...socket, "system", "dial-stdio"],
  ];
}

/** The standard input and output of a command, as a connection. */
class CommandSocket extends Duplex {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #stderr = "";

  constructor(command: string, args: readonly string[]) {
    super();
    // In a session of its own, ssh has no terminal that it could ask for a password.
    const child = spawn(command, args, { detached: true, stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    child.stdout.on("data", (chunk) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdout.on("error", () => {});
    child.stderr.on("data", (chunk) => {
      this.#stderr = (this.#stderr + chunk).slice(-STDERR_BYTES);
    });
    child.stdin.on("error", () => {});
    child.on("error", (error) => this.destroy(new Error(`${command}: ${error.message}`)));
    child.on("close", (code, signal) => {
      // What was sent before is read first. Podman closes a connection that is idle: it must not be used again.
      if (code === 0) this.once("end", () => this.destroy()).push(null);
      else this.destroy(new Error(this.#ended(command, code, signal)));
    });
  }

  #ended(command: string, code: number | null, signal: string | null): string {
    const lines = this.#stderr.split(/\r?\n/).filter((line) => /[^@\s]/.test(line));
    const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
    return `${command} ended with ${how}: ${lines.join("; ") || "it said nothing"}`;
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    // A command that has ended says why itself.
    this.#child.stdin.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.stdin.destroy();
    this.#child.kill();
    done(error);
  }

  // What an HTTP agent asks of a socket that it keeps.
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

import type { Agent } from "node:http";
import * as pulumi from "@pulumi/pulumi";
import type Docker from "dockerode";
import type { DockerConnection } from "./connection.ts";
import { dockerOptions } from "./dockerOptions.ts";

/** How long the daemon may take to answer a request, of which the longest stops a container. */
const ANSWER_SECONDS = 90;

/**
 * Does something with a client of the daemon, which goes the way of the provider, and closes it.
 *
 * @throws one message that names the daemon where it does not answer, or not in time.
 */
export async function withDocker<T>(
  { url, sshOptions, tls }: DockerConnection,
  use: (docker: Docker) => Promise<T>,
  answerSeconds: number = ANSWER_SECONDS,
): Promise<T> {
  // Loaded only where it is needed: most previews need none.
  const { default: DockerClient } = await import("dockerode");
  const docker = new DockerClient(
    dockerOptions({
      host: url.href,
      sshOpts: await known(sshOptions),
      tls: tls && {
        ca: await known(tls.caCertPem),
        cert: await known(tls.certPem),
        key: await known(tls.privateKeyPem),
      },
    }),
  );
  bound(docker, url, answerSeconds);
  try {
    return await use(docker);
  } finally {
    // Or the ssh that it keeps open would keep the program from ending.
    (docker.modem as { agent?: Agent }).agent?.destroy();
  }
}

/** What of dockerode sends a request, and calls back once. */
interface Modem {
  dial(
    options: object,
    callback: (error: (Error & { statusCode?: number }) | null, data?: unknown) => void,
  ): void;
}

/** Gives every request an end, whatever it goes over. */
function bound(docker: Docker, url: URL, seconds: number): void {
  const modem = docker.modem as Modem;
  const dial = modem.dial.bind(modem);
  const unreached = (why: string) => new Error(`docker host ${url.href}: ${why}`);
  modem.dial = (options, callback) => {
    const controller = new AbortController();
    let isOver = false;
    const end: typeof callback = (error, data) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      callback(error, data);
    };
    const timer = setTimeout(() => {
      end(unreached(`no answer within ${seconds} s`));
      controller.abort();
    }, seconds * 1000);
    dial({ ...options, abortSignal: controller.signal }, (error, data) => {
      // What the daemon itself answers has a status.
      end(error && error.statusCode === undefined ? unreached(said(error)) : error, data);
    });
  };
}

/** Some errors of connections have a code only. */
function said({ message, code }: NodeJS.ErrnoException): string {
  return `cannot be reached: ${message || code}`;
}

function known<T>(input: pulumi.Input<T>): Promise<T> {
  return new Promise((resolve) => {
    pulumi.output(input).apply((value) => resolve(value as T));
  });
}

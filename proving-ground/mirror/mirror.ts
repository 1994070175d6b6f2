import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

/** A way in which the mirror misbehaves, for paths that match. */
export interface Fault {
  /** Tried on the request's path, such as `/moby/buildkit/releases/download/v0.34.2/…`. */
  match: RegExp;
  /**
   * `status`: answers with `status` and no file. `stall`: announces the whole file, sends `afterBytes` of
   * it, and then nothing more. `truncate`: the same, but closes the connection. `corrupt`: sends the whole
   * file with the byte at `afterBytes` changed.
   */
  kind: "status" | "stall" | "truncate" | "corrupt";
  /** Default: 500. */
  status?: number;
  /** Default: half of the file. */
  afterBytes?: number;
}

/** How a mirror is started. */
export interface MirrorOptions {
  /** Folders laid out as below https://github.com; a file is taken from the first that has it. */
  directories: string[];
  /** Default: one that is free. */
  port?: number;
  /** Looked at on each request, so that a test may change the list; the first that matches counts. */
  faults?: Fault[];
}

/** A mirror that runs. */
export interface Mirror {
  /** What stands in place of https://github.com, without a slash at the end. */
  url: string;
  port: number;
  /** The requests and their answers, in order. */
  requests: { path: string; status: number }[];
  /** Ends it and all its connections, stalled ones too. */
  close(): Promise<void>;
}

/** Serves release assets on this machine's loopback interface, and nowhere else. */
export async function startMirror({
  directories,
  port = 0,
  faults = [],
}: MirrorOptions): Promise<Mirror> {
  const requests: Mirror["requests"] = [];
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://mirror").pathname);
    const refuse = (status: number) => {
      requests.push({ path, status });
      response.writeHead(status, { "Content-Type": "text/plain" }).end(`${status} ${path}\n`);
    };
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(405);
    const fault = faults.find(({ match }) => match.test(path));
    if (fault?.kind === "status") return refuse(fault.status ?? 500);
    const file = await findFile(directories, path);
    if (!file) return refuse(404);
    requests.push({ path, status: 200 });
    response.writeHead(200, {
      "Content-Type": "application/octet-stream",
      "Content-Length": file.size,
    });
    if (request.method === "HEAD") response.end();
    else if (fault) await sendWithFault(response, file, fault);
    else await pipeline(createReadStream(file.path), response);
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "EADDRINUSE"
          ? new Error(`mirror: port ${port} on 127.0.0.1 is taken; free it or choose another`)
          : error,
      ),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
  const actual = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${actual}`,
    port: actual,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface MirrorFile {
  path: string;
  size: number;
}

async function findFile(directories: string[], path: string): Promise<MirrorFile | undefined> {
  // Normalised as an absolute path, so that no `..` is left to climb with. Names with a leading dot are
  // files that are still being written.
  const relative = normalize(path);
  if (relative.includes("/.") || relative.includes("\0")) return undefined;
  for (const directory of directories) {
    const candidate = join(directory, relative);
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isFile()) return { path: candidate, size: found.size };
  }
  return undefined;
}

async function sendWithFault(
  response: ServerResponse,
  { path, size }: MirrorFile,
  { kind, afterBytes = Math.floor(size / 2) }: Fault,
): Promise<void> {
  if (kind === "corrupt") {
    await pipeline(createReadStream(path), flipByte(afterBytes), response);
    return;
  }
  if (afterBytes > 0)
    await pipeline(createReadStream(path, { end: afterBytes - 1 }), response, { end: false });
  else response.flushHeaders();
  // What was written must have left before the connection is cut; a stalled one stays open until the
  // client gives up or the mirror ends.
  if (kind === "truncate") response.socket?.end();
}

/** Passes everything on, with all bits of the byte at `position` flipped. */
function flipByte(position: number): Transform {
  let offset = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const index = position - offset;
      offset += chunk.length;
      const byte = chunk[index];
      if (byte === undefined) return done(null, chunk);
      const copy = Buffer.from(chunk);
      copy[index] = byte ^ 0xff;
      done(null, copy);
    },
  });
}

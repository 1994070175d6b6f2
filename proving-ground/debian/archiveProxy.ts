import { createReadStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import { cacheDir } from "../../runtime/cache.ts";
import { exists } from "../../runtime/makeOnce.ts";
import type { Progress } from "../../runtime/progress.ts";
import { requireDebianMirror } from "./aptSources.ts";
import { ensurePrograms } from "./programs.ts";

/** An HTTP proxy that runs on this machine's loopback. */
export interface ArchiveProxy {
  port: number;
  close(): Promise<void>;
}

const helper = "/usr/lib/apt/apt-helper";

/** Where images of our own making have their packages from; only the proxy knows where that is. */
const ARCHIVE = "http://debian.invalid/debian";

/**
 * Starts an HTTP proxy for one thing alone: Debian's archive under `ARCHIVE`, which it fetches as this
 * machine's own apt would, from its mirror and by its proxies, so that apt in a RUN step needs no more than
 * `http_proxy`. Packages, which never change, stay in the cache. Whatever else it is asked for is refused.
 */
export async function startArchiveProxy(log: Progress): Promise<ArchiveProxy> {
  await ensurePrograms([{ program: helper, debian: "apt" }], log);
  const mirror = await requireDebianMirror();
  const fetched = new Map<string, Promise<string>>();
  const server = createServer((request, response) => {
    const url = request.url ?? "";
    const path = url.startsWith(`${ARCHIVE}/`) ? url.slice(ARCHIVE.length) : "";
    if (request.method !== "GET" || !/^[\w./+~%:-]+$/.test(path) || path.includes("..")) {
      response.writeHead(403).end();
      return;
    }
    let file = fetched.get(path);
    if (!file) {
      file = fetchFile(mirror, path);
      fetched.set(path, file);
    }
    file
      .then(async (found) => {
        const { size } = await stat(found);
        response.writeHead(200, { "Content-Length": size });
        await pipeline(createReadStream(found), response);
      })
      .catch(() => {
        fetched.delete(path);
        if (!response.headersSent) response.writeHead(404);
        response.end();
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A file with its version or its hash in its name never changes. */
const lasting = /^\/pool\/|\/by-hash\//;

async function fetchFile(mirror: string, path: string): Promise<string> {
  const file = join(cacheDir("debian", "archive"), path);
  if (lasting.test(path) && (await exists(file))) return file;
  await mkdir(dirname(file), { recursive: true });
  const partial = `${file}.part-${process.pid}`;
  try {
    await execa(helper, ["download-file", `${mirror}${path}`, partial], { timeout: 5 * 60_000 });
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
  return file;
}

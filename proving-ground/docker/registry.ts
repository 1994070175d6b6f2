import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../../runtime/freePort.ts";
import { thisMachine } from "../../runtime/golang.ts";
import type { Progress } from "../../runtime/progress.ts";
import { ensureUnpacked } from "../debian/packages.ts";
import { blobPath, type Image, manifestOf } from "./ociImage.ts";

/** A registry of images that runs on this machine's loopback, over plain HTTP. */
export interface Registry {
  port: number;
  /** `127.0.0.1:<port>`, the first part of a reference as this machine sees it. */
  address: string;
  /** Serves `image` as `name` (`moby/buildkit`) under `tag`, and by its digest. */
  push(image: Image, name: string, tag: string): Promise<void>;
  /** The digest of what is served as `name` under `tag`; undefined if nothing is. */
  digestOf(name: string, tag: string): Promise<string | undefined>;
  /** Ends it; what was pushed stays in its folder. */
  close(): Promise<void>;
}

/** Of the first Debian release with riscv64; the program runs with older C libraries too. */
const packages = {
  suite: "trixie",
  architecture: thisMachine.goarch,
  names: ["docker-registry"],
};

/**
 * Starts Debian's docker-registry, which is not installed but unpacked into the cache. It ends with this process.
 *
 * @param storage the folder that keeps what is pushed.
 * @param htpasswd a file with the only users that are let in, and bcrypt's hashes of their passwords. Then nothing can be
 *   pushed; what is in `storage` is served.
 */
export async function startRegistry(
  storage: string,
  log: Progress,
  { htpasswd }: { htpasswd?: string } = {},
): Promise<Registry> {
  const root = await ensureUnpacked(packages, log);
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const child = spawn(
    "setpriv",
    [
      ...["--pdeathsig", "KILL", join(root, "usr/bin/docker-registry"), "serve"],
      join(import.meta.dirname, "registry.yml"),
    ],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env.PATH,
        REGISTRY_HTTP_ADDR: address,
        REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: storage,
        ...(htpasswd && {
          REGISTRY_AUTH: "htpasswd",
          REGISTRY_AUTH_HTPASSWD_REALM: "builders",
          REGISTRY_AUTH_HTPASSWD_PATH: htpasswd,
        }),
      },
    },
  );
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = `${said}${text}`.slice(-4000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", (error) => {
      said += error.message;
      resolve();
    });
  });
  const url = `http://${address}/v2`;
  const deadline = Date.now() + startSeconds * 1000;
  // A registry that lets nobody in without a login answers, too.
  const isUp = () =>
    fetch(`${url}/`).then(
      ({ status }) => status === 200 || status === 401,
      () => false,
    );
  while (!(await isUp())) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`the registry on ${address} did not start within ${startSeconds} s: ${said}`);
    }
    await pause(50);
  }
  return {
    port,
    address,
    async push(image, name, tag) {
      const { config, layers, mediaType } = await manifestOf(image);
      for (const { digest } of [...layers, config])
        await pushBlob(`${url}/${name}/blobs`, digest, await readFile(blobPath(image, digest)));
      const body = await readFile(blobPath(image, image.digest));
      const headers = { "Content-Type": mediaType };
      await expectOk(fetch(`${url}/${name}/manifests/${tag}`, { method: "PUT", body, headers }));
    },
    async digestOf(name, tag) {
      const answer = await fetch(`${url}/${name}/manifests/${tag}`, {
        method: "HEAD",
        headers: {
          Accept:
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json",
        },
      });
      return answer.headers.get("docker-content-digest") ?? undefined;
    },
    async close() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

const startSeconds = 30;

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function pushBlob(url: string, digest: string, body: Buffer<ArrayBuffer>): Promise<void> {
  if (await answers(`${url}/${digest}`)) return;
  const upload = await expectOk(fetch(`${url}/uploads/`, { method: "POST" }));
  const target = new URL(upload.headers.get("location") ?? "", url);
  target.searchParams.set("digest", digest);
  const headers = { "Content-Type": "application/octet-stream" };
  await expectOk(fetch(target, { method: "PUT", body, headers }));
}

async function expectOk(request: Promise<Response>): Promise<Response> {
  const answer = await request;
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status}: ${await answer.text()}`);
  return answer;
}

import { readdir, stat } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { promisify } from "node:util";
import type { Client, SFTPWrapper } from "ssh2";
import type { Source } from "./copyToRemote.ts";

type Kind = "folder" | "other" | "nothing";

/** SFTP's status for a path that is not there. */
const NO_SUCH_FILE = 2;

/**
 * Copies `source` to `remotePath`, over whatever is there. Where a path ends up:
 *
 * | source | a folder is there     | nothing is there | a file is there |
 * | ------ | --------------------- | ---------------- | --------------- |
 * | dir    | remotePath/dir        | remotePath/dir   | refused         |
 * | dir/   | into remotePath       | into remotePath  | refused         |
 * | file   | remotePath/file       | remotePath       | overwritten     |
 * | text   | refused               | remotePath       | overwritten     |
 */
export async function copyOver(client: Client, source: Source, remotePath: string): Promise<void> {
  const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
    client.on("close", () => reject(new Error("the connection was lost during the copy")));
    client.sftp((error, opened) => (error === undefined ? resolve(opened) : reject(error)));
  });
  const lost = new Promise<never>((_, reject) => {
    sftp.on("close", () => reject(new Error("the connection was lost during the copy")));
  });
  const work =
    "text" in source
      ? copyText(sftp, source.text, remotePath)
      : copyPath(sftp, source.path, remotePath);
  await Promise.race([work, lost]);
}

async function copyText(sftp: SFTPWrapper, text: string, remotePath: string): Promise<void> {
  const kind = await kindOf(sftp, remotePath);
  if (kind === "folder") {
    throw new Error(
      `remote path ${remotePath} is a directory; when using a text asset, remotePath must be a file path`,
    );
  }
  await makeFolders(sftp, posix.dirname(remotePath));
  await saying(`failed to write text content to remote path ${remotePath}`, () =>
    promisify(sftp.writeFile.bind(sftp) as Write)(remotePath, text),
  );
}

type Write = (path: string, text: string, done: (error?: Error | null) => void) => void;

async function copyPath(sftp: SFTPWrapper, path: string, remotePath: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new Error(`open ${path}: no such file or directory`);
  const isFolder = found.isDirectory();
  const kind = await kindOf(sftp, remotePath);
  if (!isFolder) {
    if (kind === "nothing") await makeFolders(sftp, posix.dirname(remotePath));
    const target = kind === "folder" ? posix.join(remotePath, basename(path)) : remotePath;
    await copyFile(sftp, path, target);
    return;
  }
  if (kind === "nothing") await makeFolders(sftp, remotePath);
  const into = path.endsWith("/") ? remotePath : posix.join(remotePath, basename(path));
  await copyFolder(sftp, path, into);
}

async function copyFolder(sftp: SFTPWrapper, path: string, remotePath: string): Promise<void> {
  await makeFolder(sftp, remotePath);
  const entries = await readdir(path, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const from = join(path, entry.name);
    const to = posix.join(remotePath, entry.name);
    if (entry.isDirectory()) await copyFolder(sftp, from, to);
    else await copyFile(sftp, from, to);
  }
}

async function copyFile(sftp: SFTPWrapper, path: string, remotePath: string): Promise<void> {
  await saying(`failed to copy file ${path} to remote path ${remotePath}`, () =>
    promisify(sftp.fastPut.bind(sftp) as Write)(path, remotePath),
  );
}

async function makeFolders(sftp: SFTPWrapper, remotePath: string): Promise<void> {
  if ((await kindOf(sftp, remotePath)) === "nothing") {
    await makeFolders(sftp, posix.dirname(remotePath));
  }
  await makeFolder(sftp, remotePath);
}

async function makeFolder(sftp: SFTPWrapper, remotePath: string): Promise<void> {
  const kind = await kindOf(sftp, remotePath);
  if (kind === "folder") return;
  if (kind === "other") {
    throw new Error(`remote path ${remotePath} exists but is not a directory`);
  }
  await saying(`failed to create remote directory ${remotePath}`, () =>
    promisify(sftp.mkdir.bind(sftp) as (path: string, done: (error?: Error) => void) => void)(
      remotePath,
    ),
  );
}

async function kindOf(sftp: SFTPWrapper, remotePath: string): Promise<Kind> {
  return await new Promise((resolve, reject) => {
    sftp.stat(remotePath, (error, stats) => {
      if (error === undefined || error === null) {
        resolve(stats.isDirectory() ? "folder" : "other");
      } else if ((error as Error & { code?: number }).code === NO_SUCH_FILE) {
        resolve("nothing");
      } else {
        reject(new Error(`failed to stat remote path ${remotePath}: ${error.message}`));
      }
    });
  });
}

async function saying<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : error}`);
  }
}

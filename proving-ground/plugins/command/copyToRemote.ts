import type { Resource } from "../provider/plugin.ts";
import { check } from "../provider/shapes.ts";
import { isArchive, isAsset, type PropertyMap, reveal, UNKNOWN } from "../provider/values.ts";
import { diffCommand, uniqueId } from "./command.ts";
import type { Connection } from "./dial.ts";
import { COPY_TO_REMOTE } from "./shapes.ts";

/** The source of a copy: a text, or the file or folder at a path on this machine. */
export type Source = { readonly text: string } | { readonly path: string };

interface CopyInputs {
  readonly connection: Connection;
  readonly source: PropertyMap;
  readonly remotePath: string;
}

/** `command:remote:CopyToRemote`: a file or folder of this machine on a host, as of the last change. */
export const copyToRemote: Resource = {
  check(inputs) {
    const { inputs: checked, failures } = check(inputs, COPY_TO_REMOTE);
    const source = reveal(checked.source ?? UNKNOWN);
    if ((isAsset(source) || isArchive(source)) && sourceOf(source) === undefined) {
      const reason = isAsset(source)
        ? "asset must be a path-based file asset or a text asset"
        : "archive must be a path to a file or directory";
      return { inputs: checked, failures: [...failures, { property: "source", reason }] };
    }
    return { inputs: checked, failures };
  },

  diff: diffCommand,

  async create(inputs, request) {
    if (request.preview) return { id: "", state: inputs };
    await copy(inputs, request);
    return { id: uniqueId(""), state: inputs };
  },

  async update(old, news, request) {
    // The engine's hash stands for the content. What the connection says is no reason to copy again.
    const before = reveal(old.state) as unknown as CopyInputs;
    const now = reveal(news) as unknown as CopyInputs;
    const differs = now.source.hash !== before.source.hash || now.remotePath !== before.remotePath;
    if (differs && !request.preview) await copy(news, request);
    return news;
  },

  // The copy stays on the host, as it does with the official plugin.
  async delete() {},

  read: async ({ inputs, state }) => ({ inputs, state }),
};

function sourceOf(source: PropertyMap): Source | undefined {
  const { path, text } = source;
  if (typeof path === "string" && path !== "") return { path };
  // To the official plugin, an empty text is no text.
  return isAsset(source) && typeof text === "string" && text !== "" ? { text } : undefined;
}

async function copy(
  map: PropertyMap,
  { log, signal }: Parameters<Resource["create"]>[1],
): Promise<void> {
  const { connection, source, remotePath } = reveal(map) as unknown as CopyInputs;
  const content = sourceOf(source);
  if (content === undefined) throw new Error("source: neither a text nor a path");
  const { dial } = await import("./dial.ts");
  const { copyOver } = await import("./sftp.ts");
  const host = await dial(connection, log, signal);
  try {
    await copyOver(host.client, content, remotePath);
  } finally {
    host.close();
  }
}

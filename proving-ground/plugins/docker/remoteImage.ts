import type { Readable } from "node:stream";
import type Docker from "dockerode";
import type { Request, Resource } from "../provider/plugin.ts";
import { BOOLEAN, NOT_HERE, STRING, STRINGS, TEXTS } from "./attributes.ts";
import { type Daemon, isNotFound, reasonOf } from "./daemonOf.ts";
import { dockerResource } from "./dockerResource.ts";
import { registryOf } from "./registryLogin.ts";

interface ImageInputs {
  readonly name: string;
  readonly platform?: string;
  readonly keepLocally?: boolean;
  readonly forceRemove?: boolean;
}

/** `docker:index/remoteImage:RemoteImage`: an image that the daemon has, pulled where it had it not. */
export function remoteImage(current: () => Daemon): Resource {
  return dockerResource<ImageInputs>(current, {
    attributes: {
      name: { shape: STRING, required: true, replaces: true },
      platform: { shape: STRING, replaces: true },
      pullTriggers: { shape: STRINGS, unordered: true, replaces: true },
      triggers: { shape: TEXTS, replaces: true },
      keepLocally: { shape: BOOLEAN },
      forceRemove: { shape: BOOLEAN },
      build: { shape: { kind: "any" }, unsupported: NOT_HERE },
    },
    outputs: ["imageId", "repoDigest"],
    meta: { timeouts: true },

    async create({ name, platform }, daemon, request) {
      const image = await findImage(name, daemon, request, platform);
      return image.Id + name;
    },

    async read(_, { name }, daemon) {
      const image = await localImage(name, daemon);
      return image && { imageId: image.Id, repoDigest: repoDigestOf(name, image) };
    },

    // The image may have been removed by hand.
    async update(_id, _old, { name, platform }, daemon, request) {
      await findImage(name, daemon, request, platform);
    },

    async remove(_, { name, keepLocally, forceRemove }, { client }) {
      if (!keepLocally) await client.getImage(name).remove({ force: forceRemove ?? false });
    },
  });
}

/** The image `name`, from the daemon or else from its registry. */
export async function findImage(
  name: string,
  daemon: Daemon,
  request: Request,
  platform?: string,
): Promise<Docker.ImageInspectInfo> {
  const local = await localImage(name, daemon);
  if (local !== undefined) return local;
  request.log.status(`pulling ${name}`);
  try {
    await pull(name, daemon, request, platform);
  } catch (error) {
    throw new Error(`image ${name}: is not on the host and cannot be pulled: ${reasonOf(error)}`);
  }
  const pulled = await localImage(name, daemon);
  if (pulled === undefined) throw new Error(`image ${name}: was pulled, but is not on the host`);
  return pulled;
}

async function localImage(name: string, { client }: Daemon) {
  try {
    return await client.getImage(name).inspect();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function pull(
  name: string,
  { client, registries }: Daemon,
  { log, signal }: Request,
  platform: string | undefined,
): Promise<void> {
  const login = registries.find(({ registry }) => registry === registryOf(name));
  const stream = (await client.createImage({
    ...repositoryAndTag(name),
    ...(platform && { platform }),
    ...(login && {
      authconfig: {
        username: login.username,
        password: login.password,
        serveraddress: login.serverAddress,
      },
    }),
    abortSignal: signal,
  })) as Readable;
  // What goes wrong later than the answer's first byte stands in it.
  let failed: string | undefined;
  const progress = ({ status, id, error }: { status?: string; id?: string; error?: string }) => {
    failed ??= error;
    if (status?.startsWith("Pull") || status?.startsWith("Download")) {
      log.status(`${id === undefined ? "" : `${id}: `}${status}`);
    }
  };
  await new Promise<void>((resolve, reject) => {
    const finished = (error: Error | null) => (error === null ? resolve() : reject(error));
    client.modem.followProgress(stream, finished, progress);
  });
  if (failed !== undefined) throw new Error(failed);
}

/** A digest names an image alone: with it, a tag says nothing. */
export function repositoryAndTag(name: string): { fromImage: string; tag: string } {
  const [, repository = name, tag, digest] =
    /^(.+?)(?::([\w.-]+))?(?:@([\w+.-]+:[0-9a-fA-F]+))?$/.exec(name) ?? [];
  return { fromImage: repository, tag: digest ?? tag ?? "latest" };
}

/** The digest of the registry that `name` names, where the image is known by several. */
function repoDigestOf(name: string, { RepoDigests }: Docker.ImageInspectInfo): string {
  const digests = RepoDigests ?? [];
  const [repository = name] = name.split(":");
  return digests.find((digest) => digest.startsWith(repository)) ?? digests[0] ?? "";
}

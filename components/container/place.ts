import type Docker from "dockerode";
import { inspect, unlessMissing } from "./daemon.ts";
import { containerLayout } from "./files.ts";

/** Marks what is a builder's on its host, with the builder's name. */
export const BUILDER_LABEL = "buildhosts.builder";
/** Beside it: `<project>/<stack>`, because another stack may have a builder of the same name there. */
export const STACK_LABEL = "buildhosts.stack";

export const PREVIOUS = "-previous";

/** The name under which a container waits, stopped, until the one after it is healthy. */
export const previousName = (name: string) => `${name}${PREVIOUS}`;

/** Which container of which builder, and what it needs of its host. */
export interface Place {
  /** The container's name on its host. */
  container: string;
  /** The builder's, for the label and for messages. */
  builder: string;
  /** `<project>/<stack>`, for the label. */
  stack: string;
  publish: { address: string; port: number };
  /** The restart policy, which one that was put aside gets back where nobody knows what it had. Default: `unless-stopped`. */
  restart?: string;
  cache: PlaceOfCache;
}

export interface PlaceOfCache {
  /** The volume's name; of a folder of the host its absolute path. */
  volume: string;
  /** Whether it is there before the builder, and stays: a folder, or a volume that is none of the stack's. */
  isAdopted?: boolean;
  /** Where it is in the container, which differs between daemons with and without root. */
  path: string;
  /** Whether the provider deletes the volume when it goes, or when another takes its place. */
  isRemoved: boolean;
}

/** The labels of all that a place has on its host. */
export function labelsOf({ builder, stack }: Pick<Place, "builder" | "stack">) {
  return { [BUILDER_LABEL]: builder, [STACK_LABEL]: stack };
}

/** A conflict that must stop the update before it begins. The message says everything. */
export class InTheWay extends Error {}

/** What there is on a host that concerns a place. */
export interface Present {
  /** Of the builder, in its place or where it was before; one, unless an update was cut short. */
  current: Docker.ContainerInfo[];
  /** Of the builder, put aside. */
  previous: Docker.ContainerInfo | undefined;
  others: Docker.ContainerInfo[];
}

export async function look(docker: Docker, place: Place): Promise<Present> {
  const all = await docker.listContainers({ all: true });
  const own = all.filter((one) => isOwn(one, place));
  return {
    current: own.filter((one) => !isPrevious(one)),
    previous: own.find(isPrevious),
    others: all.filter((one) => !own.includes(one)),
  };
}

/** A container has more names where others are linked to it. */
export function nameOf({ Names }: Docker.ContainerInfo): string {
  return (Names.find((name) => !name.slice(1).includes("/")) ?? Names[0] ?? "").replace(/^\//, "");
}

export const isPrevious = (one: Docker.ContainerInfo) => nameOf(one).endsWith(PREVIOUS);

function isOwn(one: Docker.ContainerInfo, { container, builder, stack }: Place): boolean {
  const labels = one.Labels ?? {};
  if (labels[BUILDER_LABEL] !== builder) return false;
  // Those that were made before that label can be told by their name only.
  if (!labels[STACK_LABEL]) return [container, previousName(container)].includes(nameOf(one));
  return labels[STACK_LABEL] === stack;
}

/** Whether both need the same port of the host. */
function hasPortOf({ Ports }: Docker.ContainerInfo, { publish }: Place): boolean {
  const everywhere = ["0.0.0.0", "::", "", undefined];
  return (Ports ?? []).some(
    ({ IP, PublicPort }) =>
      PublicPort === publish.port &&
      (IP === publish.address || everywhere.includes(IP) || everywhere.includes(publish.address)),
  );
}

/** What has the name or the port that the place needs; of the same stack it may go in the same update. */
function inTheWay(
  others: Docker.ContainerInfo[],
  place: Place,
  isMate: boolean,
): string | undefined {
  const { container, builder, publish, stack } = place;
  for (const one of others) {
    const name = nameOf(one);
    const { [STACK_LABEL]: itsStack, [BUILDER_LABEL]: itsBuilder } = one.Labels ?? {};
    if ((itsStack === stack) !== isMate) continue;
    const has =
      name === container ? `the name '${name}'` : hasPortOf(one, place) && `port ${publish.port}`;
    if (!has) continue;
    if (isMate) {
      return `${builder}: the container '${name}' of this stack's builder ${itsBuilder} keeps ${has} in this update; free that by an update of its own first, or choose another`;
    }
    if (name !== container) {
      return `${builder}: ${has} of the host is taken by the container '${name}'; stop that, or choose another publish.port`;
    }
    return itsStack
      ? `${builder}: the host has a container '${name}' of the stack ${itsStack}; choose another containerName, or, if that stack does not exist any more, remove it there (docker rm -f ${name})`
      : `${builder}: the host has a container '${name}' that is none of this builder; remove it there (docker rm -f ${name}), or choose another containerName`;
  }
  return undefined;
}

/** @throws InTheWay if a new volume of that name would be another's, or cost the builder its present cache. */
export async function refuseCache(docker: Docker, place: Place): Promise<void> {
  const { builder, cache } = place;
  const { volume } = cache;
  const labels = await refuseForeignCache(docker, place);
  // Those that were made before the stack's label have the builder's.
  if (labels && !labels[STACK_LABEL] && labels[BUILDER_LABEL] !== builder) {
    throw new InTheWay(
      `${builder}: the host has a volume '${volume}' that this stack did not make, and removeCacheOnDelete would delete it; choose another cacheVolume, or adopt it with adoptCache: true`,
    );
  }
  const before = await mountedCache(docker, await look(docker, place));
  if (before && before.volume !== volume && cache.isRemoved) {
    throw new InTheWay(
      `${builder}: cacheVolume changes from '${before.volume}' to '${volume}', and removeCacheOnDelete would delete the old one with what is in it; set removeCacheOnDelete: false, run the update, and change cacheVolume then`,
    );
  }
}

/**
 * @returns the labels of the host's volume of that name, if there is one.
 * @throws InTheWay if it is another stack's.
 */
async function refuseForeignCache(
  docker: Docker,
  { builder, stack, cache: { volume } }: Place,
): Promise<Record<string, string> | undefined> {
  const found = await unlessMissing(docker.getVolume(volume).inspect());
  if (!found) return undefined;
  const owner = found.Labels?.[STACK_LABEL];
  if (owner && owner !== stack) {
    throw new InTheWay(
      `${builder}: the host's volume '${volume}' has the cache of the stack ${owner}; choose another cacheVolume, or, if that stack does not exist any more, remove it there (docker volume rm ${volume})`,
    );
  }
  return found.Labels ?? {};
}

/** @throws InTheWay if what the builder shall adopt is not there, or another stack's. */
async function refuseAdoption(docker: Docker, place: Place): Promise<void> {
  const { builder, cache } = place;
  // Of a folder the daemon tells nothing; it makes one that is missing.
  if (!cache.isAdopted || cache.volume.startsWith("/")) return;
  if (await refuseForeignCache(docker, place)) return;
  throw new InTheWay(
    `${builder}: adoptCache is true, and the host has no volume '${cache.volume}'; correct cacheVolume, or remove adoptCache, and the update makes it`,
  );
}

/** What of the stack's other builders has the place, and may leave it in the same update. */
export function stackMate({ others }: Present, place: Place): string | undefined {
  return inTheWay(others, place, true);
}

/** Where the builder has its cache now. */
async function mountedCache(docker: Docker, { current, previous }: Present) {
  const container = current[0] ?? previous;
  const mounts = container && (await inspect(docker, container.Id))?.Mounts;
  const mount = mounts?.find(({ Destination }) => CACHE_PATHS.includes(Destination));
  return mount && { volume: mount.Name || mount.Source, path: mount.Destination };
}

const CACHE_PATHS = [containerLayout(false).root, containerLayout(true).root];

/**
 * Looks whether the place can be taken, and changes nothing.
 *
 * @returns the name of the builder's container that runs now, if one does; an update would end its builds.
 * @throws InTheWay if what is there is not the builder's to take.
 */
export async function checkPlace(docker: Docker, place: Place): Promise<string | undefined> {
  const { current, previous, others } = await look(docker, place);
  await refuse(docker, place, { current, previous, others });
  const running = [...current, previous].find((one) => one?.State === "running");
  return running && nameOf(running);
}

/** @throws InTheWay if what is there is not the builder's to take, or it could not use its cache any more. */
export async function refuse(docker: Docker, place: Place, present: Present): Promise<void> {
  const foreign = inTheWay(present.others, place, false);
  if (foreign) throw new InTheWay(foreign);
  await refuseAdoption(docker, place);
  const { builder, cache } = place;
  const before = await mountedCache(docker, present);
  if (before?.volume === cache.volume && before.path !== cache.path) {
    const of =
      before.path === CACHE_PATHS[0]
        ? "with root, whose files one without root"
        : "without root, whose files one with root";
    throw new InTheWay(
      `${builder}: the ${cache.volume.startsWith("/") ? "folder" : "volume"} '${cache.volume}' has the cache of the daemon ${of} cannot use; name another ${cache.volume.startsWith("/") ? "cachePath" : "cacheVolume"} beside the changed rootless`,
    );
  }
}

/** @throws InTheWay if the daemon has not found docker-init, which it looks for when it is asked about itself. */
export async function refuseMissingInit(docker: Docker, builder: string): Promise<void> {
  const { InitCommit } = (await docker.info()) as { InitCommit?: { ID?: string } };
  if (InitCommit?.ID !== "N/A") return;
  throw new InTheWay(
    `${builder}: init is true, and the host's Docker has no docker-init; install it there (tini, as docker-init in the daemon's PATH; Docker's own packages bring it), or set init: false`,
  );
}

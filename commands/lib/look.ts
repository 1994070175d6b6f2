import type { X509Certificate } from "node:crypto";
import type { ClientFiles } from "./clientFiles.ts";
import { Control, type GcPolicy, type Worker } from "./control.ts";
import type { KnownBuilder } from "./knownStack.ts";
import { shortError, walk } from "./reach.ts";
import { ownBytesOf } from "./usage.ts";

/** A builder's description of itself. */
export interface Look {
  builder: KnownBuilder;
  /** Why it cannot be used; undefined where it can. */
  unreachable: string | undefined;
  /** The fix. */
  fix: string | undefined;
  /** Until it told its version, the handshake included. */
  answerMs: number;
  version: string | undefined;
  workers: Worker[];
  platforms: string[];
  cacheBytes: number | undefined;
  capBytes: number | undefined;
  runningBuilds: number | undefined;
  serverCertificate: X509Certificate | undefined;
}

/**
 * Asks all builders at once. None takes longer than about `boundMs`. After a question without an answer, a builder gets
 * no further one.
 */
export async function lookAtAll(
  builders: KnownBuilder[],
  files: ClientFiles,
  boundMs: number,
): Promise<Look[]> {
  return Promise.all(builders.map((builder) => lookAt(builder, files, boundMs)));
}

export async function lookAt(
  builder: KnownBuilder,
  files: ClientFiles,
  boundMs: number,
): Promise<Look> {
  const control = new Control(builder, files);
  const started = performance.now();
  const look: Look = {
    builder,
    unreachable: undefined,
    fix: undefined,
    answerMs: 0,
    version: undefined,
    workers: [],
    platforms: [],
    cacheBytes: undefined,
    capBytes: undefined,
    runningBuilds: undefined,
    serverCertificate: undefined,
  };
  try {
    // One connection carries all the questions; the version tells whether there is one.
    const asked = {
      workers: control.workers(boundMs),
      // A large cache takes long to count: a builder that is slow at that is no dead one.
      usage: control.diskUsage([], boundMs).catch(() => undefined),
      running: control.builds({ activeOnly: true }, boundMs).catch(() => undefined),
    };
    asked.workers.catch(() => {});
    look.version = await control.version(boundMs);
    look.answerMs = performance.now() - started;
    look.workers = await asked.workers;
    look.platforms = platformsOf(look.workers);
    look.capBytes = capOf(look.workers.flatMap(({ GCPolicy }) => GCPolicy));
    const usage = await asked.usage;
    look.cacheBytes = usage && ownBytesOf(usage);
    look.runningBuilds = (await asked.running)?.records.length;
  } catch (error) {
    look.answerMs = performance.now() - started;
    look.unreachable = shortError(error);
    // The connection itself tells more than gRPC does, and sooner if nothing answers.
    const way = await walk(builder, files, boundMs / 4);
    const wrong = way.find(({ state }) => state === "failed");
    if (wrong) [look.unreachable, look.fix] = [`${wrong.check}: ${wrong.seen}`, wrong.fix];
  } finally {
    look.serverCertificate = control.serverCertificate;
    control.close();
  }
  return look;
}

export function platformsOf(workers: Worker[]): string[] {
  const names = workers.flatMap(({ platforms }) =>
    platforms.map(({ OS, Architecture, Variant }) =>
      [OS, Architecture, Variant].filter(Boolean).join("/"),
    ),
  );
  return [...new Set(names)];
}

/** The cap of the cache: the largest bound among the rules for the whole cache. */
export function capOf(policies: GcPolicy[]): number | undefined {
  const caps = policies
    // An old buildkitd, and one that was told only that, keeps what is reserved.
    .map(({ maxUsedSpace, reservedSpace }) => maxUsedSpace || reservedSpace)
    .filter((bytes) => bytes > 0);
  return caps.length > 0 ? Math.max(...caps) : undefined;
}

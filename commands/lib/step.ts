import { createHash, randomBytes } from "node:crypto";
import { type Control, encoded, type LlbDefinition, type Worker } from "./control.ts";
import { type SystemCall, stepProgram } from "./stepProgram.ts";

/** In the name of every file that a probe leaves in a builder's cache, so that they can be found and removed. */
const PROBE = "buildhosts-probe";

/** How long the cache of a busy builder may take to let them go. */
const PRUNE_MS = 30_000;

/** Whether there is a program for the processor of the builder's first worker. */
export function architectureOf(workers: Worker[]): string {
  return workers[0]?.platforms[0]?.Architecture ?? "";
}

/**
 * Builds an image of one program on the builder, with BuildKit's own Dockerfile frontend, and runs that program in a step.
 * Every build needs both, and this one needs no registry. The request contains the files, so that it needs no session.
 *
 * @returns milliseconds, or undefined where there is no program for the builder's processor.
 */
export async function buildProbe(
  control: Control,
  workers: Worker[],
  boundMs: number,
): Promise<number | undefined> {
  const program = stepProgram(architectureOf(workers), []);
  if (!program) return undefined;
  const started = performance.now();
  try {
    await control.solve(imageOf(program), boundMs);
    return performance.now() - started;
  } finally {
    await removeProbes(control);
  }
}

/** The output of a program that makes these system calls in a step; undefined if there is none for that processor. */
export async function saidInStep(
  control: Control,
  workers: Worker[],
  calls: SystemCall[],
  boundMs: number,
): Promise<Buffer | undefined> {
  const program = stepProgram(architectureOf(workers), calls);
  if (!program) return undefined;
  const request = imageOf(program);
  const said: Buffer[] = [];
  try {
    // Nothing remembers the log of such a build: it is listened to while it runs.
    const heard = control.follow(
      request.Ref,
      ({ logs }) => said.push(...logs.map(({ msg }) => msg)),
      boundMs,
    );
    heard.catch(() => {});
    await control.solve(request, boundMs);
    await heard;
    return Buffer.concat(said);
  } finally {
    await removeProbes(control);
  }
}

function imageOf(program: Buffer) {
  const dockerfile = [
    "FROM scratch",
    `COPY --chmod=755 ${PROBE} /${PROBE}`,
    `RUN ["/${PROBE}"]`,
    "",
  ].join("\n");
  return {
    Ref: `${PROBE}-${randomBytes(8).toString("hex")}`,
    Frontend: "dockerfile.v0",
    FrontendAttrs: { "no-cache": "" },
    FrontendInputs: {
      context: fileIn(PROBE, program),
      dockerfile: fileIn("Dockerfile", Buffer.from(dockerfile)),
    },
  };
}

/** One message of gRPC may have 16 MB on buildkitd's side. */
const PART_BYTES = 10_000_000;

/** Sends `megabytes` into the builder's cache, or what can be sent in `boundMs`; noise, which nothing compresses. */
export async function sendProbe(
  control: Control,
  megabytes: number,
  boundMs: number,
): Promise<{ bytes: number; ms: number }> {
  const noise = randomBytes(PART_BYTES);
  const started = performance.now();
  const spent = () => performance.now() - started;
  let bytes = 0;
  try {
    while (bytes < megabytes * 1e6 && spent() < boundMs) {
      // Another digest each time, or the builder would have it already.
      noise.writeUInt32LE(bytes / PART_BYTES + 1, 0);
      await control.solve(
        {
          Ref: `${PROBE}-${randomBytes(8).toString("hex")}`,
          Definition: fileIn(`${PROBE}-sent`, noise),
        },
        Math.max(boundMs - spent(), 5_000),
      );
      bytes += noise.length;
    }
    return { bytes, ms: spent() };
  } finally {
    await removeProbes(control);
  }
}

async function removeProbes(control: Control): Promise<void> {
  const request = {
    filter: [`description~=${PROBE}`],
    all: false,
    keepDuration: 0,
    reservedSpace: 0,
  };
  // The record is small, and leaves with the oldest part of the cache.
  await control.prune(request, () => {}, PRUNE_MS).catch(() => {});
}

/** LLB: an empty file system with one file in it. */
function fileIn(name: string, data: Buffer): LlbDefinition {
  const make = encoded("Op", {
    file: {
      actions: [
        {
          input: -1,
          secondaryInput: -1,
          output: 0,
          mkfile: { path: `/${name}`, mode: 0o644, data, timestamp: -1 },
        },
      ],
    },
  });
  const made = digestOf(make);
  const result = encoded("Op", { inputs: [{ digest: made, index: 0 }] });
  return {
    def: [make, result],
    metadata: {
      [made]: { ignore_cache: true, description: { "llb.customname": `${PROBE}: make ${name}` } },
      [digestOf(result)]: {},
    },
  };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

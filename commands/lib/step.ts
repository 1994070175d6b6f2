import { createHash, randomBytes } from "node:crypto";
import { type Control, encoded, type LlbDefinition, type Worker } from "./control.ts";

/** In the name of every file that a probe leaves in a builder's cache, so that they can be found and taken away. */
const PROBE = "buildhosts-probe";

/** How long the cache of a busy builder may take to let them go. */
const PRUNE_MS = 30_000;

/**
 * Builds an image of one program on the builder, with BuildKit's own Dockerfile frontend, and runs that program in a step:
 * what every build needs, without a registry. The files go with the question, so that no session is needed.
 *
 * @returns milliseconds, or undefined where there is no program for the builder's processor.
 */
export async function buildProbe(
  control: Control,
  workers: Worker[],
  boundMs: number,
): Promise<number | undefined> {
  const architecture = workers[0]?.platforms[0]?.Architecture ?? "";
  const program = smallestProgram(architecture);
  if (!program) return undefined;
  const dockerfile = [
    "FROM scratch",
    `COPY --chmod=755 ${PROBE} /${PROBE}`,
    `RUN ["/${PROBE}"]`,
    "",
  ].join("\n");
  const started = performance.now();
  try {
    await control.solve(
      {
        Ref: `${PROBE}-${randomBytes(8).toString("hex")}`,
        Frontend: "dockerfile.v0",
        FrontendAttrs: { "no-cache": "" },
        FrontendInputs: {
          context: fileIn(PROBE, program),
          dockerfile: fileIn("Dockerfile", Buffer.from(dockerfile)),
        },
      },
      boundMs,
    );
    return performance.now() - started;
  } finally {
    await removeProbes(control);
  }
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
  // What stays is small, and goes with the oldest of the cache.
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

/**
 * The smallest program that Linux runs on that processor: an ELF header, one segment, and exit(0). The same as in
 * components/board/boardctl/activate.sh.
 */
export function smallestProgram(architecture: string): Buffer | undefined {
  const machines: Record<string, { machine: number; code: number[] }> = {
    amd64: { machine: 62, code: [0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, 0, 0, 0] },
    arm64: { machine: 183, code: [0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4] },
    riscv64: { machine: 243, code: [0x13, 5, 0, 0, 0x93, 8, 0xd0, 5, 0x73, 0, 0, 0] },
  };
  const found = machines[architecture];
  if (!found) return undefined;
  const elf = Buffer.alloc(132);
  const [address, start] = [0x400000n, 120];
  elf.write("\u007fELF\u0002\u0001\u0001", "latin1");
  elf.writeUInt16LE(2, 16); // an executable
  elf.writeUInt16LE(found.machine, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(address + BigInt(start), 24); // where it begins
  elf.writeBigUInt64LE(64n, 32); // the one segment's header
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64); // loaded,
  elf.writeUInt32LE(5, 68); // read and executed
  elf.writeBigUInt64LE(address, 80);
  elf.writeBigUInt64LE(BigInt(elf.length), 96);
  elf.writeBigUInt64LE(BigInt(elf.length), 104);
  elf.writeBigUInt64LE(0x1000n, 112);
  elf.set(found.code, start);
  return elf;
}

import { isIPv4 } from "node:net";

/**
 * Programs for a step of a build that has no registry to take one from: a few system calls one after the other, as a
 * static ELF file for Linux. They stand here as source, so that everybody can read what runs on a builder.
 */
export interface SystemCall {
  name: keyof typeof genericNumbers;
  args: (number | Argument)[];
  /** Whether its result is kept, for `kept`. */
  keep?: boolean;
}

type Argument =
  /** Bytes of the program: their address. */
  | { bytes: Buffer }
  /** The result of the call that was told to keep it. */
  | "kept"
  /** The result of the call before. */
  | "last"
  /** Room for what is read. */
  | "buffer";

const BUFFER_BYTES = 16_384;

/** arm64's and riscv64's: newer architectures share them. */
const genericNumbers = {
  ...{ openat: 56, read: 63, write: 64, exit: 93 },
  ...{ socket: 198, connect: 203, sendto: 206, setsockopt: 208 },
};

interface Processor {
  /** `e_machine` of ELF. */
  machine: number;
  numbers: typeof genericNumbers;
  /** The instructions that put a number into the register of argument `index`, or of the call's own number (-1). */
  load(index: number, value: number): Buffer;
  copy(index: number, from: "kept" | "last"): Buffer;
  call: Buffer;
  keep: Buffer;
}

const words = (...all: number[]) => {
  const buffer = Buffer.alloc(all.length * 4);
  for (const [i, word] of all.entries()) buffer.writeUInt32LE(word >>> 0, i * 4);
  return buffer;
};

/** rdi, rsi, rdx, r10, r8, r9. */
const amd64Registers = [7, 6, 2, 10, 8, 9];

const processors: Record<string, Processor> = {
  amd64: {
    machine: 62,
    numbers: {
      ...{ openat: 257, read: 0, write: 1, exit: 60 },
      ...{ socket: 41, connect: 42, sendto: 44, setsockopt: 54 },
    },
    load(index, value) {
      const register = index < 0 ? 0 : (amd64Registers[index] ?? 0);
      // mov register, sign-extended 32 bits
      const code = Buffer.from([
        register > 7 ? 0x49 : 0x48,
        0xc7,
        0xc0 | (register & 7),
        0,
        0,
        0,
        0,
      ]);
      code.writeInt32LE(value, 3);
      return code;
    },
    copy(index, from) {
      const register = amd64Registers[index] ?? 0;
      // mov register, rbx or rax
      const source = from === "kept" ? 3 : 0;
      return Buffer.from([register > 7 ? 0x49 : 0x48, 0x89, 0xc0 | (source << 3) | (register & 7)]);
    },
    call: Buffer.from([0x0f, 0x05]),
    // mov rbx, rax
    keep: Buffer.from([0x48, 0x89, 0xc3]),
  },
  arm64: {
    machine: 183,
    numbers: genericNumbers,
    load(index, value) {
      const register = index < 0 ? 8 : index;
      // movn for what is below zero, else movz and movk
      if (value < 0) return words(0x92800000 | ((~value & 0xffff) << 5) | register);
      return words(
        0xd2800000 | ((value & 0xffff) << 5) | register,
        0xf2a00000 | (((value >>> 16) & 0xffff) << 5) | register,
      );
    },
    // mov xN, x19 or x0
    copy: (index, from) => words(0xaa0003e0 | ((from === "kept" ? 19 : 0) << 16) | index),
    call: words(0xd4000001),
    keep: words(0xaa0003e0 | 19),
  },
  riscv64: {
    machine: 243,
    numbers: genericNumbers,
    load(index, value) {
      const register = index < 0 ? 17 : 10 + index;
      const low = (value << 20) >> 20;
      // lui and addiw
      return words(
        (((value - low) >>> 0) & 0xfffff000) | (register << 7) | 0x37,
        ((low & 0xfff) << 20) | (register << 15) | (register << 7) | 0x1b,
      );
    },
    // mv aN, s1 or a0
    copy: (index, from) => words(((from === "kept" ? 9 : 10) << 15) | ((10 + index) << 7) | 0x13),
    call: words(0x73),
    // mv s1, a0
    keep: words((10 << 15) | (9 << 7) | 0x13),
  },
};

const BASE = 0x400000;
const BUFFER = 0x800000;
const HEADERS = 64 + 2 * 56;

/** The ELF file that makes `calls` and then ends well; undefined for a processor that is not known here. */
export function stepProgram(architecture: string, calls: SystemCall[]): Buffer | undefined {
  const processor = processors[architecture];
  if (!processor) return undefined;
  const data: Buffer[] = [];
  const code: Buffer[] = [];
  let dataBytes = 0;
  const place = (bytes: Buffer): number => {
    const address = BASE + HEADERS + dataBytes;
    // Each at an address that any processor reads whole numbers from.
    const padded = Buffer.concat([bytes, Buffer.alloc(-bytes.length & 7)]);
    data.push(padded);
    dataBytes += padded.length;
    return address;
  };
  for (const { name, args, keep } of [...calls, { name: "exit", args: [0] } as SystemCall]) {
    // The last result is in a register of the first argument on some processors: it is copied before that is written.
    for (const [i, arg] of args.entries()) if (arg === "last") code.push(processor.copy(i, arg));
    for (const [i, arg] of args.entries()) {
      if (arg === "last") continue;
      if (arg === "kept") code.push(processor.copy(i, arg));
      else if (arg === "buffer") code.push(processor.load(i, BUFFER));
      else code.push(processor.load(i, typeof arg === "number" ? arg : place(arg.bytes)));
    }
    code.push(processor.load(-1, processor.numbers[name]), processor.call);
    if (keep) code.push(processor.keep);
  }
  return elf(processor.machine, Buffer.concat(data), Buffer.concat(code));
}

/** One segment with data and code, which is read and executed, and one of zeros, which is written. */
function elf(machine: number, data: Buffer, code: Buffer): Buffer {
  const header = Buffer.alloc(HEADERS);
  const length = HEADERS + data.length + code.length;
  header.write("\u007fELF\u0002\u0001\u0001", "latin1");
  header.writeUInt16LE(2, 16); // an executable
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(BASE + HEADERS + data.length), 24); // where it begins
  header.writeBigUInt64LE(64n, 32); // where the segments' headers are,
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56); // and how many
  const segment = (at: number, flags: number, address: number, inFile: number, bytes: number) => {
    header.writeUInt32LE(1, at); // loaded
    header.writeUInt32LE(flags, at + 4);
    header.writeBigUInt64LE(BigInt(address), at + 16);
    header.writeBigUInt64LE(BigInt(address), at + 24);
    header.writeBigUInt64LE(BigInt(inFile), at + 32);
    header.writeBigUInt64LE(BigInt(bytes), at + 40);
    header.writeBigUInt64LE(0x1000n, at + 48);
  };
  segment(64, 5, BASE, length, length);
  segment(120, 6, BUFFER, 0, BUFFER_BYTES);
  return Buffer.concat([header, data, code]);
}

const text = (value: string) => ({ bytes: Buffer.from(`${value}\0`) });

const AT_FDCWD = -100;
const MSG_NOSIGNAL = 0x4000;

/** Writes files to standard output, and `between` after each of them. */
export function printing(files: string[], between: string): SystemCall[] {
  return files.flatMap((file): SystemCall[] => [
    { name: "openat", args: [AT_FDCWD, text(file), 0, 0], keep: true },
    { name: "read", args: ["kept", "buffer", BUFFER_BYTES] },
    { name: "write", args: [1, "buffer", "last"] },
    { name: "write", args: [1, { bytes: Buffer.from(between) }, Buffer.byteLength(between)] },
  ]);
}

/** Sends `question` to a port, by UDP or TCP, and writes to standard output what comes back within `seconds`. */
export function asking(
  kind: "udp" | "tcp",
  { address, port }: { address: string; port: number },
  question: Buffer,
  seconds: number,
): SystemCall[] {
  const four = isIPv4(address);
  const [SOL_SOCKET, SO_RCVTIMEO, SO_SNDTIMEO] = [1, 20, 21];
  const time = Buffer.alloc(16);
  time.writeUInt32LE(seconds, 0);
  const bound = (option: number): SystemCall => ({
    name: "setsockopt",
    args: ["kept", SOL_SOCKET, option, { bytes: time }, time.length],
  });
  const where = four ? address4(address, port) : address6(address, port);
  return [
    { name: "socket", args: [four ? 2 : 10, kind === "udp" ? 2 : 1, 0], keep: true },
    // Of connecting and sending, and of what comes back.
    bound(SO_SNDTIMEO),
    bound(SO_RCVTIMEO),
    { name: "connect", args: ["kept", { bytes: where }, where.length] },
    // Without the signal that would end the program where nobody is.
    { name: "sendto", args: ["kept", { bytes: question }, question.length, MSG_NOSIGNAL, 0, 0] },
    { name: "read", args: ["kept", "buffer", 512] },
    { name: "write", args: [1, "buffer", "last"] },
  ];
}

function address4(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(2, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split(".").map(Number), 4);
  return bytes;
}

function address6(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(10, 0);
  bytes.writeUInt16BE(port, 2);
  const groups = (half: string) => (half === "" ? [] : half.split(":"));
  const [head = "", tail] = address.split("::");
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array<string>(8 - before.length - after.length).fill("0");
  for (const [i, group] of [...before, ...zeros, ...after].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), 8 + 2 * i);
  return bytes;
}

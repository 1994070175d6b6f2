import {
  type Architecture,
  architectures,
  type Platform,
} from "../../proving-ground/board/architectures.ts";
import { unable } from "../../proving-ground/board/native/host.ts";

/**
 * What the boards and Docker hosts of the tests are: native ones where this machine can have them, ten times as fast as the
 * emulated ones otherwise. What is about riscv64 names it. BUILDHOSTS_TEST_PLATFORM=linux/riscv64 has all run there.
 */
export const boardPlatform: Platform =
  (process.env.BUILDHOSTS_TEST_PLATFORM as Platform | undefined) ??
  (unable() ? "linux/riscv64" : "linux/amd64");

const architecture: Architecture = architectures[boardPlatform];

/** `amd64`: in names of packages and of release assets. */
export const boardArchitecture: string = architecture.debian;

/** What `uname -m` says on each platform. */
export const machines: Record<Platform, string> = {
  "linux/amd64": "x86_64",
  "linux/arm64": "aarch64",
  "linux/riscv64": "riscv64",
};

/** What `uname -m` says on the boards. */
export const boardMachine: string = machines[boardPlatform];

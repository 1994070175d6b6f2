import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import type Docker from "dockerode";
import { boardctlPart } from "../board/boardctl.ts";
import { plainText } from "./handOver.ts";
import type { Place } from "./place.ts";

/** What boards execute as well, and what runs it here. */
export const stepScript: string = [
  boardctlPart("step"),
  readFileSync(join(import.meta.dirname, "step.sh"), "utf8"),
].join("\n");

/** A little longer than the step itself may take. */
const SECONDS = 150;

/** What a shell says of a program that it does not find or may not run, and docker of a shell. */
const NOT_TRIED = [126, 127];
const TOO_LATE = 124;

/**
 * Why a step of a build does not run in the builder's container; nothing where it ran, or could not be tried: the image has
 * no shell, or other builds have all the room there is.
 */
export async function stepRefusal(
  docker: Docker,
  place: Place,
  socket: string,
): Promise<string | undefined> {
  const exec = await docker.getContainer(place.container).exec({
    Cmd: ["sh", "-c", stepScript, "sh", `unix://${socket}`],
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await exec.start({});
  const late = setTimeout(() => stream.destroy(), SECONDS * 1000);
  try {
    const said = plainText(await buffer(stream));
    const { ExitCode } = await exec.inspect();
    if (!ExitCode || NOT_TRIED.includes(ExitCode) || ExitCode === TOO_LATE) return undefined;
    return stepError(said) || `buildctl ended with status ${ExitCode}`;
  } finally {
    clearTimeout(late);
  }
}

/** What the step or runc said, or else how the build ended. */
function stepError(log: string): string {
  const lines = log.split("\n").filter((line) => line.trim() !== "");
  const ofStep = lines.find((line) => /^#\d+ [\d.]+ /.test(line))?.replace(/^#\d+ [\d.]+ /, "");
  return (ofStep ?? lines.at(-1) ?? "").trim().slice(0, 300);
}

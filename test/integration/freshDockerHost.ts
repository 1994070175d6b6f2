import { inject } from "vitest";
import { findVirtualBoard } from "../../proving-ground/board/virtualBoard.ts";
import {
  dockerInstance,
  startVirtualDockerHost,
  type VirtualDockerHost,
  type VirtualDockerHostOptions,
} from "../../proving-ground/docker/virtualDockerHost.ts";
import { toStderr as log } from "../../runtime/progress.ts";
import { boardPlatform } from "./boardPlatform.ts";

/**
 * A virtual Docker host of this worker, new, whatever the file before has left there.
 *
 * @param name what tells it from the worker's other hosts: those of another kind have a disk of their own.
 */
export async function freshDockerHost(
  name = "",
  {
    platform = boardPlatform,
    kind,
  }: Partial<Pick<VirtualDockerHostOptions, "kind" | "platform">> = {},
): Promise<VirtualDockerHost> {
  const instance = `${inject("ground").instance}${name}-${process.env.VITEST_POOL_ID}`;
  await (await findVirtualBoard(dockerInstance(instance), platform))?.stop();
  return startVirtualDockerHost({ ...(kind && { kind }), platform, instance, log });
}

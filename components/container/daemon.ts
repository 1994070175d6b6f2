import type Docker from "dockerode";

export function inspect(
  docker: Docker,
  name: string,
): Promise<Docker.ContainerInspectInfo | undefined> {
  return unlessMissing(docker.getContainer(name).inspect());
}

export async function unlessMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isAnswer(error, 404)) return undefined;
    throw error;
  }
}

/** Whether the daemon answered with one of those states. */
export function isAnswer(error: unknown, ...statuses: number[]): boolean {
  return statuses.includes((error as { statusCode?: number }).statusCode ?? 0);
}

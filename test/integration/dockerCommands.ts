import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { ensureUnpacked } from "../../proving-ground/debian/packages.ts";
import type { DockerHostConnection } from "../../proving-ground/docker/virtualDockerHost.ts";
import { thisMachine } from "../../runtime/golang.ts";
import type { Progress } from "../../runtime/progress.ts";

const plugin = "usr/libexec/docker/cli-plugins/docker-buildx";

function ensureCommands(log: Progress): Promise<string> {
  const names = ["docker-buildx", "docker-cli"];
  return ensureUnpacked({ suite: "trixie", architecture: thisMachine.goarch, names }, log);
}

/** Debian's buildx for this machine, as a program of its own. */
export async function ensureBuildx(log: Progress): Promise<string> {
  return join(await ensureCommands(log), plugin);
}

/**
 * The environment in which `docker`, with buildx, is Debian's, and works on a virtual Docker host over TLS.
 *
 * @param folder an empty one, for docker's configuration.
 */
export async function dockerEnvironment(
  folder: string,
  { host, dockerPort, docker }: DockerHostConnection,
  log: Progress,
): Promise<Record<string, string>> {
  const root = await ensureCommands(log);
  await mkdir(join(folder, "cli-plugins"), { recursive: true });
  await symlink(join(root, plugin), join(folder, "cli-plugins/docker-buildx"));
  const env = { PATH: `${join(root, "usr/bin")}:${process.env.PATH}`, DOCKER_CONFIG: folder };
  // buildx takes no TLS from DOCKER_HOST and its like.
  const { caFile, certFile, keyFile } = docker;
  const endpoint = `host=tcp://${host}:${dockerPort},ca=${caFile},cert=${certFile},key=${keyFile}`;
  await execa("docker", ["context", "create", "virtual", "--docker", endpoint], { env });
  return { ...env, DOCKER_CONTEXT: "virtual" };
}

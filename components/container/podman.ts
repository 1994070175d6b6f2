import type Docker from "dockerode";
import semver from "semver";

/**
 * Inputs of a container that nothing here sets, and that Podman fills in by itself: the provider would see changes in
 * them, and replace the container at each update. Docker leaves them empty.
 */
export const FILLED_BY_PODMAN = ["capabilities", "pidMode", "ulimits", "usernsMode"];

/** Podman's version, if it is what answers at a daemon's address; otherwise undefined. */
export async function podmanVersion(docker: Docker): Promise<string | undefined> {
  const { Components } = await docker.version();
  return Components?.find(({ Name }) => Name === "Podman Engine")?.Version;
}

/** From here on `podman-restart.service` starts containers with `unless-stopped` as Docker does. */
const RESTARTS_UNLESS_STOPPED = "5.8.2";

/** Whether that Podman leaves a container with that restart policy alone after the host has booted. */
export function isForgottenAtBoot(version: string, restart: string): boolean {
  return (
    restart === "unless-stopped" &&
    semver.lt(semver.coerce(version) ?? "0.0.0", RESTARTS_UNLESS_STOPPED)
  );
}

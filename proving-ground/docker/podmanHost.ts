import { join } from "node:path";
import { contentKey } from "../../runtime/makeOnce.ts";
import { type BoardPackages, installPackages, packagesKey, run } from "../board/preparation.ts";
import type { BoardKind, VirtualBoard } from "../board/virtualBoard.ts";

const packages: BoardPackages = {
  names: [
    ...["podman", "podman-docker", "conmon", "crun", "netavark", "aardvark-dns", "nftables"],
    ...["golang-github-containers-common", "golang-github-containers-image"],
    ...["libassuan9", "libatomic1", "libglib2.0-0t64", "libgpg-error0", "libgpgme11t64"],
    ...["libjansson4", "libnftables1", "libyajl2"],
  ],
  script: join(import.meta.dirname, "prepare-podman.sh"),
};

/** The kind of board that a virtual Podman host is: Podman with root, no container and no image. */
export const podmanHostKind: BoardKind = {
  name: "virtual-podman-host",
  ports: [],
  preparation: {
    key: async () => contentKey(...(await packagesKey(packages))),
    run: (board, _, log) =>
      log.step("install Podman on it", () => installPackages(board, packages, log)),
  },
  connection: (base) => base,
};

/** Podman's Docker-compatible socket on its host. */
export const PODMAN_SOCKET = "/run/podman/podman.sock";

/** Has the host's Podman ask the registry at `port` of this machine's loopback for images of Docker Hub. */
export async function mirrorDockerHubForPodman(host: VirtualBoard, port: number): Promise<void> {
  const settings = `
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "${host.connection.gateway}:${port}"
insecure = true
`;
  await run(host, "cat >/etc/containers/registries.conf.d/docker-hub.conf", settings);
}

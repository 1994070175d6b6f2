/** The credentials for a registry. */
export interface RegistryLogin {
  /** The registry's host, with its port if it has one. */
  readonly registry: string;
  readonly serverAddress: string;
  readonly username: string;
  readonly password: string;
}

const DOCKER_HUB = "registry-1.docker.io";

/** The registry that a pull of `image` asks, by the official plugin's reckoning. */
export function registryOf(image: string): string {
  const [first = "", ...rest] = image.split("/");
  const isHost =
    rest.length > 1 || (rest.length > 0 && (/[.:]/.test(first) || first === "localhost"));
  return isHost ? first : DOCKER_HUB;
}

/** The host in a registry's address, which may be a URL. */
export function registryHost(address: string): string {
  return address.replace(/^https?:\/\//, "").split("/")[0] ?? "";
}

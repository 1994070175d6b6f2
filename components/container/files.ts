import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BuildkitdSettings } from "../buildkitd/schema.ts";
import { renderBuildkitdToml } from "../buildkitd/toml.ts";

/** The port that buildkitd listens on inside of its container. */
export const INNER_PORT = 1234;

/** What differs between upstream's two images: `docs/rootless.md` of BuildKit, and its Dockerfile. */
export interface ContainerLayout {
  /** The local socket, without `unix://`: where `docker-container://` finds the daemon. */
  socket: string;
  /** The cache, a volume. */
  root: string;
  /** Of uploaded files; they belong to root. */
  secretMode: string;
}

export function containerLayout(rootless: boolean): ContainerLayout {
  return rootless
    ? {
        socket: "/run/user/1000/buildkit/buildkitd.sock",
        root: "/home/user/.local/share/buildkit",
        // The daemon is user 1000, and nobody else is in the container; build steps see none of it.
        secretMode: "0644",
      }
    : { socket: "/run/buildkit/buildkitd.sock", root: "/var/lib/buildkit", secretMode: "0600" };
}

export const CONFIG_FILE = "/etc/buildkit/buildkitd.toml";
const WRAPPER_FILE = "/etc/buildkit/runc-with-proxies";

const wrapper = readFileSync(join(import.meta.dirname, "runc-with-proxies.sh"), "utf8");

export interface ContainerFilesInputs {
  network: "bridge" | "host";
  rootless: boolean;
  /** Whether build steps get the proxies of the daemon's environment. */
  proxies: boolean;
  settings: BuildkitdSettings;
}

/** A file to be uploaded, without its secret ones. */
export interface ContainerFile {
  file: string;
  content: string;
  permissions: string;
}

/** buildkitd.toml, and the runc of build steps where they shall have proxies. */
export function containerFiles(c: ContainerFilesInputs): ContainerFile[] {
  const layout = containerLayout(c.rootless);
  const toml = renderBuildkitdToml({
    settings: { ...c.settings, root: layout.root },
    worker: "oci",
    network: c.network,
    rootless: c.rootless,
    addresses: [`tcp://0.0.0.0:${INNER_PORT}`, `unix://${layout.socket}`],
    tls: {
      ca: "/etc/buildkit/ca.pem",
      cert: "/etc/buildkit/cert.pem",
      key: "/etc/buildkit/key.pem",
    },
    runc: c.proxies ? WRAPPER_FILE : undefined,
  });
  return [
    { file: CONFIG_FILE, content: toml, permissions: layout.secretMode },
    ...(c.proxies ? [{ file: WRAPPER_FILE, content: wrapper, permissions: "0755" }] : []),
  ];
}

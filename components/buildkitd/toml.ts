import { stringify, type TomlTable, type TomlValue } from "smol-toml";
import {
  type BuildkitdSettings,
  buildkitdSettings,
  type ContainerdRuntimeSettings,
  type WorkerSettings,
} from "./schema.ts";

/** Where BuildKit keeps its state when the settings name no `root`. */
export const defaultRoot = "/var/lib/buildkit";

/**
 * The same for a rootless daemon. A folder of its own: the files of one cache belong to users that the
 * other kind of daemon does not have.
 */
export const defaultRootlessRoot = "/var/lib/buildkit-rootless";

/** The network of RUN steps that BuildKit makes when the settings name no other. */
export const defaultBridge = { name: "buildkit0", subnet: "10.10.0.0/16" } as const;

/** The network of a board that names none: RootlessKit's children cannot make a bridge on the host. */
export const defaultNetwork = (rootless: boolean): BuildkitdNetwork =>
  rootless ? "host" : "bridge";

/** The socket of the containerd that a board's units start. */
export const containerdSocket = "/run/containerd/containerd.sock";

/** The one worker that a buildkitd runs. */
export type BuildkitdWorker = "oci" | "containerd";

/** The network of `RUN` steps: a bridge of their own behind NAT, or the host's network. */
export type BuildkitdNetwork = "bridge" | "host";

/** Absolute paths on the board. */
export interface BuildkitdTlsPaths {
  /** Authority of the client certificates; its presence makes them required. */
  ca: string;
  cert: string;
  key: string;
}

/** Everything that decides the content of a buildkitd.toml. */
export interface BuildkitdTomlArgs {
  /** The user's settings; buildkitd has its own defaults for the others. */
  settings: BuildkitdSettings;
  worker: BuildkitdWorker;
  network: BuildkitdNetwork;
  /** In buildkitd's form, for example `unix:///run/buildkit/buildkitd.sock`, `tcp://0.0.0.0:1234`, `fd://`. */
  addresses: string[];
  tls: BuildkitdTlsPaths;
  /** Absolute path of the runc that either worker uses. Default: the one that buildkitd finds on its PATH. */
  runc?: string;
  rootless: boolean;
  /** `127.0.0.1:6060`: metrics and pprof, without authentication. Default: none. */
  metricsAddress?: string;
}

/** Settings that only one of the workers has; the other would ignore them without a word. */
export const keysOfOneWorker = {
  oci: ["noProcessSandbox", "proxySnapshotterPath", "stargzSnapshotter"],
  containerd: ["namespace", "runtime"],
} as const satisfies Record<BuildkitdWorker, readonly (keyof WorkerSettings)[]>;

const header = `# Written by buildhosts: what is changed here is overwritten. Change the stack's configuration instead.
`;

/**
 * The text of a buildkitd.toml. The same arguments give the same bytes, whatever the order of their
 * keys, so that a file changes only when a decision does.
 *
 * @throws for an unknown section, and for a setting of the worker that the board does not run.
 */
export function renderBuildkitdToml(args: BuildkitdTomlArgs): string {
  // buildkitd ignores an unknown section without a word.
  const sections = Object.keys(buildkitdSettings.shape);
  for (const key of Object.keys(args.settings)) {
    if (sections.includes(key)) continue;
    throw new Error(`buildkitd.${key}: unknown key; known are ${sections.join(", ")}`);
  }
  const other = args.worker === "oci" ? "containerd" : "oci";
  for (const key of keysOfOneWorker[other]) {
    if (args.settings.worker?.[key] !== undefined) {
      throw new Error(
        `buildkitd.worker.${key}: only the ${other} worker has it, and this one is ${args.worker}; remove it or change the worker`,
      );
    }
  }
  const { worker, registry, ...rest } = args.settings;
  const document = {
    ...rest,
    root: rest.root ?? (args.rootless ? defaultRootlessRoot : defaultRoot),
    grpc: {
      ...rest.grpc,
      address: args.addresses,
      debugAddress: args.metricsAddress,
      tls: { ca: args.tls.ca, cert: args.tls.cert, key: args.tls.key },
    },
    worker: workerTables(args),
    registry,
  };
  return header + stringify(sorted(document));
}

/**
 * Both workers' tables. The one that is not chosen is switched off by name: left out, it would be
 * detected, and the first of two workers serves every build.
 */
function workerTables(args: BuildkitdTomlArgs): Record<BuildkitdWorker, object> {
  const common = {
    ...args.settings.worker,
    enabled: true,
    networkMode: args.network,
    rootless: args.rootless ? true : undefined,
  };
  return args.worker === "oci"
    ? { oci: { ...common, binary: args.runc }, containerd: { enabled: false } }
    : {
        oci: { enabled: false },
        containerd: {
          ...common,
          address: containerdSocket,
          runtime: containerdRuntime(args.settings.worker, args.runc),
        },
      };
}

const runcRuntime = "io.containerd.runc.v2";

/** The runtime by name, because buildkitd drops `options` where `name` is missing. */
function containerdRuntime(worker: WorkerSettings | undefined, runc: string | undefined): object {
  const runtime: ContainerdRuntimeSettings = { name: runcRuntime, ...worker?.runtime };
  return runtime.name === runcRuntime
    ? { ...runtime, options: { ...runtime.options, BinaryName: runc } }
    : runtime;
}

/** A copy with the keys of every table in alphabetical order, and without what is undefined. */
function sorted(table: object): TomlTable {
  return Object.fromEntries(
    Object.entries(table)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [key, sortedValue(value)]),
  );
}

function sortedValue(value: unknown): TomlValue {
  if (Array.isArray(value)) return value.map(sortedValue);
  return typeof value === "object" && value !== null ? sorted(value) : (value as TomlValue);
}

import type { Attribute, Attributes } from "../provider/plan.ts";
import type { Shape } from "../provider/shapes.ts";
import { BOOLEAN, COUNT, LABELS, NOT_HERE, NUMBER, STRING, STRINGS, TEXTS } from "./attributes.ts";
import type { Label } from "./dockerResource.ts";

/** The inputs of a container, with the defaults of those not set. */
export interface ContainerInputs {
  readonly name: string;
  readonly image: string;
  readonly rm: boolean;
  readonly readOnly: boolean;
  readonly start: boolean;
  readonly wait: boolean;
  readonly waitTimeout: number;
  readonly attach: boolean;
  readonly logs: boolean;
  readonly mustRun: boolean;
  readonly restart: string;
  readonly maxRetryCount?: number;
  readonly removeVolumes: boolean;
  readonly destroyGraceSeconds?: number;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly command?: readonly string[];
  readonly entrypoints?: readonly string[];
  readonly user?: string;
  readonly workingDir?: string;
  readonly envs?: readonly string[];
  readonly labels?: readonly Label[];
  readonly dns?: readonly string[];
  readonly dnsOpts?: readonly string[];
  readonly dnsSearches?: readonly string[];
  readonly hosts?: readonly { readonly host: string; readonly ip: string }[];
  readonly publishAllPorts?: boolean;
  readonly ports?: readonly Port[];
  readonly networkMode: string;
  readonly networksAdvanced?: readonly AttachedNetwork[];
  readonly privileged?: boolean;
  readonly securityOpts?: readonly string[];
  readonly capabilities?: { readonly adds?: readonly string[]; readonly drops?: readonly string[] };
  readonly devices?: readonly Device[];
  readonly ulimits?: readonly {
    readonly name: string;
    readonly soft: number;
    readonly hard: number;
  }[];
  readonly volumes?: readonly ContainerVolume[];
  readonly mounts?: readonly Mount[];
  readonly tmpfs?: { readonly [path: string]: string };
  readonly uploads?: readonly Upload[];
  readonly healthcheck?: Healthcheck;
  readonly memory?: number;
  readonly memoryReservation: number;
  readonly memorySwap?: number;
  readonly shmSize?: number;
  readonly cpus?: string;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpuShares?: number;
  readonly cpuSet?: string;
  readonly logDriver?: string;
  readonly logOpts?: { readonly [name: string]: string };
  readonly init?: boolean;
  readonly tty: boolean;
  readonly stdinOpen: boolean;
  readonly stopSignal?: string;
  readonly stopTimeout?: number;
  readonly runtime?: string;
  readonly platform?: string;
  readonly pidMode?: string;
  readonly usernsMode?: string;
  readonly ipcMode?: string;
  readonly cgroupnsMode?: string;
  readonly cgroupParent?: string;
  readonly groupAdds?: readonly string[];
  readonly sysctls?: { readonly [name: string]: string };
}

export interface Port {
  readonly internal: number;
  readonly external?: number;
  readonly ip: string;
  readonly protocol: string;
}

export interface AttachedNetwork {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
}

export interface Device {
  readonly hostPath: string;
  readonly containerPath?: string;
  readonly permissions: string;
}

export interface ContainerVolume {
  readonly containerPath?: string;
  readonly fromContainer?: string;
  readonly hostPath?: string;
  readonly volumeName?: string;
  readonly readOnly?: boolean;
  readonly selinuxRelabel?: string;
}

export interface Mount {
  readonly type: string;
  readonly source?: string;
  readonly target: string;
  readonly readOnly?: boolean;
  readonly bindOptions?: { readonly propagation?: string };
}

export interface Upload {
  readonly file: string;
  readonly content?: string;
  readonly contentBase64?: string;
  readonly source?: string;
  readonly executable: boolean;
  readonly permissions?: string;
}

export interface Healthcheck {
  readonly tests?: readonly string[];
  readonly interval: string;
  readonly timeout: string;
  readonly startPeriod: string;
  readonly startInterval: string;
  readonly retries: number;
}

const REFUSED: Attribute = { shape: { kind: "any" }, unsupported: NOT_HERE };

const object = (fields: Attributes): Shape => ({ kind: "object", fields });
const set = (of: Shape): Pick<Attribute, "shape" | "unordered"> => ({
  shape: { kind: "list", of },
  unordered: true,
});
/** An input that the official plugin takes for a new container only. */
const fixed = (attribute: Attribute): Attribute => ({ ...attribute, replaces: true });
/** One that the daemon chooses where it is not set. */
const chosen = (attribute: Attribute): Attribute => ({ ...fixed(attribute), computed: true });

/** Go's durations, as Docker has them. */
const DURATION: Attribute = {
  shape: { kind: "string", pattern: /^(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+)$/ },
  unset: "0s",
};

export const CONTAINER: Attributes = {
  name: fixed({ shape: STRING, required: true }),
  image: fixed({ shape: STRING, required: true }),
  rm: { shape: BOOLEAN, unset: false },
  readOnly: fixed({ shape: BOOLEAN, unset: false }),
  start: { shape: BOOLEAN, unset: true },
  wait: { shape: BOOLEAN, unset: false },
  waitTimeout: { shape: NUMBER, unset: 60 },
  attach: { shape: BOOLEAN, unset: false },
  logs: { shape: BOOLEAN, unset: false },
  mustRun: { shape: BOOLEAN, unset: true },
  restart: {
    shape: { kind: "string", allowed: ["no", "on-failure", "always", "unless-stopped"] },
    unset: "no",
  },
  maxRetryCount: { shape: NUMBER },
  removeVolumes: { shape: BOOLEAN, unset: true },
  destroyGraceSeconds: { shape: NUMBER },
  containerReadRefreshTimeoutMilliseconds: { shape: NUMBER, unset: 15_000 },

  hostname: chosen({ shape: STRING }),
  domainname: fixed({ shape: STRING }),
  command: chosen({ shape: STRINGS }),
  entrypoints: chosen({ shape: STRINGS }),
  user: fixed({ shape: STRING, emptyIsUnset: true }),
  workingDir: fixed({ shape: STRING, emptyIsUnset: true }),
  envs: chosen(set(STRING)),
  labels: chosen(LABELS),

  dns: fixed(set(STRING)),
  dnsOpts: fixed(set(STRING)),
  dnsSearches: fixed(set(STRING)),
  hosts: fixed(
    set(object({ host: { shape: STRING, required: true }, ip: { shape: STRING, required: true } })),
  ),
  publishAllPorts: fixed({ shape: BOOLEAN }),
  ports: fixed({
    shape: {
      kind: "list",
      of: object({
        internal: { shape: NUMBER, required: true },
        external: { shape: NUMBER, computed: true },
        ip: { shape: STRING, unset: "0.0.0.0" },
        protocol: { shape: STRING, unset: "tcp" },
      }),
    },
  }),
  networkMode: fixed({ shape: STRING, unset: "bridge" }),
  networksAdvanced: fixed(
    set(
      object({
        name: { shape: STRING, required: true },
        aliases: set(STRING),
        ipv4Address: { shape: STRING },
        ipv6Address: { shape: STRING },
        linkLocalIps: REFUSED,
        macAddress: REFUSED,
        driverOpts: REFUSED,
        gwPriority: REFUSED,
      }),
    ),
  ),

  privileged: fixed({ shape: BOOLEAN }),
  securityOpts: chosen(set(STRING)),
  // To the official plugin, this one object is a set.
  capabilities: fixed({
    shape: object({ adds: set(STRING), drops: set(STRING) }),
    unordered: true,
  }),
  devices: fixed(
    set(
      object({
        hostPath: { shape: STRING, required: true },
        containerPath: { shape: STRING },
        permissions: { shape: STRING, unset: "rwm" },
      }),
    ),
  ),
  ulimits: fixed(
    set(
      object({
        name: { shape: STRING, required: true },
        soft: { shape: NUMBER, required: true },
        hard: { shape: NUMBER, required: true },
      }),
    ),
  ),

  volumes: fixed(
    set(
      object({
        containerPath: { shape: STRING },
        fromContainer: { shape: STRING },
        hostPath: { shape: { kind: "string", pattern: /^([a-zA-Z]:[\\/]|\/)/ } },
        volumeName: { shape: STRING },
        readOnly: { shape: BOOLEAN },
        selinuxRelabel: { shape: { kind: "string", allowed: ["z", "Z"] } },
      }),
    ),
  ),
  mounts: {
    ...set(
      object({
        type: { shape: { kind: "string", allowed: ["bind", "volume", "tmpfs"] }, required: true },
        source: { shape: STRING },
        target: { shape: STRING, required: true },
        readOnly: { shape: BOOLEAN },
        bindOptions: { shape: object({ propagation: { shape: STRING } }) },
        volumeOptions: REFUSED,
        tmpfsOptions: REFUSED,
      }),
    ),
    replaces: "count",
  },
  tmpfs: { shape: TEXTS },
  uploads: fixed(
    set(
      object({
        file: { shape: STRING, required: true },
        content: { shape: STRING },
        contentBase64: {
          shape: {
            kind: "string",
            pattern: /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
          },
        },
        source: { shape: STRING },
        sourceHash: { shape: STRING },
        executable: { shape: BOOLEAN, unset: false },
        permissions: { shape: { kind: "string", pattern: /^0[0-7]{3}$/ } },
      }),
    ),
  ),

  // No change of it reaches the container: kreuzwerker/terraform-provider-docker#988.
  healthcheck: {
    shape: object({
      tests: { shape: STRINGS },
      interval: DURATION,
      timeout: DURATION,
      startPeriod: DURATION,
      startInterval: DURATION,
      retries: { shape: COUNT, unset: 0 },
    }),
    computed: true,
  },

  memory: { shape: COUNT },
  memoryReservation: { shape: COUNT, unset: 0 },
  memorySwap: { shape: { kind: "number", minimum: -1 } },
  shmSize: chosen({ shape: COUNT }),
  cpus: fixed({ shape: { kind: "string", pattern: /^\d+(\.\d{0,9})?$/ } }),
  cpuPeriod: { shape: COUNT },
  cpuQuota: { shape: COUNT },
  cpuShares: { shape: COUNT },
  cpuSet: { shape: { kind: "string", pattern: /^\d+([,-]\d+)*$/ } },

  logDriver: chosen({ shape: STRING }),
  logOpts: fixed({ shape: TEXTS }),
  init: { shape: BOOLEAN, computed: true },
  tty: fixed({ shape: BOOLEAN, unset: false }),
  stdinOpen: fixed({ shape: BOOLEAN, unset: false }),
  stopSignal: chosen({ shape: STRING }),
  stopTimeout: chosen({ shape: NUMBER }),
  runtime: chosen({ shape: STRING }),
  platform: chosen({ shape: STRING }),
  pidMode: fixed({ shape: STRING }),
  usernsMode: fixed({ shape: STRING }),
  ipcMode: chosen({ shape: STRING }),
  cgroupnsMode: fixed({ shape: { kind: "string", allowed: ["private", "host"] } }),
  cgroupParent: fixed({ shape: STRING }),
  groupAdds: fixed(set(STRING)),
  sysctls: fixed({ shape: TEXTS }),

  deviceReadBps: REFUSED,
  deviceReadIops: REFUSED,
  deviceWriteBps: REFUSED,
  deviceWriteIops: REFUSED,
  deviceRequests: REFUSED,
  gpus: REFUSED,
  storageOpts: REFUSED,
};

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  type Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type Metadata,
  type ServiceClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";
import { socketAddress } from "../../components/socketAddress.ts";
import type { ClientFiles } from "./clientFiles.ts";
import type { KnownBuilder } from "./knownStack.ts";

const definition = loadSync(join(import.meta.dirname, "control.proto"), {
  keepCase: true,
  // No number of BuildKit's that is shown here is near 2^53.
  longs: Number,
  enums: String,
  defaults: true,
  includeDirs: [join(import.meta.dirname)],
});

const ControlClient = (
  loadPackageDefinition(definition) as unknown as {
    moby: { buildkit: { v1: { Control: ServiceClientConstructor } } };
  }
).moby.buildkit.v1.Control;

/** Of a fake buildkitd in tests, too. */
export const controlService: ServiceClientConstructor["service"] = ControlClient.service;

/** A message of control.proto as bytes: LLB has its steps as such. */
export function encoded(message: string, value: object): Buffer {
  const type = definition[`moby.buildkit.v1.${message}`] as MessageTypeDefinition<object, object>;
  return type.serialize(value);
}

export interface Timestamp {
  seconds: number;
  nanos: number;
}

export interface GcPolicy {
  all: boolean;
  keepDuration: number;
  reservedSpace: number;
  maxUsedSpace: number;
  minFreeSpace: number;
  filters: string[];
}

export interface Worker {
  ID: string;
  Labels: Record<string, string>;
  platforms: { Architecture: string; OS: string; Variant: string }[];
  GCPolicy: GcPolicy[];
}

export interface UsageRecord {
  ID: string;
  Mutable: boolean;
  InUse: boolean;
  Size: number;
  CreatedAt: Timestamp | null;
  LastUsedAt: Timestamp | null;
  UsageCount: number;
  Description: string;
  RecordType: string;
  Shared: boolean;
}

export interface BuildRecord {
  Ref: string;
  Frontend: string;
  FrontendAttrs: Record<string, string>;
  error: { code: number; message: string } | null;
  CreatedAt: Timestamp | null;
  CompletedAt: Timestamp | null;
  numCachedSteps: number;
  numTotalSteps: number;
  numCompletedSteps: number;
}

export interface StatusResponse {
  vertexes: {
    digest: string;
    name: string;
    cached: boolean;
    started: Timestamp | null;
    completed: Timestamp | null;
    error: string;
  }[];
  logs: { vertex: string; msg: Buffer }[];
  warnings: { vertex: string; short: Buffer }[];
}

export interface PruneRequest {
  filter: string[];
  all: boolean;
  /** Nanoseconds. */
  keepDuration: number;
  reservedSpace: number;
}

export interface LlbDefinition {
  def: Buffer[];
  metadata: Record<string, { ignore_cache?: boolean; description?: Record<string, string> }>;
}

/** How long a builder may take to answer a question about itself. */
export const ANSWER_MS = 5_000;

/**
 * A conversation with one buildkitd over mutual TLS, in BuildKit's own API. Nothing is sent before the first question; each
 * question has an end.
 */
export class Control {
  readonly #client: Client & Record<string, unknown>;
  #serverCertificate: X509Certificate | undefined;

  constructor(builder: Pick<KnownBuilder, "host" | "port" | "serverName">, files: ClientFiles) {
    const { host, port, serverName } = builder;
    const keep = (_: string, certificate: PeerCertificate) => {
      this.#serverCertificate = new X509Certificate(certificate.raw);
      return checkServerIdentity(serverName, certificate);
    };
    this.#client = new ControlClient(
      socketAddress({ address: host, port }),
      credentials.createSsl(
        Buffer.from(files.ca),
        Buffer.from(files.key),
        Buffer.from(files.cert),
        {
          checkServerIdentity: keep,
        },
      ),
      {
        // An address is no name that a client may ask a server for; buildkitd has one certificate for all names.
        "grpc.ssl_target_name_override": isIP(serverName) ? "localhost" : serverName,
        "grpc.default_authority": serverName,
        // As buildctl and buildx do it: a proxy for the web does not lead to builders.
        "grpc.enable_http_proxy": 0,
        // A list of a large cache is larger than 4 MB.
        "grpc.max_receive_message_length": -1,
        // Two builders at one address have certificates of their own.
        "grpc.use_local_subchannel_pool": 1,
      },
    ) as Client & Record<string, unknown>;
  }

  /** The certificate that the builder presented; undefined if the TLS handshake ended earlier. */
  get serverCertificate(): X509Certificate | undefined {
    return this.#serverCertificate;
  }

  close(): void {
    this.#client.close();
  }

  async version(boundMs?: number): Promise<string> {
    const { buildkitVersion } = await this.#ask<{ buildkitVersion: { version: string } | null }>(
      "Info",
      {},
      boundMs,
    );
    return buildkitVersion?.version ?? "";
  }

  async workers(boundMs?: number): Promise<Worker[]> {
    return (await this.#ask<{ record: Worker[] }>("ListWorkers", {}, boundMs)).record;
  }

  async diskUsage(filter: string[] = [], boundMs?: number): Promise<UsageRecord[]> {
    return (await this.#ask<{ record: UsageRecord[] }>("DiskUsage", { filter }, boundMs)).record;
  }

  /** Builds that run, and unless `activeOnly` those that the builder remembers; and its clock. */
  async builds(
    { activeOnly = false, ref = "" }: { activeOnly?: boolean; ref?: string } = {},
    boundMs?: number,
  ): Promise<{ records: BuildRecord[]; clock: Date | undefined }> {
    const records = new Map<string, BuildRecord>();
    const metadata = await this.#listen<{ record: BuildRecord }>(
      "ListenBuildHistory",
      { ActiveOnly: activeOnly, Ref: ref, EarlyExit: true },
      ({ record }) => records.set(record.Ref, record),
      boundMs,
    );
    const [time] = metadata?.get("buildkit-current-timestamp") ?? [];
    return { records: [...records.values()], clock: time ? new Date(String(time)) : undefined };
  }

  /** The past and present events of a build, until it ends. */
  async follow(ref: string, on: (part: StatusResponse) => void, boundMs?: number): Promise<void> {
    await this.#listen<StatusResponse>("Status", { Ref: ref }, on, boundMs);
  }

  async prune(
    request: PruneRequest,
    on: (record: UsageRecord) => void,
    boundMs: number,
  ): Promise<void> {
    await this.#listen<UsageRecord>("Prune", request, on, boundMs);
  }

  /** Runs a build that exports nothing. */
  async solve(
    request: {
      Ref: string;
      Definition?: LlbDefinition;
      Frontend?: string;
      FrontendAttrs?: Record<string, string>;
      FrontendInputs?: Record<string, LlbDefinition>;
    },
    boundMs: number,
  ): Promise<void> {
    // A builder's history is for builds of its users.
    await this.#ask("Solve", { ...request, Internal: true }, boundMs);
  }

  #ask<T>(method: string, request: object, boundMs = ANSWER_MS): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = this.#client[method] as (
        request: object,
        options: object,
        done: (error: ServiceError | null, answer: T) => void,
      ) => void;
      call.call(this.#client, request, { deadline: Date.now() + boundMs }, (error, answer) =>
        error ? reject(error) : resolve(answer),
      );
    });
  }

  #listen<T>(
    method: string,
    request: object,
    on: (part: T) => void,
    boundMs: number | undefined = ANSWER_MS,
  ): Promise<Metadata | undefined> {
    return new Promise((resolve, reject) => {
      const call = this.#client[method] as (
        request: object,
        options: object,
      ) => ClientReadableStream<T>;
      const stream = call.call(this.#client, request, {
        deadline: boundMs === Number.POSITIVE_INFINITY ? undefined : Date.now() + boundMs,
      });
      let metadata: Metadata | undefined;
      stream.on("metadata", (got) => {
        metadata = got;
      });
      stream.on("data", on);
      stream.on("error", reject);
      stream.on("end", () => resolve(metadata));
    });
  }
}

export function dateOf(time: Timestamp | null): Date | undefined {
  return time ? new Date(time.seconds * 1000 + time.nanos / 1e6) : undefined;
}

import "reflect-metadata"; // @peculiar/x509's dependency injection needs it first
import { generateKeyPairSync, webcrypto } from "node:crypto";
import {
  Metadata,
  Server,
  ServerCredentials,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { ClientFiles } from "../../commands/lib/clientFiles.ts";
import {
  type BuildRecord,
  controlService,
  type GcPolicy,
  type UsageRecord,
} from "../../commands/lib/control.ts";
import type { KnownBuilder } from "../../commands/lib/knownStack.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY = 24 * 3600 * 1000;

interface KeyPair {
  pem: string;
  publicKey: CryptoKey;
  privateKey: CryptoKey;
}

async function keyPair(): Promise<KeyPair> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const [spki, pkcs8] = [
    publicKey.export({ type: "spki", format: "der" }),
    privateKey.export({ type: "pkcs8", format: "der" }),
  ];
  return {
    pem: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    publicKey: (await webcrypto.subtle.importKey("spki", spki, ALGORITHM, true, [
      "verify",
    ])) as CryptoKey,
    privateKey: (await webcrypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, true, [
      "sign",
    ])) as CryptoKey,
  };
}

/** A CA, which signs what a test asks for. */
export class TestAuthority {
  readonly certificate: string;
  readonly #key: KeyPair;

  private constructor(certificate: string, key: KeyPair) {
    this.certificate = certificate;
    this.#key = key;
  }

  static async make(): Promise<TestAuthority> {
    const key = await keyPair();
    const certificate = await issued(key, key, 3650 * DAY, [
      new BasicConstraintsExtension(true, undefined, true),
    ]);
    return new TestAuthority(certificate, key);
  }

  async client(days = 300): Promise<ClientFiles> {
    const key = await keyPair();
    const use = new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]);
    const cert = await issued(key, this.#key, days * DAY, [use], "CN=client");
    return { ca: this.certificate, cert, key: key.pem };
  }

  async server(names: string[], days = 300): Promise<{ cert: string; key: string }> {
    const key = await keyPair();
    const cert = await issued(
      key,
      this.#key,
      days * DAY,
      [
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(
          names.map((value) => ({
            type: /^[\d.]+$/.test(value) ? ("ip" as const) : ("dns" as const),
            value,
          })),
        ),
      ],
      "CN=server",
    );
    return { cert, key: key.pem };
  }
}

let serial = 1;

async function issued(
  key: KeyPair,
  signer: KeyPair,
  lifeMs: number,
  extensions: Extension[],
  subject = "CN=test CA",
): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    serialNumber: String(serial++).padStart(2, "0"),
    subject,
    issuer: "CN=test CA",
    notBefore: new Date(Date.now() - 400 * DAY),
    notAfter: new Date(Date.now() + lifeMs),
    publicKey: key.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions,
  });
  return certificate.toString("pem");
}

/** What a fake buildkitd answers. */
export interface FakeState {
  version: string;
  architecture: string;
  policies: Partial<GcPolicy>[];
  usage: Partial<UsageRecord>[];
  builds: Partial<BuildRecord>[];
  logs: Record<string, object[]>;
  /** How far its clock is ahead. */
  aheadMs: number;
  /** What a solve ends with; undefined where it ends well. */
  solveError: string | undefined;
  /** What a program says that runs in a step. */
  inStep(program: Buffer): Buffer;
  /** Questions that are never answered. */
  silent: string[];
}

export interface FakeBuildkitd {
  state: FakeState;
  /** The requests of each method. */
  // biome-ignore lint/suspicious/noExplicitAny: as they come over the wire
  asked: Record<string, any[]>;
  builder: KnownBuilder;
  close(): void;
}

/**
 * A step with that name server and environment: the program that reads them has them, and one with a question for the name
 * server has its question back, marked as an answer, unless `isMute`.
 */
export function answeringStep({
  resolv = "nameserver 10.0.0.53\n",
  environment = "PATH=/bin\0",
  isMute = false,
} = {}) {
  return (program: Buffer): Buffer => {
    if (program.includes("/etc/resolv.conf"))
      return Buffer.from(`${resolv}\n-- buildhosts --\n${environment}\n-- buildhosts --\n`);
    if (isMute) return Buffer.alloc(0);
    if (program.includes("CONNECT ")) return Buffer.from("HTTP/1.1 200 OK\r\n\r\n");
    const name = program.indexOf("\nregistry-1");
    if (name < 0) return Buffer.alloc(0);
    const answer = Buffer.from(program.subarray(name - 12, name + 30));
    answer.writeUInt16BE(0x8180, 2);
    return answer;
  };
}

/** The Control service of BuildKit, over mutual TLS on loopback. */
export async function fakeBuildkitd(
  authority: TestAuthority,
  {
    name = "board",
    names = ["127.0.0.1"],
    days,
    ...state
  }: Partial<FakeState> & { name?: string; names?: string[]; days?: number } = {},
): Promise<FakeBuildkitd> {
  const fake: FakeState = {
    version: "v0.34.2",
    architecture: "amd64",
    policies: [{ maxUsedSpace: 20e9, all: true }],
    usage: [],
    builds: [],
    logs: {},
    aheadMs: 0,
    solveError: undefined,
    inStep: answeringStep(),
    silent: [],
    ...state,
  };
  const asked: FakeBuildkitd["asked"] = {};
  // biome-ignore lint/suspicious/noExplicitAny: gRPC's calls are untyped
  type Call = any;
  const outputs = new Map<string, PromiseWithResolvers<Buffer>>();
  const said = (ref: string) => {
    const output = outputs.get(ref) ?? Promise.withResolvers<Buffer>();
    outputs.set(ref, output);
    return output;
  };
  const unary = (method: string, answer: (call: Call) => unknown) => (call: Call, done: Call) => {
    asked[method] = [...(asked[method] ?? []), call.request];
    if (fake.silent.includes(method)) return;
    try {
      done(null, answer(call));
    } catch (error) {
      done({ code: 2, details: (error as Error).message });
    }
  };
  const stream = (method: string, parts: (call: Call) => object[]) => (call: Call) => {
    asked[method] = [...(asked[method] ?? []), call.request];
    if (fake.silent.includes(method)) return;
    const metadata = new Metadata();
    const now = new Date(Date.now() + fake.aheadMs).toISOString();
    metadata.set("buildkit-current-timestamp", now);
    call.sendMetadata(metadata);
    for (const part of parts(call)) call.write(part);
    call.end();
  };
  const implementation: UntypedServiceImplementation = {
    Info: unary("Info", () => ({ buildkitVersion: { version: fake.version } })),
    ListWorkers: unary("ListWorkers", () => ({
      record: [
        {
          ID: "worker",
          platforms: [{ OS: "linux", Architecture: fake.architecture }],
          GCPolicy: fake.policies,
        },
      ],
    })),
    DiskUsage: unary("DiskUsage", () => ({ record: fake.usage })),
    Solve: unary("Solve", ({ request }) => {
      if (fake.solveError) throw new Error(fake.solveError);
      const [file] = request.FrontendInputs.context?.def ?? [];
      if (file) said(request.Ref).resolve(fake.inStep(file));
      return {};
    }),
    ListenBuildHistory: stream("ListenBuildHistory", ({ request }) =>
      fake.builds
        .filter(({ CompletedAt }) => !request.ActiveOnly || !CompletedAt)
        .map((record) => ({ type: record.CompletedAt ? 1 : 0, record })),
    ),
    Status: (call: Call) => {
      const logs = fake.logs[call.request.Ref];
      if (logs) return stream("Status", () => logs)(call);
      // As buildkitd does, for a build that may begin any moment.
      said(call.request.Ref).promise.then((msg) =>
        stream("Status", () => [{ logs: [{ vertex: "step", msg }] }])(call),
      );
    },
    Prune: stream("Prune", ({ request }) => {
      const probes = request.filter.some((one: string) => one.includes("buildhosts-probe"));
      return probes ? [] : fake.usage.filter(({ InUse }) => !InUse);
    }),
  };
  const server = new Server({ "grpc.max_receive_message_length": 16 * 2 ** 20 });
  server.addService(controlService, implementation);
  const { cert, key } = await authority.server(names, days);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createSsl(
        Buffer.from(authority.certificate),
        [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }],
        true,
      ),
      (error, bound) => (error ? reject(error) : resolve(bound)),
    ),
  );
  return {
    state: fake,
    asked,
    builder: {
      name,
      endpoint: `tcp://127.0.0.1:${port}`,
      host: "127.0.0.1",
      port,
      platforms: ["linux/amd64"],
      serverName: names[0] ?? "127.0.0.1",
      wanted: "v0.34.2",
    },
    close: () => server.forceShutdown(),
  };
}

/** A time as protobuf has it. */
export function timestamp(ms: number) {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 };
}

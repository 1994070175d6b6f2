import * as pulumi from "@pulumi/pulumi";
import type { MockCallArgs, MockResourceArgs, Mocks } from "@pulumi/pulumi/runtime/mocks.js";

/** A resource as the engine would have been asked for it. */
export interface Registered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

/** What the engine would have been told beside the inputs. */
export interface Options {
  /** Undefined where the provider decides. */
  deleteBeforeReplace: boolean | undefined;
  ignoreChanges: string[];
  replaceOnChanges: string[];
  retainOnDelete: boolean;
}

/**
 * Answers every registration, and keeps it. Unlike the engine, the SDK's mocks accept the same URN
 * twice; these do not. They know nothing of Diff and Check: what changes cause is for the integration
 * tests to show.
 */
export class RecordingMocks implements Mocks {
  readonly registered: Registered[] = [];
  readonly options = new Map<string, Options>();

  newResource({ type, name, inputs }: MockResourceArgs) {
    if (this.registered.some((one) => one.type === type && one.name === name)) {
      throw new Error(`duplicate URN: ${type} ${name}`);
    }
    this.registered.push({ type, name, inputs });
    return { id: `${name}-id`, state: { ...inputs, ...generated(type, name) } };
  }

  call({ token }: MockCallArgs): Record<string, unknown> {
    throw new Error(`unexpected call of ${token}`);
  }

  /** The inputs of the resource of that name; each name is one resource in these tests. */
  inputs(name: string): Record<string, unknown> {
    const found = this.registered.find((one) => one.name === name && one.type.includes("/"));
    const custom = found ?? this.registered.find((one) => one.name === name);
    if (!custom) throw new Error(`no resource is called ${name}`);
    return custom.inputs;
  }

  names(): string[] {
    return this.registered.map(({ type, name }) => `${type} ${name}`).sort();
  }
}

/** What the providers would have made, recognisable by the name that it was made for. */
function generated(type: string, name: string): Record<string, unknown> {
  switch (type) {
    case "tls:index/privateKey:PrivateKey":
      return { privateKeyPem: `KEY of ${name}` };
    case "tls:index/certRequest:CertRequest":
      return { certRequestPem: `REQUEST of ${name}` };
    case "tls:index/selfSignedCert:SelfSignedCert":
    case "tls:index/locallySignedCert:LocallySignedCert":
      return {
        certPem: `CERTIFICATE of ${name}`,
        validityStartTime: "2026-01-01T00:00:00Z",
        validityEndTime: "2026-04-01T00:00:00Z",
      };
    case "docker:index/remoteImage:RemoteImage":
      return { imageId: `sha256 of ${name}` };
    default:
      return {};
  }
}

/** Runs a program under mocks, and waits until all that it registered is registered. */
export async function underMocks<T>(
  program: () => T,
  { preview = false } = {},
): Promise<{ mocks: RecordingMocks; result: T }> {
  const mocks = new RecordingMocks();
  await pulumi.runtime.setMocks(mocks, "buildhosts", "test", preview);
  acceptHooks();
  keepOptions(mocks);
  try {
    const result = program();
    await result;
    return { mocks, result };
  } finally {
    // A component that throws is registered all the same, and may not reach the mocks of the next program.
    await pulumi.runtime.disconnect();
  }
}

/** Hooks can be registered; the SDK's mocks do not know them, and nothing calls them here. */
function acceptHooks(): void {
  const accept = (_: unknown, done: (error: null, response: object) => void) => done(null, {});
  Object.assign(pulumi.runtime.getMonitor() ?? {}, {
    registerResourceHook: accept,
    registerErrorHook: accept,
  });
}

/** The SDK's mocks are shown inputs only: options are read from the requests. */
function keepOptions({ options }: RecordingMocks): void {
  const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, done) => {
    options.set(request.getName(), {
      deleteBeforeReplace: request.getDeletebeforereplacedefined()
        ? request.getDeletebeforereplace()
        : undefined,
      ignoreChanges: request.getIgnorechangesList(),
      replaceOnChanges: request.getReplaceonchangesList(),
      retainOnDelete: request.getRetainondelete() ?? false,
    });
    register(request, done);
  };
}

/** What of the SDK's monitor is read here. */
interface Monitor {
  registerResource(
    request: {
      getName(): string;
      getDeletebeforereplacedefined(): boolean;
      getDeletebeforereplace(): boolean;
      getIgnorechangesList(): string[];
      getReplaceonchangesList(): string[];
      getRetainondelete(): boolean | undefined;
    },
    done: unknown,
  ): void;
}

/** The value of an output, and whether it is secret. */
export function settled<T>(output: pulumi.Output<T>): Promise<{ value: T; secret: boolean }> {
  return new Promise((resolve, reject) => {
    output.apply((value) => {
      pulumi.isSecret(output).then((secret) => resolve({ value, secret }), reject);
    });
  });
}

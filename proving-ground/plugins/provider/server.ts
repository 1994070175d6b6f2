// Serves a plugin to the engine.
//
// `main` of @pulumi/pulumi/provider is not enough for these plugins: it drops the preview flag, the
// old inputs and the detailed diff on the way to the provider, gives it no way to log for a resource,
// and never says that it supports previews, so that every output of every changed resource would be
// unknown in a preview. What is served here is the same service, on the SDK's own protocol stubs.

import grpc from "@grpc/grpc-js";
import engineService from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import service from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import statusMessages from "@pulumi/pulumi/proto/status_pb.js";
import anyMessages from "google-protobuf/google/protobuf/any_pb.js";
import emptyMessages from "google-protobuf/google/protobuf/empty_pb.js";
import structMessages, { type Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import { type Difference, differences, topLevel } from "./differences.ts";
import {
  type Configuration,
  type Diff,
  type Existing,
  type Log,
  NotReady,
  type Plugin,
  type Resource,
} from "./plugin.ts";
import type { Failure } from "./shapes.ts";
import { decodeMap, encodeMap, type PropertyMap } from "./values.ts";

/** The engine's own bounds: text assets travel inside messages, and a busy machine is no error. */
const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": 400 * 1024 * 1024,
  "grpc.max_send_message_length": 400 * 1024 * 1024,
  "grpc.server_max_unrequested_time_in_server": 60 * 60,
};

/**
 * Serves `plugin` on a free loopback port, which it prints for the engine, until the engine ends this
 * process. `args` are the command line's: flags for logging, then the engine's address.
 */
export async function serve(plugin: Plugin, args: readonly string[]): Promise<void> {
  const server = new grpc.Server(CHANNEL_OPTIONS);
  server.addService(service.ResourceProviderService, handlers(plugin, engineAddress(args)));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  process.stdout.write(`${port}\n`);
  endWithParent();
  // By itself a signal ends Node.js without writing the compile cache, and no start would be faster
  // than the first.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
}

/** An engine that is killed ends no plugin; one that serves nobody would stay for ever. */
function endWithParent(): void {
  const parent = process.ppid;
  const watch = () => {
    if (process.ppid !== parent) process.exit(1);
  };
  setInterval(watch, 2000).unref();
}

/** The first argument that is no flag. `--tracing` is the one flag with an argument of its own. */
function engineAddress(args: readonly string[]): string | undefined {
  return args.find((arg, index) => !arg.startsWith("-") && args[index - 1] !== "--tracing");
}

function handlers(plugin: Plugin, address: string | undefined): grpc.UntypedServiceImplementation {
  const interrupted = new AbortController();
  const engine =
    address === undefined
      ? undefined
      : new engineService.EngineClient(address, grpc.credentials.createInsecure(), CHANNEL_OPTIONS);

  const resource = (urn: string): Resource => {
    const type = typeOf(urn);
    const found = plugin.resources[type];
    if (found === undefined) throw notSupported(plugin, `the resource ${type}`);
    return found;
  };

  /** Runs `work` with a log for `urn`, and answers when everything logged has arrived. */
  const logged = async <T>(urn: string, work: (log: Log) => Promise<T>): Promise<T> => {
    const log = engineLog(engine, urn);
    try {
      return await work(log);
    } finally {
      await log.delivered();
    }
  };

  const configuration = plugin.configuration ?? noConfiguration(plugin);

  return {
    getPluginInfo: unary((_: unknown, info = new pluginMessages.PluginInfo()) => {
      info.setVersion(plugin.version);
      return info;
    }),

    getSchema: unary(() => {
      const response = new messages.GetSchemaResponse();
      response.setSchema(JSON.stringify({ name: plugin.name, version: plugin.version }));
      return response;
    }),

    checkConfig: unary((request: messages.CheckRequest) => {
      const { inputs, failures } = configuration.check(mapOf(request.getNews()));
      return checkResponse({ ...inputs, ...plugin.providerInputs }, failures);
    }),

    // Another configuration is the same provider's: its resources stay.
    diffConfig: unary((request: messages.DiffRequest) =>
      diffResponse({
        changes: differences(mapOf(request.getOldInputs()), mapOf(request.getNews())),
        replaces: new Set(),
        detailed: false,
      }),
    ),

    configure: unary(async (request: messages.ConfigureRequest) => {
      await configuration.configure(mapOf(request.getArgs()));
      const response = new messages.ConfigureResponse();
      response.setAcceptsecrets(plugin.acceptsSecrets);
      response.setAcceptresources(true);
      response.setSupportspreview(true);
      return response;
    }),

    check: unary((request: messages.CheckRequest) => {
      const urn = request.getUrn();
      const checked = resource(urn).check(mapOf(request.getNews()), {
        name: nameOf(urn),
        olds: mapOf(request.getOlds()),
      });
      return checkResponse(checked.inputs, checked.failures);
    }),

    diff: unary((request: messages.DiffRequest) => {
      const old = existing(request.getId(), request.getOldInputs(), request.getOlds());
      const diff = resource(request.getUrn()).diff(old, mapOf(request.getNews()));
      return diffResponse(without(diff, request.getIgnorechangesList()));
    }),

    create: unary(async (request: messages.CreateRequest) => {
      const urn = request.getUrn();
      const { id, state } = await logged(urn, (log) =>
        resource(urn).create(mapOf(request.getProperties()), {
          name: nameOf(urn),
          preview: request.getPreview(),
          log,
          signal: interrupted.signal,
        }),
      );
      const response = new messages.CreateResponse();
      response.setId(id);
      response.setProperties(structOf(state));
      return response;
    }),

    read: unary(async (request: messages.ReadRequest) => {
      const old = existing(request.getId(), request.getInputs(), request.getProperties());
      const response = new messages.ReadResponse();
      const found = await resource(request.getUrn()).read(old);
      // An answer without an id says that the resource is gone.
      if (found === undefined) return response;
      response.setId(old.id);
      response.setInputs(structOf(found.inputs));
      response.setProperties(structOf(found.state));
      return response;
    }),

    update: unary(async (request: messages.UpdateRequest) => {
      const urn = request.getUrn();
      const state = await logged(urn, (log) =>
        resource(urn).update(
          existing(request.getId(), request.getOldInputs(), request.getOlds()),
          mapOf(request.getNews()),
          {
            name: nameOf(urn),
            preview: request.getPreview(),
            log,
            signal: interrupted.signal,
          },
        ),
      );
      const response = new messages.UpdateResponse();
      response.setProperties(structOf(state));
      return response;
    }),

    delete: unary(async (request: messages.DeleteRequest) => {
      const urn = request.getUrn();
      await logged(urn, (log) =>
        resource(urn).delete(
          existing(request.getId(), request.getOldInputs(), request.getProperties()),
          { name: nameOf(urn), preview: false, log, signal: interrupted.signal },
        ),
      );
      return new emptyMessages.Empty();
    }),

    invoke: unary((request: messages.InvokeRequest) => {
      throw notSupported(plugin, `the function ${request.getTok()}`);
    }),

    cancel: unary(() => {
      interrupted.abort();
      return new emptyMessages.Empty();
    }),
  };
}

/** A gRPC handler that answers with what `handle` returns, or with the one line it throws. */
function unary<Request, Response>(
  handle: (request: Request) => Response | Promise<Response>,
): grpc.handleUnaryCall<Request, Response> {
  return async (call, callback) => {
    try {
      callback(null, await handle(call.request));
    } catch (error) {
      const details = error instanceof Error ? error.message : String(error);
      const metadata = error instanceof NotReady ? notReadyMetadata(error) : undefined;
      callback({ code: grpc.status.UNKNOWN, details, ...(metadata && { metadata }) });
    }
  };
}

/** What tells the engine, beside an error, of a resource that is there nevertheless. */
function notReadyMetadata({ message, id, state }: NotReady): grpc.Metadata {
  const failed = new messages.ErrorResourceInitFailed();
  failed.setId(id);
  failed.setProperties(structOf(state));
  failed.setReasonsList([message]);
  const detail = new anyMessages.Any();
  detail.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = new statusMessages.Status();
  status.setCode(grpc.status.UNKNOWN);
  status.setMessage(message);
  status.addDetails(detail);
  const metadata = new grpc.Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return metadata;
}

/** Refuses every configuration. */
function noConfiguration(plugin: Plugin): Configuration {
  return {
    check: (inputs) => ({
      inputs,
      failures: Object.keys(inputs)
        .filter((name) => name !== "version" && !name.startsWith("__"))
        .map((name) => ({
          property: name,
          reason: notSupported(plugin, `the provider's configuration ${plugin.name}:${name}`)
            .message,
        })),
    }),
    async configure() {},
  };
}

function notSupported(plugin: Plugin, what: string): Error {
  const { name, version } = plugin;
  return new Error(
    `the offline stand-in for the plugin ${name} ${version} does not have ${what}; ` +
      `with internet, \`pulumi plugin install resource ${name} ${version}\` gets the plugin that does`,
  );
}

/** A log whose lines reach the engine in their order. */
function engineLog(
  engine: engineService.EngineClient | undefined,
  urn: string,
): Log & { delivered(): Promise<void> } {
  let last = Promise.resolve();
  const send = (severity: engineMessages.LogSeverity, line: string, ephemeral: boolean) => {
    if (engine === undefined) return;
    const request = new engineMessages.LogRequest();
    request.setSeverity(severity);
    request.setMessage(line);
    request.setUrn(urn);
    request.setEphemeral(ephemeral);
    // An engine that has gone away is no reason for the work to fail.
    last = last.then(() => new Promise((resolve) => engine.log(request, () => resolve())));
  };
  const { INFO, WARNING, ERROR } = engineMessages.LogSeverity;
  return {
    status: (line) => send(INFO, line, true),
    warning: (line) => send(WARNING, line, false),
    error: (line) => send(ERROR, line, false),
    delivered: () => last,
  };
}

/** `urn:pulumi:<stack>::<project>::<parent types$type>::<name>`; only the name may hold a `::`. */
function typeOf(urn: string): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}

function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

function mapOf(struct: Struct | undefined): PropertyMap {
  return struct === undefined ? {} : decodeMap(struct.toJavaScript());
}

function structOf(map: PropertyMap): Struct {
  // The stub's type allows only JSON's values, which is what the encoding consists of.
  return structMessages.Struct.fromJavaScript(
    encodeMap(map) as Parameters<typeof structMessages.Struct.fromJavaScript>[0],
  );
}

function existing(id: string, inputs: Struct | undefined, state: Struct | undefined): Existing {
  return { id, inputs: mapOf(inputs), state: mapOf(state) };
}

function checkFailure({ property, reason }: Failure): messages.CheckFailure {
  const failure = new messages.CheckFailure();
  failure.setProperty(property);
  failure.setReason(reason);
  return failure;
}

function checkResponse(inputs: PropertyMap, failures: readonly Failure[]): messages.CheckResponse {
  const response = new messages.CheckResponse();
  response.setInputs(structOf(inputs));
  response.setFailuresList(failures.map(checkFailure));
  return response;
}

/** `diff` but for the inputs `ignored`: what became of them outside of the program, the engine cannot ignore itself. */
function without(diff: Diff, ignored: readonly string[]): Diff {
  const counts = (path: string) =>
    !ignored.some((one) => path === one || [".", "["].some((end) => path.startsWith(one + end)));
  return {
    ...diff,
    changes: new Map([...diff.changes].filter(([path]) => counts(path))),
    replaces: new Set([...diff.replaces].filter(counts)),
  };
}

function diffResponse(diff: Diff): messages.DiffResponse {
  const { DIFF_SOME, DIFF_NONE } = messages.DiffResponse.DiffChanges;
  const response = new messages.DiffResponse();
  response.setChanges(diff.changes.size > 0 ? DIFF_SOME : DIFF_NONE);
  response.setDiffsList([...new Set([...diff.changes.keys()].map(topLevel))]);
  response.setReplacesList([...new Set([...diff.replaces].map(topLevel))]);
  response.setDeletebeforereplace(diff.deleteBeforeReplace === true && diff.replaces.size > 0);
  if (diff.detailed === false) return response;
  response.setHasdetaileddiff(true);
  for (const [path, difference] of diff.changes) {
    const detail = new messages.PropertyDiff();
    detail.setKind(kindOf(difference, diff.replaces.has(path)));
    response.getDetaileddiffMap().set(path, detail);
  }
  return response;
}

function kindOf(difference: Difference, replaces: boolean): messages.PropertyDiff.Kind {
  const kinds = messages.PropertyDiff.Kind;
  switch (difference) {
    case "add":
      return replaces ? kinds.ADD_REPLACE : kinds.ADD;
    case "delete":
      return replaces ? kinds.DELETE_REPLACE : kinds.DELETE;
    case "update":
      return replaces ? kinds.UPDATE_REPLACE : kinds.UPDATE;
  }
}

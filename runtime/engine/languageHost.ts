// Pulumi's language host for Node.js, for where the official one cannot be had: the last one that is a Go
// module forwards only the calls that it knows, and resource hooks are younger. It serves what the engine
// needs to run a program and a policy pack: no installation, no packages, no generated code.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import service from "@pulumi/pulumi/proto/language_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/language_pb.js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import emptyMessages from "google-protobuf/google/protobuf/empty_pb.js";

/** Of a program that has told its user what is wrong: the SDK's cmd/run. */
const EXPLAINED = 32;

type RunRequest = InstanceType<typeof messages.RunRequest>;
type RunPluginRequest = InstanceType<typeof messages.RunPluginRequest>;

if (process.argv.includes("--help")) {
  process.stdout.write("usage: pulumi-language-nodejs ENGINE-ADDRESS (Pulumi starts it)\n");
  process.exit();
}

const engineAddress = process.argv.slice(2).find((argument) => !argument.startsWith("-")) ?? "";

const server = new grpc.Server({ "grpc.max_receive_message_length": 400 * 1024 * 1024 });
server.addService(service.LanguageRuntimeService, {
  handshake: answer(() => new messages.LanguageHandshakeResponse()),
  getRequiredPlugins: answer(() => new messages.GetRequiredPluginsResponse()),
  getRequiredPackages: answer(() => new messages.GetRequiredPackagesResponse()),
  getPluginInfo: answer(() => new pluginMessages.PluginInfo().setVersion("0.0.0")),
  cancel: answer(() => new emptyMessages.Empty()),
  run: (
    call: grpc.ServerUnaryCall<RunRequest, unknown>,
    done: grpc.sendUnaryData<InstanceType<typeof messages.RunResponse>>,
  ) => {
    run(call.request).then(
      (response) => done(null, response),
      (error: Error) => done({ code: grpc.status.INTERNAL, message: error.message }),
    );
  },
  runPlugin,
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${port}\n`);
});
// An engine that is killed ends no plugin; one that serves nobody would stay for ever.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, 2000).unref();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));

function answer<Response>(make: () => Response) {
  return (_: unknown, done: grpc.sendUnaryData<Response>) => done(null, make());
}

/**
 * Runs a policy pack in a process of its own, as the official language host starts it: from its folder, which comes as the last
 * argument. The engine reads the address that the pack serves at from the standard output.
 */
function runPlugin(call: grpc.ServerWritableStream<RunPluginRequest, unknown>): void {
  const { request } = call;
  const folder = request.getInfo()?.getProgramDirectory() ?? request.getPwd();
  const sdk = createRequire(join(folder, "index.js"));
  const child = spawn(
    process.execPath,
    [sdk.resolve("@pulumi/pulumi/cmd/run-policy-pack"), ...request.getArgsList(), folder],
    {
      cwd: folder,
      env: Object.fromEntries(request.getEnvList().map((line) => splitAt(line, "="))),
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  child.stdout.on("data", (text: Buffer) => {
    call.write(new messages.RunPluginResponse().setStdout(text));
  });
  child.stderr.on("data", (text: Buffer) => {
    call.write(new messages.RunPluginResponse().setStderr(text));
  });
  child.once("error", (error) => call.destroy(error));
  child.once("close", (status) => {
    call.write(new messages.RunPluginResponse().setExitcode(status ?? 1));
    call.end();
  });
  // The engine has no more questions.
  call.once("cancelled", () => child.kill());
  process.once("exit", () => child.kill());
}

function splitAt(line: string, separator: string): [string, string] {
  const at = line.indexOf(separator);
  return [line.slice(0, at), line.slice(at + 1)];
}

/** Runs a program in a process of its own, as the official language host starts it. */
async function run(request: RunRequest): Promise<InstanceType<typeof messages.RunResponse>> {
  const info = request.getInfo();
  const folder = info?.getProgramDirectory() || request.getPwd();
  const options = info?.getOptions()?.toJavaScript() ?? {};
  const sdk = createRequire(join(folder, "index.js")).resolve("@pulumi/pulumi/cmd/run");
  const child = spawn(
    process.execPath,
    [
      sdk,
      ...(request.getDryrun() ? ["--dry-run"] : []),
      ...["--monitor", request.getMonitorAddress(), "--engine", engineAddress],
      ...["--organization", request.getOrganization()],
      ...["--project", request.getProject(), "--stack", request.getStack()],
      ...["--pwd", request.getPwd(), "--parallel", String(request.getParallel())],
      info?.getEntryPoint() || request.getProgram() || ".",
      ...request.getArgsList(),
    ],
    {
      cwd: folder,
      env: {
        ...process.env,
        PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().entries())),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
        ...(options.typescript === false ? {} : { PULUMI_NODEJS_TYPESCRIPT: "true" }),
      },
      // The engine reads this process's output and shows it as the program's.
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status, signal) => resolve(status ?? signal ?? 1));
  });
  const response = new messages.RunResponse();
  if (code === EXPLAINED) response.setBail(true);
  else if (code !== 0) response.setError(`Program exited with ${code}`);
  return response;
}

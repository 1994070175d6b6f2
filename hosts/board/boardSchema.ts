import * as z from "zod";
import { buildkitdSettings } from "../../components/buildkitd/schema.ts";
import { closed } from "../../components/schema/closed.ts";
import { expected } from "../../components/schema/expected.ts";
import {
  checkedText,
  flag,
  host,
  isIp,
  listOf,
  oneOf,
  port,
  text,
  whole,
} from "../../components/schema/values.ts";
import {
  endpoint,
  extraNames,
  givenByProvingGround,
  hostKey,
  loopbackAddress,
  machineError,
  name,
  openTelemetry,
  platform,
  proxies,
  registryCertificates,
  ssh,
  sshUser,
} from "../hostSchema.ts";

const formerName = text(
  'the name that the board had, or "<project>/<stack>/<name>" where it was another stack\'s',
  /^(?:[\w.-]+\/[\w.-]+\/)?[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
);

const jump = closed({
  host: host.describe("Name or address of the jump host."),
  port: port.default(22).describe("Its SSH port."),
  user: sshUser
    .default("root")
    .describe("The user there; forwarding is the only right that it needs."),
  hostKey,
  ssh: ssh.optional().describe("How to log in there. Default: as on the board."),
}).describe("A host that SSH connections to the board go through.");

const listen = closed({
  address: checkedText("an IP address, without brackets", isIp)
    .default("0.0.0.0")
    .describe("Address that buildkitd listens on; :: means IPv6 and IPv4."),
  port: port.default(1234).describe("Port that buildkitd listens on."),
}).describe("Where buildkitd listens, always with mutual TLS.");

const metrics = closed({
  address: loopbackAddress("there is no authentication and pprof beside it")
    .default("127.0.0.1")
    .describe("Loopback address of the metrics."),
  port: port.default(6060).describe("Port of the metrics."),
}).describe("Serves /metrics and pprof on the board's loopback. Default: not at all.");

/** The keys of physical and virtual boards. */
const boardShape = {
  name: name.describe("The builder's name in the stack, in messages and for clients."),
  worker: oneOf("oci", "containerd")
    .default("oci")
    .describe("Runs build steps: BuildKit with runc, or the board's containerd."),
  network: oneOf("bridge", "host")
    .optional()
    .describe(
      "Network of RUN steps: a bridge of their own, or the board's, where they reach the daemon's port and everything on loopback. Default: bridge; host where rootless.",
    ),
  rootless: flag
    .default(false)
    .describe(
      "Runs buildkitd without root, by RootlessKit. Only with worker oci and network host.",
    ),
  socketActivation: flag
    .default(false)
    .describe("systemd listens, and starts buildkitd at the first connection."),
  extraNames: extraNames.describe("More DNS names and IP addresses for the board's certificate."),
  proxies: proxies.optional(),
  metrics: metrics.optional(),
  openTelemetry: openTelemetry.optional(),
  drainSeconds: whole("a whole number of seconds from 0 to 3600", 0, 3600)
    .default(600)
    .describe("How long a restart waits for running builds before it ends them."),
  removeCacheOnDelete: flag
    .default(false)
    .describe("Whether deleting the board from the stack also deletes its build cache."),
  abandon: flag
    .default(false)
    .describe(
      "Deleting the board from the stack runs nothing on it: for a board that is gone. Set it, run up, then delete.",
    ),
  formerName: formerName
    .optional()
    .describe(
      "The board's former name. The board goes on under its new name, and the update touches nothing that runs on it. <project>/<stack>/<name> takes a board over from another stack, with this stack's certificates. Keep this key until the update has run. Default: none.",
    ),
  buildkitd: buildkitdSettings
    .default({})
    .describe("buildkitd.toml of BuildKit v0.34.2, key by key, under upstream's names."),
  registryCertificates: registryCertificates(),
};

const physicalBoard = closed({
  ...boardShape,
  virtual: z.literal(false, expected("true or false")).optional().describe("Default: false."),
  host: host.describe("Name or address for SSH; for clients too, unless endpoint says otherwise."),
  port: port.default(22).describe("SSH port."),
  user: sshUser.default("root").describe("root, or a user with passwordless sudo."),
  hostKey,
  jump: jump.optional(),
  ssh: ssh.optional().describe("How to log in. Default: as buildhosts:ssh says."),
  platform: platform("amd64", "arm64", "riscv64"),
  listen: listen.prefault({}),
  endpoint: endpoint
    .optional()
    .describe("As clients reach the builder. Default: tcp://<host>:<listen.port>."),
});

const virtualBoard = closed(
  {
    ...boardShape,
    virtual: z
      .literal(true)
      .describe("A board of the proving ground, which npm run up starts on this machine."),
    user: sshUser.default("root").describe("root, builder (sudo without password) or nosudo."),
    platform: platform("amd64", "arm64", "riscv64")
      .optional()
      .describe(
        "The board's platform: riscv64 and arm64 are emulated; amd64 is a native board, which Linux on amd64 alone can run. Default: amd64 there, and riscv64 elsewhere.",
      ),
  },
  {
    host: givenByProvingGround,
    port: givenByProvingGround,
    hostKey: givenByProvingGround,
    jump: givenByProvingGround,
    ssh: givenByProvingGround,
    endpoint: givenByProvingGround,
    listen: "a virtual board's port 1234 is the one that is forwarded",
  },
);

export const boardSchema = z.discriminatedUnion(
  "virtual",
  [physicalBoard, virtualBoard],
  machineError("a board, an object with at least name, host, hostKey and platform"),
);

export const boardsSchema = listOf(boardSchema, "a list of boards")
  .default([])
  .describe("The machines that become builders.");

export type SshInput = z.output<typeof ssh>;
export type PhysicalBoardInput = z.output<typeof physicalBoard>;
/** As the stack file has it: a virtual one may lack its platform. */
export type BoardAsWritten = z.output<typeof boardSchema>;
/** With the platform that the proving ground has started it on, where the stack file names none. */
export type VirtualBoardInput = z.output<typeof virtualBoard> &
  Pick<PhysicalBoardInput, "platform">;
export type BoardInput = PhysicalBoardInput | VirtualBoardInput;

import type { Fields, Shape } from "../provider/shapes.ts";

const STRING: Shape = { kind: "string" };
const BOOLEAN: Shape = { kind: "boolean" };
const NUMBER: Shape = { kind: "number" };
const ANYTHING: Shape = { kind: "any" };

const LOGGING: Shape = {
  kind: "string",
  allowed: ["stdout", "stderr", "stdoutAndStderr", "none"],
};

const HOST: Fields = {
  user: { shape: STRING, default: "root" },
  password: { shape: STRING, secret: true },
  host: { shape: STRING, required: true },
  port: { shape: NUMBER, default: 22 },
  privateKey: { shape: STRING, secret: true },
  privateKeyPassword: { shape: STRING, secret: true },
  agentSocketPath: { shape: STRING },
  dialErrorLimit: { shape: { kind: "number", minimum: -1 }, default: 10 },
  perDialTimeout: { shape: { kind: "number", minimum: 0 }, default: 15 },
  hostKey: { shape: STRING },
};

const CONNECTION: Shape = {
  kind: "object",
  fields: { ...HOST, proxy: { shape: { kind: "object", fields: HOST } } },
};

const LIFECYCLE: Fields = {
  triggers: { shape: { kind: "list", of: ANYTHING } },
  create: { shape: STRING },
  update: { shape: STRING },
  delete: { shape: STRING },
};

const PROCESS: Fields = {
  stdin: { shape: STRING },
  logging: { shape: LOGGING },
  environment: { shape: { kind: "map", of: STRING } },
  addPreviousOutputInEnv: { shape: BOOLEAN },
};

/** The inputs of each resource, as the official schema has them. */
export const REMOTE_COMMAND: Fields = {
  ...LIFECYCLE,
  ...PROCESS,
  connection: { shape: CONNECTION, required: true, secret: true },
};

export const COPY_TO_REMOTE: Fields = {
  connection: { shape: CONNECTION, required: true, secret: true },
  triggers: LIFECYCLE.triggers ?? { shape: ANYTHING },
  source: { shape: { kind: "asset" }, required: true },
  remotePath: { shape: STRING, required: true },
};

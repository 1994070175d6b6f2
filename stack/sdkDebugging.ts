import * as pulumi from "@pulumi/pulumi";

/**
 * Turns off what the SDK does to be debugged itself; for 100 boards it takes more time than everything
 * else that the program does. BUILDHOSTS_DEBUG_SDK=1 leaves it on.
 *
 * - Each resource sends four debug messages with all of its properties to the engine, which drops them
 *   unless --debug is set, and writes them into its log.
 * - Each promise takes a stack trace along, in case it is never resolved, and the SDK's loader looks for
 *   source maps in each of them. Node.js strips types in place, so positions are true without any.
 * - Each resource tells the engine the whole stack that made it, line by line, for which no plugin of ours asks.
 */
if (process.env.BUILDHOSTS_DEBUG_SDK !== "1") {
  Object.assign(pulumi.log, { debug: async () => {} });
  Object.assign(pulumi.Resource, { callsites: () => [] });
  Object.assign(Error, { prepareStackTrace: undefined, stackTraceLimit: 0 });
}

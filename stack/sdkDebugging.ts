import * as pulumi from "@pulumi/pulumi";

/**
 * Turns off the SDK's own debugging, which for 100 boards takes more time than the rest of the program.
 * BUILDHOSTS_DEBUG_SDK=1 leaves it on.
 *
 * - Each resource sends four debug messages with all of its properties to the engine, which drops them
 *   unless --debug is set, and writes them into its log.
 * - Each promise takes a stack trace along, in case it is never resolved, and the SDK's loader looks for
 *   source maps in each of them. Node.js strips types in place, so positions are true without any.
 * - Each resource sends its whole call stack to the engine, line by line; none of our plugins asks for it.
 */
if (process.env.BUILDHOSTS_DEBUG_SDK !== "1") {
  Object.assign(pulumi.log, { debug: async () => {} });
  Object.assign(pulumi.Resource, { callsites: () => [] });
  Object.assign(Error, { prepareStackTrace: undefined, stackTraceLimit: 0 });
}

/**
 * Stack traces are written by Node.js itself from here on. The SDK's loader hooks a search for source
 * maps into each of them, and takes one or more for every resource: half of the time of a preview with
 * many boards. Node.js strips types in place, so positions are true without a source map.
 */
Object.assign(Error, { prepareStackTrace: undefined });

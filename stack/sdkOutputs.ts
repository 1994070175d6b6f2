import rpc from "@pulumi/pulumi/runtime/rpc.js";

/**
 * Lets the SDK make an output of a resource when somebody reads it. It makes one for each property of each resource, of four
 * promises and a dozen that follow them; of a board's ninety, six are read. For 100 boards they take half of the program's time.
 *
 * An output is what the SDK makes, only later: what the engine said in the meantime is kept for it.
 */
const transferProperties = rpc.transferProperties;
if (typeof transferProperties === "function") {
  rpc.transferProperties = (onto, label, props) => {
    const resolvers: ReturnType<typeof transferProperties> = {};
    for (const [key, value] of Object.entries(props)) {
      if (Object.hasOwn(onto, key) || key === "id" || key === "urn") {
        // The SDK has its own way with these.
        Object.assign(resolvers, transferProperties(onto, label, { [key]: value }));
        continue;
      }
      type Resolve = (typeof resolvers)[string];
      let outcome: Parameters<Resolve> | undefined;
      let resolve: Resolve = (...said) => {
        outcome = said;
      };
      resolvers[key] = (...said) => resolve(...said);
      Object.defineProperty(onto, key, {
        configurable: true,
        enumerable: true,
        get() {
          delete (onto as unknown as Record<string, unknown>)[key];
          resolve = transferProperties(onto, label, { [key]: value })[key] as Resolve;
          if (outcome) resolve(...outcome);
          return (onto as unknown as Record<string, unknown>)[key];
        },
      });
    }
    return resolvers;
  };
}

import {
  PolicyPack,
  type ResourceValidation,
  type ResourceValidationArgs,
  Secret,
} from "@pulumi/policy";
import {
  brokenPromises,
  type Examined,
  endingCaches,
  oldReleases,
  openDoors,
  plainSecrets,
} from "./policies.ts";

/** Builders whose component says `rootless`. */
const rootless = new Set<string>();

/** By URN, what was found to be plain: secrets are told from others only where a policy may change them. */
const plain = new Map<string, string[]>();

const names = (description: string) => ({
  properties: {
    builders: {
      type: "array" as const,
      items: { type: "string" as const },
      default: [],
      description,
    },
  },
});

new PolicyPack("buildhosts", {
  description: "What must not pass review in a stack of builders",
  enforcementLevel: "mandatory",
  policies: [
    {
      name: "mutual-tls",
      description: "A daemon that others reach asks for a client certificate.",
      severity: "critical",
      validateResource: refusing((args) => openDoors(examined(args))),
    },
    {
      name: "supported-versions",
      description: "No release below the floors: it is refused, or has known security holes.",
      severity: "high",
      validateResource: refusing((args) => oldReleases(examined(args))),
    },
    {
      name: "rootless-stays-rootless",
      description: "A builder that is rootless for somebody does not get root's rights.",
      severity: "high",
      configSchema: names("Builders that must be rootless, by name; * for all."),
      validateResource: refusing((args) =>
        brokenPromises(examined(args), configured(args), rootless),
      ),
    },
    {
      name: "no-plain-secret",
      description: "No key, token or password stands in the state in plain.",
      severity: "critical",
      // Only a policy that may change a resource is told which of its values are secret. It changes none.
      enforcementLevel: "remediate",
      remediateResource: (args) => {
        const resource = { name: args.name, props: unproxied(args.props) };
        plain.set(
          args.urn,
          plainSecrets(resource, (value) => value instanceof Secret),
        );
      },
      validateResource: refusing(({ urn }) => plain.get(urn) ?? []),
    },
    {
      name: "caches-stay",
      description: "A builder that leaves the stack leaves its build cache.",
      severity: "medium",
      configSchema: names("Builders whose cache may go with them, by name; * for all."),
      validateResource: refusing((args) => endingCaches(examined(args), configured(args))),
    },
  ],
});

/** Each line that is found refuses the resource. */
function refusing(find: (args: ResourceValidationArgs) => string[]): ResourceValidation {
  return (args, report) => {
    for (const line of find(args)) report(line);
  };
}

function configured(args: ResourceValidationArgs): string[] {
  return args.getConfig<{ builders?: string[] }>().builders ?? [];
}

function examined({ type, name, urn, props, opts }: ResourceValidationArgs): Examined {
  const parent = opts.parent?.split("::").slice(2) ?? [];
  const isPart = parent[0]?.startsWith("buildhosts:");
  const builder = isPart ? String(parent.at(-1)) : String(urn.split("::").at(-1));
  return { type, name, builder, props: unproxied(props) };
}

/**
 * The values as they are: the SDK's proxies throw where a preview does not know a value yet, and hide which ones are
 * secret.
 */
function unproxied(props: Record<string, unknown>): Record<string, unknown> {
  let found = props;
  while (found.__isSpecialProxy === true) found = found.__getSpecialProxyTarget as typeof props;
  return found;
}

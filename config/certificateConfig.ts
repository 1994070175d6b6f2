import { nearest } from "../components/schema/closed.ts";
import { shown } from "../components/schema/expected.ts";
import { isIp } from "../components/schema/values.ts";
import type { Findings } from "./findings.ts";
import type { CertificatesInput } from "./schema.ts";
import type { CertificateConfig, CertificateNames } from "./stackConfig.ts";

/** Refuses lifetimes with which certificates would be renewed for ever, or outlive what they hang on. */
export function certificateConfig(
  input: CertificatesInput,
  { clients, builders }: { clients: readonly string[]; builders: readonly string[] | undefined },
  findings: Findings,
): CertificateConfig {
  const { validityHours, earlyRenewalHours, caValidityHours } = input;
  const caEarlyRenewalHours = input.caEarlyRenewalHours ?? validityHours;

  if (earlyRenewalHours >= validityHours) {
    findings.refuse(
      ["earlyRenewalHours"],
      `received ${earlyRenewalHours}; expected less than validityHours (${validityHours}), or every update would renew every certificate.`,
    );
  }
  if (validityHours > caValidityHours) {
    findings.refuse(
      ["validityHours"],
      `received ${validityHours}; expected at most caValidityHours (${caValidityHours}): no certificate can outlive its CA.`,
    );
  } else if (caEarlyRenewalHours >= caValidityHours) {
    findings.refuse(
      ["caEarlyRenewalHours"],
      `${input.caEarlyRenewalHours === undefined ? "follows validityHours" : "received"} ${caEarlyRenewalHours}; expected less than caValidityHours (${caValidityHours}), or every update would renew the CA and shut out every client.`,
    );
  } else if (caEarlyRenewalHours < validityHours) {
    findings.refuse(
      ["caEarlyRenewalHours"],
      `received ${caEarlyRenewalHours}; expected at least validityHours (${validityHours}), or a certificate signed shortly before would outlive its CA.`,
    );
  }
  // Each board sees the key of the stack's own client, so that one may leak too.
  const own = [...clients, HEALTH_CHECK];
  refuseForeign(input.clientKeys, own, "none of buildhosts:clients", findings.at("clientKeys"));
  if (builders) {
    const at = findings.at("builderKeys");
    refuseForeign(input.builderKeys, builders, "no builder of this stack", at);
  }
  const { algorithm, organization, protectCa, clientKeys, builderKeys } = input;
  const key = { algorithm, organization };
  return {
    ca: {
      ...key,
      commonName: `${organization} builders`,
      validityHours: caValidityHours,
      earlyRenewalHours: caEarlyRenewalHours,
    },
    protectCa,
    leaf: { ...key, validityHours, earlyRenewalHours },
    clientKeys,
    builderKeys,
  };
}

/** The stack's own client, which asks a builder for its health after a change. */
export const HEALTH_CHECK = "health-check";

function refuseForeign(
  numbers: Record<string, number>,
  known: readonly string[],
  what: string,
  findings: Findings,
): void {
  for (const name of Object.keys(numbers)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const hint = near ? `did you mean ${shown(near)}?` : `they are ${known.join(", ")}.`;
    findings.refuse([name], `is ${what}; ${hint}`);
  }
}

/** Names sorted into what a certificate calls them, each once, in the order given. */
export function certificateNames(names: readonly string[]): CertificateNames {
  const unique = [...new Set(names)];
  return {
    dnsNames: unique.filter((name) => !isIp(name)),
    ipAddresses: unique.filter(isIp),
  };
}

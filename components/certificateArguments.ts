import { type Input, type Resource, ResourceError } from "@pulumi/pulumi";

/** ECDSA means the curve P-256. */
export const KeyAlgorithm = { ECDSA: "ECDSA", ED25519: "ED25519" } as const;
export type KeyAlgorithm = (typeof KeyAlgorithm)[keyof typeof KeyAlgorithm];

/** The arguments of a key pair in the provider's words. */
export function keyArgs(algorithm: Input<string> | undefined) {
  return algorithm === "ED25519"
    ? { algorithm: "ED25519" }
    : { algorithm: "ECDSA", ecdsaCurve: "P256" };
}

/**
 * Refuses a validity that the provider would renew at every update: it replaces a certificate as soon
 * as its remaining hours are fewer than `earlyRenewalHours`.
 *
 * @throws {pulumi.ResourceError} of `resource`, which has these arguments.
 */
export function requireRenewable(
  name: string,
  validityHours: number,
  earlyRenewalHours: number,
  resource: Resource,
): void {
  if (!Number.isInteger(validityHours) || validityHours < 1) {
    throw new ResourceError(
      `${name}: validityHours is ${validityHours}; a whole number from 1 is needed`,
      resource,
      true,
    );
  }
  if (
    !Number.isInteger(earlyRenewalHours) ||
    earlyRenewalHours < 0 ||
    earlyRenewalHours >= validityHours
  ) {
    throw new ResourceError(
      `${name}: earlyRenewalHours is ${earlyRenewalHours}; it must be from 0 to below validityHours (${validityHours}), or every update would renew the certificate`,
      resource,
      true,
    );
  }
}

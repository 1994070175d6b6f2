import { createHash } from "node:crypto";
import type { Log, Resource } from "../provider/plugin.ts";
import type { PropertyMap } from "../provider/values.ts";
import { type PrivateKey, publicKeyInfo, readPrivateKey, toPem } from "./keys.ts";
import { plannedResource } from "./plannedResource.ts";
import { endOf, isBornDue, isDue, type Validity } from "./renewal.ts";
import { CERT_REQUEST, LOCALLY_SIGNED_CERT, SELF_SIGNED_CERT } from "./shapes.ts";
import type { AlternativeNames, Holder, Issuer, Subject, Terms } from "./x509.ts";

interface SubjectInputs extends AlternativeNames {
  readonly privateKeyPem: string;
  readonly subject?: Subject;
}

interface CertificateInputs extends Validity {
  readonly allowedUses: readonly string[];
  readonly isCaCertificate: boolean;
  readonly maxPathLength?: number;
  readonly setSubjectKeyId: boolean;
}

interface SelfSignedCertInputs extends SubjectInputs, CertificateInputs {
  readonly setAuthorityKeyId: boolean;
}

interface LocallySignedCertInputs extends CertificateInputs {
  readonly caCertPem: string;
  readonly caPrivateKeyPem: string;
  readonly certRequestPem: string;
}

/** The clock by which certificates begin and are renewed. */
export type Clock = () => Date;

/** `tls:index/certRequest:CertRequest`: a certificate request for a key. */
export const certRequest: Resource = plannedResource<SubjectInputs>({
  fields: CERT_REQUEST,
  defaults: {},
  updatable: [],
  computed: ["certRequestPem", "keyAlgorithm"],
  async create(inputs) {
    const { key, algorithm } = privateKeyOf("private key PEM", inputs.privateKeyPem);
    const { request } = await import("./x509.ts");
    const der = await request(inputs.subject ?? {}, inputs, key);
    return {
      id: createHash("sha1").update(der).digest("hex"),
      outputs: {
        certRequestPem: toPem("CERTIFICATE REQUEST", der),
        keyAlgorithm: algorithm,
      },
    };
  },
});

/** `tls:index/selfSignedCert:SelfSignedCert`: a certificate that its own key signs, such as a CA's. */
export function selfSignedCert(clock: Clock): Resource {
  return plannedResource<SelfSignedCertInputs>({
    fields: SELF_SIGNED_CERT,
    defaults: { ...CERTIFICATE_DEFAULTS, setAuthorityKeyId: false },
    ...certificateLife(clock, "keyAlgorithm"),
    async create(inputs) {
      const { key, algorithm } = privateKeyOf("private key PEM", inputs.privateKeyPem);
      const { nameOf } = await import("./x509.ts");
      const name = nameOf(inputs.subject ?? {});
      const holder = { name, alternativeNames: inputs, publicKey: publicKeyInfo(key) };
      const { id, outputs } = await certificate(clock(), holder, { name, key }, inputs);
      return { id, outputs: { ...outputs, keyAlgorithm: algorithm } };
    },
  });
}

/** `tls:index/locallySignedCert:LocallySignedCert`: a certificate that a CA at hand signs. */
export function locallySignedCert(clock: Clock): Resource {
  return plannedResource<LocallySignedCertInputs>({
    fields: LOCALLY_SIGNED_CERT,
    defaults: CERTIFICATE_DEFAULTS,
    ...certificateLife(clock, "caKeyAlgorithm"),
    async create(inputs, log) {
      const { key, algorithm } = privateKeyOf("CA private key PEM", inputs.caPrivateKeyPem);
      const { holderOf, issuerOf } = await import("./x509.ts");
      const holder = parsing("certificate request PEM", () => holderOf(inputs.certRequestPem));
      const issuer = parsing("CA certificate PEM", () => issuerOf(inputs.caCertPem, key));
      if (Buffer.compare(issuer.publicKey, publicKeyInfo(key)) !== 0) {
        throw new Error(
          "Failed to create certificate: the private key in caPrivateKeyPem is not that of caCertPem",
        );
      }
      if (!issuer.isCa) warnOfIssuer(log);
      const { id, outputs } = await certificate(clock(), holder, issuer, inputs);
      return { id, outputs: { ...outputs, caKeyAlgorithm: algorithm } };
    },
  });
}

const CERTIFICATE_DEFAULTS = {
  earlyRenewalHours: 0,
  isCaCertificate: false,
  setSubjectKeyId: false,
} as const;

/** What the resources of both certificates have in common: how they age, and what is not known before. */
function certificateLife(clock: Clock, keyAlgorithm: string) {
  const readyAt = (now: Date, state: PropertyMap): boolean => {
    const { validityEndTime, earlyRenewalHours } = state;
    // Neither is known while the certificate is still to be made.
    if (typeof validityEndTime !== "string" || typeof earlyRenewalHours !== "number") return false;
    return isDue(validityEndTime, earlyRenewalHours, now);
  };
  return {
    updatable: ["earlyRenewalHours"],
    computed: ["certPem", "maxPathLength", "validityStartTime", "validityEndTime", keyAlgorithm],
    derived: ({ validityPeriodHours, earlyRenewalHours }: PropertyMap) => ({
      // Either may be unknown in a preview.
      readyForRenewal:
        typeof validityPeriodHours === "number" &&
        typeof earlyRenewalHours === "number" &&
        isBornDue({ validityPeriodHours, earlyRenewalHours }),
    }),
    due: (planned: PropertyMap) => (readyAt(clock(), planned) ? ["readyForRenewal"] : []),
    refreshed: (state: PropertyMap): PropertyMap =>
      readyAt(clock(), state) ? { readyForRenewal: true } : {},
  };
}

async function certificate(
  notBefore: Date,
  holder: Holder,
  issuer: Issuer,
  inputs: CertificateInputs & Pick<Terms, "setAuthorityKeyId">,
): Promise<{ id: string; outputs: PropertyMap }> {
  const notAfter = endOf(notBefore, inputs);
  const { issue } = await import("./x509.ts");
  const { serialNumber, pem } = await issue(holder, issuer, { ...inputs, notBefore, notAfter });
  return {
    id: serialNumber,
    outputs: {
      certPem: pem,
      validityStartTime: notBefore.toISOString(),
      validityEndTime: notAfter.toISOString(),
    },
  };
}

function privateKeyOf(what: string, pem: string): PrivateKey {
  return parsing(what, () => readPrivateKey(pem));
}

function parsing<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`Failed to parse ${what}: ${error instanceof Error ? error.message : error}`);
  }
}

function warnOfIssuer(log: Log): void {
  log.warning(
    "Certificate provided as Authority does not appear to be a valid Certificate Authority. " +
      "The resulting certificate might fail certificate validation.",
  );
}

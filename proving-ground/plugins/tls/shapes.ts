import type { Fields, Shape } from "../provider/shapes.ts";
import { EXTENDED_KEY_USAGES, KEY_USAGES } from "./uses.ts";

const STRING: Shape = { kind: "string" };
const BOOLEAN: Shape = { kind: "boolean" };
const STRINGS: Shape = { kind: "list", of: STRING };
const HOURS: Shape = { kind: "number", minimum: 0 };

const SUBJECT: Shape = {
  kind: "object",
  fields: {
    commonName: { shape: STRING },
    country: { shape: STRING },
    emailAddress: { shape: STRING },
    locality: { shape: STRING },
    organization: { shape: STRING },
    organizationalUnit: { shape: STRING },
    postalCode: { shape: STRING },
    province: { shape: STRING },
    serialNumber: { shape: STRING },
    streetAddresses: { shape: STRINGS },
  },
};

const SUBJECT_FIELDS: Fields = {
  subject: { shape: SUBJECT },
  dnsNames: { shape: STRINGS },
  ipAddresses: { shape: STRINGS },
  uris: { shape: STRINGS },
};

const CERTIFICATE_FIELDS: Fields = {
  validityPeriodHours: { shape: HOURS, required: true },
  earlyRenewalHours: { shape: HOURS },
  allowedUses: {
    shape: {
      kind: "list",
      of: {
        kind: "string",
        allowed: [...Object.keys(KEY_USAGES), ...Object.keys(EXTENDED_KEY_USAGES)].sort(),
      },
    },
    required: true,
  },
  isCaCertificate: { shape: BOOLEAN },
  maxPathLength: { shape: { kind: "number", minimum: -1 } },
  setSubjectKeyId: { shape: BOOLEAN },
};

/** The inputs of each resource of the plugin, as the official schema has them. */
export const PRIVATE_KEY: Fields = {
  algorithm: { shape: { kind: "string", allowed: ["RSA", "ECDSA", "ED25519"] }, required: true },
  rsaBits: { shape: { kind: "number", minimum: 1024 } },
  ecdsaCurve: { shape: { kind: "string", allowed: ["P224", "P256", "P384", "P521"] } },
};

export const CERT_REQUEST: Fields = {
  privateKeyPem: { shape: STRING, required: true, secret: true },
  ...SUBJECT_FIELDS,
};

export const SELF_SIGNED_CERT: Fields = {
  privateKeyPem: { shape: STRING, required: true, secret: true },
  ...SUBJECT_FIELDS,
  ...CERTIFICATE_FIELDS,
  setAuthorityKeyId: { shape: BOOLEAN },
};

export const LOCALLY_SIGNED_CERT: Fields = {
  caCertPem: { shape: STRING, required: true },
  caPrivateKeyPem: { shape: STRING, required: true, secret: true },
  certRequestPem: { shape: STRING, required: true },
  ...CERTIFICATE_FIELDS,
};

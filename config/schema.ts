import * as z from "zod";
import { closed } from "../components/schema/closed.ts";
import { expected } from "../components/schema/expected.ts";
import {
  checkedText,
  flag,
  isPlainUrl,
  listOf,
  mapOf,
  oneOf,
  text,
  whole,
} from "../components/schema/values.ts";
import { extraNames, name, ssh } from "../hosts/hostSchema.ts";
import { type HostKey, hostKinds } from "../hosts/kinds.ts";
import { githubSchema, githubToken } from "./githubSchema.ts";
import { pools } from "./poolSchema.ts";
import { defaultVersions, versionPattern } from "./versions.ts";

/**
 * The keys of a stack file, each below `buildhosts:`. Every description is written here once; the JSON
 * schema for editors and Pulumi.yaml take them from here.
 */

const version = (what: string, example: string) =>
  text(`a release of ${what} such as "${example}", in quotes`, versionPattern)
    .transform((value) => (value.startsWith("v") ? value : `v${value}`))
    .prefault(example)
    .describe(`Version of ${what}, with or without the leading v.`);

const releases = closed({
  buildkit: version("BuildKit", defaultVersions.buildkit),
  containerd: version("containerd", defaultVersions.containerd),
  runc: version("runc", defaultVersions.runc),
  rootlesskit: version(
    "RootlessKit, which only rootless boards install",
    defaultVersions.rootlesskit,
  ),
  mirror: checkedText(
    "an http or https address without user, query and closing slash",
    (value) => isPlainUrl(value, ["http", "https"]) && !value.endsWith("/"),
  )
    .optional()
    .describe(
      "Boards fetch releases from here instead of https://github.com: <mirror>/<owner>/<repository>/releases/download/<tag>/<asset>. Not together with push.",
    ),
  push: text("a path of a folder on this machine", /^[^\0\n\r]+$/)
    .optional()
    .describe(
      "A folder on this machine, relative to the project, with files under upstream's asset names. buildhosts pushes them to the boards over SSH, for boards without internet. Each file needs its checksum. Not together with mirror.",
    ),
  checksums: mapOf(
    text("an asset's file name", /^[\w.+-]+$/),
    text("a sha256, 64 hexadecimal digits", /^[0-9a-fA-F]{64}$/).transform((value) =>
      value.toLowerCase(),
    ),
    "a map from asset name to sha256",
  )
    .default({})
    .describe(
      "The stack's lock: sha256 by upstream's asset name. buildhosts checks an asset without one against the sums that upstream publishes.",
    ),
}).describe("The versions that boards install, and their source.");

const hours = whole("a whole number of hours from 1 to 876000 (100 years)", 1, 876_000);

const certificates = closed({
  algorithm: oneOf("ECDSA", "ED25519")
    .default("ECDSA")
    .describe("Algorithm of all keys; ECDSA means the curve P-256."),
  organization: text("a name of at most 64 characters", /^[^\0\n\r]{1,64}$/)
    .default("buildhosts")
    .describe("Organization in the subject of all certificates."),
  caValidityHours: hours
    .default(87_600)
    .describe("Hours that the CA is valid for; 87600 are 10 years."),
  caEarlyRenewalHours: hours
    .optional()
    .describe(
      "Hours before its end from which an update renews the CA, and with it everything it signed. Default: validityHours.",
    ),
  validityHours: hours
    .default(8_760)
    .describe("Hours that server and client certificates are valid for; 8760 are a year."),
  earlyRenewalHours: hours
    .default(720)
    .describe("Hours before its end from which an update renews a certificate; 720 are 30 days."),
  protectCa: flag
    .default(false)
    .describe("Whether Pulumi refuses to delete the CA, whose loss shuts out every client."),
  clientKeys: mapOf(
    name,
    whole("the number of a client's key, 1 for the first", 1),
    "a map from a client's name to a number",
  )
    .default({})
    .describe(
      "The number of each client's key. A higher number gives the client a new key at the next update, for instance because the old one leaked. A renewal keeps the key. Builders accept the old certificate until its end; only a new CA ends that. health-check is the stack's own client, whose key each board sees.",
    ),
  builderKeys: mapOf(
    name,
    whole("the number of a builder's key, 1 for the first", 1),
    "a map from a builder's name to a number",
  )
    .default({})
    .describe(
      "The number of each builder's key. Another number gives its certificate a new key at the next update, for instance because somebody had the machine.",
    ),
  extraNames: extraNames.describe("DNS names and IP addresses added to every board's certificate."),
}).describe("The stack's CA, and the certificates that it signs.");

const clients = listOf(name, "a list of names")
  .min(1, expected("at least one name"))
  .default(["default"])
  .describe(
    "One client certificate for each name. Each gives full control of every builder; removing a name revokes nothing.",
  );

const sshPrivateKey = z
  .string(expected("a private key in PEM form"))
  .default("")
  .describe(
    "A private key without passphrase in PEM form, as a secret: pulumi config set --secret buildhosts:sshPrivateKey < path. Instead of ssh.",
  );

/** The list of each kind of host. */
const hostLists = Object.fromEntries(hostKinds.map(({ key, schema }) => [key, schema])) as Record<
  HostKey,
  z.ZodType
>;

const driftCheck = flag
  .default(true)
  .describe(
    "Whether each preview and update looks at the hosts for what somebody changed there by hand, and mends it. Each board takes one SSH session.",
  );

/** Every key of a stack file below `buildhosts:`. */
export const stackKeys = {
  releases: releases.prefault({}),
  certificates: certificates.prefault({}),
  clients,
  ssh: ssh.prefault({}),
  sshPrivateKey,
  ...hostLists,
  pools,
  driftCheck,
  github: githubSchema.prefault({}),
  githubToken,
};

export type StackKey = keyof typeof stackKeys;

/** Those that a stack file holds encrypted. */
export const secretKeys: readonly string[] = ["sshPrivateKey", "githubToken"] satisfies StackKey[];

export type ReleasesInput = z.output<typeof releases>;
export type CertificatesInput = z.output<typeof certificates>;

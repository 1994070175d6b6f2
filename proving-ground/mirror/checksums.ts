import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Project } from "./releaseAssets.ts";

/** The sha256 of files by name. */
export type Checksums = Record<string, string>;

/** The sha256 of the file at `path`, in hexadecimal. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Writes `sums` in the format in which `project` publishes them. */
export function formatChecksums(project: Project, sums: Checksums): string {
  switch (project) {
    case "containerd":
    case "rootlesskit":
      return sumLines(sums);
    case "runc":
      return clearSigned(sumLines(sums));
    case "buildkit":
      return provenance(sums);
  }
}

/** Reads what `project` publishes, back from `formatChecksums` or from upstream; signatures are not looked at. */
export function parseChecksums(project: Project, text: string): Checksums {
  return project === "buildkit" ? provenanceSubjects(text) : parseSumLines(text);
}

/** What `sha256sum` prints. */
function sumLines(sums: Checksums): string {
  return Object.entries(sums)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, sum]) => `${sum}  ${name}\n`)
    .join("");
}

/** Lines of other shapes are skipped: runc's sums stand between the lines of a PGP clear-signed message. */
function parseSumLines(text: string): Checksums {
  const lines = text.matchAll(/^([0-9a-f]{64})\s[ *]?(?:\.\/)?(\S+)\s*$/gm);
  return Object.fromEntries([...lines].map(([, sum, name]) => [name, sum]));
}

/** The shape of a clear-signed message. There is no signature in it: nobody signed what was built here. */
function clearSigned(text: string): string {
  return `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

${text}-----BEGIN PGP SIGNATURE-----
Comment: not signed; built from source by the buildhosts proving ground

-----END PGP SIGNATURE-----
`;
}

/** An in-toto statement about files, with the predicate that says no more than who made them. */
function provenance(sums: Checksums): string {
  const statement = {
    _type: "https://in-toto.io/Statement/v1",
    subject: Object.entries(sums).map(([name, sum]) => ({ name, digest: { sha256: sum } })),
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: { buildType: "buildhosts/proving-ground/go-modules" },
      runDetails: { builder: { id: "buildhosts/proving-ground" } },
    },
  };
  return `${JSON.stringify(statement, null, 2)}\n`;
}

function provenanceSubjects(text: string): Checksums {
  interface Statement {
    subject?: { name: string; digest: { sha256?: string } }[];
  }
  const { subject = [] } = JSON.parse(text) as Statement;
  return Object.fromEntries(
    subject.flatMap(({ name, digest }) => (digest.sha256 ? [[name, digest.sha256]] : [])),
  );
}

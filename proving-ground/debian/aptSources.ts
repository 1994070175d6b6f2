import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** An archive that apt knows: one `deb` line, or one combination of a deb822 stanza. */
export interface AptSource {
  uri: string;
  suite: string;
  components: string[];
}

/** The binary archives in one-line format (`sources.list`, `*.list`). */
export function parseOneLine(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (!match) return [];
    const [, uri = "", suite = "", components = ""] = match;
    return [{ uri, suite, components: words(components) }];
  });
}

/** The binary archives in deb822 format (`*.sources`); a stanza with `Enabled: no` has none. */
export function parseDeb822(text: string): AptSource[] {
  const withoutComments = text.replace(/^#.*\n?/gm, "");
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>();
    for (const field of stanza.matchAll(/^([\w-]+):((?:.*)(?:\n[ \t]+.*)*)/gm))
      fields.set((field[1] ?? "").toLowerCase(), (field[2] ?? "").trim());
    if (fields.get("enabled") === "no" || !words(fields.get("types")).includes("deb")) return [];
    const components = words(fields.get("components"));
    return words(fields.get("uris")).flatMap((uri) =>
      words(fields.get("suites")).map((suite) => ({ uri, suite, components })),
    );
  });
}

/**
 * The Debian mirror among `sources`, or undefined on a machine that has none (Ubuntu). One mirror
 * serves every release of Debian, so the machine's own release does not matter; what matters is that
 * its suite has the name of a Debian release and is not a security or third-party archive.
 */
export function debianMirror(sources: AptSource[]): string | undefined {
  return sources.find(
    ({ uri, suite, components }) =>
      debianSuites.has(suite) && components.includes("main") && !/security/.test(uri),
  )?.uri;
}

/**
 * The Debian mirror that apt of this machine is set up for, without a slash at its end.
 *
 * @throws one message on a machine that has none.
 */
export async function requireDebianMirror(): Promise<string> {
  const mirror = debianMirror(await aptSources());
  if (mirror === undefined)
    throw new Error(
      "/etc/apt: no source of Debian's main archive; add one, signed by debian-archive-keyring, such as " +
        "'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] <mirror> trixie main'",
    );
  return mirror.replace(/\/$/, "");
}

const debianSuites = new Set([
  ...["bullseye", "bookworm", "trixie", "forky", "sid"],
  ...["oldoldstable", "oldstable", "stable", "testing", "unstable"],
]);

/** All binary archives that apt of this machine is set up for; `root` is `/` but in tests. */
export async function aptSources(root = "/"): Promise<AptSource[]> {
  const folder = join(root, "etc/apt/sources.list.d");
  const names = await readdir(folder).catch(() => []);
  const paths = [join(root, "etc/apt/sources.list"), ...names.sort().map((n) => join(folder, n))];
  const parsed = await Promise.all(
    paths.map(async (path) => {
      if (path.endsWith(".sources")) return parseDeb822(await readFile(path, "utf8"));
      if (path.endsWith(".list")) return parseOneLine(await readFile(path, "utf8").catch(() => ""));
      return [];
    }),
  );
  return parsed.flat();
}

function words(text: string | undefined): string[] {
  return (text ?? "").split(/\s+/).filter(Boolean);
}

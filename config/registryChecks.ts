import type { BuildkitdSettings, RegistrySettings } from "../components/buildkitd/schema.ts";
import { shown } from "../components/schema/expected.ts";
import { hostIn } from "./addresses.ts";
import type { Findings } from "./findings.ts";

/** Hosts by which Docker Hub is known elsewhere; in an image's normalized name it is docker.io. */
const otherNamesOfHub = ["index.docker.io", "registry-1.docker.io", "hub.docker.com"];

/** The host of a mirror, by which its own settings are looked up. */
const mirrorHost = (mirror: string) => mirror.split("/")[0] ?? "";

function mirrorHosts(registries: Readonly<Record<string, RegistrySettings>>): Set<string> {
  return new Set(Object.values(registries).flatMap(({ mirrors = [] }) => mirrors.map(mirrorHost)));
}

/** Hosts that BuildKit looks nothing up by. */
export function refuseVainHosts(
  names: readonly string[],
  registries: Readonly<Record<string, RegistrySettings>>,
  findings: Findings,
): void {
  const hosts = mirrorHosts(registries);
  for (const name of names.filter((one) => !hosts.has(one))) {
    const isHub = name.toLowerCase() === "docker.io" && name !== "docker.io";
    if (isHub || otherNamesOfHub.includes(name.toLowerCase())) {
      findings.refuse(
        [name],
        "BuildKit looks Docker Hub up as docker.io, whatever host is contacted; write docker.io.",
      );
    } else if (!/[.:A-Z]/.test(name) && name !== "localhost") {
      findings.refuse(
        [name],
        `no image is looked up there: without a dot or a port, ${name}/image is an image of Docker Hub; write the host in full, or with its port.`,
      );
    }
  }
}

/**
 * Refuses registries that BuildKit never looks up, and flags that do not apply to the settings beside them. BuildKit looks
 * a registry up by the host in the image's normalized name, and a mirror by its own host (`util/resolver`).
 */
export function refuseVainRegistries(
  { registry: registries = {} }: Pick<BuildkitdSettings, "registry">,
  findings: Findings,
): void {
  refuseVainHosts(Object.keys(registries), registries, findings);
  for (const [name, { http, insecure, mirrors = [] }] of Object.entries(registries)) {
    if (name !== "docker.io" || !http || insecure) continue;
    const [mirror] = mirrors.map(mirrorHost);
    findings.refuse(
      [name, "http"],
      `is about Docker Hub itself, which is not served over plain HTTP; ${mirror === undefined ? "remove it" : `for the mirror, move it to registry[${JSON.stringify(mirror)}]`}.`,
    );
  }
}

/** Warns about settings of registries that do something else than they seem to. */
export function warnOfRegistries(
  { registry: registries = {} }: Pick<BuildkitdSettings, "registry">,
  findings: Findings,
): void {
  for (const [name, settings] of Object.entries(registries)) {
    if (/[A-Z]/.test(name)) {
      findings.warn(
        [name],
        `is looked up for images that are written so, with capitals; for others write ${shown(name.toLowerCase())}.`,
      );
    }
    const unsaid = (settings.mirrors ?? [])
      .map(mirrorHost)
      .filter((host) => host !== name && registries[host] === undefined);
    for (const flag of ["http", "insecure"] as const) {
      const [mirror] = unsaid;
      if (!settings[flag] || mirror === undefined) continue;
      // Refused already.
      if (name === "docker.io" && flag === "http" && !settings.insecure) continue;
      findings.warn(
        [name, flag],
        `is about ${name} itself, not about its mirrors; for a mirror set ${flag}: true under registry[${JSON.stringify(mirror)}].`,
      );
    }
  }
}

/** Hosts that the settings name, each with where it stands. */
export function registryHosts({
  registry: registries = {},
}: Pick<BuildkitdSettings, "registry">): { key: string; host: string }[] {
  return Object.entries(registries).flatMap(([name, { mirrors = [] }]) => [
    { key: `registry[${JSON.stringify(name)}]`, host: hostIn(name) },
    ...mirrors.map((mirror, index) => ({
      key: `registry[${JSON.stringify(name)}].mirrors[${index}]`,
      host: hostIn(mirror),
    })),
  ]);
}

import { shown } from "../../components/schema/expected.ts";
import { endpointId, endpointUrl } from "../../config/endpoint.ts";
import type { Findings } from "../../config/findings.ts";
import type { EarlierBuilders } from "../hostKind.ts";
import type { DockerHostInput } from "./dockerHostSchema.ts";
import { cacheVolumeOf, containerEndpointOf } from "./resolveDockerHost.ts";

/** Tells daemons apart, in whatever words their addresses are. */
function daemonId(docker: string): string {
  const url = new URL(docker);
  if (url.protocol === "unix:") return url.pathname.replace(/^\/var\/run\//, "/run/");
  const port = url.port || (url.protocol === "ssh:" ? "22" : "");
  return `${url.protocol}${url.hostname.toLowerCase()}:${port}`;
}

/** Refuses hosts that are one daemon, and builders that would share a name, an endpoint or what belongs to one container. */
export function refuseSameDockerHosts(
  hosts: readonly (DockerHostInput | undefined)[],
  { names, endpoints }: EarlierBuilders,
  findings: Findings,
): void {
  const hostsSeen = { name: new Map<string, string>(), docker: new Map<string, string>() };
  const hostKeys = new Map<string, string>();
  for (const [index, host] of hosts.entries()) {
    if (!host) continue;
    const path = `dockerHosts[${index}]`;
    const isNew = !hostsSeen.docker.has(daemonId(host.docker));
    for (const key of ["name", "docker"] as const) {
      const id = key === "docker" ? daemonId(host.docker) : host.name;
      const first = hostsSeen[key].get(id);
      if (first !== undefined) {
        const fix =
          key === "name" ? "choose another" : "name the builders of one host in one entry";
        findings.refuse(
          [index, key],
          `received ${shown(host[key])}, which ${first} has already; ${fix}.`,
        );
      }
      hostsSeen[key].set(id, first ?? path);
    }
    if (isNew && host.hostKey) {
      const sameKey = hostKeys.get(host.hostKey);
      if (sameKey === undefined) hostKeys.set(host.hostKey, path);
      else {
        findings.warn(
          [index, "hostKey"],
          `is that of ${sameKey} too: the same machine twice, or a copied disk, whose host key should be made anew.`,
        );
      }
    }
    const onHost = {
      containerName: new Map<string, string>(),
      cacheVolume: new Map<string, string>(),
      cachePath: new Map<string, string>(),
      port: new Map<string, string>(),
    };
    for (const [position, builder] of host.builders.entries()) {
      const at = findings.at(index, "builders", position);
      const here = `${path}.builders[${position}]`;
      const once = (
        seen: Map<string, string>,
        key: (string | number)[],
        value: string | number,
        fix = "choose another",
        id = String(value),
      ) => {
        const first = seen.get(id);
        if (first === undefined) seen.set(id, here);
        else at.refuse(key, `received ${shown(value)}, which ${first} has already; ${fix}.`);
        return first === undefined;
      };
      const isNewName = once(names, ["name"], builder.name);
      const container = builder.containerName ?? builder.name;
      if (isNewName || builder.containerName)
        once(onHost.containerName, ["containerName"], container);
      if (isNewName || builder.cacheVolume) {
        once(onHost.cacheVolume, ["cacheVolume"], cacheVolumeOf(builder));
      }
      if (builder.cachePath) once(onHost.cachePath, ["cachePath"], builder.cachePath);
      const isFree = once(onHost.port, ["publish", "port"], builder.publish.port);
      if (isFree) {
        const endpoint = containerEndpointOf(builder, host);
        const fix = "clients could not tell the two apart";
        once(endpoints, ["endpoint"], endpointUrl(endpoint), fix, endpointId(endpoint));
      }
    }
  }
}

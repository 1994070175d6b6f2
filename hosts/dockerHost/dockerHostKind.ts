import { hostKind } from "../hostKind.ts";
import {
  refuseImpossibleDockerHost,
  refuseMisleadingEnvironment,
  warnOfDockerHost,
  warnOfTags,
} from "./dockerHostChecks.ts";
import {
  type DockerHostAsWritten,
  type DockerHostInput,
  dockerHostSchema,
  dockerHostsSchema,
} from "./dockerHostSchema.ts";
import {
  containerEndpointOf,
  type DockerHostConfig,
  hostOf,
  publishOf,
  resolveDockerHost,
} from "./resolveDockerHost.ts";
import { refuseSameDockerHosts } from "./sameDockerHosts.ts";
import { startedDockerHost } from "./startedDockerHost.ts";

/** `buildhosts:dockerHosts`: hosts whose Docker or Podman runs containers, each container a builder. */
export const dockerHostKind = hostKind<
  "dockerHosts",
  DockerHostAsWritten,
  DockerHostInput,
  DockerHostConfig
>({
  key: "dockerHosts",
  schema: dockerHostsSchema,
  entry: dockerHostSchema,
  dialsAgent: false,
  completed: (host, { projectDir }, findings) => startedDockerHost(host, projectDir, findings),
  builders: (host) =>
    host.builders.map((builder) => ({
      name: builder.name,
      endpoint: containerEndpointOf(builder, host),
      host: host.name,
      platforms: builder.buildkitd.worker?.platforms ?? [host.platform, ...host.emulation],
    })),
  poolMachine: (host) => ({
    ...{ name: host.name, host: hostOf(host), abandon: host.abandon },
    ...{ isDocker: true, isVirtual: false },
    ports: host.builders.map((builder) => ({
      port: publishOf(builder, host).port,
      what: `the builder ${builder.name}`,
    })),
  }),
  poolConnection: ({ name, connection }) => ({ name, docker: connection }),
  machine: (host) => hostOf(host),
  installs: () => undefined,
  needsStackKey: ({ docker, ssh }) => docker.startsWith("ssh:") && !ssh,
  refuseSame: refuseSameDockerHosts,
  refuseEnvironment: refuseMisleadingEnvironment,
  refuseImpossible: (host, _mirror, findings) => refuseImpossibleDockerHost(host, findings),
  warnOfRisks: warnOfDockerHost,
  warnOfAll: warnOfTags,
  resolved: resolveDockerHost,
  look: async (hosts, options) =>
    hosts.length > 0 ? (await import("./containerLooks.ts")).lookAtContainers(hosts, options) : [],
  unseen: async (hosts) =>
    hosts.length > 0 ? (await import("./containerLooks.ts")).unseenContainers(hosts) : [],
  composition: async () => (await import("./dockerHostBuilders.ts")).dockerHostBuilders,
});

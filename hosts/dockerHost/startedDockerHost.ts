import * as z from "zod";
import { shown } from "../../components/schema/expected.ts";
import { port } from "../../components/schema/values.ts";
import type { Findings } from "../../config/findings.ts";
import { machineConnection, startedMachine, startedPlatform } from "../virtualMachine.ts";
import type { DockerHostAsWritten, DockerHostInput } from "./dockerHostSchema.ts";

const dockerHostConnection = machineConnection.extend({
  user: z.string(),
  builderPorts: z.record(z.string(), port),
});

/** A Docker host as the stack file could describe it: a virtual one has its addresses from the proving ground. */
export function startedDockerHost(
  host: DockerHostAsWritten,
  projectDir: string,
  findings: Findings,
): DockerHostInput | undefined {
  if (!host.virtual) return host;
  const { virtual: _, ...rest } = host;
  const platform = host.platform ?? startedPlatform(projectDir, "virtual-docker-host");
  const found = startedMachine(dockerHostConnection, "virtual-docker-host", platform, projectDir);
  if (!found) {
    findings.refuse(
      ["virtual"],
      `the virtual ${platform} Docker host is not running; start it with npm run up, which runs Pulumi too.`,
    );
    return undefined;
  }
  const builders = host.builders.map((builder, index) => {
    const at = findings.at("builders", index);
    if (builder.endpoint !== undefined) {
      at.refuse(["endpoint"], "a virtual machine has it from the proving ground; remove it.");
    }
    const forwarded = found.builderPorts[builder.publish.port];
    if (forwarded === undefined) {
      const ports = Object.keys(found.builderPorts).join(", ");
      at.refuse(
        ["publish", "port"],
        `received ${shown(builder.publish.port)}, which leads nowhere: of a virtual Docker host, ${ports} are forwarded.`,
      );
    }
    return { ...builder, endpoint: { host: found.host, port: forwarded ?? builder.publish.port } };
  });
  return {
    ...rest,
    platform,
    docker: `ssh://${found.user}@${found.host}:${found.port}`,
    hostKey: found.hostKey,
    ssh: { privateKeyFile: found.identityFile },
    builders,
  };
}

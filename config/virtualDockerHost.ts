import { readFileSync } from "node:fs";
import { join } from "node:path";
import { shown } from "../components/schema/expected.ts";
import type { Findings } from "./problems.ts";
import {
  type DockerHostInput,
  dockerHostConnection,
  type VirtualDockerHostInput,
} from "./schema.ts";
import { startedPlatform } from "./virtualPlatform.ts";

/** A Docker host as the stack file could have described it; of a virtual one, only the proving ground knows. */
export function located(
  host: DockerHostInput | VirtualDockerHostInput,
  projectDir: string,
  findings: Findings,
): DockerHostInput | undefined {
  if (!host.virtual) return host;
  const { virtual: _, ...rest } = host;
  const platform = host.platform ?? startedPlatform(projectDir, "virtual-docker-host");
  const found = connection(platform, projectDir);
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

function connection(platform: string, projectDir: string) {
  const name = `${platform.replace("linux/", "")}.json`;
  try {
    const text = readFileSync(join(projectDir, ".buildhosts", "virtual-docker-host", name), "utf8");
    return dockerHostConnection.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

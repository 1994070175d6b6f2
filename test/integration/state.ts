import type { TestStack } from "./ground.ts";

/** What a stack's state says, secrets in the clear. */
export interface State {
  /** A resource's properties by its name; the outputs, or else the inputs. */
  resource(name: string): Record<string, string>;
  /** A remote command of the board, as the engine ran it. */
  command(role: "preflight" | "install" | "config" | "service"): BoardCommand;
}

export interface BoardCommand {
  create: string;
  stdin: string;
}

interface Resource {
  urn: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

export async function stateOf(stack: TestStack): Promise<State> {
  const { code, output } = await stack.pulumi(["stack", "export", "--show-secrets"]);
  if (code !== 0) throw new Error(`stack export failed: ${output}`);
  const resources: Resource[] = JSON.parse(output).deployment.resources;
  const resource = (name: string) => {
    // A component and its children may share the beginning of their names, never the whole.
    const found = resources.find(({ urn }) => urn.endsWith(`::${name}`));
    if (!found) throw new Error(`the state has no ${name}`);
    return revealed({ ...found.inputs, ...found.outputs }) as Record<string, string>;
  };
  return {
    resource,
    command(role) {
      const { create = "", stdin = "" } = resource(`board-${role}`);
      return { create, stdin };
    },
  };
}

/** The engine's mark of a secret, beside which its value stands as JSON. */
const SECRET = "4dabf18193072939515e22adb298388d";

function revealed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revealed);
  if (typeof value !== "object" || value === null) return value;
  if (SECRET in value && "plaintext" in value) return revealed(JSON.parse(String(value.plaintext)));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, revealed(one)]));
}

/** The lines of a PEM text in which the private part stands, and nothing that is public too. */
export function secretLines(pem: string): string[] {
  const lines = pem.split("\n").filter((line) => line && !line.startsWith("-----"));
  // OpenSSH's format begins with a header and the public key.
  return pem.includes("OPENSSH") ? lines.slice(2) : lines.slice(0, 1);
}

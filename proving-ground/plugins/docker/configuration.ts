import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Configuration } from "../provider/plugin.ts";
import { type Checked, check, type Failure, type Fields, type Shape } from "../provider/shapes.ts";
import { type PropertyMap, reveal, type Value } from "../provider/values.ts";
import type { Settings } from "./daemonOf.ts";
import { registryHost } from "./registryLogin.ts";

const STRING: Shape = { kind: "string" };

const SSH_OPTS: Shape = { kind: "list", of: STRING };

const REGISTRY_AUTH: Fields = {
  address: { shape: STRING, required: true },
  username: { shape: STRING },
  password: { shape: STRING },
  authDisabled: { shape: { kind: "boolean" } },
  configFile: { shape: STRING, unsupported: notHere("username and password") },
  configFileContent: { shape: STRING, unsupported: notHere("username and password") },
};

/** The provider's own inputs. The SDK sends those that are no texts as texts of JSON. */
const PROVIDER: Fields = {
  host: { shape: STRING },
  caMaterial: { shape: STRING },
  certMaterial: { shape: STRING },
  keyMaterial: { shape: STRING },
  certPath: { shape: STRING },
  sshOpts: { shape: STRING },
  registryAuth: { shape: STRING, secret: true },
  context: { shape: STRING, unsupported: notHere("host") },
  disableDockerDaemonCheck: { shape: STRING, unsupported: "there is always a daemon to check" },
};

function notHere(instead: string): string {
  return (
    `the offline stand-in for the plugin docker 5.0.0 does not take this; give ${instead}, ` +
    "or get the plugin itself with `pulumi plugin install resource docker 5.0.0`"
  );
}

/** The configuration of a provider `docker`, which goes to `use`. */
export function dockerConfiguration(use: (settings: Settings) => Promise<void>): Configuration {
  return {
    check: checkConfiguration,
    configure: async (inputs) => await use(await settingsOf(inputs)),
  };
}

function checkConfiguration(inputs: PropertyMap): Checked {
  const { inputs: checked, failures } = check(inputs, PROVIDER);
  const all: Failure[] = [...failures];
  const list = (property: string, shape: Shape) => {
    const text = reveal(checked[property] ?? null);
    if (typeof text !== "string") return;
    const value = parsed(text);
    if (value === undefined) {
      all.push({ property, reason: "must be a list, as JSON" });
    } else {
      all.push(...check({ [property]: value }, { [property]: { shape } }).failures);
    }
  };
  list("sshOpts", SSH_OPTS);
  list("registryAuth", { kind: "list", of: { kind: "object", fields: REGISTRY_AUTH } });
  return { inputs: checked, failures: all };
}

function parsed(text: string): Value | undefined {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}

interface RegistryAuth {
  readonly address: string;
  readonly username?: string;
  readonly password?: string;
  readonly authDisabled?: boolean;
}

async function settingsOf(inputs: PropertyMap): Promise<Settings> {
  const config = reveal(inputs) as { readonly [name: string]: string | undefined };
  const text = (name: string, variable: string) =>
    config[name] || process.env[variable] || undefined;
  const host = text("host", "DOCKER_HOST") ?? "unix:///var/run/docker.sock";
  const sshOpts = config.sshOpts
    ? (parsed(config.sshOpts) as string[])
    : (process.env.DOCKER_SSH_OPTS?.split(/\s+/).filter(Boolean) ?? []);
  const tls = await tlsOf(host, {
    ca: text("caMaterial", "DOCKER_CA_MATERIAL"),
    cert: text("certMaterial", "DOCKER_CERT_MATERIAL"),
    key: text("keyMaterial", "DOCKER_KEY_MATERIAL"),
    path: text("certPath", "DOCKER_CERT_PATH"),
  });
  const registries = config.registryAuth
    ? (parsed(config.registryAuth) as unknown as RegistryAuth[])
    : [];
  return {
    host,
    sshOpts,
    ...(tls && { tls }),
    registries: registries.map(({ address, username = "", password = "", authDisabled }) => ({
      registry: registryHost(address),
      serverAddress: /^https?:\/\//.test(address) ? address : `https://${address}`,
      // A registry that needs no login is shown one that it does not look at: the daemon wants one.
      username: authDisabled ? "username" : username,
      password: authDisabled ? "password" : password,
    })),
  };
}

async function tlsOf(
  host: string,
  given: { ca?: string; cert?: string; key?: string; path?: string },
): Promise<Settings["tls"]> {
  const { ca, cert, key, path } = given;
  if (ca || cert || key) {
    if (!ca || !cert || !key) {
      throw new Error(
        `docker host ${host}: caMaterial, certMaterial and keyMaterial must all be given, or none of them`,
      );
    }
    if (path) throw new Error(`docker host ${host}: certPath and certMaterial exclude each other`);
    return { ca, cert, key };
  }
  if (!path) return undefined;
  const [caFile, certFile, keyFile] = await Promise.all(
    ["ca.pem", "cert.pem", "key.pem"].map((name) => readFile(join(path, name), "utf8")),
  );
  return { ca: caFile ?? "", cert: certFile ?? "", key: keyFile ?? "" };
}

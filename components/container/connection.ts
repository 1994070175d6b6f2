import { rmSync } from "node:fs";
import { resolve } from "node:path";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { writePrivate } from "../privateFile.ts";
import { hostFromUrl } from "../socketAddress.ts";

/** The three parts of mutual TLS with a Docker daemon, PEM. */
export interface DockerTlsArgs {
  /** Of the CA that signed the daemon's certificate. */
  caCertPem: pulumi.Input<string>;
  /** The client's certificate. */
  certPem: pulumi.Input<string>;
  /** The client's key. */
  privateKeyPem: pulumi.Input<string>;
}

/** A login at a registry. */
export interface RegistryAuthArgs {
  /** The registry's host, as it stands in an image's name. */
  address: string;
  username: string;
  password: pulumi.Input<string>;
}

/** How to reach a Docker daemon, or Podman's Docker-compatible socket. */
export interface DockerConnectionArgs {
  /** `unix:///var/run/docker.sock`, `ssh://user@host:port` or `tcp://host:2376`. */
  url: string;
  /**
   * Of an `ssh://` host: its public key, `ssh-ed25519 AAAA…` or `ecdsa-sha2-nistp256 AAAA…`; any other
   * host is refused.
   */
  hostKey?: string;
  /** For `ssh://`: PEM. Default: the keys of the agent behind SSH_AUTH_SOCK. */
  privateKey?: pulumi.Input<string>;
  /** For `tcp://`, where it is needed. */
  tls?: DockerTlsArgs;
  /**
   * For `ssh://`: a folder of this machine, relative to the program's, where the files of the SSH client
   * are written at each run. Its name stands in the state, what is in it does not.
   * Default: `.buildhosts/docker/<stack>/<name>`.
   */
  sshFolder?: string;
  /** Logins by which the host pulls private images. Default: none. */
  registryAuth?: RegistryAuthArgs[];
}

/** A connection with everything that the provider and a client of our own need. */
export interface DockerConnection {
  provider: pulumi.Input<docker.ProviderArgs>;
  url: URL;
  sshOptions: pulumi.Output<string[]>;
  tls?: DockerTlsArgs;
}

/**
 * Refuses what the provider would take without a word: a host that nobody verifies.
 *
 * @throws naming `name`, what is missing and where to have it.
 */
export function dockerConnection(name: string, args: DockerConnectionArgs): DockerConnection {
  const url = URL.parse(args.url);
  const logins = args.registryAuth ?? [];
  const registryAuth =
    logins.length === 0
      ? {}
      : { registryAuth: logins.map((one) => ({ ...one, password: pulumi.secret(one.password) })) };
  switch (url?.protocol) {
    case "unix:":
      return { provider: { host: args.url, ...registryAuth }, url, sshOptions: pulumi.output([]) };
    case "tcp:": {
      if (!args.tls) {
        throw new Error(
          `${name}: ${args.url} needs tls with caCertPem, certPem and privateKeyPem; without it, anybody on the network can act as the daemon or become root there`,
        );
      }
      const { caCertPem, certPem, privateKeyPem } = args.tls;
      const keyMaterial = pulumi.secret(privateKeyPem);
      return {
        provider: {
          host: args.url,
          caMaterial: caCertPem,
          certMaterial: certPem,
          keyMaterial,
          ...registryAuth,
        },
        url,
        sshOptions: pulumi.output([]),
        tls: args.tls,
      };
    }
    case "ssh:": {
      const sshOptions = sshFiles(name, url, args);
      return {
        provider: { host: args.url, sshOpts: sshOptions, ...registryAuth },
        url,
        sshOptions,
      };
    }
    default:
      throw new Error(
        `${name}: url is '${args.url}'; expected unix://<path>, ssh://<user>@<host> or tcp://<host>:<port>`,
      );
  }
}

/**
 * Writes the files of the SSH client, and gives the options that name them. One path stands in the
 * state, the same on every machine; the key and the host key are in files only.
 */
function sshFiles(name: string, url: URL, args: DockerConnectionArgs): pulumi.Output<string[]> {
  const { hostKey, privateKey } = args;
  if (!hostKey) {
    throw new Error(
      `${name}: ${args.url} needs hostKey, the host's public key; the host has it in /etc/ssh/ssh_host_ed25519_key.pub`,
    );
  }
  const folder = args.sshFolder ?? `.buildhosts/docker/${pulumi.getStack()}/${name}`;
  const options = ["-F", `${folder}/ssh_config`];
  const write = (key: string | undefined) => {
    const path = (file: string) => resolve(folder, file);
    // Whatever project this is used in: a key that is in there must not get into its repository.
    writePrivate(path(".gitignore"), "*\n");
    writePrivate(path("known_hosts"), `${knownHost(url)} ${hostKey}\n`);
    if (key !== undefined) writePrivate(path("id"), key.endsWith("\n") ? key : `${key}\n`);
    writePrivate(path("ssh_config"), sshConfig(path, hostKey, key !== undefined));
    // Of a host that has moved to the agent.
    if (key === undefined) rmSync(path("id"), { force: true });
    return options;
  };
  if (privateKey === undefined) return pulumi.output(write(undefined));
  return pulumi.unsecret(pulumi.output(privateKey).apply(write));
}

/** A host as known_hosts names it. */
export function knownHost({ hostname, port }: URL): string {
  const host = hostFromUrl(hostname);
  return port === "" || port === "22" ? host : `[${host}]:${port}`;
}

/** What ssh is told for the one host: nothing of the user's own configuration is read. */
function sshConfig(path: (file: string) => string, hostKey: string, hasKey: boolean): string {
  const lines = [
    "# Written by buildhosts at each run.",
    `UserKnownHostsFile "${path("known_hosts")}"`,
    "GlobalKnownHostsFile /dev/null",
    "StrictHostKeyChecking yes",
    `HostKeyAlgorithms ${hostKey.split(" ")[0]}`,
    "BatchMode yes",
    "ConnectTimeout 20",
    "ServerAliveInterval 15",
    "ServerAliveCountMax 4",
    ...(hasKey ? [`IdentityFile "${path("id")}"`, "IdentitiesOnly yes", "IdentityAgent none"] : []),
  ];
  return `${lines.join("\n")}\n`;
}

/** The provider of one Docker host, which all that runs there shares. */
export function dockerProvider(
  name: string,
  connection: DockerConnection,
  opts: pulumi.ResourceOptions = {},
): docker.Provider {
  return new docker.Provider(name, connection.provider as docker.ProviderArgs, opts);
}

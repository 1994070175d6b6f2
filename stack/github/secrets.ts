import * as pulumi from "@pulumi/pulumi";
import type { GithubConfig } from "../../config/stackConfig.ts";
import { askGithub } from "./api.ts";

/** The record beside the secrets (see BuilderSecrets). A new text of `rewrite` makes the provider write them again. */
interface Record {
  rewrite?: string;
  /** By the part of a client's files, in the form that the provider gives times in. */
  written?: { [part: string]: string | undefined };
}

const PARTS = ["CACERT", "CERT", "KEY"] as const;

/** Where a client's secrets are: below the organization, a repository, or an environment of one. */
export type SecretsPath = `orgs/${string}` | `repos/${string}`;

/** The path of a repository's secrets in the API. */
export function repositorySecrets(
  owner: string,
  repository: string,
  environment?: string,
): SecretsPath {
  const path = `repos/${owner}/${repository}` as const;
  return environment === undefined
    ? `${path}/actions`
    : `${path}/environments/${encodeURIComponent(environment)}`;
}

export function organizationSecrets(owner: string): SecretsPath {
  return `orgs/${owner}/actions`;
}

/**
 * The value of `rewrite` of BuilderSecrets, by path: a new text if somebody else changed a secret since the stack wrote
 * it. No API returns a secret, and the provider compares nothing, so this compares the times of the writes.
 */
export async function secretRewrites(
  github: GithubConfig,
): Promise<ReadonlyMap<SecretsPath, string>> {
  const paths = github.repositories
    .filter(({ client }) => client !== undefined)
    .map(({ name, environment }) => repositorySecrets(github.owner, name, environment?.name));
  if (github.organizationSecrets) paths.push(organizationSecrets(github.owner));
  return new Map(
    await Promise.all(paths.map(async (path) => [path, await rewriteOf(github, path)] as const)),
  );
}

async function rewriteOf(github: GithubConfig, path: SecretsPath): Promise<string> {
  const { status, body } = await askGithub(github, `${path}/variables/BUILDER_SECRETS`);
  const { rewrite = "never", written = {} } = status === 200 ? parsed(body.value) : {};
  for (const part of PARTS) {
    const name = `BUILDER_AUTH_TLS_${part}`;
    const before = written[part];
    if (before === undefined) continue;
    const secret = await askGithub(github, `${path}/secrets/${name}`);
    const now = secret.status === 200 ? String(secret.body.updated_at) : "gone";
    if (now !== "gone" && seconds(now) === seconds(before)) continue;
    void pulumi.log.warn(
      `${path}: somebody else changed the secret ${name} (${now}); all three are written anew.`,
    );
    return now === "gone" ? `gone after ${before}` : now;
  }
  return rewrite;
}

function parsed(value: unknown): Record {
  try {
    return (JSON.parse(String(value)) ?? {}) as Record;
  } catch {
    // Somebody else has written it: then nothing is known, and the provider mends the variable.
    return {};
  }
}

/** Seconds since 1970 of `2026-01-02T03:04:05Z`, and of Go's `2026-01-02 03:04:05 +0000 UTC`. */
function seconds(time: string): number {
  return Date.parse(time.replace(/^(\S+) (\S+) \+0000 UTC$/, "$1T$2Z")) / 1000;
}

import * as pulumi from "@pulumi/pulumi";
import type { GithubConfig } from "../../config/stackConfig.ts";
import { askGithub } from "./api.ts";

/** What is written beside the secrets (see BuilderSecrets): its text changes when they are to be written anew. */
interface Record {
  rewrite?: string;
  /** By the part of a client's files, in the form that the provider gives times in. */
  written?: { [part: string]: string | undefined };
}

const PARTS = ["CACERT", "CERT", "KEY"] as const;

/** Where a client's secrets are: below the organization, a repository, or an environment of one. */
export type SecretsPlace = `orgs/${string}` | `repos/${string}`;

/** The place of a repository's secrets. */
export function repositorySecrets(
  owner: string,
  repository: string,
  environment?: string,
): SecretsPlace {
  const path = `repos/${owner}/${repository}` as const;
  return environment === undefined
    ? `${path}/actions`
    : `${path}/environments/${encodeURIComponent(environment)}`;
}

export function organizationSecrets(owner: string): SecretsPlace {
  return `orgs/${owner}/actions`;
}

/**
 * By place, what BuilderSecrets is told in `rewrite`: another text than before where somebody else has
 * changed a secret since the stack wrote it. No API gives a secret back, and the provider compares nothing,
 * so what is compared is when.
 */
export async function secretRewrites(
  github: GithubConfig,
): Promise<ReadonlyMap<SecretsPlace, string>> {
  const places = github.repositories
    .filter(({ client }) => client !== undefined)
    .map(({ name, environment }) => repositorySecrets(github.owner, name, environment?.name));
  if (github.organizationSecrets) places.push(organizationSecrets(github.owner));
  return new Map(
    await Promise.all(
      places.map(async (place) => [place, await rewriteOf(github, place)] as const),
    ),
  );
}

async function rewriteOf(github: GithubConfig, place: SecretsPlace): Promise<string> {
  const { status, body } = await askGithub(github, `${place}/variables/BUILDER_SECRETS`);
  const { rewrite = "never", written = {} } = status === 200 ? parsed(body.value) : {};
  for (const part of PARTS) {
    const name = `BUILDER_AUTH_TLS_${part}`;
    const before = written[part];
    if (before === undefined) continue;
    const secret = await askGithub(github, `${place}/secrets/${name}`);
    const now = secret.status === 200 ? String(secret.body.updated_at) : "gone";
    if (now !== "gone" && seconds(now) === seconds(before)) continue;
    void pulumi.log.warn(
      `${place}: somebody else changed the secret ${name} (${now}); all three are written anew.`,
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
